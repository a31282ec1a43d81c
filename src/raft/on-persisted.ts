import { termAt } from './log.ts'
import { settleChange } from './on-change.ts'
import { countVote } from './on-vote-response.ts'
import { advanceCommit } from './replicate.ts'
import { isVoter, type Turn } from './state.ts'

/** The own disk has answered: only now this member counts itself, as a voter and as a holder of entries. */
export function onPersisted(
  turn: Turn,
  durable: { readonly term: number; readonly lastIndex: number; readonly lastTerm: number },
): void {
  const { node } = turn
  // The entry may have been overwritten since it was handed over; then its durability says nothing about the new one.
  if (termAt(node.log, durable.lastIndex) === durable.lastTerm && durable.lastIndex > node.stable) {
    node.stable = durable.lastIndex
  }
  if (node.role === 'candidate' && durable.term === node.term && !node.votes.has(node.self)) {
    countVote(turn, node.self, true)
  } else if (node.role === 'leader' && isVoter(node)) {
    if (advanceCommit(turn)) settleChange(turn)
  }
}
