import { latestConfiguration } from './configuration.ts'
import { lastIndex } from './log.ts'
import { newProgress } from './progress.ts'
import { membersOf } from './quorum.ts'
import { isMember, type Turn } from './state.ts'

/** To be called when an entry with a configuration came into the log, or one may have gone. */
export function adoptConfiguration(turn: Turn): void {
  const { node } = turn
  const { configuration, index } = latestConfiguration(node.log, node.snapshot)
  node.configuration = configuration
  node.configurationIndex = index
  if (node.removedAt !== undefined && isMember(node) && index > node.removedAt) node.removedAt = undefined
  if (node.role === 'leader') followMembers(turn)
}

/** A leader sends to exactly those who are in the configuration. */
function followMembers(turn: Turn): void {
  const { node } = turn
  const others = membersOf(node.configuration).filter((member) => member !== node.self)
  // The entry itself is the last one: a new member is asked from the one before it on.
  const end = lastIndex(node.log) - 1
  node.peers = new Map(others.map((member) => [member, node.peers.get(member) ?? newProgress(end, turn.now)]))
  if (node.transfer !== undefined && !node.configuration.voters.includes(node.transfer.to)) {
    node.transfer = undefined
  }
}
