import {
  isBroken,
  isIn,
  missingOf,
  ruleOf,
  rulesOf,
  type AckLink,
  type AckMember,
  type AckRule,
  type Pledge,
} from '../../model/ack-rule.ts'
import type { EpochRecord, TakeoverReason } from '../../model/epoch-record.ts'
import type { FailoverRecord } from '../../model/failover-record.ts'
import { formatLsn, lagBytes, LSN_NONE, parseLsn, type Lsn } from '../../model/lsn.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { leadObstacle, mayAcknowledge, priorityOf } from '../../model/member-tags.ts'
import type { Action } from '../decision.ts'
import type { KnockAnswer, Snapshot } from '../snapshot.ts'
import { wantedK } from './acks.ts'
import { judgeHistory } from './history.ts'
import { judgeLapse, type Lapse } from './lapse.ts'
import {
  databaseMembers,
  isHeard,
  isHolder,
  isInstanceDown,
  isRunningAs,
  isSilent,
  memberOf,
  ownMember,
  verdict,
  type StanceRule,
  type Verdict,
} from './stance.ts'

/*
 * Take-over by revocation (design.md §5, safety.md 1–13): an epoch is begun, which freezes what the one before acknowledges by;
 * enough members promise never to help it again; the one of them that has most is authorised. No lease is waited for, because what
 * the old primary still does can no longer be acknowledged.
 */

/** So long the others may take to pledge and to authorise one of them, before the old primary goes on instead. */
const RESUME_AFTER_MS = 1000
/** Who is as good and ranks before this member is waited for so long. */
const YIELD_MS = 500
/** Enough members have pledged, and others are here: one of them may have more, and the new primary will need them. */
const ALL_PLEDGES_MS = 200
/** A holder that was there all the time renews its lease so soon after the store is back. */
const RENEWS_AGAIN_MS = 1000
/** An answer of the holder's host that is older says nothing about now. */
const ANSWER_AGE_MAX_MS = 600

/** The primary of the epoch before is well, and nobody was authorised: it goes on, in the new epoch. */
export const resumeOwnEpoch: StanceRule = (seen) => {
  const { record } = seen.store
  if (record?.state !== 'pledging' || !isHolder(seen) || !seen.store.hasQuorum || seen.stopping)
    return undefined
  const isEstablished = record.acks?.length === 1
  const resume: Action = { kind: 'resume-epoch', epoch: record.epoch, revision: seen.store.recordRevision }
  if (isRunningAs(seen, 'primary')) {
    if (isEstablished) {
      return verdict('primary', 'RESUMES_OWN_EPOCH', {
        sentence: `is well: goes on as primary in epoch ${record.epoch}`,
        actions: [resume],
      })
    }
    // What it wrote may or may not be everything: as a standby it is compared with the others.
    return verdict('fencing', 'SUPERSEDED', {
      sentence: `stops: epoch ${record.epoch} was begun before its own was established`,
      actions: [{ kind: 'fence', reason: 'SUPERSEDED' }],
    })
  }
  const waited = seen.takenAt - seen.store.firstSeenAt
  if (!isEstablished || !isInstanceDown(seen) || seen.local.directory !== 'instance') return undefined
  return verdict('waiting', 'AWAITS_PLEDGES', {
    sentence: `its PostgreSQL is down: waits for another member to take epoch ${record.epoch}`,
    actions: waited < RESUME_AFTER_MS ? [] : [resume],
  })
}

/** The epoch is nobody's yet: promise, and take it if this member has most. */
export const pledgeAndTake: StanceRule = (seen) => {
  const { record } = seen.store
  if (record?.state !== 'pledging' || !seen.store.hasQuorum) return undefined
  if (seen.local.directory !== 'instance') {
    return verdict('waiting', 'AWAITS_PLEDGES', { sentence: `waits for the holder of epoch ${record.epoch}` })
  }
  const { pledge, incarnation } = seen.local
  if (
    pledge?.epoch !== record.epoch ||
    pledge.incarnation !== incarnation ||
    isReceiving(seen.local.instance)
  ) {
    return verdict('standby', 'PLEDGES', {
      sentence: `promises not to help epoch ${record.epoch - 1} any more`,
      actions:
        isRunningAs(seen, 'standby') || isInstanceDown(seen) ? [{ kind: 'pledge', epoch: record.epoch }] : [],
    })
  }
  if (isInstanceDown(seen)) {
    return verdict('standby', 'PLEDGES', {
      sentence: 'starts as a standby of nobody, to be a candidate',
      actions: seen.takenAt < seen.local.retryAt ? [] : [{ kind: 'start', as: 'standby' }],
    })
  }
  return takeIfBest(seen, record)
}

