import { assert, present } from '../../std/assert.ts'
import { Fault } from '../../std/fault.ts'
import { NO_ACKS, type AckLink, type AckMember, type AckRule } from '../../model/ack-rule.ts'
import {
  isHeld,
  type EpochLink,
  type EpochRecord,
  type ReleaseReason,
  type TakeoverReason,
} from '../../model/epoch-record.ts'
import type { Compare, Operation } from '../../model/key-value.ts'
import { formatLsn, LSN_NONE, parseLsn } from '../../model/lsn.ts'
import { confirmLink, extendChain, nextTimeline } from '../decide/history.ts'
import type { Action } from '../decision.ts'
import type { WriteOutcome } from '../record-keeper.ts'
import type { World } from './world.ts'

/** The chain in the record is bounded: older links are in the `history` key's past and in the logs. */
const CHAIN_MAX = 100

/** Creates the first epoch, for the member that is going to initialise. Only on a tree that has none. */
export function claimFirstEpoch(world: World): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) =>
      record
        ? undefined
        : {
            epoch: 1,
            holder: world.self,
            incarnation: '',
            seq: 0,
            ttlMs: world.policy.leaseTtlMs,
            state: 'authorised',
            reason: 'BOOTSTRAP',
            systemId: '',
            timeline: 0,
            givenTimeline: 1,
            position: formatLsn(LSN_NONE),
            chain: [],
          },
    { deadlineMs: world.writeDeadlineMs, also: [putLeader(world)] },
  )
}

export type TakeOver = Extract<Action, { kind: 'take-over' }>

/**
 * Takes an epoch, on condition that the record is still the one that the decision was made on: the next one, or the one that was
 * begun and is nobody's yet. With a rule: authorises this node together with who has to have its commits (safety.md 4).
 */
export function takeEpoch(world: World, next: TakeOver): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      const isFree = record && record.epoch + (record.state === 'pledging' ? 0 : 1) === next.epoch
      if (next.reason === 'LEASE_EXPIRED' && record?.state !== 'pledging' && world.observer.isPaused)
        return undefined
      if (!isFree || world.keeper.revision !== next.revision) return undefined
      return authorised(world, taken(world, record, next), next.rule)
    },
    {
      deadlineMs: world.writeDeadlineMs,
      onlyIf: [...stillMember(world), ...(next.reason === 'LEASE_EXPIRED' ? notPaused(world) : [])],
      // A switchover that was asked of the old holder is over: it must not move the new one.
      also: [putLeader(world), { kind: 'delete', key: world.keys.failover }],
    },
  )
}

function taken(world: World, record: EpochRecord, next: TakeOver): EpochRecord {
  const { incarnation, instance } = world.observer
  const { release: _given, isUnfenced: _former, ...rest } = record
  return {
    ...rest,
    epoch: next.epoch,
    holder: world.self,
    incarnation: record.systemId === '' ? '' : present(incarnation, 'incarnation of a candidate'),
    seq: record.epoch === next.epoch ? record.seq + 1 : 0,
    ttlMs: world.policy.leaseTtlMs,
    state: 'authorised',
    reason: next.reason,
    timeline: instance.timeline ?? record.timeline,
    givenTimeline: record.systemId === '' ? 1 : nextTimeline(record, instance.timeline),
    position: instance.flushLsn ?? record.position,
  }
}

/**
 * Where commits wait for others, the new branch is history from now on: its first commits are acknowledged before it is open, so
 * whoever takes over next has to know it. What forks from it is known already, since nothing reaches this WAL any more.
 */
function authorised(world: World, record: EpochRecord, rule: AckRule | undefined): EpochRecord {
  const { acks, epoch, position } = record
  if (!acks || !rule) return record
  const pledge = world.notebook.pledge()
  return {
    ...record,
    acks: [...acks, { epoch, holder: ownName(world), rule }],
    chain: branched(world, record, pledge?.epoch === epoch ? pledge.flushLsn : position),
  }
}

/** The history with a branch of this node's own, which leaves at `endLsn` the timeline that it comes from. */
function branched(world: World, record: EpochRecord, endLsn: string): EpochRecord['chain'] {
  const chain = extendChain(record.chain, {
    link: {
      epoch: record.epoch,
      holder: world.self,
      timeline: record.givenTimeline ?? record.timeline,
      openedAt: new Date(world.clock.wall()).toISOString(),
      reason: record.reason,
      takeover: 'revocation',
    },
    base: record.timeline,
    forks: [{ timeline: record.timeline, endLsn }],
  })
  return (chain ?? record.chain).slice(-CHAIN_MAX)
}

function ownName({ self, observer }: World): AckMember {
  return { name: self, incarnation: present(observer.incarnation, 'incarnation of a member') }
}

