import { configurationAt } from './configuration.ts'
import { membersOf } from './quorum.ts'
import { commitTo } from './replicate.ts'
import { becomeRemoved } from './roles.ts'
import { isMember, type Turn } from './state.ts'

/** Takes a leader's word that entries up to `index` are committed. One of them may say that this member is none any more. */
export function followCommit(turn: Turn, index: number): void {
  const { node } = turn
  const before = node.commit
  commitTo(turn, index)
  const isDecided = node.configurationIndex > before && node.configurationIndex <= node.commit
  if (!isDecided || isMember(node)) return
  // A newcomer reads of configurations from before its time: these do not remove it.
  const { configuration } = configurationAt(node.log, node.snapshot, before)
  if (membersOf(configuration).includes(node.self)) becomeRemoved(turn, node.configurationIndex)
}
