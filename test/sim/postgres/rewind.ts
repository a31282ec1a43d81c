import { rowsUpTo, type DataDirectory } from './data-directory.ts'
import type { WalRecord } from './wal.ts'

export type RewindOutcome = 'done' | 'not required' | 'impossible' | 'destroyed'

/** pg_rewind: the directory as it is afterwards, or why there is nothing to do, or nothing that can be done. */
export function rewind(target: DataDirectory, source: DataDirectory): DataDirectory | RewindOutcome {
  if (target.systemId !== source.systemId || !target.isClean) return 'impossible'
  const targetTimeline = target.control.checkpointTimeline
  const sourceTimeline = source.control.checkpointTimeline
  // It compares the ids alone: two histories under one id look the same to it (safety.md M12).
  if (targetTimeline === sourceTimeline) return 'not required'
  const fork = forkOf(target, source)
  if (fork === undefined) return 'impossible'
  if (target.endOfWal().endLsn <= fork.lsn) return 'not required'
  const checkpoint = lastCheckpointBefore(target, fork)
  if (checkpoint === undefined) return 'impossible'
  const timeline = checkpoint.timeline
  const end = source.wal.endFrom(sourceTimeline, source.control.redo)
  const result = source.copyForBackup({
    redo: checkpoint.redo,
    checkpointLsn: checkpoint.start,
    timeline,
    endLsn: end,
  })
  result.rows = rowsUpTo(target.rows, checkpoint.redo)
  // Rows whose WAL the source has and the target may have recycled come from the files of the source.
  const from = result.wal.of(timeline)[0]
  if (from === undefined || from.start > checkpoint.redo) return 'impossible'
  result.standbySignal = source.standbySignal
  result.config = target.config
  result.incarnation = source.incarnation
  result.control.state = 'in archive recovery'
  return result
}

/** What pg_rewind does first with what crashed as a primary: `postgres --single` recovers it and shuts it down. */
export function recoverInSingleUserMode(target: DataDirectory): void {
  if (target.isClean) return
  const { timeline, endLsn } = target.endOfWal()
  target.control = {
    state: 'shut down',
    redo: endLsn,
    checkpointLsn: endLsn,
    checkpointTimeline: timeline,
    minRecoveryLsn: 0,
    minRecoveryTimeline: 0,
  }
}

/** The last position that both histories have. */
function forkOf(target: DataDirectory, source: DataDirectory): { timeline: number; lsn: number } | undefined {
  const lineOf = (directory: DataDirectory) => {
    const timeline = directory.control.checkpointTimeline
    const links = directory.historyOf(timeline)
    return links && [...links, { timeline, endLsn: Number.POSITIVE_INFINITY }]
  }
  const [one, other] = [lineOf(target), lineOf(source)]
  if (one === undefined || other === undefined) return undefined
  let common: { timeline: number; lsn: number } | undefined
  for (let place = 0; place < Math.min(one.length, other.length); place += 1) {
    const [mine, theirs] = [one[place], other[place]]
    if (mine === undefined || theirs === undefined || mine.timeline !== theirs.timeline) break
    common = { timeline: mine.timeline, lsn: Math.min(mine.endLsn, theirs.endLsn) }
    if (mine.endLsn !== theirs.endLsn) break
  }
  return common
}

/** The target must still have the WAL from there to the fork. */
function lastCheckpointBefore(
  target: DataDirectory,
  fork: { timeline: number; lsn: number },
): WalRecord | undefined {
  return target.wal
    .of(fork.timeline)
    .findLast(
      ({ kind, start }) => (kind === 'checkpoint' || kind === 'shutdown-checkpoint') && start < fork.lsn,
    )
}
