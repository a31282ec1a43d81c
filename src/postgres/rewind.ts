import { monotonicMs } from '../platform/clock.ts'
import { fs, join, readTextIfPresent, statIfPresent } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import type { OsUser } from '../platform/os-user.ts'
import { every } from '../platform/timers.ts'
import { Fault, messageOf } from '../std/fault.ts'
import { KiB, MINUTE, SECOND } from '../std/units.ts'
import type { Binaries } from './binaries.ts'
import type { CloneProgress } from './clone.ts'
import { readControlFile, type ControlFile } from './control-file.ts'
import {
  moveIntoPlace,
  putStandbySignal,
  removeStandbySignal,
  setAsideForRewind,
  writeIncarnation,
} from './data-directory.ts'
import { readBackupStart } from './end-of-wal.ts'
import type { Credentials } from './initialise.ts'
import { conninfoText, type ReplicationSource } from './parameters.ts'
import { clearStaleLocks } from './postmaster.ts'
import { killInstance } from './process-tree.ts'
import { REWIND_FUNCTIONS } from './rewind-access.ts'
import { runTool } from './run-tool.ts'
import { SqlSession } from './sql-session.ts'
import { segmentFileName } from './timeline-history.ts'

export type RewindResult = {
  readonly incarnation: string
  /** What was copied from the source. */
  readonly bytes: number
  readonly tookMs: number
}

const SOURCE_ASK_MS = 5 * SECOND
/** A fast checkpoint of a busy primary with much memory. */
const SOURCE_CHECKPOINT_MS = 5 * MINUTE
/** pg_rewind is silent while it reads WAL and while it syncs; who says nothing for longer hangs. */
const SILENCE_MAX_MS = 15 * MINUTE
const PROGRESS_EVERY_MS = 250
const OUTPUT_TAIL_BYTES = 4 * KiB

/** Why the directory cannot be rewound, whatever its source; `undefined` when it can. */
export function rewindObstacle(
  binaries: Pick<Binaries, 'hasRewind' | 'folder'>,
  control: Pick<ControlFile, 'state' | 'checksumVersion' | 'walLogHints' | 'fullPageWrites'>,
): string | undefined {
  if (!binaries.hasRewind) return `there is no pg_rewind in "${binaries.folder}"`
  if (control.checksumVersion === 0 && !control.walLogHints)
    return 'it was written with neither data checksums nor wal_log_hints'
  if (!control.fullPageWrites) return 'it was written without full_page_writes'
  // What crashed as a primary is recovered by pg_rewind in single-user mode, which knows no standby.
  if (control.state === 'in archive recovery') return 'it crashed as a standby'
  return undefined
}

/**
 * Brings a stopped instance whose WAL left the history of `source` back onto it by pg_rewind. Order: it is renamed away first, under
 * the name of what is set aside, and comes back when it is whole: wherever this is interrupted, no half is ever found where a data
 * directory belongs. Throws `REWIND_REFUSED` with everything as it was, `REWIND_FAILED` and `PG_TOOL_FAILED` when what is set aside is
 * of no use any more.
 */
export async function rewindInstance(
  deps: { log: Logger },
  options: {
    dataDir: string
    binaries: Binaries
    owner: OsUser | undefined
    source: ReplicationSource
    role: Credentials
    database: string
    memberName: string
    /** WAL that is not in `pg_wal` any more can be asked for. */
    hasRestoreCommand: boolean
    onProgress: (progress: CloneProgress) => void
    signal?: AbortSignal | undefined
    /** Last touches before it is moved in. */
    finish: (folder: string) => Promise<void>
  },
): Promise<RewindResult> {
  const { dataDir, binaries, owner } = options
  const startedAt = monotonicMs()
  const control = await readControlFile(dataDir)
  const obstacle = rewindObstacle(binaries, control)
  if (obstacle !== undefined) throw refused(obstacle)
  await readySource({ ...options, systemId: control.systemId })

  const folder = await setAsideForRewind(dataDir, owner)
  await clearStaleLocks(folder, undefined)
  // Single-user recovery refuses a standby.
  await removeStandbySignal(folder)
  // pg_rewind asks the settings here for the command.
  if (options.hasRestoreCommand) await options.finish(folder)
  const bytes = await runRewind(deps, { ...options, folder })
  const missing = options.hasRestoreCommand ? undefined : await missingWal(folder)
  if (missing !== undefined)
    throw failed(`the source no longer has WAL segment ${missing}, from which it would have to recover`)
  // What pg_rewind brought with the files of its source: the id of that copy, and settings, access rules and signals that are its own.
  const incarnation = await writeIncarnation(folder, owner)
  await putStandbySignal(folder, owner)
  await options.finish(folder)
  await moveIntoPlace(folder, dataDir)
  return { incarnation, bytes, tookMs: monotonicMs() - startedAt }
}

/** Everything that the source can spoil is asked before anything is touched. */
async function readySource(options: {
  source: ReplicationSource
  role: Credentials
  database: string
  systemId: string
}): Promise<void> {
  const { source, role, database } = options
  const where = `${source.host}:${source.port}`
  const session = new SqlSession({
    target: () => ({ ...source, user: role.name, password: role.password, database }),
    name: 'pg-metako rewind',
  })
  try {
    const [found] = await session.query<{ systemId: string; isStandby: boolean; mayRead: boolean }>(
      {
        text: `select system_identifier::text as "systemId", pg_is_in_recovery() as "isStandby",
                      (select bool_and(has_function_privilege(name, 'execute')) from unnest($1::text[]) name) as "mayRead"
               from pg_control_system()`,
        values: [REWIND_FUNCTIONS],
      },
      SOURCE_ASK_MS,
    )
    if (found?.systemId !== options.systemId)
      throw refused(`${where} has system identifier ${found?.systemId}, wanted ${options.systemId}`)
    if (found.isStandby) throw refused(`${where} is no primary`)
    if (!found.mayRead) throw refused(`role "${role.name}" may not read the files of ${where}`)
    await passCheckpoint(session)
  } catch (error) {
    if (error instanceof Fault && error.code === 'REWIND_REFUSED') throw error
    throw refused(`${where}: ${messageOf(error)}`, error)
  } finally {
    session.close()
  }
}

