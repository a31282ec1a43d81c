import type { ClusterView } from '../../model/cluster-view.ts'
import type { MemberTags } from '../../model/member-tags.ts'
import { GiB, KiB, MiB, SECOND } from '../../std/units.ts'
import { ackPart, bytesBehind, holdsLease, ownMember, primaryPosition } from '../lease-holder.ts'
import { RequestRefused } from '../problem.ts'

/** What a health check may look at. `loopAgeMs`: since the HA loop last began a turn. */
export type HealthFacts = {
  readonly view: ClusterView
  readonly loopAgeMs: number
  /** The lag that a standby may have and still count as ready. */
  readonly maximumLagBytes: number
}

export type HealthQuery = Readonly<Record<string, unknown>>
export type HealthCheck = (facts: HealthFacts, query: HealthQuery) => boolean

/** A loop that stalls for less is not worth the restart that an orchestrator answers with. */
const LOOP_AGE_FLOOR_MS = 10 * SECOND

const leads: HealthCheck = ({ view }) => holdsLease(view)
/** There is no cluster here that follows another one. */
const never: HealthCheck = () => false
const or =
  (first: HealthCheck, second: HealthCheck): HealthCheck =>
  (facts, query) =>
    first(facts, query) || second(facts, query)

/** A replica that commits wait for in this way; nobody can say without a majority, since the rule may be another by now. */
const replicaWith =
  (part: ReturnType<typeof ackPart>): HealthCheck =>
  (facts, query) => {
    const isReplicaNow = isReplica(facts, query)
    const { view } = facts
    return isReplicaNow && view.consensus.hasQuorum && ackPart(view, view.self) === part
  }
const isSync = replicaWith('sync')
const isQuorum = replicaWith('quorum')
const isAsync = replicaWith(undefined)

/** 200 or 503 by Patroni's rules. A path that takes `?lag=` refuses one that it cannot read. */
export const healthChecks: Readonly<Record<string, HealthCheck>> = {
  '/': leads,
  '/primary': leads,
  '/master': leads,
  '/leader': leads,
  '/read-write': leads,
  '/standby-leader': never,
  '/standby_leader': never,
  '/replica': isReplica,
  '/async': isAsync,
  '/asynchronous': isAsync,
  '/sync': isSync,
  '/synchronous': isSync,
  '/quorum': isQuorum,
  '/read-only': or(leads, isReplica),
  '/read-only-sync': or(leads, isSync),
  '/read-only-synchronous': or(leads, isSync),
  '/read-only-quorum': or(leads, isQuorum),
  '/health': ({ view }) => ownMember(view)?.facts.instance.state === 'running',
  '/readiness': isReady,
}

/** `/liveness`: has no body, so that an orchestrator's log stays short. */
export const isAlive: HealthCheck = ({ view, loopAgeMs }) => {
  const ttlMs = Math.max(view.record?.ttlMs ?? 0, LOOP_AGE_FLOOR_MS)
  return loopAgeMs < (holdsLease(view) ? ttlMs : 2 * ttlMs)
}

function isReplica({ view }: HealthFacts, query: HealthQuery): boolean {
  const limit = lagLimit(query)
  const { instance: own, tags } = ownMember(view)?.facts ?? {}
  if (own?.state !== 'running' || own.role !== 'standby' || holdsLease(view)) return false
  if (tags?.noloadbalance || !hasTags(tags, query)) return false
  const wanted = query['replication_state']
  if (wanted !== undefined && wanted !== (own.streaming === true ? 'streaming' : '')) return false
  return limit === undefined || withinLag(view, own.flushLsn, limit)
}

/** As Patroni compares: what is no text is written as JSON writes it, in lower case. A tag that is not there is not the asked one. */
function hasTags(tags: MemberTags | undefined, query: HealthQuery): boolean {
  const told: Readonly<Record<string, boolean | number>> = { ...tags }
  return Object.entries(query)
    .filter(([key]) => key.startsWith('tag_'))
    .every(([key, wanted]) => {
      const value = told[key.slice('tag_'.length)]
      return value !== undefined && String(value) === String(wanted).toLowerCase()
    })
}

function isReady(facts: HealthFacts, query: HealthQuery): boolean {
  const { view } = facts
  const mode = query['mode'] ?? 'apply'
  if (mode !== 'apply' && mode !== 'write') throw invalidQuery('mode', '"apply" or "write"')
  const limit = lagLimit(query) ?? facts.maximumLagBytes
  if (holdsLease(view)) return true
  const own = ownMember(view)?.facts.instance
  if (own?.state !== 'running' || own.streaming !== true) return false
  return withinLag(view, mode === 'apply' ? own.replayLsn : own.flushLsn, limit)
}

/** An unknown lag is not a small one. */
function withinLag(view: ClusterView, position: string | undefined, limit: number): boolean {
  const behind = bytesBehind(primaryPosition(view), position)
  return behind !== undefined && behind <= limit
}

const LAG_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: KiB,
  mb: MiB,
  gb: GiB,
  tb: 1024 * GiB,
}

/** Bytes of `?lag=`: a number, or one with a unit of PostgreSQL (`16kB`, `64MB`). */
function lagLimit(query: HealthQuery): number | undefined {
  const text = query['lag']
  if (text === undefined) return undefined
  const match = typeof text === 'string' ? /^(\d{1,15})\s*([a-zA-Z]*)$/.exec(text) : null
  const unit = LAG_UNITS[match?.[2]?.toLowerCase() ?? '-']
  if (!match || unit === undefined) throw invalidQuery('lag', 'bytes, or a number with kB, MB or GB')
  return Number(match[1]) * unit
}

function invalidQuery(name: string, wanted: string): RequestRefused {
  return new RequestRefused({
    status: 400,
    code: 'API_QUERY_INVALID',
    detail: `Cannot read the query parameter "${name}": wanted ${wanted}`,
  })
}
