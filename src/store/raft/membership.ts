import { lastIndex } from '../../raft/log.ts'
import { incarnationOf, nameOf } from '../../raft/member-id.ts'
import type { RaftState } from '../../raft/state.ts'
import type { MemberIdentity } from './storage.ts'

export type Membership = {
  readonly voters: readonly MemberIdentity[]
  /** `matchIndex`: how far a learner has the log; only its leader knows. */
  readonly learners: readonly (MemberIdentity & { readonly matchIndex?: number })[]
  /** What a learner's `matchIndex` is held against. */
  readonly commitIndex: number
  /** This member is none any more; it says nothing until it is invited again with a new log. */
  readonly isRemoved: boolean
}

export function membershipOf({ configuration, peers, removedAt, commit }: RaftState): Membership {
  const identity = (id: string): MemberIdentity => ({ name: nameOf(id), incarnation: incarnationOf(id) })
  return {
    voters: configuration.voters.map(identity),
    learners: configuration.learners.map((id) => {
      const matchIndex = peers.get(id)?.match
      return matchIndex === undefined ? identity(id) : { ...identity(id), matchIndex }
    }),
    commitIndex: commit,
    isRemoved: removedAt !== undefined,
  }
}

/** Whom a leader would leave the group to: the voter that has most of its log. */
export function bestSuccessor(state: RaftState): string | undefined {
  if (state.role !== 'leader') return undefined
  const { voters } = state.configuration
  const [best] = [...state.peers]
    .filter(([peer, { match }]) => voters.includes(peer) && match > 0)
    .toSorted(([, left], [, right]) => right.match - left.match)
  // Who is far behind would have to catch up first, and a group of one has nobody.
  return best !== undefined && lastIndex(state.log) - best[1].match < 1000 ? best[0] : undefined
}
