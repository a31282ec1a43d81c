import { MINUTE } from '../../std/units.ts'
import type { LatencyHistogram } from './latency-histogram.ts'
import { newDatabaseStats, type DatabaseStats } from './pool-stats.ts'

/** What the router keeps of one database: totals, the numbers of the last minute, and what an operator said. Mutable. */
export type DatabaseState = {
  readonly stats: DatabaseStats
  /** Of statements, by user. */
  readonly latencies: Map<string, LatencyHistogram>
  isPaused: boolean
  isDisabled: boolean
  periodBegan: number
  atPeriod: DatabaseStats
  averages: readonly number[]
}

/** PgBouncer's `stats_period`. */
const PERIOD_MS = MINUTE

export function newDatabaseState(now: number): DatabaseState {
  return {
    stats: newDatabaseStats(),
    latencies: new Map(),
    isPaused: false,
    isDisabled: false,
    periodBegan: now,
    atPeriod: newDatabaseStats(),
    averages: [],
  }
}

/** The averages of the last whole minute, in the order of the totals; of what there is before the first is over. */
export function averagesOf(state: DatabaseState, now: number): readonly number[] {
  return state.averages.length > 0 ? state.averages : computeAverages(state, now)
}

/** Ends a minute that is over. */
export function keepAverages(state: DatabaseState, now: number): void {
  if (now - state.periodBegan < PERIOD_MS) return
  state.averages = computeAverages(state, now)
  state.atPeriod = { ...state.stats }
  state.periodBegan = now
}

/** Clients name any database: of one that nobody could log in to nothing is kept. */
export function forgetUnknown(
  databases: Map<string, DatabaseState>,
  pools: Iterable<{ readonly database: string }>,
): void {
  const inUse = new Set<string>()
  for (const { database } of pools) inUse.add(database)
  for (const [name, { stats, isPaused, isDisabled }] of databases) {
    if (stats.logins === 0 && !isPaused && !isDisabled && !inUse.has(name)) databases.delete(name)
  }
}

/** Counts and bytes per second; times per transaction, query and assignment, in microseconds. */
function computeAverages(state: DatabaseState, now: number): readonly number[] {
  const { stats, atPeriod } = state
  const seconds = Math.max(1, (now - state.periodBegan) / 1000)
  const since = (name: keyof DatabaseStats): number => stats[name] - atPeriod[name]
  const perSecond = (name: keyof DatabaseStats): number => Math.round(since(name) / seconds)
  const each = (time: keyof DatabaseStats, count: keyof DatabaseStats): number =>
    Math.round((since(time) * 1000) / Math.max(1, since(count)))
  return [
    perSecond('assignments'),
    perSecond('transactions'),
    perSecond('queries'),
    perSecond('received'),
    perSecond('sent'),
    each('transactionTimeMs', 'transactions'),
    each('queryTimeMs', 'queries'),
    perSecond('waitTimeMs') * 1000,
    perSecond('clientParses'),
    perSecond('serverParses'),
    perSecond('binds'),
    perSecond('logins'),
  ]
}
