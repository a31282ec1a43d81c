import type { AckMember } from '../../model/ack-rule.ts'
import type { Action, Stance, StanceKind, StanceReason, Told } from '../decision.ts'
import type { PeerFacts, Snapshot } from '../snapshot.ts'

/** What one rule says: a stance and what follows from it at once. `undefined`: the rule does not apply. */
export type Verdict = {
  readonly stance: Stance
  readonly actions: readonly Action[]
  readonly told?: Told
}
export type StanceRule = (seen: Snapshot) => Verdict | undefined

export function verdict(
  kind: StanceKind,
  reason: StanceReason,
  say: { sentence: string; keepLease?: boolean; actions?: readonly Action[]; told?: Told },
): Verdict {
  return {
    stance: { kind, reason, sentence: say.sentence, keepLease: say.keepLease ?? false },
    actions: say.actions ?? [],
    ...(say.told ? { told: say.told } : {}),
  }
}

/** This node holds the record, with the very data directory that it was given to. */
export function isHolder(seen: Snapshot): boolean {
  const record = seen.store.record
  if (!record || record.holder !== seen.self) return false
  // Not looked at yet: nothing speaks against the name.
  if (seen.local.directory === 'unknown') return true
  // Before the first initdb the record has no incarnation: the name alone decides.
  return record.incarnation === '' || record.incarnation === seen.local.incarnation
}

export function isLeaseProven(seen: Snapshot): boolean {
  return seen.store.provenUntil > seen.takenAt
}

export function isRunningAs(seen: Snapshot, role: 'primary' | 'standby'): boolean {
  return seen.local.instance.state === 'running' && seen.local.instance.role === role
}

/** Every process of the instance is gone. */
export function isInstanceDown(seen: Snapshot): boolean {
  const { state } = seen.local.instance
  return state === 'stopped' || state === 'crashed' || state === 'absent'
}

/** This member was not heard within the silence limit; breaks of this agent's own are not counted (safety.md 22). */
export function isSilent(seen: Snapshot, member: string): boolean {
  const heardAt = seen.peers.find(({ name }) => name === member)?.heardAt ?? 0
  return seen.takenAt - Math.max(heardAt, seen.attentiveSince) > seen.policy.silenceLimitMs
}

/** As far as it has said so. */
export function isWitness({ self, local, peers }: Snapshot, name: string): boolean {
  if (name === self) return local.isWitness === true
  return peers.some((peer) => peer.name === name && peer.facts.witness === true)
}

/** All members but the witnesses. */
export function databaseMembers(seen: Snapshot): readonly string[] {
  return seen.members.filter((name) => !isWitness(seen, name))
}

/** As the rules of acknowledgement name a member: by the data that it has now. */
export function memberOf({ name, facts }: PeerFacts): AckMember {
  return { name, incarnation: facts.incarnation ?? '' }
}

export function ownMember({ self, local }: Snapshot): AckMember {
  return { name: self, incarnation: local.incarnation ?? '' }
}

/** Heard within the silence limit, whatever this agent did meanwhile. */
export function isHeard(seen: Snapshot, { heardAt }: PeerFacts): boolean {
  return seen.takenAt - heardAt <= seen.policy.silenceLimitMs
}
