import { SqlSession, type SqlTarget } from './sql-session.ts'

/** What people want checked of a running PostgreSQL; nothing is decided by it. */
export type DatabaseReport = {
  readonly role: 'primary' | 'standby'
  readonly version: number
  readonly settings: Readonly<Record<string, string>>
  readonly pendingRestart: readonly string[]
  readonly accessErrors: readonly string[]
  readonly slots: readonly {
    readonly name: string
    readonly isActive: boolean
    readonly isOwn: boolean
    readonly walStatus?: string
    readonly keepsBytes?: number
  }[]
  readonly archiving?: { readonly failed: number; readonly isFailing: boolean; readonly lastWal?: string }
  readonly oldestXidAge: number
  readonly oldestTransactionMs?: number
  readonly preparedTransactions: number
}

/** Those that replication, rewind and durability hang on. */
const SETTINGS = [
  'archive_mode',
  'data_checksums',
  'fsync',
  'full_page_writes',
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_replication_slots',
  'max_slot_wal_keep_size',
  'max_wal_senders',
  'max_worker_processes',
  'synchronous_commit',
  'wal_keep_size',
  'wal_level',
  'wal_log_hints',
]

type Row = {
  in_recovery: boolean
  version: number
  settings: Record<string, string>
  pending: readonly string[] | null
  access_errors: readonly string[] | null
  slots:
    | readonly {
        name: string
        active: boolean
        own: boolean
        status: string | null
        keeps: number | null
      }[]
    | null
  archived: number
  failed: number
  is_failing: boolean
  last_wal: string | null
  xid_age: number
  oldest_ms: number | null
  prepared: number
}

const REPORT = `
select p.in_recovery, current_setting('server_version_num')::int as version,
  (select json_object_agg(name, setting) from pg_settings where name = any($1)) as settings,
  (select json_agg(name order by name) from pg_settings where pending_restart) as pending,
  (select json_agg('line ' || line_number || ': ' || error order by line_number)
    from pg_hba_file_rules where error is not null) as access_errors,
  (select json_agg(json_build_object('name', slot_name, 'active', active, 'own', slot_name like 'metako\\_%',
      'status', wal_status, 'keeps', greatest(0, pg_wal_lsn_diff(p.at, restart_lsn)::float8)) order by slot_name)
    from pg_replication_slots) as slots,
  a.archived_count::int as archived, a.failed_count::int as failed, a.last_archived_wal as last_wal,
  coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) as is_failing,
  (select max(age(datfrozenxid)) from pg_database) as xid_age,
  (select (extract(epoch from max(now() - xact_start)) * 1000)::float8 from pg_stat_activity
    where backend_type = 'client backend' and pid <> pg_backend_pid()) as oldest_ms,
  (select count(*)::int from pg_prepared_xacts) as prepared
from (select pg_is_in_recovery() as in_recovery,
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as at) p
  cross join pg_stat_archiver a`

/** Asks on a connection of its own, which is not kept: it is asked seldom. Throws what the session throws. */
export async function reportDatabase(target: SqlTarget, deadlineMs: number): Promise<DatabaseReport> {
  const session = new SqlSession({ target: () => target, name: 'pg-metako doctor' })
  try {
    const [row] = await session.query<Row>({ text: REPORT, values: [SETTINGS] }, deadlineMs)
    if (!row) throw new Error('PostgreSQL answered with nothing')
    return reportOf(row)
  } finally {
    session.close()
  }
}

function reportOf(row: Row): DatabaseReport {
  const isArchiving = row.settings['archive_mode'] !== 'off' && row.archived + row.failed > 0
  return {
    role: row.in_recovery ? 'standby' : 'primary',
    version: row.version,
    settings: row.settings,
    pendingRestart: row.pending ?? [],
    accessErrors: row.access_errors ?? [],
    slots: (row.slots ?? []).map(({ name, active, own, status, keeps }) => ({
      name,
      isActive: active,
      isOwn: own,
      ...(status === null ? {} : { walStatus: status }),
      ...(keeps === null ? {} : { keepsBytes: keeps }),
    })),
    ...(isArchiving
      ? {
          archiving: {
            failed: row.failed,
            isFailing: row.is_failing,
            ...(row.last_wal === null ? {} : { lastWal: row.last_wal }),
          },
        }
      : {}),
    oldestXidAge: row.xid_age,
    ...(row.oldest_ms === null ? {} : { oldestTransactionMs: Math.round(row.oldest_ms) }),
    preparedTransactions: row.prepared,
  }
}
