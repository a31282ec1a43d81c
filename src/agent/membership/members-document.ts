import type { MemberEntry, MembersDocument } from '#client'
import type { PeerFacts } from '../../ha/snapshot.ts'
import type { InstanceFacts } from '../../model/member.ts'
import type { Invitation, Registry } from '../../model/membership.ts'
import type { MonotonicMs } from '../../model/time.ts'
import type { Membership } from '../../store/raft/membership.ts'
import type { PeerAddress } from '../host-ports.ts'
import { isSameIdentity, removalOf, type Identity } from './registry.ts'

export type MembersFacts = {
  readonly scope: string
  readonly now: MonotonicMs
  readonly silenceLimitMs: number
  readonly self: Identity
  readonly registry: Registry | undefined
  /** Of the registry, else of the config. */
  readonly names: readonly string[]
  readonly own: InstanceFacts
  readonly ownAddress: { readonly apiHost: string; readonly apiPort: number }
  readonly peers: readonly PeerAddress[]
  readonly facts: readonly PeerFacts[]
  readonly store: (Membership & { readonly leader?: string }) | undefined
  readonly invitations: readonly Invitation[]
}

/** Draws who belongs to the cluster, as this agent knows it. */
export function membersDocument(facts: MembersFacts): MembersDocument {
  const { registry, store } = facts
  const inGroup: readonly Identity[] = [...(store?.voters ?? []), ...(store?.learners ?? [])]
  const leaving = (registry?.removed ?? []).filter(
    (one) => registry && removalOf(registry, one) && inGroup.some((member) => isSameIdentity(member, one)),
  )
  return {
    scope: facts.scope,
    self: facts.self.name,
    isRegistered: registry !== undefined,
    members: [
      ...facts.names.map((name) => entryOf(name, facts)),
      ...leaving.map(({ at: _at, ...node }) => ({
        ...node,
        consensus: partOf(node, facts),
        reachable: false,
        isLeaving: true as const,
      })),
    ],
    invitations: facts.invitations.map(({ name, apiHost, apiPort, expiresAt, usedBy }) => ({
      name,
      apiHost,
      apiPort,
      expiresAt,
      isUsed: usedBy !== undefined,
    })),
    removed: (registry?.removed ?? []).map(({ name, incarnation, at }) => ({ name, incarnation, at })),
  }
}

function entryOf(name: string, facts: MembersFacts): MemberEntry {
  const node = facts.registry?.nodes.find((one) => one.name === name)
  const identity = node ?? { name, incarnation: identityIn(name, facts)?.incarnation ?? '' }
  const consensus = partOf(identity, facts)
  const behind = behindOf(identity, facts)
  return {
    name,
    ...(node ?? addressOf(name, facts)),
    consensus,
    ...(behind === undefined ? {} : { behind }),
    ...lifeOf(name, facts),
  }
}

function identityIn(name: string, { store }: MembersFacts): Identity | undefined {
  return [...(store?.voters ?? []), ...(store?.learners ?? [])].find((one) => one.name === name)
}

function addressOf(name: string, facts: MembersFacts): { apiHost: string; apiPort: number } {
  const peer = facts.peers.find((one) => one.name === name)
  return peer ? { apiHost: peer.host, apiPort: peer.port } : facts.ownAddress
}

function partOf(who: Identity, { store }: MembersFacts): MemberEntry['consensus'] {
  if (store?.voters.some((one) => isSameIdentity(one, who))) {
    return store.leader === who.name ? 'leader' : 'voter'
  }
  return store?.learners.some((one) => isSameIdentity(one, who)) ? 'learner' : 'none'
}

function behindOf(who: Identity, { store }: MembersFacts): number | undefined {
  const match = store?.learners.find((one) => isSameIdentity(one, who))?.matchIndex
  return match === undefined || !store ? undefined : Math.max(0, store.commitIndex - match)
}

function lifeOf(
  name: string,
  facts: MembersFacts,
): Pick<MemberEntry, 'reachable' | 'heardMsAgo' | 'state' | 'role'> {
  if (name === facts.self.name) return { reachable: true, heardMsAgo: 0, ...stateIn(facts.own) }
  const peer = facts.facts.find((one) => one.name === name)
  if (!peer) return { reachable: false }
  const heardMsAgo = Math.max(0, Math.round(facts.now - peer.heardAt))
  return {
    reachable: heardMsAgo <= facts.silenceLimitMs,
    heardMsAgo,
    ...stateIn(peer.facts.instance),
  }
}

function stateIn(instance: InstanceFacts): Pick<MemberEntry, 'state' | 'role'> {
  const isStreaming = instance.state === 'running' && instance.streaming === true
  return {
    state: isStreaming ? 'streaming' : instance.state,
    ...(instance.role === undefined ? {} : { role: instance.role }),
  }
}
