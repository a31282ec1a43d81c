/**
 * Who has to have flushed a commit before it is acknowledged, and what can be concluded from who has stopped to. Small and
 * pure, because every word of G2 hangs on it (design.md §5, safety.md 1, 4, 8–10).
 */

import { parseLsn, type Lsn } from './lsn.ts'

/** A data directory under a member's name: a new disk is another member. */
export type AckMember = { readonly name: string; readonly incarnation: string }

/** Any `k` of the members. With `k` 0 nobody but the primary itself is known to have anything. */
export type AckRule = { readonly k: number; readonly members: readonly AckMember[] }

/** What one epoch's primary may have acknowledged by. While `next` is there PostgreSQL may work by either, so both count. */
export type AckLink = {
  readonly epoch: number
  readonly holder: AckMember
  readonly rule: AckRule
  readonly next?: AckRule
}

/**
 * The promise of a member: from now on its WAL comes from nobody with a lower epoch, also after a restart. `flushLsn` is the end
 * of its WAL when nothing could add to it any more. Never lowered, never forgotten.
 */
export type Pledge = AckMember & {
  readonly epoch: number
  readonly timeline: number
  readonly flushLsn: string
}

/** As far as one standby has it, as its WAL sender tells. */
export type WalSenderFacts = { readonly name: string; readonly flushLsn?: string }

export const NO_ACKS: AckRule = { k: 0, members: [] }

/** Matches nobody: commits wait, instead of being acknowledged by chance. PostgreSQL's own name for "everybody" is `*`. */
export const NOBODY = '"metako_nobody"'

/** So much of an incarnation tells two disks apart, and leaves room for names: PostgreSQL cuts at 63 bytes. */
const INCARNATION_CHARS = 12
const NAME_CHARS_MAX = 50

/** What a standby calls itself at its primary: lower case, since PostgreSQL compares these names without case. */
export function walNameOf({ name, incarnation }: AckMember): string {
  return `${name.slice(0, NAME_CHARS_MAX)}_${incarnation.slice(0, INCARNATION_CHARS)}`.toLowerCase()
}

/** The member's part of such a name, for people. */
export function memberOfWalName(walName: string): string {
  return walName.replace(/_[^_]*$/, '')
}

/** How commits wait (`replication.mode`). FIRST counts as ANY wherever safety is concerned (safety.md 12). */
export type AckMode = { readonly method: 'ANY' | 'FIRST'; readonly isStrict: boolean }

/** What the operator asked for. `wantedK`: how many standbys shall have each commit; absent: see `usualK`. */
export type AckPolicy = AckMode & { readonly wantedK?: number }

/** Without a mode commits wait for nobody, once the rule of an earlier one is gone. */
const NOT_WAITING: AckMode = { method: 'ANY', isStrict: false }

/** The value of `synchronous_standby_names` for a rule. Empty only where commits are to wait for nobody. */
export function synchronousNamesOf(rule: AckRule, { method, isStrict }: AckMode = NOT_WAITING): string {
  if (rule.k === 0) return isStrict ? NOBODY : ''
  const names = rule.members.map((member) => `"${walNameOf(member).replaceAll('"', '""')}"`)
  return `${method} ${rule.k} (${names.join(', ')})`
}

/** How many members of a rule have all WAL up to `goal` on their disks, as the WAL senders tell. */
export function countWith(rule: AckRule, senders: readonly WalSenderFacts[], goal: Lsn): number {
  const names = new Set(rule.members.map(walNameOf))
  const there = senders.filter(({ name, flushLsn }) => {
    const at = names.has(name) ? parseLsn(flushLsn ?? '') : undefined
    return at !== undefined && at >= goal
  })
  return new Set(there.map(({ name }) => name)).size
}

export function isSameRule(one: AckRule, other: AckRule): boolean {
  return (
    one.k === other.k && one.members.length === other.members.length && one.members.every(isIn(other.members))
  )
}

export function isIn(members: readonly AckMember[]): (member: AckMember) => boolean {
  return (member) => members.some((one) => isSameMember(one, member))
}

function isSameMember(one: AckMember, other: AckMember): boolean {
  return one.name === other.name && one.incarnation === other.incarnation
}

/**
 * Whether a set of members that acknowledge nothing any more leaves no way for this link to acknowledge another commit, and at least
 * one of them holds each commit that it did acknowledge: n − k + 1 of the rule's members meet every k of them; or its primary, stopped.
 */
export function isBroken(link: AckLink, stopped: readonly AckMember[]): boolean {
  if (isIn(stopped)(link.holder)) return true
  return rulesOf(link).every((rule) => rule.k > 0 && missingOf(rule, stopped) <= 0)
}

/** How many more members of this rule have to stop before it can acknowledge nothing. */
export function missingOf(rule: AckRule, stopped: readonly AckMember[]): number {
  return rule.members.length - rule.k + 1 - rule.members.filter(isIn(stopped)).length
}

export function rulesOf({ rule, next }: AckLink): readonly AckRule[] {
  return next ? [rule, next] : [rule]
}

/** The rule for who can: never more than 2k members, so that one sick one blocks nothing (safety.md 9). */
export function ruleOf(members: readonly AckMember[], k: number): AckRule {
  const chosen = members.slice(0, 2 * k)
  return { k: Math.min(k, chosen.length), members: chosen }
}

/** How many standbys have each commit where nobody said it: half of all that the cluster has, so that a majority always has it. */
export function usualK(clusterSize: number): number {
  return Math.max(1, Math.floor((clusterSize - 1) / 2))
}