/** pg_rewind reads the timeline of its source from pg_control, where only a checkpoint writes it. */
async function passCheckpoint(session: SqlSession): Promise<void> {
  const [at] = await session.query<{ checkpoint: number; now: number }>(
    {
      text: `select timeline_id as checkpoint,
                    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as now
             from pg_control_checkpoint()`,
    },
    SOURCE_ASK_MS,
  )
  if (at && at.checkpoint < at.now) await session.query({ text: 'checkpoint' }, SOURCE_CHECKPOINT_MS)
}

/** Returns how much was copied. All that pg_rewind says is kept beside the data directory. */
async function runRewind(
  { log }: { log: Logger },
  options: Parameters<typeof rewindInstance>[1] & { folder: string },
): Promise<number> {
  const { folder, dataDir, binaries, owner, source, role, database, memberName } = options
  const outputFile = `${dataDir}.rewind.log`
  await fs.rm(outputFile, { force: true })
  const stuck = new AbortController()
  const watch = watchOutput(outputFile, { onProgress: options.onProgress, onSilence: () => stuck.abort() })
  try {
    await runTool({
      path: join(binaries.folder, 'pg_rewind'),
      args: [
        `--target-pgdata=${folder}`,
        `--source-server=${conninfoText([
          ['host', source.host],
          ['port', String(source.port)],
          ['user', role.name],
          ['dbname', database],
          ['application_name', `${memberName} rewind`],
          ['connect_timeout', '3'],
          ['keepalives_idle', '5'],
          ['keepalives_interval', '2'],
          ['keepalives_count', '3'],
        ])}`,
        '--progress',
        ...(options.hasRestoreCommand ? ['--restore-target-wal'] : []),
      ],
      // Not among the arguments: ps shows those.
      env: { PGPASSWORD: role.password },
      osUser: owner,
      signal: options.signal ? AbortSignal.any([stuck.signal, options.signal]) : stuck.signal,
      outputFile,
    })
  } catch (error) {
    // The server that it recovers with in single-user mode does not end with it.
    await killInstance(folder, { deadlineMs: SOURCE_ASK_MS, log })
    throw error
  } finally {
    watch.stop()
  }
  const output = (await readTextIfPresent(outputFile)) ?? ''
  log.info('pg_rewind has ended', { output: output.split(/[\r\n]+/).filter((line) => !isProgress(line)) })
  // It compares less than we do: ids of timelines, and for a standby what was replayed, not what was received.
  if (/no rewind required/.test(output)) throw failed('pg_rewind sees nothing to rewind')
  return (await watch.last()).bytesDone
}

function isProgress(line: string): boolean {
  return /^\s*\d+\/\d+ kB/.test(line)
}

/** Follows what a tool writes into its file. */
function watchOutput(
  file: string,
  listeners: { onProgress: (progress: CloneProgress) => void; onSilence: () => void },
): { stop: () => void; last: () => Promise<CloneProgress> } {
  const startedAt = monotonicMs()
  let progress: CloneProgress = { bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0 }
  let grownAt = startedAt
  let size = 0
  let looking: Promise<void> = Promise.resolve()
  const look = (): Promise<void> => (looking = looking.then(lookOnce).catch(() => undefined))
  const lookOnce = async (): Promise<void> => {
    const { size: now = 0 } = (await statIfPresent(file)) ?? {}
    if (now === size) {
      if (monotonicMs() - grownAt > SILENCE_MAX_MS) listeners.onSilence()
      return
    }
    size = now
    grownAt = monotonicMs()
    const tail = (await fs.readFile(file)).subarray(-OUTPUT_TAIL_BYTES).toString('utf8')
    const [, done, total] = [...tail.matchAll(/(\d+)\/(\d+) kB/g)].at(-1) ?? []
    if (done === undefined || total === undefined) return
    const bytesDone = Number(done) * KiB
    const seconds = Math.max(0.001, (grownAt - startedAt) / SECOND)
    progress = {
      bytesDone,
      bytesTotal: Number(total) * KiB,
      bytesPerSecond: Math.round(bytesDone / seconds),
    }
    listeners.onProgress(progress)
  }
  const stop = every(PROGRESS_EVERY_MS, () => void look())
  // A tool that is quick ends between two looks.
  return { stop, last: () => look().then(() => progress) }
}

/**
 * The segment that recovery would begin in, where it is not there. Order of removal at the source decides that: pg_rewind brings what
 * the source has, and older releases delete the rest here.
 */
export async function missingWal(folder: string): Promise<string | undefined> {
  const start = await readBackupStart(folder)
  if (!start) throw failed('pg_rewind left no label to recover from')
  const { walSegmentBytes } = await readControlFile(folder)
  const segment = segmentFileName(start.timeline, start.from, walSegmentBytes)
  const names = await fs.readdir(join(folder, 'pg_wal'))
  // A later timeline begins with a copy of the segment that it forked in.
  return names.some((name) => name.length === 24 && name.slice(8) === segment.slice(8)) ? undefined : segment
}

function refused(why: string, cause?: unknown): Fault {
  return new Fault('REWIND_REFUSED', `Cannot rewind: ${why}`, { cause })
}

function failed(why: string): Fault {
  return new Fault('REWIND_FAILED', `Cannot use what was rewound: ${why}`)
}
