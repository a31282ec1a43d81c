import { lastIndex, lastThatMayFit } from './log.ts'
import type { AppendResponse } from './message.ts'
import { continueCatchUp, settleChange } from './on-change.ts'
import { acknowledged, rejectedAt } from './progress.ts'
import { advanceCommit, sendAppends } from './replicate.ts'
import { sendNow, updatePeer, type Turn } from './state.ts'

export function onAppendResponse(turn: Turn, from: string, response: AppendResponse): void {
  const { node } = turn
  const known = node.peers.get(from)
  if (node.role !== 'leader' || known === undefined) return
  const progress = { ...known, heardAt: turn.now, hasAnswered: true }
  updatePeer(turn, from, progress)
  if (response.rejected !== undefined) {
    const { index, hintIndex, hintTerm } = response.rejected
    const mayFit = lastThatMayFit(node.log, hintIndex, hintTerm).index
    const lowered = rejectedAt(progress, index, mayFit)
    if (lowered === undefined) return
    updatePeer(turn, from, lowered)
    return sendAppends(turn, from, { evenEmpty: true })
  }
  if (response.index > lastIndex(node.log)) {
    // Nobody can hold what this leader never wrote: such an answer is broken or forged and must not move the commit index.
    turn.effects.push({ kind: 'message-refused', from, reason: 'IMPOSSIBLE_INDEX' })
    return
  }
  updatePeer(turn, from, acknowledged(progress, response.index))
  if (advanceCommit(turn)) settleChange(turn)
  continueCatchUp(turn, from)
  sendAppends(turn, from, { evenEmpty: false })
  finishTransfer(turn, from)
}

/** The chosen successor has the whole log: it may campaign at once. */
export function finishTransfer(turn: Turn, peer: string): void {
  const { node } = turn
  if (node.transfer?.to !== peer) return
  if (node.peers.get(peer)?.match !== lastIndex(node.log)) return
  sendNow(turn, peer, { kind: 'timeout-now', term: node.term })
}
