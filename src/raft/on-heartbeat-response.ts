import { INFLIGHT_MAX } from './limits.ts'
import { lastIndex } from './log.ts'
import type { HeartbeatResponse } from './message.ts'
import { probing, type Progress } from './progress.ts'
import { CHUNKS_VERSION } from './protocol.ts'
import { confirmReads } from './read-round.ts'
import { sendAppends } from './replicate.ts'
import { resumeSnapshot } from './send-snapshot.ts'
import { updatePeer, versionOf, type Turn } from './state.ts'

/** A member that answers but lags may have lost a message: what was sent ahead is checked again. */
export function onHeartbeatResponse(turn: Turn, from: string, response: HeartbeatResponse): void {
  const { node } = turn
  const known = node.peers.get(from)
  if (node.role !== 'leader' || known === undefined) return
  // A round that was never begun confirms nothing.
  const round = response.round <= node.readRound ? Math.max(known.round, response.round) : known.round
  const heard = { heardAt: turn.now, hasAnswered: true }
  const progress: Progress = { ...known, ...heard, round, isProbing: false }
  updatePeer(turn, from, unblocked(turn, from, progress))
  resumeSnapshot(turn, from)
  if (progress.match < lastIndex(node.log)) sendAppends(turn, from, { evenEmpty: true })
  confirmReads(turn)
}

function unblocked(turn: Turn, from: string, progress: Progress): Progress {
  const { timing } = turn.node
  if (progress.mode === 'snapshot') {
    if (versionOf(turn.node, from) >= CHUNKS_VERSION) return progress
    const isLost = turn.now >= progress.snapshotSentAt + 4 * timing.electionMaxMs
    return isLost ? probing(progress, progress.match + 1) : progress
  }
  if (progress.inflight.length < INFLIGHT_MAX) return progress
  return { ...progress, inflight: progress.inflight.slice(1) }
}
