import { monotonicMs } from '../platform/clock.ts'
import { pause } from '../platform/timers.ts'
import { Fault } from '../std/fault.ts'
import { PROBE_PREFIX } from './lost-transactions.ts'
import type { SqlSession } from './sql-session.ts'

const LOOK_MS = 3

/**
 * Returns once a new connection of each look sees the value: then the postmaster has read it and has signalled all its children, since
 * it does both before it forks the next one.
 */
export async function seesSetting(
  session: SqlSession,
  wanted: { name: string; value: string; deadlineMs: number },
): Promise<void> {
  await untilTrue(wanted.deadlineMs, `a new session sees ${wanted.name} = "${wanted.value}"`, async () => {
    session.close()
    const rows = await session.query<{ value: string }>(
      { text: 'select current_setting($1) as value', values: [wanted.name] },
      wanted.deadlineMs,
    )
    return rows[0]?.value === wanted.value
  })
}

/**
 * Returns once a commit of our own is seen to wait. The flag that makes commits wait is set by the checkpointer, which may be busy with
 * an fsync long after the setting shows (safety.md 5, M7). The names in force must match nobody. The commit is given up then.
 */
export async function commitsWait(probe: SqlSession, look: SqlSession, deadlineMs: number): Promise<void> {
  const text = `select pg_logical_emit_message(true, '${PROBE_PREFIX}', 'probe'), set_config('synchronous_commit', 'on', true)`
  try {
    await untilTrue(deadlineMs, 'commits wait for standbys', async () => {
      const [backend] = await probe.query<{ pid: number }>(
        { text: 'select pg_backend_pid() as pid' },
        deadlineMs,
      )
      let isOver = false
      const committing = probe.query({ text }, deadlineMs).then(
        () => (isOver = true),
        () => (isOver = true),
      )
      if (!(await waits(look, { pid: backend?.pid ?? 0, isOver: () => isOver, deadlineMs }))) {
        await committing
        return false
      }
      await look.query({ text: 'select pg_terminate_backend($1)', values: [backend?.pid] }, deadlineMs)
      return true
    })
  } finally {
    probe.close()
  }
}

/**
 * Ends the agent's own sessions that wait for a standby: nobody hears their answer any more, and they would wait, and fill
 * `max_connections`, for as long as no standby acknowledges. What they committed is there all the same.
 */
export async function endWaitingCommits(session: SqlSession, deadlineMs: number): Promise<void> {
  const text = `
select pg_terminate_backend(pid) from pg_stat_activity
where wait_event = 'SyncRep' and application_name = current_setting('application_name')`
  await session.query({ text }, deadlineMs)
}

export async function isInRecovery(session: SqlSession, deadlineMs: number): Promise<boolean> {
  const rows = await session.query<{ is: boolean }>({ text: 'select pg_is_in_recovery() as is' }, deadlineMs)
  return rows[0]?.is ?? true
}

/** Whether a commit is seen to wait, before it is over. */
async function waits(
  look: SqlSession,
  { pid, isOver, deadlineMs }: { pid: number; isOver: () => boolean; deadlineMs: number },
): Promise<boolean> {
  const giveUpAt = monotonicMs() + deadlineMs
  while (!isOver() && monotonicMs() < giveUpAt) {
    const rows = await look.query(
      { text: `select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'`, values: [pid] },
      deadlineMs,
    )
    if (rows.length > 0) return true
    await pause(LOOK_MS)
  }
  return false
}

/** Looks until it is true; throws when the duration is over first. */
export async function untilTrue(
  deadlineMs: number,
  what: string,
  look: () => Promise<boolean>,
): Promise<void> {
  const giveUpAt = monotonicMs() + deadlineMs
  while (!(await look())) {
    if (monotonicMs() >= giveUpAt) {
      throw new Fault('PG_SETTING_UNPROVEN', `Cannot prove within ${deadlineMs} ms that ${what}`, {
        retryable: true,
      })
    }
    await pause(LOOK_MS)
  }
}
