import { isPlannedRelease, type EpochRecord } from '../../../../src/model/epoch-record.ts'
import { Violation } from '../../checkers/violation.ts'
import { readLsn } from '../../postgres/lsn.ts'
import type { BackendAcknowledgement } from './cluster-facts.ts'

const CHECKER = 'loss-is-bounded'

export type LossBounds = {
  readonly maximumLagBytes: number
  readonly leaseTtlMs: number
}

/** A decision that is older than this does not renew the lease, and PostgreSQL is asked for so long where it stands. */
const MEASURED_WITHIN_MS = 3000

/**
 * G3, the bound. Whoever takes over goes on from no less than `maximum_lag_on_failover` before what the old primary published last,
 * from its very end after planned work; and what is published is not old. So a failover loses at most the limit plus what was written
 * after that.
 */
export class LossIsBounded {
  readonly #bounds: LossBounds
  /** The last record that was seen of each epoch. */
  readonly #last = new Map<number, EpochRecord>()
  readonly #opened = new Set<number>()
  /** Acknowledgements of the newest epoch that may still be younger than a published position. */
  #young: { readonly at: number; readonly lsn: number }[] = []
  #youngEpoch = 0
  #oldLsn = 0

  constructor(bounds: LossBounds) {
    this.#bounds = bounds
  }

  seeBackend({ at, epoch, lsn }: BackendAcknowledgement): void {
    if (epoch < this.#youngEpoch) return
    if (epoch > this.#youngEpoch) {
      this.#youngEpoch = epoch
      this.#young = []
      this.#oldLsn = 0
    }
    this.#young.push({ at, lsn })
  }

  /** `isProven`: the holder's lease is proven now. Else this is a renewal that was sent long ago, and says nothing about now. */
  see(record: EpochRecord, now: number, isProven: boolean): void {
    const known = this.#last.get(record.epoch)
    if (known !== undefined && known.seq >= record.seq) return
    this.#last.set(record.epoch, record)
    // Where commits wait for others none is lost at all: see no-acknowledged-loss.
    if (record.state !== 'open' || record.acks) return
    this.#checkFork(record)
    if (known?.state === 'open' && isProven) this.#checkAge(record, now)
  }

  #checkFork({ epoch, chain, holder }: EpochRecord): void {
    const link = chain.at(-1)
    const before = this.#last.get(epoch - 1)
    if (link?.epoch !== epoch || before === undefined || this.#opened.has(epoch)) return
    this.#opened.add(epoch)
    // It was being created, and nobody could use it yet (safety.md 28).
    if (before.systemId === '') return
    const { release, position } = before
    const isPlanned = release !== undefined && isPlannedRelease(release.reason)
    const limit = isPlanned ? 0 : this.#bounds.maximumLagBytes
    const lost = readLsn(release?.endLsn ?? position) - readLsn(link.forkLsn)
    if (lost <= limit) return
    throw new Violation(
      `${holder} opened epoch ${epoch} at ${link.forkLsn}, ${lost} bytes before ${release?.endLsn ?? position} of ${before.holder}; the limit is ${limit}`,
      CHECKER,
    )
  }

  #checkAge({ epoch, position, holder }: EpochRecord, now: number): void {
    if (epoch !== this.#youngEpoch) return
    const { leaseTtlMs } = this.#bounds
    const since = now - 2 * leaseTtlMs - MEASURED_WITHIN_MS
    let count = 0
    for (const { at, lsn } of this.#young) {
      if (at >= since) break
      this.#oldLsn = Math.max(this.#oldLsn, lsn)
      count += 1
    }
    this.#young.splice(0, count)
    // An instance that is just coming up again is measured before long; until then its holder renews with what it published last.
    const [oldest] = this.#young
    if (oldest === undefined || oldest.at > now - leaseTtlMs) return
    if (readLsn(position) >= this.#oldLsn) return
    throw new Violation(
      `${holder} renewed epoch ${epoch} with the position ${position}, long after it had acknowledged ${this.#oldLsn.toString(16)}`,
      CHECKER,
    )
  }
}