/** Begins an epoch that is nobody's: what the one before acknowledges by is frozen by the same write (safety.md 1). */
export function openEpoch(
  world: World,
  next: { epoch: number; revision: number; reason: TakeoverReason },
): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      if (!record?.acks || world.keeper.revision !== next.revision || record.epoch + 1 !== next.epoch)
        return undefined
      const { release, ...rest } = record
      // Given up already: nobody is primary, and a pause does not keep it so.
      if (world.observer.isPaused && !release) return undefined
      return { ...rest, epoch: next.epoch, seq: 0, state: 'pledging', reason: next.reason }
    },
    { deadlineMs: world.writeDeadlineMs, onlyIf: [...stillMember(world), ...notPaused(world)] },
  )
}

/** Goes on as primary in the epoch that others began: nobody was authorised, and whoever pledged follows this node again. */
export function resumeEpoch(world: World, next: { epoch: number; revision: number }): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      const [link, ...more] = record?.acks ?? []
      if (
        record?.state !== 'pledging' ||
        record.epoch !== next.epoch ||
        world.keeper.revision !== next.revision
      )
        return undefined
      if (record.holder !== world.self || !link || more.length > 0) return undefined
      return { ...record, seq: record.seq + 1, state: 'open', acks: [{ ...link, epoch: next.epoch }] }
    },
    { deadlineMs: world.writeDeadlineMs, onlyIf: stillMember(world) },
  )
}

/**
 * Changes what this node's own epoch acknowledges by: until it said so, by nobody's word but its own. `change` returns `undefined`
 * when it does not apply to what is there now.
 */
export function changeOwnLink(
  world: World,
  change: (link: AckLink) => AckLink | undefined,
): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      if (!record || record.holder !== world.self || !isHeld(record)) return undefined
      const { acks = [], epoch } = record
      const link = change(acks.at(-1) ?? { epoch, holder: ownName(world), rule: NO_ACKS })
      return link && { ...record, seq: record.seq + 1, acks: [...acks.slice(0, -1), link] }
    },
    { deadlineMs: world.writeDeadlineMs },
  )
}

/** Commits wait for nobody any more: take-overs go by the lease from here on. */
export function retireAcks(world: World): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      const [link, ...more] = record?.acks ?? []
      if (record?.holder !== world.self || record.state !== 'open' || !link || more.length > 0)
        return undefined
      if (link.next || link.rule.k > 0) return undefined
      const { acks: _acks, ...rest } = record
      return { ...rest, seq: record.seq + 1 }
    },
    { deadlineMs: world.writeDeadlineMs },
  )
}

/**
 * A promotion of this epoch was begun before, and its timeline id may be on disk already: another try needs another id.
 */
export async function giveAnotherTimeline(world: World, epoch: number): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      if (record?.epoch !== epoch || record.holder !== world.self || record.state !== 'authorised')
        return undefined
      const { instance } = world.observer
      const timeline = instance.timeline ?? record.timeline
      const given = { ...record, seq: record.seq + 1, givenTimeline: nextTimeline(record, undefined) }
      if (!record.acks) return given
      return {
        ...given,
        timeline,
        chain: branched(world, { ...given, timeline }, instance.flushLsn ?? record.position),
      }
    },
    { deadlineMs: world.writeDeadlineMs },
  )
}

/**
 * Establishes the epoch: the new primary has committed under it. The link of the chain says where its timeline forked;
 * whoever has WAL behind that fork rejoins by a clone.
 */
export async function markOpen(world: World, epoch: number): Promise<WriteOutcome> {
  const { instance, observer, clock } = world
  // Established by a commit under its own rule. Where that lets commits wait for ever, one that is only here has to do.
  const { k = 0 } = world.keeper.record?.acks?.at(-1)?.rule ?? {}
  await instance.probeWrite(k > 0 ? 'acknowledged' : 'flushed')
  const directory = await instance.inspect()
  const origin = await instance.timelineOrigin()
  const facts = await instance.facts()
  const incarnation = present(directory.incarnation, 'incarnation of a primary')
  const systemId = present(directory.systemId, 'system id of a primary')
  observer.forgetDirectory()
  let isReused = false
  const change = (record: EpochRecord | undefined): EpochRecord | undefined => {
    if (!record || record.epoch !== epoch || record.holder !== world.self || record.state !== 'authorised') {
      return undefined
    }
    assert(
      record.systemId === '' || record.systemId === systemId,
      `system id changed from ${record.systemId} to ${systemId} in epoch ${epoch}`,
    )
    const link: Omit<EpochLink, 'forkLsn'> = {
      epoch,
      holder: world.self,
      timeline: origin.timeline,
      openedAt: new Date(clock.wall()).toISOString(),
      reason: record.reason,
      takeover: record.reason === 'BOOTSTRAP' ? 'bootstrap' : record.acks ? 'revocation' : 'lease',
    }
    const chain = record.acks
      ? confirmLink(record.chain, { link, forks: origin.forks })
      : extendChain(record.chain, { link, base: record.timeline, forks: origin.forks })
    isReused = chain === undefined
    if (!chain) return undefined
    return {
      ...record,
      state: 'open',
      seq: record.seq + 1,
      incarnation,
      systemId,
      timeline: origin.timeline,
      position: facts.flushLsn ?? record.position,
      chain: chain.slice(-CHAIN_MAX),
      // Established: what it has committed under its own rule holds all that the epochs before may have acknowledged.
      ...acksOnceOpen(world, record, incarnation),
    }
  }
  const outcome = await world.keeper.write(change, {
    deadlineMs: world.writeDeadlineMs,
    also: [{ kind: 'put', key: world.keys.initialize, value: systemId }],
  })
  if (isReused) {
    throw new Fault(
      'TIMELINE_REUSED',
      `Cannot open epoch ${epoch}: its timeline ${origin.timeline} is another branch of the history already; PostgreSQL is stopped and promoted again`,
    )
  }
  return outcome
}

