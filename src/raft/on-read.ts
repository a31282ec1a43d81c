import type { RequestRefusal } from './effect.ts'
import { PENDING_READS_MAX } from './limits.ts'
import { openRead } from './read-round.ts'
import { sendNow, type Turn } from './state.ts'

/** A linearizable read of this node. */
export function onRead(turn: Turn, id: string): void {
  const { node } = turn
  const refuse = (reason: RequestRefusal): void => {
    turn.effects.push({ kind: 'read-refused', id, reason })
  }
  if (node.leader === undefined) return refuse('NO_LEADER')
  if (node.role !== 'leader') return sendNow(turn, node.leader, { kind: 'read', id })
  if (node.reads.length >= PENDING_READS_MAX) return refuse('OVERLOADED')
  openRead(turn, { id, from: node.self })
}

/** A read of another member. Without an answer it asks again. */
export function onForwardedRead(turn: Turn, from: string, id: string): void {
  const { node } = turn
  if (node.role !== 'leader' || node.reads.length >= PENDING_READS_MAX) return
  if (node.reads.some((read) => read.id === id && read.from === from)) return
  openRead(turn, { id, from })
}
