import type { SnapshotProgress } from './message.ts'
import type { Progress } from './progress.ts'
import { CHUNKS_VERSION } from './protocol.ts'
import { sendNow, updatePeer, versionOf, type Turn } from './state.ts'

/** Begins to bring a member the state that stands in place of entries which this leader no longer has. */
export function sendSnapshot(turn: Turn, peer: string, progress: Progress): void {
  const { snapshot, term } = turn.node
  const begun: Progress = {
    ...progress,
    mode: 'snapshot',
    next: snapshot.index + 1,
    isProbing: false,
    inflight: [],
    snapshotIndex: snapshot.index,
    snapshotOffset: 0,
    snapshotSentAt: turn.now,
  }
  if (versionOf(turn.node, peer) >= CHUNKS_VERSION) return sendChunk(turn, peer, begun)
  sendNow(turn, peer, { kind: 'install-snapshot', term, snapshot })
  updatePeer(turn, peer, begun)
}

/** One piece at a time: the next one leaves when this one has arrived. */
function sendChunk(turn: Turn, peer: string, progress: Progress): void {
  const { snapshot, term, chunkLength } = turn.node
  const { body, ...identity } = snapshot
  const offset = progress.snapshotOffset
  const piece = body.slice(offset, endOfChunk(body, offset + chunkLength))
  const place = { length: body.length, offset, body: piece }
  sendNow(turn, peer, { kind: 'snapshot-chunk', term, snapshot: identity, ...place })
  updatePeer(turn, peer, { ...progress, snapshotSentAt: turn.now })
}

/** Half of a surrogate pair cannot be written as UTF-8: both halves go together. */
function endOfChunk(body: string, end: number): number {
  const last = body.charCodeAt(end - 1)
  return last >= 0xd800 && last < 0xdc00 ? end + 1 : end
}

export function onSnapshotProgress(turn: Turn, from: string, { index, offset }: SnapshotProgress): void {
  const { node } = turn
  const progress = node.peers.get(from)
  if (node.role !== 'leader' || progress === undefined) return
  const heard = { ...progress, heardAt: turn.now, hasAnswered: true }
  updatePeer(turn, from, heard)
  if (progress.mode !== 'snapshot' || index !== progress.snapshotIndex) return
  // The body of an older snapshot is gone.
  if (index !== node.snapshot.index) return sendSnapshot(turn, from, heard)
  if (offset >= Math.max(1, node.snapshot.body.length)) {
    turn.effects.push({ kind: 'message-refused', from, reason: 'IMPOSSIBLE_INDEX' })
    return
  }
  // The same place again is an answer to a copy; what was lost is sent again by `resumeSnapshot`.
  if (offset !== progress.snapshotOffset) sendChunk(turn, from, { ...heard, snapshotOffset: offset })
}

/** A member that answers but says nothing about its piece has not got it. */
export function resumeSnapshot(turn: Turn, peer: string): void {
  const { node } = turn
  const progress = node.peers.get(peer)
  if (progress?.mode !== 'snapshot' || versionOf(node, peer) < CHUNKS_VERSION) return
  if (progress.snapshotIndex !== node.snapshot.index) return sendSnapshot(turn, peer, progress)
  if (turn.now >= progress.snapshotSentAt + node.timing.electionMinMs) sendChunk(turn, peer, progress)
}
