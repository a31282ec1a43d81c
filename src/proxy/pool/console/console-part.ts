import type { PoolMode } from '../../../model/pool-settings.ts'
import type { Value } from '../../../wire/rows.ts'
import { averagesOf, type DatabaseState } from '../database-state.ts'
import type { DatabaseStats } from '../pool-stats.ts'
import type { Pool } from '../pool.ts'
import { addLatencies } from '../latency-histogram.ts'
import { mergeStatements, type StatementCount } from '../statement-log.ts'
import type { SplitReport } from '../../split/split-counts.ts'
import { classifierRows } from './classifier-rows.ts'
import type { Showable } from './console-command.ts'
import type { UserLatency } from './observed-rows.ts'
import { clientRows, serverRows, type ShownClient } from './socket-rows.ts'

export type Rows = readonly (readonly Value[])[]

/** What one worker has to say for a SHOW; it crosses as JSON. */
export type ConsolePart = {
  readonly pools: readonly PoolPart[]
  readonly databases: readonly DatabasePart[]
  /** How many clients there are of each user. */
  readonly clientUsers: readonly (readonly [string, number])[]
  readonly logins: number
  /** Of these only what is wanted. */
  readonly clients: Rows
  readonly servers: Rows
  readonly classifier: Rows
  readonly statements: readonly StatementCount[]
  readonly latencies: readonly UserLatency[]
}

type PoolPart = {
  readonly database: string
  readonly user: string
  readonly mode: PoolMode
  readonly clients: number
  readonly waiting: number
  readonly longestWaitMs: number
  readonly used: number
  readonly cancelled: number
  readonly idle: number
  readonly connecting: number
  readonly total: number
}

export type DatabasePart = {
  readonly name: string
  /** In PgBouncer's order; times in microseconds. */
  readonly totals: readonly number[]
  readonly averages: readonly number[]
  readonly isPaused: boolean
  readonly isDisabled: boolean
}

type PartView = {
  readonly now: number
  readonly wallMs: number
  readonly pools: readonly Pool[]
  readonly clients: readonly ShownClient[]
  readonly logins: number
  readonly databases: ReadonlyMap<string, DatabaseState>
  readonly classifier: SplitReport | undefined
  readonly statements: readonly StatementCount[]
}

const WITH_SOCKETS: ReadonlySet<Showable> = new Set(['SOCKETS', 'ACTIVE_SOCKETS'])

export function partOf(view: PartView, what: Showable): ConsolePart {
  const { now, pools } = view
  return {
    pools: pools.map((pool) => partOfPool(pool, now)),
    databases: [...view.databases].map(([name, state]) => partOfDatabase(name, state, now)),
    clientUsers: [...countedBy(view.clients, ({ user }) => user)],
    logins: view.logins,
    clients: what === 'CLIENTS' || WITH_SOCKETS.has(what) ? clientRows(view) : [],
    servers: what === 'SERVERS' || WITH_SOCKETS.has(what) ? serverRows(view) : [],
    classifier: what === 'CLASSIFIER' ? classifierRows(view.classifier) : [],
    statements: what === 'STATEMENTS' ? view.statements : [],
    latencies: what === 'LATENCIES' ? latenciesOf(view.databases) : [],
  }
}

/** All workers as one. */
export function mergeParts(parts: readonly ConsolePart[]): ConsolePart {
  const [only] = parts
  if (only && parts.length === 1) return only
  const users = new Map<string, number>()
  for (const { clientUsers } of parts)
    for (const [user, count] of clientUsers) users.set(user, (users.get(user) ?? 0) + count)
  return {
    pools: parts.flatMap(({ pools }) => pools),
    databases: mergeDatabases(parts.flatMap(({ databases }) => databases)),
    clientUsers: [...users],
    logins: parts.reduce((sum, { logins }) => sum + logins, 0),
    clients: parts.flatMap(({ clients }) => clients),
    servers: parts.flatMap(({ servers }) => servers),
    classifier: mergeCounts(parts.flatMap(({ classifier }) => classifier)),
    statements: mergeStatements(parts.flatMap(({ statements }) => statements)),
    latencies: mergeLatencies(parts.flatMap(({ latencies }) => latencies)),
  }
}