function takeIfBest(seen: Snapshot, record: EpochRecord): Verdict {
  const pledges = pledgesFor(seen, record.epoch)
  const missing = whoIsMissing(record, pledges)
  if (missing !== undefined) {
    return verdict('standby', 'AWAITS_PLEDGES', { sentence: `epoch ${record.epoch} waits: ${missing}` })
  }
  const waitedMs = seen.takenAt - seen.store.firstSeenAt
  const unpledged = reachable(seen, record).find((member) => !isIn(pledges)(member))
  if (unpledged && waitedMs < ALL_PLEDGES_MS) {
    return verdict('standby', 'AWAITS_PLEDGES', {
      sentence: `epoch ${record.epoch} listens for ${unpledged.name}`,
    })
  }
  if (seen.local.tags?.nofailover) {
    return verdict('standby', 'NOT_ELIGIBLE', {
      sentence: `does not take epoch ${record.epoch}: it is tagged nofailover`,
    })
  }
  const ranked = pledges
    .filter((pledge) => !isPassedOver(seen, record, pledge))
    .flatMap((pledge) => rank(record, pledge) ?? [])
    .sort(
      (one, other) =>
        other.link - one.link || Number(other.flush - one.flush) || (one.name < other.name ? -1 : 1),
    )
  const best = ranked[0]
  const own = ranked.find(({ name }) => name === seen.self)
  if (!best || !own || own.link !== best.link || own.flush !== best.flush) {
    return verdict('standby', 'NOT_BEST', {
      sentence: `does not take epoch ${record.epoch}: ${best?.name ?? 'nobody that is on the history'} has more`,
    })
  }
  const obstacle = ownObstacle(seen)
  if (obstacle !== undefined) {
    return verdict('standby', 'NOT_ELIGIBLE', {
      sentence: `does not take epoch ${record.epoch}: ${obstacle}`,
    })
  }
  const rival = ranked
    .filter(({ name, link, flush }) => link === own.link && flush === own.flush && name !== seen.self)
    .find(({ name }) => goesBefore(seen, name))
  if (rival && waitedMs < YIELD_MS) {
    return verdict('standby', 'NOT_BEST', { sentence: `leaves epoch ${record.epoch} to ${rival.name}` })
  }
  const rule = firstRule(seen, record, { pledges, own })
  return verdict('becoming-primary', 'TAKES_OVER', {
    sentence: `takes epoch ${record.epoch} over from ${record.holder}: ${pledges.map(({ name }) => name).join(', ')} pledged`,
    actions: [
      {
        kind: 'take-over',
        epoch: record.epoch,
        revision: seen.store.recordRevision,
        reason: record.reason,
        rule,
        ...sharedTo(seen, rule, pledges),
        passedOver: passedOver(seen, record, { pledges, ranked, own }),
      },
    ],
  })
}

/**
 * Tagged nofailover: never taken, so nobody waits for it. What it has alone was never acknowledged, unless some rule counts on it: it
 * was tagged since, and nobody who has less may go before it.
 */
function isPassedOver(seen: Snapshot, record: EpochRecord, pledge: Pledge): boolean {
  return isKeptFromIt(seen, pledge.name) && !isEverCounted(record, pledge)
}

function isKeptFromIt({ peers }: Snapshot, name: string): boolean {
  return peers.find((peer) => peer.name === name)?.facts.tags?.nofailover === true
}

function isEverCounted(record: EpochRecord, member: AckMember): boolean {
  return (record.acks ?? []).some((link) => rulesOf(link).some(({ members }) => isIn(members)(member)))
}

/** Why it is none of the others. */
function passedOver(
  seen: Snapshot,
  record: EpochRecord,
  { pledges, ranked, own }: { pledges: readonly Pledge[]; ranked: readonly Ranked[]; own: Ranked },
): FailoverRecord['passedOver'] {
  const why = (name: string): string => {
    if (isKeptFromIt(seen, name)) return 'is tagged nofailover'
    const pledge = pledges.find((one) => one.name === name)
    if (!pledge) return 'did not pledge'
    const member = ranked.find((one) => one.name === name)
    if (!member) return `left the history: ${pledge.flushLsn} of timeline ${pledge.timeline}`
    if (member.link === own.link && member.flush === own.flush) return 'is as good, and ranks behind'
    return `has less: ${pledge.flushLsn} of timeline ${pledge.timeline}`
  }
  return databaseMembers(seen)
    .filter((name) => name !== seen.self && name !== record.holder)
    .map((name) => ({ name, why: why(name) }))
}

