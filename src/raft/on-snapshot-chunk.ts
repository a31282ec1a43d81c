import { termAt } from './log.ts'
import { installSnapshot } from './on-install-snapshot.ts'
import type { SnapshotChunk } from './message.ts'
import { sendNow, type IncomingSnapshot, type Turn } from './state.ts'

/**
 * One piece of the leader's state. Nothing of it counts before the last one is there: until then the old log and state
 * stay as they are, and a transfer that breaks off leaves nothing behind but memory, which the next one takes over.
 */
export function onSnapshotChunk(turn: Turn, from: string, chunk: SnapshotChunk): void {
  const { node } = turn
  const { index, term: snapshotTerm, configuration } = chunk.snapshot
  const known = node.incoming
  // Pieces of two snapshots must never be put together: each transfer is of one leader, in one term, of one index.
  const isSame =
    known?.from === from &&
    known.leaderTerm === chunk.term &&
    known.index === index &&
    known.length === chunk.length
  const begun: IncomingSnapshot = { from, leaderTerm: chunk.term, index, length: chunk.length, body: '' }
  const incoming = isSame ? known : begun
  const isNeeded = index > node.commit && termAt(node.log, index) !== snapshotTerm
  if (isNeeded && chunk.offset !== incoming.body.length) {
    node.incoming = incoming
    return tellProgress(turn, incoming)
  }
  const body = incoming.body + chunk.body
  if (isNeeded && body.length < chunk.length) {
    node.incoming = { ...incoming, body }
    return tellProgress(turn, node.incoming)
  }
  node.incoming = undefined
  installSnapshot(turn, from, { index, term: snapshotTerm, configuration, body })
}

/** How far it is here: the leader goes on from there, also after a loss and after this member's restart. */
function tellProgress(turn: Turn, { from, index, body }: IncomingSnapshot): void {
  sendNow(turn, from, { kind: 'snapshot-progress', term: turn.node.term, index, offset: body.length })
}
