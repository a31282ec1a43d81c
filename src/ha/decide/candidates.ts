import { MiB } from '../../std/units.ts'
import { isPlannedRelease, type EpochRecord } from '../../model/epoch-record.ts'
import { formatLsn, lagBytes, LSN_NONE, parseLsn, type Lsn } from '../../model/lsn.ts'
import type { InstanceFacts, SeenByMember } from '../../model/member.ts'
import { leadObstacle, priorityOf, type MemberTags } from '../../model/member-tags.ts'
import type { WatchdogFacts } from '../../model/watchdog.ts'
import type { Snapshot } from '../snapshot.ts'
import { judgeHistory } from './history.ts'
import { isHeard } from './stance.ts'

/** What a shutdown can still send within its bounded time; who lags more would turn the planned move into a crash. */
const HAND_OVER_LAG_MAX_BYTES = 64 * MiB

/** A member judged as the next primary; whoever is not eligible has the reason that `why` prints. */
export type CandidateVerdict =
  | {
      readonly kind: 'eligible'
      readonly name: string
      readonly flush: Lsn
      readonly priority: number
      readonly unreplayed: number
      readonly isFresh: boolean
      readonly witnessed: boolean
    }
  | { readonly kind: 'unfit'; readonly name: string; readonly why: string }

type Considered = {
  readonly name: string
  readonly instance: InstanceFacts
  readonly stopping: boolean
  readonly guard: 'armed' | 'idle' | 'absent'
  readonly witness: true | undefined
  readonly watchdog: WatchdogFacts | undefined
  readonly tags: MemberTags | undefined
  readonly isReachable: boolean
  readonly seen: SeenByMember | undefined
}

/** All members but the holder, best first, then the unfit. */
export function judgeCandidates(
  seen: Snapshot,
  record: EpochRecord,
  ask: 'take-over' | 'hand-over' = 'take-over',
): readonly CandidateVerdict[] {
  const verdicts = considered(seen)
    .filter((member) => member.name !== record.holder)
    .map((member) => judge({ seen, record, ask }, member))
  return verdicts.sort(ask === 'hand-over' ? byPreference : byRank)
}

/** The members that may take over, best first. */
export function eligibleCandidates(
  seen: Snapshot,
  record: EpochRecord,
  ask: 'take-over' | 'hand-over' = 'take-over',
): readonly Extract<CandidateVerdict, { kind: 'eligible' }>[] {
  return judgeCandidates(seen, record, ask).filter((verdict) => verdict.kind === 'eligible')
}

function considered(seen: Snapshot): readonly Considered[] {
  const own: Considered = {
    name: seen.self,
    instance: seen.local.instance,
    stopping: seen.stopping,
    guard: seen.local.guard,
    witness: seen.local.isWitness,
    watchdog: seen.local.watchdog,
    tags: seen.local.tags,
    isReachable: true,
    seen: undefined,
  }
  const others = seen.peers.map((peer) => {
    const { instance, stopping, guard, witness, watchdog, tags, seen: saw } = peer.facts
    return {
      name: peer.name,
      instance,
      stopping,
      guard,
      witness,
      watchdog,
      tags,
      isReachable: isHeard(seen, peer),
      seen: saw,
    }
  })
  return [own, ...others]
}

function judge(
  { seen, record, ask }: { seen: Snapshot; record: EpochRecord; ask: 'take-over' | 'hand-over' },
  member: Considered,
): CandidateVerdict {
  const unfit = (why: string): CandidateVerdict => ({ kind: 'unfit', name: member.name, why })
  const { instance } = member
  if (!member.isReachable) return unfit('was not heard within the silence limit')
  if (member.witness) return unfit('is a witness and has no database')
  if (member.stopping) return unfit('is being shut down')
  if (instance.state !== 'running') return unfit(`its PostgreSQL is ${instance.state}`)
  if (instance.role !== 'standby') return unfit('is not a standby')
  if (instance.systemId !== record.systemId) return unfit('belongs to another cluster')
  // It would not take over: whoever waits for it would wait in vain.
  if (member.guard === 'absent') return unfit('its guard process is not running')
  const obstacle = leadObstacle(member)
  if (obstacle !== undefined) return unfit(obstacle)
  const flush = parseLsn(instance.flushLsn ?? '')
  if (flush === undefined || instance.timeline === undefined) return unfit('its WAL position is unknown')
  const wal = { timeline: instance.timeline, endLsn: formatLsn(flush) }
  if (judgeHistory(record.chain, wal).kind !== 'on-history') return unfit('is not on the authorised history')
  const lag = lagBytes(flush, reference(record))
  if (ask === 'hand-over' && instance.streaming !== true) return unfit('does not stream')
  const limit = lagLimit(seen, record, ask)
  if (lag > limit) return unfit(`lag is ${lag} bytes, limit is ${limit}`)
  return {
    kind: 'eligible',
    name: member.name,
    flush,
    priority: priorityOf(member.tags),
    unreplayed: lagBytes(parseLsn(instance.replayLsn ?? '') ?? LSN_NONE, flush),
    isFresh: member.seen === undefined || isAsRecentAs(member.seen, record),
    witnessed: member.seen?.witnessed ?? false,
  }
}

/** What a candidate's position is held against: the end of the old primary's WAL where it is known. */
function reference(record: EpochRecord): Lsn {
  return parseLsn(record.release?.endLsn ?? record.position) ?? LSN_NONE
}

/**
 * A hand-over is asked while the primary lives: positions are as old as a heartbeat, and the shutdown sends the rest.
 * Afterwards nobody takes over who lacks a byte.
 */
function lagLimit(seen: Snapshot, record: EpochRecord, ask: 'take-over' | 'hand-over'): number {
  if (ask === 'hand-over') return HAND_OVER_LAG_MAX_BYTES
  // Where a commit was acknowledged because somebody has it, everybody who takes over has to have all.
  return isPlanned(record) || record.acks ? 0 : seen.policy.maximumLagBytes
}

/** In planned work nobody takes over who lacks a byte. */
function isPlanned(record: EpochRecord): boolean {
  return record.release !== undefined && isPlannedRelease(record.release.reason)
}

/** The member measured its position after it had seen that the lease is free: older positions rank wrongly. */
function isAsRecentAs(saw: SeenByMember, record: EpochRecord): boolean {
  if (saw.epoch !== record.epoch || saw.seq !== record.seq) return false
  return record.state === 'released' ? saw.state === 'released' : saw.expired
}

/** The shutdown of the primary sends everybody the rest: who has how much of it now says nothing. */
function byPreference(left: CandidateVerdict, right: CandidateVerdict): number {
  const isDecided = left.kind === 'eligible' && right.kind === 'eligible' && left.priority !== right.priority
  return isDecided ? right.priority - left.priority : byRank(left, right)
}

function byRank(left: CandidateVerdict, right: CandidateVerdict): number {
  if (left.kind === 'unfit' || right.kind === 'unfit') {
    if (left.kind !== right.kind) return left.kind === 'unfit' ? 1 : -1
    return left.name < right.name ? -1 : 1
  }
  if (left.flush !== right.flush) return left.flush > right.flush ? -1 : 1
  if (left.priority !== right.priority) return right.priority - left.priority
  if (left.unreplayed !== right.unreplayed) return left.unreplayed - right.unreplayed
  return left.name < right.name ? -1 : 1
}
