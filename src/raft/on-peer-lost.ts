import { resetElection } from './roles.ts'
import type { Turn } from './state.ts'

/** The leader's connection broke. If only the connection is gone, the pre-vote fails and the next heartbeat brings it back. */
export function onPeerLost(turn: Turn, peer: string): void {
  const { node } = turn
  if (node.role === 'leader' || node.leader !== peer) return
  node.leader = undefined
  resetElection(turn, 'retry')
}
