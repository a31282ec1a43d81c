import type { RaftLog } from './log.ts'
import type { ChangeVerdict } from './membership-change.ts'
import type { Entry, Message, Snapshot } from './message.ts'

/** What must survive a crash besides log and snapshot. */
export type HardState = { readonly term: number; readonly vote?: string }

/**
 * A to-do list as data, in order. Order: `persist` effects are made durable in their order; a message with `after: 'persist'`
 * may leave, and entries be applied, only when everything that stands before it is; then `persisted` is fed back. Messages
 * with `after: 'nothing'` may leave at once.
 */
export type Effect =
  | { readonly kind: 'persist'; readonly change: DurableChange }
  | {
      readonly kind: 'send'
      readonly to: string
      readonly message: Message
      readonly after: 'nothing' | 'persist'
    }
  /** Entries up to `index` are committed: apply what was not applied yet. */
  | { readonly kind: 'commit'; readonly index: number }
  /** Replace the state machine: the leader no longer has the entries in between. */
  | { readonly kind: 'restore'; readonly snapshot: Snapshot }
  /** A read of this node may be answered as soon as `index` is applied. */
  | { readonly kind: 'read-confirmed'; readonly id: string; readonly index: number }
  | { readonly kind: 'read-refused'; readonly id: string; readonly reason: RequestRefusal }
  /** A proposal of this node went nowhere: neither into the log nor to a leader. */
  | { readonly kind: 'proposal-refused'; readonly ticket: number; readonly reason: RequestRefusal }
  | { readonly kind: 'transfer-refused'; readonly reason: TransferRefusal }
  /** What became of a change that this node asked for. */
  | {
      readonly kind: 'change-answered'
      readonly id: string
      readonly attempt: number
      readonly verdict: ChangeVerdict
    }
  /** This member is none any more. It says nothing from now on, and its operator should know. */
  | { readonly kind: 'removed' }
  /** A member runs a release that would not understand the entries that it lacks: it gets them once it is upgraded. */
  | { readonly kind: 'entries-withheld'; readonly to: string }
  /** A message that was not looked at. */
  | { readonly kind: 'message-refused'; readonly from: string; readonly reason: MessageRefusal }

export type DurableChange =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  /** Overwrites whatever stood from the first index on. */
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  /** The whole content from now on; older files can go. */
  | {
      readonly kind: 'snapshot'
      readonly snapshot: Snapshot
      readonly log: RaftLog
      readonly hardState: HardState
    }

export type RequestRefusal = 'NO_LEADER' | 'TRANSFERRING' | 'OVERLOADED' | 'TOO_LARGE' | 'LEADERSHIP_LOST'
export type TransferRefusal = 'NOT_LEADER' | 'NOT_A_VOTER' | 'TRANSFERRING'
export type MessageRefusal = 'OTHER_GROUP' | 'NOT_A_MEMBER' | 'IMPOSSIBLE_INDEX'
