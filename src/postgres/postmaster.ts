import { closeSync, fs, fsConstants, join, openSync, readFileSync, realpathSync } from '../platform/disk.ts'
import {
  environment,
  processStat,
  readWorkingFolder,
  resetPriority,
  signalProcess,
  spawn,
} from '../platform/process.ts'
import type { OsUser } from '../platform/os-user.ts'
import { every, pause } from '../platform/timers.ts'
import { monotonicMs } from '../platform/clock.ts'
import type { Binaries } from './binaries.ts'

/** A live postmaster, named so that a reused pid is never taken for it. */
export type Postmaster = {
  readonly pid: number
  readonly startTicks: number
}

/** How a postmaster ended. `code` and `signal` are known only of one that this process started. */
export type PostmasterExit = {
  readonly pid: number
  readonly code: number | undefined
  readonly signal: string | undefined
  readonly atMs: number
}

/** The lines of postmaster.pid that we use. */
export type PidFile = {
  readonly pid: number
  readonly startedAtS: number
  readonly port: number
  /** `starting`, `stopping`, `ready` or `standby` (up, but no connections yet). */
  readonly status: string
}

/** How often the end of a postmaster that another process started is looked for: one small file. */
const EXIT_POLL_MS = 20
/** How often the status line of a starting one is read. */
const READY_POLL_MS = 4

export function readPidFile(dataDir: string): PidFile | undefined {
  let text: string
  try {
    text = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8')
  } catch {
    return undefined
  }
  const lines = text.split('\n')
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, startedAtS: Number(lines[2]), port: Number(lines[3]), status: (lines[7] ?? '').trim() }
}

/** The running postmaster of this data directory, whoever started it; `undefined` when there is none. */
export function findPostmaster(dataDir: string): Postmaster | undefined {
  const file = readPidFile(dataDir)
  if (!file) return undefined
  const stat = processStat(file.pid)
  if (!stat || !runsIn(file.pid, dataDir)) return undefined
  return { pid: stat.pid, startTicks: stat.startTicks }
}

export function isAlive(postmaster: Postmaster): boolean {
  return processStat(postmaster.pid)?.startTicks === postmaster.startTicks
}

/**
 * Removes lock files of a postmaster that is gone where PostgreSQL itself would refuse: it believes in any live process with the
 * recorded pid, which may be a stranger by now, or a zombie that nobody reaps. A pid that does not exist is left to PostgreSQL,
 * which also looks for attached shared memory.
 */
export async function clearStaleLocks(dataDir: string, socketLock: string | undefined): Promise<void> {
  const paths = [join(dataDir, 'postmaster.pid'), ...(socketLock === undefined ? [] : [socketLock])]
  for (const path of paths) {
    const text = await fs.readFile(path, 'utf8').catch(() => undefined)
    const pid = Number(text?.split('\n')[0])
    if (!Number.isInteger(pid) || pid <= 0 || !signalProcess(pid, 0)) continue
    const folder = text?.split('\n')[1]
    if (folder !== undefined && runsIn(pid, folder)) continue
    await fs.rm(path, { force: true })
  }
}

export type StartedPostmaster = {
  readonly postmaster: Postmaster | undefined
  /** Why it could not be started at all. */
  readonly error: Promise<Error> | undefined
  readonly exit: Promise<PostmasterExit>
}

/** Starts `postgres` in a session of its own, so that it survives us, with its output appended to `logFile`. */
export function spawnPostmaster(options: {
  binaries: Binaries
  dataDir: string
  osUser: OsUser | undefined
  logFile: string
}): StartedPostmaster {
  const { binaries, dataDir, osUser } = options
  const log = openSync(
    options.logFile,
    fsConstants.O_WRONLY | fsConstants.O_APPEND | fsConstants.O_CREAT,
    0o600,
  )
  try {
    const child = spawn(join(binaries.folder, 'postgres'), ['-D', dataDir], {
      cwd: dataDir,
      detached: true,
      stdio: ['ignore', log, log],
      env: databaseEnvironment(osUser),
      ...(osUser ? { uid: osUser.uid, gid: osUser.gid } : {}),
    })
    resetPriority(child.pid)
    const exit = new Promise<PostmasterExit>((resolve) => {
      child.once('exit', (code, signal) => {
        resolve({
          pid: child.pid ?? 0,
          code: code ?? undefined,
          signal: signal ?? undefined,
          atMs: monotonicMs(),
        })
      })
    })
    const error = new Promise<Error>((resolve) => {
      child.once('error', resolve)
    })
    child.unref()
    const stat = child.pid === undefined ? undefined : processStat(child.pid)
    if (child.pid === undefined) return { postmaster: undefined, error, exit }
    return { postmaster: { pid: child.pid, startTicks: stat?.startTicks ?? 0 }, error: undefined, exit }
  } finally {
    closeSync(log)
  }
}

/** Little and fixed: what the agent's own environment holds (proxies, secrets, PG* variables) is none of the database's business. */
export function databaseEnvironment(osUser: OsUser | undefined): Record<string, string> {
  const own = environment()
  const kept: Record<string, string> = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: osUser?.home ?? own['HOME'] ?? '/',
    LANG: 'C.UTF-8',
  }
  if (osUser) kept['USER'] = osUser.name
  for (const name of ['TZ', 'TMPDIR']) {
    const value = own[name]
    if (value !== undefined && !osUser) kept[name] = value
  }
  return kept
}

/** The end of a postmaster that another process started. The returned function stops the watch. */
export function watchAdopted(postmaster: Postmaster, announce: (exit: PostmasterExit) => void): () => void {
  const stop = every(EXIT_POLL_MS, () => {
    if (isAlive(postmaster)) return
    stop()
    announce({ pid: postmaster.pid, code: undefined, signal: undefined, atMs: monotonicMs() })
  })
  return stop
}

export type Readiness = 'ready' | 'exited' | 'timeout'

/** Waits until the postmaster says that it takes connections, ends, or the duration is over. */
export async function waitUntilReady(
  dataDir: string,
  postmaster: Postmaster,
  deadlineMs: number,
): Promise<Readiness> {
  const giveUpAt = monotonicMs() + deadlineMs
  for (;;) {
    const file = readPidFile(dataDir)
    if (file?.pid === postmaster.pid && file.status === 'ready') return 'ready'
    if (!isAlive(postmaster)) return 'exited'
    if (monotonicMs() >= giveUpAt) return 'timeout'
    await pause(READY_POLL_MS)
  }
}

/** Waits for the end; false when the duration is over first. */
export async function waitUntilGone(postmaster: Postmaster, deadlineMs: number): Promise<boolean> {
  const giveUpAt = monotonicMs() + deadlineMs
  while (isAlive(postmaster)) {
    if (monotonicMs() >= giveUpAt) return false
    await pause(2)
  }
  return true
}

function runsIn(pid: number, dataDir: string): boolean {
  try {
    return readWorkingFolder(pid) === realpathSync(dataDir)
  } catch {
    return false
  }
}
