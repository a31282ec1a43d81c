/** One step of a change of members. To replace one: add the new one, promote it, remove the old one. */
export type MembershipChange =
  | { readonly kind: 'add-learner'; readonly member: string; readonly incarnation: string }
  | { readonly kind: 'promote'; readonly member: string }
  | {
      readonly kind: 'remove'
      readonly member: string
      /** Others that are to be removed as well: nobody waits for what they run. */
      readonly departed?: readonly string[]
    }

/** A change that is asked for under an `id`, for the so many-th time. */
export type ChangeAttempt = {
  readonly id: string
  readonly attempt: number
  readonly change: MembershipChange
}

export type MembershipRefusal =
  | 'NOT_LEADER'
  | 'CHANGE_IN_PROGRESS'
  | 'NOT_READY'
  | 'NOT_CAUGHT_UP'
  | 'UNKNOWN_MEMBER'
  | 'ALREADY_MEMBER'
  | 'LAST_VOTER'

/** What the leader made of a change. */
export type ChangeVerdict =
  /** Committed. */
  | { readonly kind: 'done' }
  | {
      readonly kind: 'refused'
      readonly reason: MembershipRefusal
      readonly message: string
      /** What was asked for is so already: whoever asked before and got no answer has it now. */
      readonly isFulfilled: boolean
    }
