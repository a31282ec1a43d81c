import { isHeld, type EpochRecord } from '../model/epoch-record.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { Policy } from './policy.ts'
import type { Clock } from './ports.ts'
import type { RecordKeeper } from './record-keeper.ts'

/** Renewals a ttl: ten small writes, so that an agent that is killed leaves most of a lease to the next one. */
const RENEWALS_PER_TTL = 10
/** A decision older than this does not speak for the lease any more: a hung loop loses it. */
const DECISION_AGE_MAX_MS = 2000

type Deps = { readonly clock: Clock; readonly keeper: RecordKeeper }

export type LeaseKeeperOptions = {
  readonly policy: Policy
  readonly self: string
  /** The last decision: whether the lease is wanted, and when it was made. */
  readonly wanted: () => { readonly keepLease: boolean; readonly decidedAt: MonotonicMs }
  /** Nothing would end this node's PostgreSQL if its agent died now: whoever judges the lease has to know. */
  readonly isUnfenced: () => boolean
  /** The newest flush position of the local primary. */
  readonly position: () => string | undefined
}

/**
 * Keeps the lease in a small loop of its own, so that a slow probe of PostgreSQL can never cost it. It renews only
 * while a fresh decision wants it: a brain that hangs stops renewing, and the guard does the rest.
 */
export class LeaseKeeper {
  readonly #deps: Deps
  readonly #options: LeaseKeeperOptions
  #cancel: (() => void) | undefined
  #isRenewing = false
  #isStopped = false

  constructor(deps: Deps, options: LeaseKeeperOptions) {
    this.#deps = deps
    this.#options = options
  }

  start(): void {
    this.#schedule()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  /** Renews at once when the lease is wanted and not proven: after a start, or after a decision changed. */
  nudge(): void {
    const { keeper, clock } = this.#deps
    if (this.#options.wanted().keepLease && keeper.provenUntil <= clock.monotonic()) void this.#renew()
  }

  #schedule(): void {
    if (this.#isStopped) return
    const period = this.#options.policy.leaseTtlMs / RENEWALS_PER_TTL
    this.#cancel = this.#deps.clock.after(period, () => {
      void this.#renew()
      this.#schedule()
    })
  }

  async #renew(): Promise<void> {
    const { clock, keeper } = this.#deps
    const { self, policy, position, isUnfenced } = this.#options
    const { keepLease, decidedAt } = this.#options.wanted()
    if (this.#isRenewing || this.#isStopped) return
    if (!keepLease || clock.monotonic() - decidedAt > DECISION_AGE_MAX_MS) return
    this.#isRenewing = true
    try {
      await keeper.write(
        (record) =>
          renewed(record, {
            self,
            ttlMs: policy.leaseTtlMs,
            position: position(),
            isUnfenced: isUnfenced(),
          }),
        {
          deadlineMs: policy.leaseTtlMs / 3,
        },
      )
    } finally {
      this.#isRenewing = false
    }
  }
}

/** The record with the next seq; `undefined` when it is not this node's any more. */
function renewed(
  record: EpochRecord | undefined,
  own: { self: string; ttlMs: number; position: string | undefined; isUnfenced: boolean },
): EpochRecord | undefined {
  if (!record || record.holder !== own.self || !isHeld(record)) return undefined
  const { isUnfenced: _before, ...rest } = record
  return {
    ...rest,
    seq: record.seq + 1,
    ttlMs: own.ttlMs,
    position: own.position ?? record.position,
    ...(own.isUnfenced ? { isUnfenced: true } : {}),
  }
}
