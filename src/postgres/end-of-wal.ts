import { formatLsn, parseLsn, type Lsn } from '../model/lsn.ts'
import { fs, join, readTextIfPresent } from '../platform/disk.ts'
import { readControlFile, type ControlFile } from './control-file.ts'
import { readTimelineHistory } from './timeline-history.ts'
import { walRecords } from './wal-reader.ts'

export type WalEnd = { readonly timeline: number; readonly endLsn: string }

/**
 * The end of valid WAL of a stopped instance, and the timeline that it lies on: what is flushed here, replayed or not
 * (safety.md 3). Follows the timelines that a standby received beyond the one that pg_control knows.
 */
export async function endOfWal(options: { dataDir: string }): Promise<WalEnd> {
  const { dataDir } = options
  const control = await readControlFile(dataDir)
  const known = (await readBackupStart(dataDir)) ?? knownPosition(control)
  let { timeline } = known
  let end = await walk(control, { dataDir, ...known })
  for (const fork of await laterForks(dataDir, timeline)) {
    if (fork.from !== timeline || fork.lsn > end) continue
    const reached = await walk(control, { dataDir, timeline: fork.timeline, from: fork.lsn })
    // A history file alone is no WAL of that timeline: a member that cannot follow has it too.
    if (reached === fork.lsn) continue
    timeline = fork.timeline
    end = reached
  }
  return { timeline, endLsn: formatLsn(end) }
}

/** A record boundary near the end, and its timeline. Right after a promotion the newest checkpoint still lies on the timeline before. */
function knownPosition(control: ControlFile): { timeline: number; from: Lsn } {
  const { minRecoveryLsn, minRecoveryTimeline, redoLsn, checkpointTimeline } = control
  if (minRecoveryTimeline >= checkpointTimeline && minRecoveryLsn > redoLsn) {
    return { timeline: minRecoveryTimeline, from: minRecoveryLsn }
  }
  return { timeline: checkpointTimeline, from: redoLsn }
}

/**
 * A copy that was never recovered begins where its label says. Its control file is the source's, and that says more: WAL which the
 * source had last may not be here.
 */
export async function readBackupStart(dataDir: string): Promise<{ timeline: number; from: Lsn } | undefined> {
  const label = await readTextIfPresent(join(dataDir, 'backup_label'))
  const [, lsn = '', timeline = ''] =
    /^START WAL LOCATION: (\S+) \(file ([0-9A-F]{8})[0-9A-F]{16}\)/.exec(label ?? '') ?? []
  const from = parseLsn(lsn)
  return from === undefined ? undefined : { timeline: Number.parseInt(timeline, 16), from }
}

async function walk(
  control: ControlFile,
  position: { dataDir: string; timeline: number; from: Lsn },
): Promise<Lsn> {
  let end = position.from
  for await (const record of walRecords({ ...position, segmentBytes: control.walSegmentBytes })) {
    end = record.endLsn
  }
  return end
}

/** Timelines above `timeline` whose history lies here, lowest first, each with where it left its parent. */
async function laterForks(
  dataDir: string,
  timeline: number,
): Promise<readonly { timeline: number; from: number; lsn: Lsn }[]> {
  const forks: { timeline: number; from: number; lsn: Lsn }[] = []
  for (const name of (await fs.readdir(join(dataDir, 'pg_wal'))).sort()) {
    const id = /^([0-9A-F]{8})\.history$/.exec(name)?.[1]
    if (id === undefined || Number.parseInt(id, 16) <= timeline) continue
    const parent = (await readTimelineHistory(dataDir, Number.parseInt(id, 16)))?.at(-1)
    if (parent) forks.push({ timeline: Number.parseInt(id, 16), from: parent.timeline, lsn: parent.endLsn })
  }
  return forks
}