/** The first rule of a new epoch: the members that are here, pledged, and able to follow its holder. */
function firstRule(
  seen: Snapshot,
  record: EpochRecord,
  { pledges, own }: { pledges: readonly Pledge[]; own: Ranked },
): AckRule {
  const here = pledges.filter((pledge) => {
    const ranked = rank(record, pledge)
    if (pledge.name === seen.self || !ranked || !canFollow(record, { ...ranked, pledge }, own)) return false
    return seen.peers.some(
      (peer) => peer.name === pledge.name && isHeard(seen, peer) && mayAcknowledge(peer.facts),
    )
  })
  return ruleOf(here.map(plain), wantedK(seen))
}

/**
 * Up to where enough members of the rule have this node's WAL, by what they said of theirs. A timeline has one writer, so that equal ids
 * are equal bytes up to the shorter end; and what a member has leaves it only when it has left the rule.
 */
function sharedTo(
  seen: Snapshot,
  { k, members }: AckRule,
  said: readonly (Pick<InstanceFacts, 'timeline' | 'flushLsn'> & { readonly name: string })[],
): { readonly sharedTo?: string } {
  const { timeline } = seen.local.instance
  const ends = members.flatMap(({ name }) => {
    const one = said.find((member) => member.name === name)
    const end = parseLsn(one?.flushLsn ?? '')
    return end !== undefined && timeline !== undefined && one?.timeline === timeline ? [end] : []
  })
  const end = ends.sort((one, other) => Number(other - one)).at(k - 1)
  return k === 0 || end === undefined || ends.length < k ? {} : { sharedTo: formatLsn(end) }
}

/** The same for a holder that gave its epoch up: nobody had to pledge. */
export function afterRelease(seen: Snapshot): { readonly rule: AckRule; readonly sharedTo?: string } {
  const rule = ruleAfterRelease(seen)
  const said = seen.peers.map(({ name, facts }) => ({ ...facts.instance, name }))
  return { rule, ...sharedTo(seen, rule, said) }
}

function ruleAfterRelease(seen: Snapshot): AckRule {
  const here = seen.peers.filter(
    (peer) =>
      peer.name !== seen.store.record?.holder &&
      isHeard(seen, peer) &&
      !peer.facts.stopping &&
      mayAcknowledge(peer.facts) &&
      peer.facts.incarnation !== undefined &&
      peer.facts.instance.state === 'running' &&
      peer.facts.instance.role === 'standby',
  )
  return ruleOf(here.map(memberOf), wantedK(seen))
}

/**
 * The holder seems to be gone. Begun only when enough members are here to bring it to an end, since a pledge stops replication; and on
 * the word of a majority of those that hold its acknowledgements (safety.md 22, 25).
 */
export const convictHolder: StanceRule = (seen) => {
  const { record } = seen.store
  if (!record?.acks || isHolder(seen) || seen.local.directory !== 'instance' || isInstanceDown(seen))
    return undefined
  if (record.state === 'pledging' || record.systemId === '') return undefined
  // Given up already: there is nobody whom a pause could keep.
  if (seen.store.paused && record.state !== 'released') return undefined
  const lapse = judgeLapse(seen, record)
  // Given up by an established holder, after its end: that is a take-over with nothing to revoke.
  if (lapse.kind === 'reserved' || (lapse.kind === 'released' && record.acks.length === 1)) return undefined
  const isFree = lapse.kind !== 'held' && !willRenew(seen, record) && !runsWithoutAgent(seen, record, lapse)
  if (!isFree && !isSuspect(seen, record)) return undefined
  const missing = whoIsMissing(record, reachable(seen, record))
  if (missing !== undefined) {
    return isFree
      ? verdict('standby', 'AWAITS_PLEDGES', {
          sentence: `cannot take over from ${record.holder}: ${missing}`,
        })
      : undefined
  }
  const told = { suspects: { epoch: record.epoch } }
  if (!isFree && !isMajorityOf(seen, record)) {
    return verdict('standby', 'SUSPECTS', {
      sentence: `${record.holder} seems to be gone: asks the others`,
      told,
    })
  }
  return verdict('standby', 'SUSPECTS', {
    sentence: `${record.holder} is gone: begins epoch ${record.epoch + 1}`,
    told,
    actions: [
      openEpoch(seen, record, isFree ? (record.release?.reason ?? 'LEASE_EXPIRED') : 'PRIMARY_SILENT'),
    ],
  })
}

