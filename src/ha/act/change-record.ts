import { assert, present } from '../../std/assert.ts'
import { Fault } from '../../std/fault.ts'
import type { EpochLink, EpochRecord, ReleaseReason, TakeoverReason } from '../../model/epoch-record.ts'
import type { Compare, Operation } from '../../model/key-value.ts'
import { formatLsn, LSN_NONE } from '../../model/lsn.ts'
import { extendChain, nextTimeline } from '../decide/history.ts'
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

/** Takes the next epoch, on condition that the record is still the one that the decision was made on. */
export function takeEpoch(
  world: World,
  next: { epoch: number; revision: number; reason: TakeoverReason },
): Promise<WriteOutcome> {
  const { incarnation, instance } = world.observer
  return world.keeper.write(
    (record) => {
      if (!record || world.keeper.revision !== next.revision || record.epoch + 1 !== next.epoch)
        return undefined
      const { release: _given, ...rest } = record
      return {
        ...rest,
        epoch: next.epoch,
        holder: world.self,
        incarnation: record.systemId === '' ? '' : present(incarnation, 'incarnation of a candidate'),
        seq: 0,
        ttlMs: world.policy.leaseTtlMs,
        state: 'authorised',
        reason: next.reason,
        timeline: instance.timeline ?? record.timeline,
        givenTimeline: record.systemId === '' ? 1 : nextTimeline(record, instance.timeline),
        position: instance.flushLsn ?? record.position,
      }
    },
    {
      deadlineMs: world.writeDeadlineMs,
      onlyIf: stillMember(world),
      // A switchover that was asked of the old holder is over: it must not move the new one.
      also: [putLeader(world), { kind: 'delete', key: world.keys.failover }],
    },
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
      return { ...record, seq: record.seq + 1, givenTimeline: nextTimeline(record, undefined) }
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
  await instance.probeWrite()
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
      takeover: record.reason === 'BOOTSTRAP' ? 'bootstrap' : 'lease',
    }
    const chain = extendChain(record.chain, { link, base: record.timeline, forks: origin.forks })
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

function putLeader(world: World): Operation {
  return { kind: 'put', key: world.keys.leader, value: world.self }
}