/**
 * The record says where this authorised branch left the timeline before, as PostgreSQL did it: clients may come then, before the epoch
 * is open, and what they are told can be told apart and reported whatever happens next. Most often the winner had whole records only,
 * and the record is right already. False: others have this WAL only up to `endLsn`, which is less; or it is not known to be written.
 */
export async function confirmFork(
  world: World,
  { epoch, endLsn }: { readonly epoch: number; readonly endLsn: string },
): Promise<boolean> {
  const { keeper, instance, self, writeDeadlineMs } = world
  const { timeline, forks } = await instance.timelineOrigin()
  const forkLsn = forks.at(-1)?.endLsn
  const branchOf = (record: EpochRecord | undefined): EpochLink | undefined =>
    record?.epoch === epoch && record.holder === self && record.state === 'authorised' && record.acks
      ? record.chain.find((link) => link.epoch === epoch && link.timeline === timeline)
      : undefined
  const found = branchOf(keeper.record)
  const fork = parseLsn(forkLsn ?? '')
  if (!found || forkLsn === undefined || fork === undefined) return false
  if (fork > (parseLsn(endLsn) ?? LSN_NONE)) return false
  if (fork === parseLsn(found.forkLsn)) return true
  const outcome = await keeper.write(
    (record) => {
      const branch = branchOf(record)
      if (!record || !branch) return undefined
      const chain = record.chain.map((link) => (link === branch ? { ...link, forkLsn } : link))
      return { ...record, seq: record.seq + 1, chain }
    },
    { deadlineMs: writeDeadlineMs },
  )
  return outcome.kind === 'committed'
}

/** A new cluster whose commits are to wait begins with the rule that only its primary has anything: nobody takes that over. */
function acksOnceOpen(world: World, record: EpochRecord, incarnation: string): Pick<EpochRecord, 'acks'> {
  if (record.acks) return { acks: record.acks.slice(-1) }
  if (record.reason !== 'BOOTSTRAP' || !world.policy.acks) return {}
  return { acks: [{ epoch: record.epoch, holder: { name: world.self, incarnation }, rule: NO_ACKS }] }
}

/** Gives the right up. Order: only after no process of the instance is left; `endLsn` is the end of its WAL. */
export function releaseEpoch(
  world: World,
  release: { endLsn: string; reason: ReleaseReason; to?: string | undefined },
): Promise<WriteOutcome> {
  return world.keeper.write(
    (record) => {
      if (!record || record.holder !== world.self || record.state === 'released') return undefined
      const { to, ...rest } = release
      return {
        ...record,
        seq: record.seq + 1,
        state: 'released',
        release: to === undefined ? rest : { ...rest, to },
      }
    },
    {
      deadlineMs: world.writeDeadlineMs,
      also: [
        { kind: 'delete', key: world.keys.leader },
        { kind: 'delete', key: world.keys.failover },
      ],
    },
  )
}

/** Whoever was removed meanwhile takes nothing: its entry has gone, or is another's, whatever it had seen before. */
function stillMember({ store, keys, self }: World): readonly Compare[] {
  const own = store.peek(keys.node(self))
  return [
    own
      ? { kind: 'mod', key: own.key, revision: own.modRevision }
      : { kind: 'mod', key: keys.membership, revision: 0 },
  ]
}

/** The settings are those that this node has seen: whoever is paused in this moment takes nothing over. */
function notPaused({ store, keys }: World): readonly Compare[] {
  return [{ kind: 'mod', key: keys.config, revision: store.peek(keys.config)?.modRevision ?? 0 }]
}

function putLeader(world: World): Operation {
  return { kind: 'put', key: world.keys.leader, value: world.self }
}
