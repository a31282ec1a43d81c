import { present } from '../../std/assert.ts'
import { MiB, SECOND } from '../../std/units.ts'
import {
  isIn,
  isSameRule,
  NO_ACKS,
  ruleOf,
  synchronousNamesOf,
  usualK,
  walNameOf,
  type AckMember,
  type AckRule,
} from '../../model/ack-rule.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import { lagBytes, LSN_NONE, parseLsn } from '../../model/lsn.ts'
import { isNeverCounted, mayAcknowledge } from '../../model/member-tags.ts'
import type { Action } from '../decision.ts'
import type { PeerFacts, Snapshot } from '../snapshot.ts'
import { databaseMembers, isHeard, memberOf } from './stance.ts'

/** A standby that is further behind would not help any commit soon, but its pledge would be asked for. */
const JOIN_LAG_MAX_BYTES = 16 * MiB
/** So long commits wait for standbys that all went away, before they wait for none (not in strict modes). */
const DEGRADE_AFTER_MS = 4 * SECOND

/** What the primary does about who has to have its commits; `undefined` when all is as it should be. */
export function changeOfAcks(seen: Snapshot, record: EpochRecord): Action | undefined {
  const link = record.acks?.at(-1)
  const mode = seen.policy.acks
  if (!mode) return link && leaveAcks(seen, link.rule, link.next)
  const current = link?.rule ?? NO_ACKS
  const wanted = wantedRule(seen, link ? [link.rule, ...(link.next ? [link.next] : [])] : [])
  if (link?.next) {
    if (isSameRule(link.next, wanted)) return { kind: 'change-acks', to: link.next }
    // Who was to come in or to stay has gone meanwhile: one of the two has to be reached first, either is safe. Where both are beyond
    // reach no commit is acknowledged any more, and so none is missed when they give way to another.
    const reached = [current, link.next].find((rule) => canAcknowledge(seen, rule))
    return { kind: 'change-acks', to: reached ?? wanted }
  }
  if (!link || !isSameRule(current, wanted)) return { kind: 'change-acks', to: wanted }
  const isInForce = seen.local.instance.synchronousNames === synchronousNamesOf(current, mode)
  return isInForce ? undefined : { kind: 'change-acks', to: current }
}

/** Order: the record says that commits wait for nobody before PostgreSQL does so, and forgets the rule afterwards. */
function leaveAcks(seen: Snapshot, rule: AckRule, next: AckRule | undefined): Action {
  const isDone = rule.k === 0 && !next && seen.local.instance.synchronousNames === ''
  return isDone ? { kind: 'retire-acks' } : { kind: 'change-acks', to: NO_ACKS }
}

/** Of the standbys that can, those that count already first; who is away for a moment stays in. */
function wantedRule(seen: Snapshot, rules: readonly AckRule[]): AckRule {
  const mode = present(seen.policy.acks, 'mode of replication')
  const counted = rules.flatMap(({ members }) => members)
  const [last = NO_ACKS] = rules
  const able = ableMembers(seen, counted, seen.policy.silenceLimitMs)
  const kept = last.members.filter(isIn(able))
  const others = able.filter((member) => !isIn(kept)(member)).sort(byName)
  const wanted = ruleOf([...kept, ...others], wantedK(seen))
  if (wanted.k > 0 || last.k === 0 || last.members.some((member) => isLeaving(seen, member))) return wanted
  // Strict: rather wait for those who have everything than let nobody have it. Else they are waited for, for a while.
  return mode.isStrict || ableMembers(seen, last.members, DEGRADE_AFTER_MS).length > 0 ? last : wanted
}

function ableMembers(
  seen: Snapshot,
  counted: readonly AckMember[],
  patienceMs: number,
): readonly AckMember[] {
  return seen.peers.flatMap((peer) => (isAble(seen, peer, { counted, patienceMs }) ? [memberOf(peer)] : []))
}

function isAble(
  seen: Snapshot,
  peer: PeerFacts,
  { counted, patienceMs }: { counted: readonly AckMember[]; patienceMs: number },
): boolean {
  const { facts } = peer
  if (facts.incarnation === undefined || facts.stopping || facts.leavesAckRule) return false
  // Order: nothing hangs on it any more when it goes. Where nobody else can have the commits, it stays counted and does not go.
  if (seen.leaving.includes(peer.name)) return false
  if (isNeverCounted(facts.tags)) return false
  const member = memberOf(peer)
  if (isIn(counted)(member)) {
    if (seen.takenAt - peer.heardAt > patienceMs) return false
    const streamedAt = seen.local.streamedAt[walNameOf(member)]
    if (streamedAt !== undefined) return seen.takenAt - streamedAt <= patienceMs
    // A new primary: they are on their way.
    return seen.takenAt - (seen.local.primarySince ?? seen.takenAt) <= DEGRADE_AFTER_MS
  }
  if (!isHeard(seen, peer) || facts.instance.role !== 'standby' || !streams(seen, member)) return false
  if (!mayAcknowledge(facts)) return false
  const flush = parseLsn(facts.instance.flushLsn ?? '') ?? LSN_NONE
  return lagBytes(flush, parseLsn(seen.local.instance.flushLsn ?? '') ?? LSN_NONE) <= JOIN_LAG_MAX_BYTES
}

function isLeaving(seen: Snapshot, member: AckMember): boolean {
  const facts = seen.peers.find(({ name }) => name === member.name)?.facts
  return (
    facts?.leavesAckRule === true ||
    (facts?.incarnation !== undefined && facts.incarnation !== member.incarnation)
  )
}

/** How many standbys shall have each commit. */
export function wantedK(seen: Snapshot): number {
  return seen.policy.acks?.wantedK ?? usualK(databaseMembers(seen).length)
}

/** Whether so many of the rule's members stream that a commit can be acknowledged. */
export function canAcknowledge(seen: Snapshot, rule: AckRule): boolean {
  return rule.members.filter((member) => streams(seen, member)).length >= rule.k
}

function streams(seen: Snapshot, member: AckMember): boolean {
  const name = walNameOf(member)
  return (seen.local.instance.walSenders ?? []).some(
    (sender) => sender.name === name && sender.state === 'streaming',
  )
}

function byName(one: AckMember, other: AckMember): number {
  return one.name < other.name ? -1 : 1
}
