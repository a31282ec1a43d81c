import type { ActivityFacts } from '../model/member.ts'
import { monotonicMs } from '../platform/clock.ts'
import { reportDatabase, type DatabaseReport } from './database-report.ts'
import { SqlSession, type SqlTarget, type Statement } from './sql-session.ts'

type Row = {
  transactions: number
  busy_ms: number
  connections: number
  active: number
  connections_max: number
  wal: string | null
  is_crowded: boolean
}

/**
 * Transactions of applications: those of the agents' own database count only where there is no other. Sessions are all that
 * `max_connections` counts.
 */
const ACTIVITY: Statement = {
  name: 'metako_activity',
  text: `
select d.transactions, d.busy_ms, s.connections, s.active, m.connections_max,
  s.connections >= m.connections_max - m.reserved as is_crowded,
  case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_flush_lsn() end::text as wal
from (select current_setting('max_connections')::int as connections_max,
    current_setting('superuser_reserved_connections')::int as reserved) m
  cross join (select coalesce(sum(xact_commit + xact_rollback), 0)::float8 as transactions,
      coalesce(sum(active_time), 0)::float8 as busy_ms
    from pg_stat_database t
    where t.datid in (select oid from pg_database where not datistemplate and datname <> current_database())
      or t.datname = current_database() and not exists (
        select from pg_database where not datistemplate and datname <> current_database())) d
  cross join (select count(*)::int as connections,
      count(*) filter (where state = 'active' and pid <> pg_backend_pid())::int as active
    from pg_stat_activity where backend_type = 'client backend') s`,
}

/** What PostgreSQL counts of its work: for people, so it has a connection of its own and nothing else ever waits for it. */
export class ActivityReader {
  readonly #session: SqlSession
  readonly #target: () => SqlTarget

  constructor(target: () => SqlTarget) {
    this.#target = target
    this.#session = new SqlSession({ target, name: 'pg-metako count' })
  }

  /** Throws what the session throws. */
  async ask(deadlineMs: number): Promise<ActivityFacts | undefined> {
    const [row] = await this.#session.query<Row>(ACTIVITY, deadlineMs)
    // Where slots are scarce the reserved ones are for those that keep PostgreSQL alive.
    if (row?.is_crowded) this.#session.close()
    if (!row) return undefined
    return {
      atMs: Math.round(monotonicMs()),
      transactions: row.transactions,
      busyMs: Math.round(row.busy_ms),
      connections: row.connections,
      active: row.active,
      connectionsMax: row.connections_max,
      ...(row.wal === null ? {} : { walLsn: row.wal }),
    }
  }

  /** All that is checked by people, asked seldom. Throws what the session throws. */
  report(deadlineMs: number): Promise<DatabaseReport> {
    return reportDatabase(this.#target(), deadlineMs)
  }

  close(): void {
    this.#session.close()
  }
}
