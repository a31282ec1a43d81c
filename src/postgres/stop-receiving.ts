import { processTitle, signalProcess } from '../platform/process.ts'
import { endOfWal } from './end-of-wal.ts'
import type { LiveFactsReader } from './facts.ts'
import type { Postmaster } from './postmaster.ts'
import { instanceProcesses } from './process-tree.ts'
import type { SqlSession } from './sql-session.ts'
import { seesSetting, untilTrue } from './synchronous-commit.ts'

/** A startup process that was between two steps could begin one more receiver: nobody may be there twice in a row. */
const LOOKS = 2

/**
 * Proves that a standby receives nothing any more. Order: its settings name nobody already, durably; then every process has been told,
 * which a new connection shows; then the receiver is ended from the operating system, since a startup process that is busy or
 * blocked would leave it streaming and acknowledging for as long as it likes (safety.md 2, M2–M5). The view of receivers hides one
 * that connects: processes are looked at.
 */
export async function stopReceiving(options: {
  dataDir: string
  postmaster: Postmaster
  session: SqlSession
  live: LiveFactsReader
  deadlineMs: number
}): Promise<{ timeline: number; flushLsn: string }> {
  const { dataDir, postmaster, session, live, deadlineMs } = options
  for (const pid of receiversOf(dataDir, postmaster)) signalProcess(pid, 'SIGTERM')
  await seesSetting(session, { name: 'primary_conninfo', value: '', deadlineMs })
  let looks = 0
  await untilTrue(deadlineMs, 'no walreceiver is left', () => {
    const left = receiversOf(dataDir, postmaster)
    for (const pid of left) signalProcess(pid, 'SIGTERM')
    looks = left.length === 0 ? looks + 1 : 0
    return Promise.resolve(looks >= LOOKS)
  })
  const rows = await session.query({ text: 'select where pg_last_wal_receive_lsn() is not null' }, deadlineMs)
  const { timeline, flushLsn } = await live.ask(deadlineMs)
  // In this life it has streamed: then everything older had been replayed. Else what lies in pg_wal counts, replayed or not (M6).
  if (rows.length > 0 && timeline !== undefined && flushLsn !== undefined) return { timeline, flushLsn }
  const end = await endOfWal({ dataDir })
  return { timeline: end.timeline, flushLsn: end.endLsn }
}

/** PostgreSQL names its processes: `postgres: CLUSTER: walreceiver …`. */
function receiversOf(dataDir: string, { pid }: Postmaster): readonly number[] {
  return instanceProcesses(dataDir)
    .filter(
      (process) =>
        process.parentPid === pid && /^postgres: (.*: )?walreceiver\b/.test(processTitle(process.pid) ?? ''),
    )
    .map((process) => process.pid)
}
