import { readControlFile } from './control-file.ts'
import type { InstanceOptions } from './instance-outcome.ts'
import type { ReplicationSource } from './parameters.ts'
import { ReplicationConnection } from './replication-connection.ts'
import type { SqlSession } from './sql-session.ts'

/**
 * A standby that has less of one of these than its primary runs with halts its replay when the primary says so in the WAL, and ends when it
 * is promoted (PostgreSQL's documentation, 26.4.3; `RecoveryRequiresIntParameter` in xlogrecovery.c).
 */
export type ReplicaLimits = Readonly<Record<string, number>>

const NAMES = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const

const ASK_MS = 1000

/** What a primary runs with; nothing where it does not answer: what the standby remembers of it counts then. */
export async function limitsOf(
  source: ReplicationSource | undefined,
  { replication, memberName }: Pick<InstanceOptions, 'replication' | 'memberName'>,
): Promise<ReplicaLimits> {
  if (!source) return {}
  let connection: ReplicationConnection | undefined
  try {
    const { name: user, password } = replication
    const target = { ...source, user, password, applicationName: memberName }
    connection = await ReplicationConnection.open(target, { connectTimeoutMs: ASK_MS, silenceMs: ASK_MS })
    const limits: Record<string, number> = {}
    for (const name of NAMES) {
      const [row] = await connection.ask(`SHOW ${name}`)
      const value = Number(row?.[name])
      if (Number.isSafeInteger(value)) limits[name] = value
    }
    return limits
  } catch {
    return {}
  } finally {
    connection?.close()
  }
}

/** The higher one of each. */
export function higherOf(one: ReplicaLimits, other: ReplicaLimits): ReplicaLimits {
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  return Object.fromEntries([...names].map((name) => [name, Math.max(one[name] ?? 0, other[name] ?? 0)]))
}

/** Why a standby has halted its replay by itself, in words; undefined: it has not, somebody else paused it. Throws what the session throws. */
export async function whyHalted(
  session: SqlSession,
  dataDir: string,
  deadlineMs: number,
): Promise<string | undefined> {
  const text = 'select name, setting::int as value from pg_settings where name = any($1)'
  const rows = await session.query<{ name: string; value: number }>({ text, values: [NAMES] }, deadlineMs)
  // Replay has written down there what it stopped at.
  const { primarySettings } = await readControlFile(dataDir)
  const wanted: ReplicaLimits = primarySettings
  const short = rows.find(({ name, value }) => value < (wanted[name] ?? 0))
  return (
    short &&
    `replays nothing until it is started anew: ${short.name} is ${short.value} here and ${wanted[short.name]} on its primary`
  )
}
