import { monotonicMs } from '../platform/clock.ts'
import { fs, join } from '../platform/disk.ts'
import { signalProcess } from '../platform/process.ts'
import { pause } from '../platform/timers.ts'
import type { FileOwner } from '../platform/disk.ts'
import { codeOf } from '../std/fault.ts'
import { readControlFile } from './control-file.ts'
import { isAlive, type Postmaster } from './postmaster.ts'
import type { SqlSession } from './sql-session.ts'
import { forkOf, HISTORY_FILE, parseTimelineHistory, reserveTimelinesBelow } from './timeline-history.ts'

export type PromotionOutcome =
  | {
      readonly kind: 'promoted'
      readonly timeline: number
      readonly previousTimeline: number
      /** Where the new timeline left the old one. */
      readonly forkLsn: string
      readonly tookMs: number
    }
  /** After `TIMEOUT` it may still come: who no longer wants it must stop the instance. */
  | {
      readonly kind: 'failed'
      readonly reason: 'NOT_RUNNING' | 'EXITED' | 'TIMEOUT'
      readonly message: string
    }

/** pg_control is looked at this often: one small read from the page cache. */
const POLL_MS = 3
/** A startup process that waits for its next try is woken this often. */
const NUDGE_MS = 10
/** After this the sessions that block replay are ended, and all clients after one more of it (safety.md 14, M13). */
const BLOCKED_AFTER_MS = 50
const SQL_DEADLINE_MS = 1000

const PROMOTE_SIGNAL = 'promote'

/**
 * Makes a standby writable, without the traps of `pg_promote` and `pg_ctl`: both poll at 100 ms, and a startup process that just
 * lost its primary sleeps until its next retry. Needs no SQL unless readers block replay.
 */
export async function promoteInstance(options: {
  dataDir: string
  postmaster: Postmaster
  owner: FileOwner | undefined
  session: SqlSession
  /** The id that the new timeline must have; absent: the next one that is free here. */
  timeline?: number | undefined
  deadlineMs: number
}): Promise<PromotionOutcome> {
  const { dataDir, postmaster, session } = options
  const startedAt = monotonicMs()
  const giveUpAt = startedAt + options.deadlineMs
  if (options.timeline !== undefined) await reserveTimelinesBelow(dataDir, options.timeline, options.owner)
  await requestPromotion(dataDir, postmaster, options.owner)
  let nudgedAt = startedAt
  let unblockedAt = startedAt
  let unblocking: Promise<void> = Promise.resolve()
  for (;;) {
    const control = await readControlFile(dataDir)
    if (control.state === 'in production') break
    const now = monotonicMs()
    if (!isAlive(postmaster)) return failed('EXITED', 'the postmaster ended during the promotion')
    if (now >= giveUpAt) return failed('TIMEOUT', `still ${control.state} after ${options.deadlineMs} ms`)
    if (now - nudgedAt >= NUDGE_MS) {
      nudgedAt = now
      signalProcess(postmaster.pid, 'SIGHUP')
    }
    if (now - unblockedAt >= BLOCKED_AFTER_MS) {
      unblockedAt = now
      const everybody = now - startedAt >= 2 * BLOCKED_AFTER_MS
      unblocking = unblocking.then(() => endBlockingSessions(session, everybody))
    }
    await pause(POLL_MS)
  }
  await unblocking
  return { kind: 'promoted', ...(await newestFork(dataDir)), tookMs: monotonicMs() - startedAt }
}

/** Order: the file first, then the signal that makes the postmaster look for it. */
async function requestPromotion(
  dataDir: string,
  postmaster: Postmaster,
  owner: FileOwner | undefined,
): Promise<void> {
  const file = await fs.open(join(dataDir, PROMOTE_SIGNAL), 'w', 0o600)
  if (owner) await file.chown(owner.uid, owner.gid)
  await file.close()
  signalProcess(postmaster.pid, 'SIGUSR1')
}

/**
 * Ends the sessions that the startup process waits for; with `everybody` all client sessions, since a snapshot conflict names nobody.
 * Does nothing while replay simply has work to do.
 */
async function endBlockingSessions(session: SqlSession, everybody: boolean): Promise<void> {
  const text = `
with startup as (
  select pid, wait_event_type, wait_event from pg_stat_activity where backend_type = 'startup'
    and (wait_event_type in ('Lock', 'BufferPin') or wait_event like 'RecoveryConflict%')
), blockers as (
  select unnest(pg_blocking_pids(pid)) as pid from startup
)
select pg_terminate_backend(a.pid) from pg_stat_activity a
where exists (select from startup) and a.pid <> pg_backend_pid()
  and (a.pid in (select pid from blockers) or ($1 and a.backend_type = 'client backend'))`
  try {
    await session.query({ text, values: [everybody] }, SQL_DEADLINE_MS)
  } catch {
    // The promotion may have ended meanwhile, or no connection is free: the next round asks again.
  }
}

/** After a promotion the highest history file is the one that it wrote: PostgreSQL takes the first free timeline id. */
async function newestFork(
  dataDir: string,
): Promise<{ timeline: number; previousTimeline: number; forkLsn: string }> {
  const folder = join(dataDir, 'pg_wal')
  const names = (await fs.readdir(folder)).filter((name) => HISTORY_FILE.test(name)).sort()
  const name = names.at(-1)
  if (name === undefined) {
    // Promoted before, on its first timeline: nothing forked.
    return { timeline: 1, previousTimeline: 1, forkLsn: '0/0' }
  }
  const links = parseTimelineHistory(await readHistory(join(folder, name)))
  const previousTimeline = links.at(-1)?.timeline ?? 0
  const forkLsn = forkOf(links, previousTimeline) ?? '0/0'
  return { timeline: Number.parseInt(name.slice(0, 8), 16), previousTimeline, forkLsn }
}

async function readHistory(path: string): Promise<string> {
  try {
    return await fs.readFile(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ''
    throw error
  }
}

function failed(reason: 'EXITED' | 'TIMEOUT', message: string): PromotionOutcome {
  return { kind: 'failed', reason, message: `Cannot promote: ${message}` }
}
