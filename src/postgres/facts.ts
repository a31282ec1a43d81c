import type { InstanceFacts } from '../model/member.ts'
import { monotonicMs } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import { messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import { inspectDataDirectory } from './data-directory.ts'
import { endOfWal, type WalEnd } from './end-of-wal.ts'
import { whyHalted } from './replica-limits.ts'
import type { SqlSession, Statement } from './sql-session.ts'

const SELDOM_MS = 5 * SECOND

/** What one round trip brings. */
export type LiveFacts = Pick<
  InstanceFacts,
  | 'role'
  | 'systemId'
  | 'timeline'
  | 'flushLsn'
  | 'replayLsn'
  | 'oldestWal'
  | 'streaming'
  | 'upstreamHost'
  | 'upstreamPort'
  | 'serverVersion'
  | 'startedAt'
  | 'pendingRestart'
  | 'trouble'
  | 'walReplayPaused'
  | 'walSenders'
  | 'synchronousNames'
>

type Row = {
  in_recovery: boolean
  system_id: string
  server_version: number
  started_at: string
  flush_lsn: string | null
  replay_lsn: string | null
  timeline: number | null
  receiver_status: string | null
  sender_host: string | null
  sender_port: number | null
  replay_paused: boolean
  synchronous_names: string
  senders:
    | readonly {
        name: string
        pid: number
        priority: number
        state: string
        flush: string | null
        replay: string | null
      }[]
    | null
}

/**
 * A standby's position is the furthest WAL that is safely here. After a restart the walreceiver begins at the start of a segment, so
 * what it received can lie behind what was replayed: the greater of both counts (safety.md 3, M6). Its timeline stands in the control
 * file only after a restartpoint, and at the walreceiver only while there is one; between the two, the newest timeline that has a
 * segment with its last byte says it.
 */
const FACTS: Statement = {
  name: 'metako_facts',
  text: `
select r.in_recovery, s.system_identifier::text as system_id,
  current_setting('server_version_num')::int as server_version,
  to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as started_at,
  case when r.in_recovery then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
    else pg_current_wal_flush_lsn() end::text as flush_lsn,
  case when r.in_recovery then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end::text as replay_lsn,
  case when r.in_recovery then greatest(c.timeline_id, m.min_recovery_end_timeline, w.received_tli,
      case when w.received_tli is null then (
        select max(('x' || left(f.name, 8))::bit(32)::int) from pg_ls_waldir() f
        where f.name ~ '^[0-9A-F]{24}$' and right(f.name, 16) = p.segment) end)
    else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int end as timeline,
  w.status as receiver_status, w.sender_host, w.sender_port,
  case when r.in_recovery then pg_is_wal_replay_paused() else false end as replay_paused,
  current_setting('synchronous_standby_names') as synchronous_names,
  (select json_agg(json_build_object('name', application_name, 'pid', pid, 'priority', sync_priority, 'state', state,
      'flush', flush_lsn, 'replay', replay_lsn) order by application_name, pid)
    from pg_stat_replication where state <> 'backup') as senders
from (select pg_is_in_recovery() as in_recovery) r
  cross join pg_control_system() s
  cross join pg_control_checkpoint() c
  cross join pg_control_recovery() m
  left join pg_stat_wal_receiver w on true
  cross join lateral (
    select (pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(), '0/1'), '0/1')
      / pg_size_bytes(current_setting('wal_segment_size')))::bigint as number,
      4294967296 / pg_size_bytes(current_setting('wal_segment_size')) as per_log) n
  cross join lateral (
    select lpad(upper(to_hex(n.number / n.per_log)), 8, '0')
      || lpad(upper(to_hex(n.number % n.per_log)), 8, '0') as segment) p`,
}

/**
 * The first builds the whole settings view, the second reads a directory. Segments go oldest first, whatever their timeline: WAL before the
 * oldest is there on none.
 */
const SELDOM_FACTS: Statement = {
  name: 'metako_seldom_facts',
  text: `
select (select json_agg(name order by name) from pg_settings where pending_restart) as pending_restart,
  (select ('0/0'::pg_lsn + ('x' || left(s.number, 8))::bit(32)::bigint::numeric * 4294967296
      + ('x' || right(s.number, 8))::bit(32)::bigint * pg_size_bytes(current_setting('wal_segment_size')))::text
    from (select min(right(name, 16)) as number from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') s) as oldest_wal`,
}

type SeldomFacts = Pick<InstanceFacts, 'pendingRestart' | 'oldestWal'>

/** Asks a running PostgreSQL; what is dear to ask is asked seldom. */
export class LiveFactsReader {
  readonly #session: SqlSession
  readonly #dataDir: string | undefined
  #seldom: { readonly facts: SeldomFacts; readonly atMs: number } | undefined
  #oftenUntilMs = 0
  /** PostgreSQL forgets what its walreceiver received when that ends: the highest of this server's life counts. */
  #timelineSeen = 0

  /** `dataDir`: absent where it is somebody else's. */
  constructor(session: SqlSession, dataDir?: string) {
    this.#session = session
    this.#dataDir = dataDir
  }

  /** Throws what the session throws. */
  async ask(deadlineMs: number): Promise<LiveFacts> {
    const asked = await askFacts(this.#session, deadlineMs)
    this.#timelineSeen = Math.max(this.#timelineSeen, asked.timeline ?? 0)
    const seldom = await this.#askSeldom(deadlineMs)
    const timeline = this.#timelineSeen
    if (!asked.walReplayPaused || this.#dataDir === undefined) return { ...asked, timeline, ...seldom }
    const halted = await whyHalted(this.#session, this.#dataDir, deadlineMs)
    // What it receives is of no use to a reader before it is started anew, and a promotion would end it.
    const notice = halted === undefined ? {} : { streaming: false, trouble: halted }
    return { ...asked, timeline, ...seldom, ...notice }
  }

  /** Another server, or none, is there now. */
  forget(): void {
    this.#seldom = undefined
    this.#timelineSeen = 0
  }

  /** Its files were written anew: what waits for a restart is another thing soon, once each process has read them. */
  filesChanged(): void {
    this.#oftenUntilMs = monotonicMs() + SELDOM_MS
  }

  async #askSeldom(deadlineMs: number): Promise<SeldomFacts> {
    const known = this.#seldom
    const now = monotonicMs()
    if (known && now - known.atMs < SELDOM_MS && now > this.#oftenUntilMs) return known.facts
    type SeldomRow = { pending_restart: readonly string[] | null; oldest_wal: string | null }
    const [row] = await this.#session.query<SeldomRow>(SELDOM_FACTS, deadlineMs)
    const facts = {
      ...(row?.pending_restart ? { pendingRestart: row.pending_restart } : {}),
      ...(row?.oldest_wal ? { oldestWal: row.oldest_wal } : {}),
    }
    this.#seldom = { facts, atMs: monotonicMs() }
    return facts
  }
}

/** Reads what a stopped instance is from its files. */
export class RestingFactsReader {
  readonly #log: Logger
  readonly #dataDir: string
  #end: (WalEnd & { readonly key: string }) | undefined
  #measuring = false
  #generation = 0

  constructor(deps: { log: Logger }, dataDir: string) {
    this.#log = deps.log
    this.#dataDir = dataDir
  }

  /** The end of WAL takes a while to find: it is there a little later than the rest. */
  async ask(): Promise<InstanceFacts> {
    try {
      const found = await inspectDataDirectory(this.#dataDir)
      if (found.kind === 'absent' || found.kind === 'empty') return { state: 'absent' }
      if (found.kind !== 'instance') return { state: 'absent', trouble: found.reason }
      const clean = found.controlState === 'shut down' || found.controlState === 'shut down in recovery'
      const key = `${found.systemId} ${found.checkpointLsn} ${found.controlState}`
      if (this.#end?.key !== key) void this.#measure(key)
      const { systemId } = found
      const end = this.#end?.key === key ? this.#end : undefined
      const position = end ? { timeline: end.timeline, flushLsn: end.endLsn } : { timeline: found.timeline }
      return { state: clean ? 'stopped' : 'crashed', systemId, ...position }
    } catch (error) {
      return { state: 'unknown', trouble: messageOf(error) }
    }
  }

  /** The instance is started: whatever is being measured is no longer its end. */
  forget(): void {
    this.#end = undefined
    this.#generation += 1
  }

  async #measure(key: string): Promise<void> {
    if (this.#measuring) return
    this.#measuring = true
    try {
      const generation = this.#generation
      const end = await endOfWal({ dataDir: this.#dataDir })
      if (generation === this.#generation) this.#end = { ...end, key }
    } catch (error) {
      this.#log.warn('Cannot find the end of WAL', { error })
    } finally {
      this.#measuring = false
    }
  }
}

/** Asks a running PostgreSQL what it is, in one round trip. */
async function askFacts(session: SqlSession, deadlineMs: number): Promise<LiveFacts> {
  const [row] = await session.query<Row>(FACTS, deadlineMs)
  if (!row) return {}
  const streaming = row.receiver_status === 'streaming'
  return {
    role: row.in_recovery ? 'standby' : 'primary',
    systemId: row.system_id,
    serverVersion: row.server_version,
    startedAt: row.started_at,
    timeline: row.timeline ?? 0,
    synchronousNames: row.synchronous_names,
    ...(row.flush_lsn === null ? {} : { flushLsn: row.flush_lsn }),
    ...(row.replay_lsn === null ? {} : { replayLsn: row.replay_lsn }),
    ...(row.in_recovery ? { streaming, walReplayPaused: row.replay_paused } : {}),
    ...(row.in_recovery && row.sender_host !== null ? { upstreamHost: row.sender_host } : {}),
    ...(row.in_recovery && row.sender_port !== null ? { upstreamPort: row.sender_port } : {}),
    ...(row.in_recovery && !row.senders ? {} : { walSenders: (row.senders ?? []).map(walSender) }),
  }
}

function walSender(sender: NonNullable<Row['senders']>[number]) {
  return {
    name: sender.name,
    pid: sender.pid,
    syncPriority: sender.priority,
    state: sender.state,
    ...(sender.flush === null ? {} : { flushLsn: sender.flush }),
    ...(sender.replay === null ? {} : { replayLsn: sender.replay }),
  }
}
