import { watchCatchUp } from './on-change.ts'
import { broadcastHeartbeat } from './read-round.ts'
import { becomeFollower, campaign } from './roles.ts'
import { quorumHeardAt, type RaftState, type Turn } from './state.ts'

export function onTick(turn: Turn): void {
  const { node, now } = turn
  if (node.role !== 'leader') {
    if (now >= node.electionAt) campaign(turn)
    return
  }
  // A leader that no quorum answers may already have a successor: it stops answering clients (check-quorum).
  if (now >= quorumDeadline(node, now)) return becomeFollower(turn)
  if (node.transfer !== undefined && now >= node.transfer.until) node.transfer = undefined
  watchCatchUp(turn)
  if (now < node.heartbeatAt) return
  node.heartbeatAt = now + node.timing.heartbeatMs
  broadcastHeartbeat(turn)
}

/** When the next tick is due. */
export function wakeAt(state: RaftState, now: number): number {
  if (state.role !== 'leader') return state.electionAt
  return Math.min(
    state.heartbeatAt,
    quorumDeadline(state, now),
    state.transfer?.until ?? Number.POSITIVE_INFINITY,
  )
}

function quorumDeadline(state: RaftState, now: number): number {
  return quorumHeardAt(state, now) + state.timing.electionMaxMs
}
