import type { RequestRefusal } from './effect.ts'
import { ENTRY_LENGTH_MAX, UNCOMMITTED_ENTRIES_MAX, UNCOMMITTED_LENGTH_MAX } from './limits.ts'
import { entriesBetween, lastIndex } from './log.ts'
import { appendOwn } from './roles.ts'
import { sendNow, type Turn } from './state.ts'

/** A proposal of this node: into the log where it leads, else to the leader. */
export function onPropose(turn: Turn, proposal: { readonly ticket: number; readonly body: string }): void {
  const { node } = turn
  const reason = refusal(turn, proposal.body)
  if (reason !== undefined) {
    turn.effects.push({ kind: 'proposal-refused', ticket: proposal.ticket, reason })
  } else if (node.role === 'leader') {
    appendOwn(turn, 'command', proposal.body)
  } else if (node.leader !== undefined) {
    sendNow(turn, node.leader, { kind: 'propose', body: proposal.body })
  }
}

/** A proposal that another member sent here. Not passed on: its sender tries again when it knows the leader. */
export function onForwardedPropose(turn: Turn, body: string): void {
  if (turn.node.role !== 'leader' || refusal(turn, body) !== undefined) return
  appendOwn(turn, 'command', body)
}

function refusal({ node }: Turn, body: string): RequestRefusal | undefined {
  if (body.length > ENTRY_LENGTH_MAX) return 'TOO_LARGE'
  if (node.leader === undefined) return 'NO_LEADER'
  if (node.role !== 'leader') return undefined
  // A transfer ends only when the successor has the whole log, so the log stands still meanwhile.
  if (node.transfer !== undefined) return 'TRANSFERRING'
  const waiting = entriesBetween(node.log, node.commit, lastIndex(node.log))
  if (waiting.length >= UNCOMMITTED_ENTRIES_MAX) return 'OVERLOADED'
  const length = waiting.reduce((sum, entry) => sum + entry.body.length, body.length)
  return length > UNCOMMITTED_LENGTH_MAX ? 'OVERLOADED' : undefined
}