function latenciesOf(databases: ReadonlyMap<string, DatabaseState>): readonly UserLatency[] {
  return [...databases].flatMap(([database, state]) =>
    [...state.latencies].map(([user, { counts, maxMs }]) => ({ database, user, counts, maxMs })),
  )
}

function mergeLatencies(latencies: readonly UserLatency[]): readonly UserLatency[] {
  const merged = new Map<string, UserLatency>()
  for (const one of latencies) {
    const key = JSON.stringify([one.database, one.user])
    const known = merged.get(key)
    merged.set(key, known ? { ...one, ...addLatencies(known, one) } : one)
  }
  return [...merged.values()]
}

function partOfPool(pool: Pool, now: number): PoolPart {
  const { database, user, mode, clients, used, cancelled, connecting, total } = pool
  const longestWaitMs = pool.longestWaitMs(now)
  const counts = { clients, waiting: pool.waiting.size, used, cancelled, idle: pool.idle.length }
  return { database, user, mode, ...counts, longestWaitMs, connecting, total }
}

function partOfDatabase(name: string, state: DatabaseState, now: number): DatabasePart {
  const { stats, isPaused, isDisabled } = state
  return { name, totals: numbersOf(stats), averages: averagesOf(state, now), isPaused, isDisabled }
}

function numbersOf(stats: DatabaseStats): readonly number[] {
  const us = (ms: number): number => Math.round(ms * 1000)
  return [
    stats.assignments,
    stats.transactions,
    stats.queries,
    stats.received,
    stats.sent,
    us(stats.transactionTimeMs),
    us(stats.queryTimeMs),
    us(stats.waitTimeMs),
    stats.clientParses,
    stats.serverParses,
    stats.binds,
    stats.logins,
  ]
}

function mergeDatabases(databases: readonly DatabasePart[]): readonly DatabasePart[] {
  const merged = new Map<string, DatabasePart>()
  for (const one of databases) {
    const known = merged.get(one.name)
    merged.set(one.name, known ? mergeTwo(known, one) : one)
  }
  return [...merged.values()]
}

function mergeTwo(one: DatabasePart, other: DatabasePart): DatabasePart {
  return {
    name: one.name,
    totals: one.totals.map((total, index) => total + (other.totals[index] ?? 0)),
    averages: one.averages.map((_average, index) => mergeAverage(one.averages, other.averages, index)),
    isPaused: one.isPaused || other.isPaused,
    isDisabled: one.isDisabled || other.isDisabled,
  }
}

/** Where an average is one of each transaction or query, and where that is counted; all others are of each second. */
const COUNT_BEHIND: Readonly<Record<number, number>> = { 5: 1, 6: 2 }

function mergeAverage(ones: readonly number[], others: readonly number[], index: number): number {
  const [one, other] = [ones[index] ?? 0, others[index] ?? 0]
  const countedAt = COUNT_BEHIND[index]
  if (countedAt === undefined) return one + other
  const [weight, otherWeight] = [ones[countedAt] ?? 0, others[countedAt] ?? 0]
  // Less than one in two seconds counts as none.
  if (weight + otherWeight === 0) return Math.max(one, other)
  return Math.round((one * weight + other * otherWeight) / (weight + otherWeight))
}

/** Rows that end with a number: those that say the same before it become one. */
function mergeCounts(rows: Rows): Rows {
  const sums = new Map<string, readonly Value[]>()
  for (const row of rows) {
    const words = row.slice(0, -1)
    const key = JSON.stringify(words)
    const known = sums.get(key)
    sums.set(key, [...words, Number(row.at(-1)) + Number(known?.at(-1) ?? 0)])
  }
  return [...sums.values()]
}

function countedBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1)
  return counts
}
