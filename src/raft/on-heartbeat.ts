import { lastIndex } from './log.ts'
import type { Heartbeat } from './message.ts'
import { followCommit } from './follow-commit.ts'
import { send, type Turn } from './state.ts'

/** The leader never names a commit index above what it knows to be equal here; the bound guards against a broken one. */
export function onHeartbeat(turn: Turn, from: string, heartbeat: Heartbeat): void {
  const { node } = turn
  followCommit(turn, Math.min(heartbeat.commit, lastIndex(node.log)))
  send(turn, from, { kind: 'heartbeat-response', term: node.term, round: heartbeat.round })
}
