import { becomeCandidate } from './roles.ts'
import { mayCampaign, type Turn } from './state.ts'

/** The leader hands over: no pre-vote, since the others still hear the old leader and would refuse it. */
export function onTimeoutNow(turn: Turn, from: string): void {
  const { node } = turn
  if (node.leader !== from || !mayCampaign(node)) return
  becomeCandidate(turn, { transfer: true })
}
