import type { EpochLink } from './epoch-record.ts'

/**
 * How one epoch came about, on the clock of the member that took it: what to read when nobody could write for longer than they should.
 * The newest ones lie in the store.
 */
export type FailoverRecord = Pick<EpochLink, 'epoch' | 'reason' | 'takeover'> & {
  readonly from: string
  readonly to: string
  /** RFC 3339, of the first step, for people. */
  readonly startedAt: string
  /** In the order in which they were seen; the first one is at 0. */
  readonly steps: readonly FailoverStep[]
  /** Who was not chosen, and why. */
  readonly passedOver: readonly { readonly name: string; readonly why: string }[]
}

export type FailoverStep = {
  readonly atMs: number
  readonly step: FailoverStepKind
  /** By which evidence, or whose it was. */
  readonly detail?: string
}

/**
 * `noticed`: by what this member heard of, or did not hear from, the primary. `begun`: the epoch is in the store and nobody's yet.
 * `pledged`: one member promised not to help the one before. `authorised`: this member may promote. `promoted`: its PostgreSQL takes
 * writes. `protected`: so many standbys stream that a commit can be acknowledged. `open`: it has committed, and routers lead there.
 */
export type FailoverStepKind =
  | 'noticed'
  | 'begun'
  | 'pledged'
  | 'authorised'
  | 'promoted'
  | 'protected'
  | 'open'
