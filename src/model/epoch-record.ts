import type { AckLink } from './ack-rule.ts'

/**
 * The record at `metako/epoch`: who has the right to be primary. One record is the whole truth about the lease
 * (safety.md 15, 16): taken and renewed by committed compare-and-swap only, judged by each reader's own monotonic clock.
 */
export type EpochRecord = {
  /** Fencing number: grows by one with every new holder, never reused. */
  readonly epoch: number
  /** Member that has the right to be primary. */
  readonly holder: string
  /** Random id of the holder's data directory: a new disk under an old name is another holder. */
  readonly incarnation: string
  /** Raised by every renewal. A judge counts from the moment it first saw this value. */
  readonly seq: number
  readonly ttlMs: number
  /**
   * `pledging`: the epoch is begun and nobody's yet; `holder` is the one before. `authorised`: may promote, has not committed
   * yet. `open`: has committed under this epoch. `released`: given up, and no process of the holder's instance is left.
   */
  readonly state: 'pledging' | 'authorised' | 'open' | 'released'
  readonly reason: TakeoverReason
  readonly systemId: string
  /** Timeline that the holder writes; while `authorised` still the one that it comes from. */
  readonly timeline: number
  /**
   * Timeline id that this epoch was given: no other epoch writes it, whatever becomes of this one (safety.md 4, M12). The newest
   * epoch's is the highest of all. Absent in records of version 0.1.
   */
  readonly givenTimeline?: number
  /** Last published flush position of the holder, as PostgreSQL writes an LSN. */
  readonly position: string
  /**
   * When it was renewed last nothing would have ended the holder's PostgreSQL but its agent: no guard, no watchdog (safety.md 20).
   */
  readonly isUnfenced?: true
  /** With `released`: end of the holder's WAL; and, for a switchover, the only member that may take it before `handoverTtlMs`. */
  readonly release?: { readonly endLsn: string; readonly to?: string; readonly reason: ReleaseReason }
  /** Authorised history, oldest first: one link for each epoch that began a timeline. */
  readonly chain: readonly EpochLink[]
  /**
   * Every epoch that may have acknowledged a commit which the newest established one does not cover: from that one to the newest,
   * oldest first, each with who has to have a commit before it is acknowledged (safety.md 4). Absent: commits wait for nobody.
   */
  readonly acks?: readonly AckLink[]
}

/** Somebody has the right to be primary. */
export function isHeld({ state }: EpochRecord): boolean {
  return state === 'authorised' || state === 'open'
}

export type EpochLink = {
  readonly epoch: number
  readonly holder: string
  readonly timeline: number
  /** Where this timeline forked from the one before; `0/0` for the first. */
  readonly forkLsn: string
  /** When it was opened, on the holder's wall clock: for people. */
  readonly openedAt: string
  readonly reason: TakeoverReason
  /** How the right was taken (design.md §5). The first epoch has none. */
  readonly takeover: 'bootstrap' | 'lease' | 'revocation'
  /** The epoch that went on from an older timeline than this one: WAL of this timeline is history no more. */
  readonly abandonedIn?: number
}

/** Why an epoch began. */
export type TakeoverReason =
  | 'BOOTSTRAP'
  | 'LEASE_EXPIRED'
  | 'PRIMARY_SILENT'
  | 'PRIMARY_CRASHED'
  | StepDownReason
  | 'SWITCHOVER'
  | 'PRIMARY_STOPPED'

/** Why a primary that runs ended itself (docs/adr/0021). */
export type StepDownReason = 'WRITE_PATH_STALLED' | 'DISK_FULL'

/** Why a holder gave its right up. */
export type ReleaseReason = 'SWITCHOVER' | 'PRIMARY_CRASHED' | 'PRIMARY_STOPPED' | StepDownReason

/** It was shut down with every byte sent: nobody takes over who lacks one. */
export function isPlannedRelease(reason: ReleaseReason): boolean {
  return reason === 'SWITCHOVER' || reason === 'PRIMARY_STOPPED'
}
