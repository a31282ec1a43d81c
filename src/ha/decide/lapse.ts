import type { EpochRecord } from '../../model/epoch-record.ts'
import { plus, type MonotonicMs } from '../../model/time.ts'
import { judgeWaitMs } from '../policy.ts'
import type { Snapshot } from '../snapshot.ts'

/** Whether the right to be primary is free, seen from this node's own clock. */
export type Lapse =
  | { readonly kind: 'held'; readonly until: MonotonicMs }
  | { readonly kind: 'reserved'; readonly to: string; readonly until: MonotonicMs }
  /** `isReserved`: for this node, for a while; nobody else takes it then. */
  | { readonly kind: 'released'; readonly since: MonotonicMs; readonly isReserved: boolean }
  | { readonly kind: 'expired'; readonly since: MonotonicMs }

/**
 * Judges the record by the time since this node first saw its (epoch, seq). A stale copy cannot hurt: a renewal that
 * was not seen makes the compare-and-swap fail, and one that was seen had been sent before (safety.md 15).
 */
export function judgeLapse(
  seen: Pick<Snapshot, 'takenAt' | 'policy' | 'self'> & { store: Pick<Snapshot['store'], 'firstSeenAt'> },
  record: EpochRecord,
): Lapse {
  const { firstSeenAt } = seen.store
  // Whoever may have it is found by pledges, not by waiting.
  if (record.state === 'pledging') return { kind: 'held', until: Number.POSITIVE_INFINITY as MonotonicMs }
  if (record.state === 'released') {
    const reservedUntil = plus(firstSeenAt, seen.policy.handoverTtlMs)
    const to = record.release?.to
    const isReserved = to !== undefined && seen.takenAt < reservedUntil
    if (isReserved && to !== seen.self) return { kind: 'reserved', to, until: reservedUntil }
    return { kind: 'released', since: firstSeenAt, isReserved }
  }
  const until = plus(firstSeenAt, judgeWaitMs(seen.policy, record.ttlMs))
  return seen.takenAt < until ? { kind: 'held', until } : { kind: 'expired', since: until }
}
