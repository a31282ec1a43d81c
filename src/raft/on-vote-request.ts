import { isUpToDate } from './log.ts'
import type { VoteRequest } from './message.ts'
import { resetElection } from './roles.ts'
import { persistHardState, send, type Turn } from './state.ts'

/** One vote a term, durable before the answer leaves; only for a log that holds everything that can be committed. */
export function onVoteRequest(turn: Turn, from: string, request: VoteRequest): void {
  const { node } = turn
  const isFree = node.vote === undefined && node.leader === undefined
  const mayVote = node.vote === from || isFree || (request.pre && request.term > node.term)
  const granted = mayVote && isUpToDate(node.log, request)
  if (granted && !request.pre) giveVote(turn, from)
  // A granted pre-vote answers in the term that was asked about, a refusal always in the own.
  const term = granted ? request.term : node.term
  send(turn, from, { kind: 'vote-response', term, pre: request.pre, granted })
}

/** Order: the vote stands in the list of effects before the answer, which waits for what stands before it. */
function giveVote(turn: Turn, candidate: string): void {
  if (turn.node.vote !== candidate) {
    turn.node.vote = candidate
    persistHardState(turn)
  }
  resetElection(turn, 'silence')
}