/** The store was gone, and not its holder, which may go on meanwhile (safety.md 19): it is given a moment to renew. */
function willRenew(seen: Snapshot, record: EpochRecord): boolean {
  const isBackSinceMs = seen.takenAt - seen.store.quorumChangedAt
  return record.state !== 'released' && isBackSinceMs < RENEWS_AGAIN_MS && !isSilent(seen, record.holder)
}

/**
 * Only the holder's agent is gone: its PostgreSQL answers and acknowledges, and its guard lets it for as long (safety.md 19, 22). One that
 * is frozen answers nothing, and one that crashes is a suspect at once.
 */
function runsWithoutAgent(seen: Snapshot, record: EpochRecord, lapse: Lapse): boolean {
  if (lapse.kind !== 'expired' || seen.takenAt - lapse.since >= seen.policy.storeGraceMs) return false
  return isSilent(seen, record.holder) && freshAnswer(seen) === 'answers'
}

/** The holder itself, whose PostgreSQL is down, leaves its epoch to the others: enough of them are here. */
export function leaveToOthers(seen: Snapshot, record: EpochRecord): Verdict | undefined {
  if (record.acks?.length !== 1) return undefined
  if (whoIsMissing(record, reachable(seen, record)) !== undefined) return undefined
  return verdict('waiting', 'CRASHED', {
    sentence: `its PostgreSQL crashed: begins epoch ${record.epoch + 1} for the others`,
    actions: [openEpoch(seen, record, 'PRIMARY_CRASHED')],
  })
}

export function openEpoch(seen: Snapshot, record: EpochRecord, reason: TakeoverReason): Action {
  return { kind: 'open-epoch', epoch: record.epoch + 1, revision: seen.store.recordRevision, reason }
}

/** Neither a heartbeat nor a renewal, and no sign of life from its host's kernel at its PostgreSQL's port. */
function isSuspect(seen: Snapshot, record: EpochRecord): boolean {
  if (!isSilent(seen, record.holder)) return false
  const renewedAt = Math.max(seen.store.firstSeenAt, seen.attentiveSince)
  if (seen.takenAt - renewedAt <= seen.policy.silenceLimitMs) return false
  const answer = freshAnswer(seen)
  return answer === 'refuses' || answer === 'silent'
}

function freshAnswer({ holderAnswers, takenAt }: Snapshot): KnockAnswer | undefined {
  return holderAnswers && takenAt - holderAnswers.at <= ANSWER_AGE_MAX_MS ? holderAnswers.answer : undefined
}

function isMajorityOf(seen: Snapshot, record: EpochRecord): boolean {
  const members = record.acks?.at(-1)?.rule.members ?? []
  const agree = members.filter(
    ({ name }) =>
      name === seen.self ||
      seen.peers.some(
        (peer) => peer.name === name && isHeard(seen, peer) && peer.facts.suspects?.epoch === record.epoch,
      ),
  )
  return agree.length * 2 > members.length
}

/** All but the holder that could pledge now. */
export function reachable(seen: Snapshot, record: EpochRecord): readonly AckMember[] {
  const others = seen.peers
    .filter((peer) => isHeard(seen, peer) && !peer.facts.stopping && !peer.facts.witness)
    .map(memberOf)
  return [ownMember(seen), ...others].filter(({ name }) => name !== record.holder)
}

export function pledgesFor(seen: Snapshot, epoch: number): readonly Pledge[] {
  const own = seen.local.pledge
  const others = seen.peers.flatMap(({ facts }) => {
    const { pledge, incarnation, instance } = facts
    return pledge && pledge.incarnation === incarnation && !isReceiving(instance) ? [pledge] : []
  })
  return [...(own ? [own] : []), ...others].filter((pledge) => pledge.epoch === epoch)
}

