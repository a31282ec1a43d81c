import type { Value } from '../../../wire/rows.ts'
import { countOf } from '../../../model/statement-latency.ts'
import { quantileMs, type LatencyPart } from '../latency-histogram.ts'
import type { StatementCount } from '../statement-log.ts'

type Rows = readonly (readonly Value[])[]

/** Of the statements of one user in one database. */
export type UserLatency = LatencyPart & { readonly database: string; readonly user: string }

const us = (ms: number): number => Math.round(ms * 1000)

/** SHOW STATEMENTS, which is ours: what takes most of the time stands first. Nothing unless `pool.track_statements`. */
export function statementRows(statements: readonly StatementCount[]): Rows {
  return statements.map(({ database, user, calls, errors, totalMs, maxMs, statement }) => [
    database,
    user,
    calls,
    errors,
    us(totalMs),
    us(totalMs / calls),
    us(maxMs),
    statement,
  ])
}

/** SHOW LATENCIES, which is ours: how long statements took, by database and user. */
export function latencyRows(latencies: readonly UserLatency[]): Rows {
  return latencies.map((latency) => [
    latency.database,
    latency.user,
    countOf(latency),
    ...[0.5, 0.9, 0.99, 0.999].map((part) => us(quantileMs(latency, part))),
    us(latency.maxMs),
  ])
}
