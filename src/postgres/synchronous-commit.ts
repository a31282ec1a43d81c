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
      const committing = probe.query({ text }, deadlineMs).then(
        () => 'committed' as const,
        () => 'ended' as const,
      )
      const outcome = await Promise.race([committing, waits(look, backend?.pid ?? 0, deadlineMs)])
      if (outcome !== 'waits') return false
      await look.query({ text: 'select pg_terminate_backend($1)', values: [backend?.pid] }, deadlineMs)
      return true
    })
  } finally {
    probe.close()
  }
}

export async function isInRecovery(session: SqlSession, deadlineMs: number): Promise<boolean> {
  const rows = await session.query<{ is: boolean }>({ text: 'select pg_is_in_recovery() as is' }, deadlineMs)
  return rows[0]?.is ?? true
}

async function waits(look: SqlSession, pid: number, deadlineMs: number): Promise<'waits' | 'never'> {
  const giveUpAt = monotonicMs() + deadlineMs
  while (monotonicMs() < giveUpAt) {
    const rows = await look.query(
      { text: `select from pg_stat_activity where pid = $1 and wait_event = 'SyncRep'`, values: [pid] },
      deadlineMs,
    )
    if (rows.length > 0) return 'waits'
    await pause(LOOK_MS)
  }
  return 'never'
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
