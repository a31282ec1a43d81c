import type { MembershipChange } from './membership-change.ts'
import type { Message } from './message.ts'

/** Everything that can happen to a member. */
export type Input =
  /** Time has passed; needed at `wakeAt(state)` at the latest, harmless at any other moment. */
  | { readonly kind: 'tick' }
  | {
      readonly kind: 'message'
      readonly group: string
      readonly from: string
      /** What the sender understands (see `protocol.ts`); absent where it does not say. */
      readonly version?: number
      readonly message: Message
    }
  /** The durable state now ends with this term and this log entry. */
  | {
      readonly kind: 'persisted'
      readonly term: number
      readonly lastIndex: number
      readonly lastTerm: number
    }
  | { readonly kind: 'propose'; readonly ticket: number; readonly body: string }
  | { readonly kind: 'read'; readonly id: string }
  | { readonly kind: 'transfer'; readonly to: string }
  /** Asks for a change of members, here or through the leader. The same `id` may be given again, as a further attempt: it is one change. */
  | {
      readonly kind: 'change'
      readonly id: string
      readonly attempt: number
      readonly change: MembershipChange
    }
  /** The state machine after `index`, an applied entry: entries more than `keep` behind it may go. */
  | { readonly kind: 'compact'; readonly index: number; readonly body: string; readonly keep: number }
  /** The connection to a member broke: if it led, nobody needs to wait for its silence. A hint; safe when wrong. */
  | { readonly kind: 'peer-lost'; readonly peer: string }
