import type { TransferRefusal } from './effect.ts'
import { finishTransfer } from './on-append-response.ts'
import { sendAppends } from './replicate.ts'
import type { Turn } from './state.ts'

/** Hands leadership to `to`; given up after an election timeout, then this leader goes on. */
export function onTransfer(turn: Turn, to: string): void {
  const { node } = turn
  const refuse = (reason: TransferRefusal): void => {
    turn.effects.push({ kind: 'transfer-refused', reason })
  }
  if (node.role !== 'leader') return refuse('NOT_LEADER')
  if (to === node.self || !node.configuration.voters.includes(to)) return refuse('NOT_A_VOTER')
  if (node.transfer !== undefined) return refuse('TRANSFERRING')
  node.transfer = { to, until: turn.now + node.timing.electionMinMs }
  sendAppends(turn, to, { evenEmpty: true })
  finishTransfer(turn, to)
}
