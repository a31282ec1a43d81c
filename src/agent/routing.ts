import type { EpochRecord } from '../model/epoch-record.ts'
import { lagBytes, LSN_NONE, parseLsn, type Lsn } from '../model/lsn.ts'
import type { MemberFacts } from '../model/member.ts'
import type { RouteTarget, RoutingTable, RoutingTableMessage } from '../model/routing-table.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { RemoteLease } from './heartbeats.ts'
import { NEVER } from './host-ports.ts'

/** What a table hangs on in a member. */
export type RoutedMember = Pick<
  MemberFacts,
  'name' | 'host' | 'port' | 'instance' | 'seen' | 'closed' | 'handsOver' | 'admits' | 'tags'
>

export type RoutingFacts = {
  readonly now: MonotonicMs
  readonly self: string
  readonly record: EpochRecord | undefined
  /** Until when this node's own lease is proven. */
  readonly provenUntil: MonotonicMs
  readonly own: RoutedMember
  /** Members that were heard within the silence limit. */
  readonly reachable: readonly RoutedMember[]
  readonly leaseOf: (member: string) => RemoteLease | undefined
}

/**
 * The table that this agent stands for. The primary is named only while its lease is proven: by this node's own
 * renewals, or by the holder's statement counted on this host's clock.
 */
export function routingTable(facts: RoutingFacts): RoutingTable {
  const { record } = facts
  if (!record) return { epoch: 0, replicas: [], validUntil: NEVER, holding: 'NO_PRIMARY' }
  const members = [facts.own, ...facts.reachable]
  const position = parseLsn(record.position) ?? LSN_NONE
  const replicas = members
    .filter((member) => readObstacle(member, record) === undefined)
    .map((member) => ({ lagBytes: lagOf(member, position), ...targetOf(member) }))
  const holder = members.find(({ name }) => name === record.holder)
  const validUntil = validity(facts, record)
  const isServing =
    holder !== undefined &&
    mayServe(record, holder) &&
    holder.instance.state === 'running' &&
    holder.instance.role === 'primary' &&
    holder.seen.epoch === record.epoch &&
    holder.closed !== true
  if (!isServing || holder.handsOver) {
    const holding = holder?.handsOver || isPlanned(record) ? 'SWITCHOVER' : 'NO_PRIMARY'
    // What runs there may end, for as long as its right is proven.
    return { epoch: record.epoch, replicas, validUntil: isServing ? validUntil : NEVER, holding }
  }
  return { epoch: record.epoch, primary: targetOf(holder), replicas, validUntil }
}

/**
 * The table as it crosses a process border; `validForMs` is what is left of it now. What is added stands before the spread here and
 * above: V8 of Node 20 makes a hidden class anew for each property behind one, each time, and whoever reads it then is slow as well.
 */
export function messageOf(table: RoutingTable, now: MonotonicMs, bootId: string): RoutingTableMessage {
  return { validForMs: Math.max(0, table.validUntil - now), bootId, ...table }
}

function validity(facts: RoutingFacts, record: EpochRecord): MonotonicMs {
  if (record.holder === facts.self) return facts.provenUntil
  const lease = facts.leaseOf(record.holder)
  return lease?.epoch === record.epoch ? lease.validUntil : NEVER
}

/**
 * Nobody is led to a primary before everybody knows where its history begins: what it acknowledges could not be reported. Where commits
 * wait for others that is before the epoch is open: each acknowledgement is then its own proof (safety.md 1, 4).
 */
function mayServe(record: EpochRecord, { admits }: RoutedMember): boolean {
  if (record.state === 'open') return true
  return record.state === 'authorised' && record.acks !== undefined && admits?.epoch === record.epoch
}

function isPlanned({ release }: EpochRecord): boolean {
  return release !== undefined && release.reason !== 'PRIMARY_CRASHED'
}

/**
 * Why a member is not in the read pool; absent: it is. In it is who streams on the authorised timeline, unless it is tagged noloadbalance;
 * a former primary is in no pool before that (safety.md 13).
 */
export function readObstacle({ instance, tags }: RoutedMember, record: EpochRecord): string | undefined {
  const { state, role, streaming, timeline } = instance
  if (tags?.noloadbalance) return 'is tagged noloadbalance'
  if (state !== 'running') return `has no PostgreSQL that runs: it is ${state}`
  if (role !== 'standby') return 'is the primary'
  if (streaming !== true) return 'does not stream from the primary'
  if (timeline !== record.timeline)
    return `is on timeline ${timeline ?? '?'}, and the primary on ${record.timeline}`
  return undefined
}

/** Behind the primary's last published position: at most one renewal old. */
function lagOf(member: RoutedMember, position: Lsn): number {
  return lagBytes(parseLsn(member.instance.flushLsn ?? '') ?? LSN_NONE, position)
}

function targetOf(member: RoutedMember): RouteTarget {
  return { name: member.name, host: member.host, port: member.port }
}
