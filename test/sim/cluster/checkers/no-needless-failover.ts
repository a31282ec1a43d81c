import type { EpochRecord, TakeoverReason } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'

const SUSPICIONS: readonly TakeoverReason[] = [
  'LEASE_EXPIRED',
  'PRIMARY_SILENT',
  'PRIMARY_CRASHED',
  'WRITE_PATH_STALLED',
  'DISK_FULL',
]

/**
 * G5: whoever takes over from a primary that neither released nor handed over finds that something had happened to it, or to so many
 * others that no majority was left for it to renew its lease with. Disturbances of a minority without the primary, stepped wall clocks,
 * lagging replay and restarts of routers are no reason.
 */
export class NoNeedlessFailover {
  readonly #windowMs: number
  readonly #disturbedUntil = new Map<string, number>()
  #holder: { readonly epoch: number; readonly name: string } | undefined

  constructor(leaseTtlMs: number) {
    // A lease is judged after ttl × 1.02 + 100 ms, from a renewal that may be ttl / 10 older; clocks drift by 1 % each.
    this.#windowMs = leaseTtlMs * 1.2 + 500
  }

  /** Something is the matter with this host until then. */
  disturb(host: string, until: number): void {
    this.#disturbedUntil.set(host, Math.max(until, this.#disturbedUntil.get(host) ?? 0))
  }

  /** A watchdog resets a host only when its guard could not act; else a host in good health is lost by it. */
  seeReset(host: string, now: number, members: readonly string[]): void {
    const begun = now - this.#windowMs
    const calm = members.filter((name) => (this.#disturbedUntil.get(name) ?? 0) < begun)
    if (!calm.includes(host) || 2 * calm.length <= members.length) return
    throw new Violation(`the watchdog reset ${host}, and nothing had happened to it`, 'no-needless-failover')
  }

  see(record: EpochRecord, now: number, members: readonly string[]): void {
    const before = this.#holder
    // Begun and nobody's: the old primary may still go on in it.
    if (record.state === 'pledging') return
    if (before !== undefined && record.epoch <= before.epoch) return
    this.#holder = { epoch: record.epoch, name: record.holder }
    if (before === undefined || before.name === record.holder || !SUSPICIONS.includes(record.reason)) return
    const begun = now - this.#windowMs
    const calm = members.filter((name) => (this.#disturbedUntil.get(name) ?? 0) < begun)
    if (!calm.includes(before.name) || 2 * calm.length <= members.length) return
    throw new Violation(
      `${record.holder} took epoch ${record.epoch} (${record.reason}), and nothing had happened to ${before.name} nor to ${calm.filter((name) => name !== before.name).join(', ')}`,
      'no-needless-failover',
    )
  }
}
