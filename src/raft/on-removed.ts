import { configurationAt } from './configuration.ts'
import { membersOf } from './quorum.ts'
import { becomeRemoved } from './roles.ts'
import { isMember, sendNow, type Turn } from './state.ts'

/**
 * Somebody has committed a configuration without this member. It is believed only when it is later than what this member
 * has in its own log: one from before it was added says nothing.
 */
export function onRemoved(turn: Turn, index: number): void {
  const { node } = turn
  const isLater = isMember(node) ? index > node.configurationIndex : index >= node.configurationIndex
  if (isLater) becomeRemoved(turn, index)
}

/** Tells a stranger who asks for votes that it is one: it may have been away when it was removed. */
export function tellRemoved(turn: Turn, stranger: string): void {
  const { node } = turn
  const { configuration } = configurationAt(node.log, node.snapshot, node.commit)
  if (configuration.voters.length === 0 || membersOf(configuration).includes(stranger)) return
  sendNow(turn, stranger, { kind: 'removed', index: node.commit })
}