/** Why the chain of epochs is not broken by these; `undefined`: it is, and nobody can acknowledge in any of them. */
export function whoIsMissing(record: EpochRecord, stopped: readonly AckMember[]): string | undefined {
  const link = (record.acks ?? []).find((one) => !isBroken(one, stopped))
  return link && describeMissing(link, stopped)
}

function describeMissing(link: AckLink, stopped: readonly AckMember[]): string {
  const open = rulesOf(link).find((rule) => rule.k === 0 || missingOf(rule, stopped) > 0)
  if (!open || open.k === 0) {
    return `only ${link.holder.name} is known to have every commit of epoch ${link.epoch}`
  }
  const count = missingOf(open, stopped)
  const names = open.members.filter((member) => !isIn(stopped)(member)).map(({ name }) => name)
  return `${count} more of ${names.join(', ')}, or ${link.holder.name} itself, may have commits of epoch ${link.epoch} that nobody here has`
}

type Ranked = { readonly name: string; readonly link: number; readonly flush: Lsn }

/**
 * Newest epoch of which it has WAL, then how much of it (safety.md 4). Only an established epoch makes history: against one that was
 * authorised and may have died before its first commit nobody has diverged, so whoever has more of an older one still counts, unless
 * somebody here has WAL of the newer. `undefined`: it left the history.
 */
function rank(record: EpochRecord, { name, timeline, flushLsn }: Pledge): Ranked | undefined {
  const flush = parseLsn(flushLsn)
  const claimed = record.chain.findIndex((link) => link.timeline === timeline)
  if (flush === undefined || claimed < 0) return undefined
  // A standby aims at a timeline before it has got any WAL of it: what counts is where its WAL ends.
  const link = record.chain.findLastIndex(
    ({ forkLsn, abandonedIn }, index) =>
      index <= claimed &&
      abandonedIn === undefined &&
      (index === 0 || (parseLsn(forkLsn) ?? LSN_NONE) < flush),
  )
  const established = record.acks?.[0]?.epoch ?? record.epoch
  const history = record.chain.filter(({ epoch }, index) => epoch <= established || index <= link)
  if (judgeHistory(history, { timeline, endLsn: flushLsn }).kind !== 'on-history') return undefined
  return { name, link, flush }
}

/** Whether a member can stream from this node once that is primary: all that it has is here too. */
function canFollow(record: EpochRecord, member: Ranked & { readonly pledge: Pledge }, own: Ranked): boolean {
  if (member.link === own.link) return member.flush <= own.flush
  const history = record.chain.slice(0, own.link + 1)
  const { timeline, flushLsn } = member.pledge
  return member.link < own.link && judgeHistory(history, { timeline, endLsn: flushLsn }).kind === 'on-history'
}

function ownObstacle(seen: Snapshot): string | undefined {
  if (!isRunningAs(seen, 'standby')) return `its PostgreSQL is ${seen.local.instance.state}`
  if (seen.stopping) return 'it is being shut down'
  if (seen.local.guard === 'absent') return 'its guard process is not running'
  return leadObstacle(seen.local)
}

/** As good as this member, fit, and before it: preferred by the operator, less to replay, or the name. */
function goesBefore(seen: Snapshot, name: string): boolean {
  const peer = seen.peers.find((one) => one.name === name)
  if (!peer || !isHeard(seen, peer) || peer.facts.stopping || peer.facts.guard === 'absent') return false
  if (leadObstacle(peer.facts) !== undefined) return false
  const { instance } = peer.facts
  if (instance.state !== 'running' || instance.role !== 'standby') return false
  const preference = priorityOf(peer.facts.tags) - priorityOf(seen.local.tags)
  if (preference !== 0) return preference > 0
  const [theirs, own] = [unreplayed(instance), unreplayed(seen.local.instance)]
  return theirs === own ? name < seen.self : theirs < own
}

function unreplayed({ replayLsn, flushLsn }: InstanceFacts): number {
  return lagBytes(parseLsn(replayLsn ?? '') ?? LSN_NONE, parseLsn(flushLsn ?? '') ?? LSN_NONE)
}

function isReceiving({ state, streaming }: InstanceFacts): boolean {
  return state === 'running' && streaming === true
}

function plain({ name, incarnation }: AckMember): AckMember {
  return { name, incarnation }
}

/** The data here is counted on by some rule of the chain: it must not be rewritten before it is not (safety.md 8). */
export function isCountedOn(seen: Snapshot, record: EpochRecord): boolean {
  return isEverCounted(record, ownMember(seen))
}
