import { childrenOf, processTitle, signalProcess } from '../platform/process.ts'
import { endOfWal } from './end-of-wal.ts'
import type { LiveFactsReader } from './facts.ts'
import type { Postmaster } from './postmaster.ts'
import { instanceProcesses } from './process-tree.ts'
import type { SqlSession } from './sql-session.ts'
import { untilTrue } from './synchronous-commit.ts'

/** A startup process that was between two steps could begin one more receiver: nobody may be there twice in a row. */
const LOOKS = 2

/**
 * Proves that a standby receives nothing any more. Order: its settings name nobody already, durably, and the postmaster was told. The
 * startup process, which asks for receivers, is told directly: a signal waits for nobody's turn, while the postmaster passes its own on
 * one child after the other. That the file was taken over as it stands shows a session that was there before. The receiver is ended
 * from the operating system, since a startup process that is busy or blocked would leave it streaming and acknowledging for as long as
 * it likes (safety.md 2, M2–M5). The view of receivers hides one that connects: processes are looked at.
 */
export async function stopReceiving(options: {
  dataDir: string
  postmaster: Postmaster
  session: SqlSession
  live: LiveFactsReader
  deadlineMs: number
}): Promise<{ timeline: number; flushLsn: string }> {
  const { dataDir, postmaster, session, live, deadlineMs } = options
  let looks = 0
  let isTold = false
  let hasReceived = false
  await untilTrue(deadlineMs, 'no walreceiver is left and none is asked for', async () => {
    const { startup, receivers } = recoveryProcesses(dataDir, postmaster)
    for (const pid of receivers) signalProcess(pid, 'SIGTERM')
    if (!isTold) for (const pid of startup) isTold = signalProcess(pid, 'SIGHUP')
    const [seen] = await session.query<{ upstream: string; received: boolean }>(WHAT_IS_SEEN, deadlineMs)
    hasReceived = seen?.received ?? false
    looks = isTold && receivers.length === 0 && seen?.upstream === '' ? looks + 1 : 0
    return looks >= LOOKS
  })
  const { timeline, flushLsn } = await live.ask(deadlineMs)
  // In this life it has streamed: then everything older had been replayed. Else what lies in pg_wal counts, replayed or not (M6).
  if (hasReceived && timeline !== undefined && flushLsn !== undefined) return { timeline, flushLsn }
  const end = await endOfWal({ dataDir })
  return { timeline: end.timeline, flushLsn: end.endLsn }
}

const WHAT_IS_SEEN = {
  name: 'metako_receiving',
  text: `select current_setting('primary_conninfo') as upstream, pg_last_wal_receive_lsn() is not null as received`,
}

/** PostgreSQL names its processes: `postgres: CLUSTER: walreceiver …`. */
function recoveryProcesses(
  dataDir: string,
  { pid }: Postmaster,
): { startup: readonly number[]; receivers: readonly number[] } {
  // A kernel may be built without the list of children.
  const children =
    childrenOf(pid) ??
    instanceProcesses(dataDir).flatMap((process) => (process.parentPid === pid ? [process.pid] : []))
  const titled = (name: RegExp) => children.filter((child) => name.test(processTitle(child) ?? ''))
  return {
    startup: titled(/^postgres: (.*: )?startup\b/),
    receivers: titled(/^postgres: (.*: )?walreceiver\b/),
  }
}
