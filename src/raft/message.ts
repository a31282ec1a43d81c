import type { ChangeVerdict, MembershipChange } from './membership-change.ts'

/**
 * One slot of the replicated log. The `body` of a command is opaque here; `noop` opens a leader's term and has an empty one;
 * `configuration` says who takes part from this entry on.
 */
export type Entry = {
  readonly index: number
  readonly term: number
  readonly kind: 'noop' | 'command' | 'configuration'
  readonly body: string
}

/** Who takes part, by id (see `member-id.ts`). A decision needs a majority of `voters`; learners receive the log and decide nothing. */
export type Configuration = {
  readonly voters: readonly string[]
  readonly learners: readonly string[]
  /** Ids of the latest changes that led here, newest last. They outlive compaction: see `takeChange`. */
  readonly changes?: readonly string[]
}

/** The state machine after `index`, in place of the log up to there. */
export type Snapshot = {
  readonly index: number
  readonly term: number
  readonly configuration: Configuration
  readonly body: string
}

/** What members say to each other. Those without `term` are requests of clients on their way to and from the leader. */
export type Message =
  | VoteRequest
  | VoteResponse
  | Append
  | AppendResponse
  | Heartbeat
  | HeartbeatResponse
  | InstallSnapshot
  | SnapshotChunk
  | SnapshotProgress
  | TimeoutNow
  | Propose
  | Read
  | ReadConfirmed
  | ChangeRequest
  | ChangeAnswer
  | Removed

export type VoteRequest = {
  readonly kind: 'vote-request'
  /** The term that is campaigned for: with `pre` one that the sender has not entered yet. */
  readonly term: number
  /** A question without consequences: would you vote for me? (Raft thesis §9.6) */
  readonly pre: boolean
  /** The leader itself asked for this campaign: voters need not protect it. */
  readonly transfer: boolean
  readonly lastIndex: number
  readonly lastTerm: number
}

export type VoteResponse = {
  readonly kind: 'vote-response'
  readonly term: number
  readonly pre: boolean
  readonly granted: boolean
}

export type Append = {
  readonly kind: 'append'
  readonly term: number
  readonly prevIndex: number
  readonly prevTerm: number
  readonly commit: number
  readonly entries: readonly Entry[]
}

export type AppendResponse = {
  readonly kind: 'append-response'
  readonly term: number
  /** The sender's log equals the leader's up to here, durably. With `rejected` it has no meaning. */
  readonly index: number
  /** The `prevIndex` that did not fit, and the sender's last entry that may fit. */
  readonly rejected?: { readonly index: number; readonly hintIndex: number; readonly hintTerm: number }
}

export type Heartbeat = {
  readonly kind: 'heartbeat'
  readonly term: number
  readonly commit: number
  /** Number of the newest read round; the answer repeats it. */
  readonly round: number
}

export type HeartbeatResponse = {
  readonly kind: 'heartbeat-response'
  readonly term: number
  readonly round: number
}

/** A whole snapshot, for members of protocol version 1. */
export type InstallSnapshot = {
  readonly kind: 'install-snapshot'
  readonly term: number
  readonly snapshot: Snapshot
}

/** A piece of the body of a snapshot, `length` of which there are in all, from `offset` on; both in UTF-16 units. */
export type SnapshotChunk = {
  readonly kind: 'snapshot-chunk'
  readonly term: number
  readonly snapshot: Omit<Snapshot, 'body'>
  readonly length: number
  readonly offset: number
  readonly body: string
}

/** So much of the snapshot at `index` is here, not durably. When all is, an `append-response` follows. */
export type SnapshotProgress = {
  readonly kind: 'snapshot-progress'
  readonly term: number
  readonly index: number
  readonly offset: number
}

/** Leadership transfer: campaign now, without asking first. */
export type TimeoutNow = { readonly kind: 'timeout-now'; readonly term: number }

export type Propose = { readonly kind: 'propose'; readonly body: string }

/** Asks the leader for an index that a linearizable read must wait for. `id` is unique over restarts of the sender. */
export type Read = { readonly kind: 'read'; readonly id: string }

export type ReadConfirmed = { readonly kind: 'read-confirmed'; readonly id: string; readonly index: number }

/**
 * A membership change on its way to the leader of this term: a copy that comes in a later one asks nobody. `id` is unique
 * over restarts of the sender, who counts its attempts.
 */
export type ChangeRequest = {
  readonly kind: 'change-request'
  readonly term: number
  readonly id: string
  readonly attempt: number
  readonly change: MembershipChange
}

export type ChangeAnswer = {
  readonly kind: 'change-answer'
  readonly id: string
  readonly attempt: number
  readonly verdict: ChangeVerdict
}

/** The committed configuration at `index` is one without the receiver. */
export type Removed = { readonly kind: 'removed'; readonly index: number }
