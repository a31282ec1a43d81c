import type { VoteResponse } from './message.ts'
import { tally } from './quorum.ts'
import { becomeCandidate, becomeFollower, becomeLeader } from './roles.ts'
import type { Turn } from './state.ts'

export function onVoteResponse(turn: Turn, from: string, response: VoteResponse): void {
  const { node } = turn
  if (node.role !== (response.pre ? 'pre-candidate' : 'candidate')) return
  // A granted answer repeats the term that was asked about: an older round's must not count in this one.
  if (response.granted && response.term !== node.term + (response.pre ? 1 : 0)) return
  if (!node.configuration.voters.includes(from)) return
  countVote(turn, from, response.granted)
}

/** Adds one vote and acts when the election is decided. */
export function countVote(turn: Turn, from: string, granted: boolean): void {
  const { node } = turn
  if (!node.votes.has(from)) node.votes = new Map(node.votes).set(from, granted)
  const outcome = tally(node.configuration, node.votes)
  if (outcome === 'lost') return becomeFollower(turn, { patience: 'retry' })
  if (outcome === 'open') return
  if (node.role === 'pre-candidate') return becomeCandidate(turn, { transfer: false })
  becomeLeader(turn)
}
