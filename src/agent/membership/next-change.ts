import type { Registry } from '../../model/membership.ts'
import type { MembershipChange } from '../../raft/membership-change.ts'
import { isSameIdentity, removalOf, type Identity } from './registry.ts'

export type Group = { readonly voters: readonly Identity[]; readonly learners: readonly Identity[] }

/**
 * The next step that makes the group what the registry says; `undefined` when it is. Order: who was removed goes first, so
 * that a dead one does not stand in the way of a majority; a name that comes back under another incarnation needs that too.
 * Who is in the group and unknown to the registry is left alone: only a removal that somebody asked for takes a vote away.
 */
export function nextChange(registry: Registry, group: Group): MembershipChange | undefined {
  const members = [...group.voters, ...group.learners]
  const [gone, ...departed] = members
    .filter((member) => removalOf(registry, member) !== undefined)
    .map(({ name }) => name)
  if (gone !== undefined) {
    return { kind: 'remove', member: gone, ...(departed.length > 0 ? { departed } : {}) }
  }
  const missing = registry.nodes.find(({ name }) => !members.some((member) => member.name === name))
  if (missing) return { kind: 'add-learner', member: missing.name, incarnation: missing.incarnation }
  const learner = group.learners.find((member) => registry.nodes.some((node) => isSameIdentity(node, member)))
  return learner && { kind: 'promote', member: learner.name }
}
