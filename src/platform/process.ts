import { execFile } from 'node:child_process'
import { getPriority, setPriority } from 'node:os'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

export { spawn } from 'node:child_process'

export const pid: number = process.pid
export const platformName: NodeJS.Platform = process.platform
export const architecture: string = process.arch
export const nodeExecutable: string = process.execPath
/** Of Node.js: `20.19.5`. */
export const runtimeVersion: string = process.versions.node

export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env
}

export function workingDirectory(): string {
  return process.cwd()
}

/** What this process was started with, behind `node`: the program and its arguments. */
export function ownArguments(): readonly string[] {
  return process.argv.slice(1)
}

/** Numeric user id of this process; `undefined` where the platform has none. */
export function effectiveUid(): number | undefined {
  return process.geteuid?.()
}

export function exit(code: number): never {
  process.exit(code)
}

/** The code that the process ends with once nothing keeps it alive. */
export function setExitCode(code: number): void {
  process.exitCode = code
}

export function onSignal(signal: NodeJS.Signals, task: () => void): () => void {
  process.on(signal, task)
  return () => process.off(signal, task)
}

/** Sees every error that nobody caught: to log it and end, never to go on. */
export function onUncaught(task: (error: unknown) => void): void {
  process.on('uncaughtException', task)
  process.on('unhandledRejection', task)
}

export const stdout: NodeJS.WriteStream = process.stdout
export const stderr: NodeJS.WriteStream = process.stderr
export const stdin: NodeJS.ReadStream = process.stdin

/** Signals one process; false when it is gone or is not ours to signal. Signal 0 only asks. */
export function signalProcess(target: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(target, signal)
    return true
  } catch {
    return false
  }
}

/** Ahead of everything that is not told to be: a lease is lost when its holder waits for a processor. */
const PRIORITY_OF_THE_BRAIN = -10

/** Puts this process ahead of ordinary ones where it may: as root or with CAP_SYS_NICE. Elsewhere nothing happens. */
export function raiseOwnPriority(): void {
  try {
    setPriority(PRIORITY_OF_THE_BRAIN)
  } catch {
    // Not allowed: the agent runs as everybody else does.
  }
}

/** A child inherits the priority; whoever carries load must not have it. */
export function resetPriority(child: number | undefined): void {
  try {
    if (child !== undefined && getPriority() < 0) setPriority(child, 0)
  } catch {
    // It has ended already.
  }
}

/** What a short program prints. Rejects when it fails, cannot be started or takes longer than `timeoutMs`. */
export function runProgram(path: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(path, [...args], { timeout: timeoutMs, killSignal: 'SIGKILL', cwd: '/' }, (error, output) => {
      if (error instanceof Error) reject(error)
      else resolve(output)
    })
  })
}

/** One line of /proc/PID/stat. A zombie counts as gone: it runs no code and holds no socket. */
export type ProcessStat = {
  readonly pid: number
  readonly parentPid: number
  readonly state: string
  /** Clock ticks since boot: together with the pid it names one process for ever within a boot. */
  readonly startTicks: number
}

export function processStat(target: number): ProcessStat | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${target}/stat`, 'latin1')
  } catch {
    return undefined
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = fields[0] ?? 'X'
  if (state === 'Z' || state === 'X') return undefined
  return { pid: target, parentPid: Number(fields[1]), state, startTicks: Number(fields[19]) }
}

/** All live processes whose working directory is `folder` (a real path): how a PostgreSQL instance is found, orphans included. */
export function processesIn(folder: string): readonly ProcessStat[] {
  const found: ProcessStat[] = []
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (readlinkSync(`/proc/${name}/cwd`) !== folder) continue
    } catch {
      continue
    }
    const stat = processStat(Number(name))
    if (stat) found.push(stat)
  }
  return found
}

/** The working directory of a process (a real path); `undefined` when it is gone or not ours to see. */
export function readWorkingFolder(target: number): string | undefined {
  try {
    return readlinkSync(`/proc/${target}/cwd`)
  } catch {
    return undefined
  }
}

/** The processes that this one has started and that run still; `undefined` where the kernel does not tell. */
export function childrenOf(parent: number): readonly number[] | undefined {
  try {
    const text = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1')
    return text.split(' ').filter(Boolean).map(Number)
  } catch {
    return undefined
  }
}

/** What a process calls itself; `undefined` when it is gone. */
export function processTitle(target: number): string | undefined {
  try {
    return readFileSync(`/proc/${target}/cmdline`, 'latin1').split('\0')[0]
  } catch {
    return undefined
  }
}

/** A number of this boot: pids and monotonic times of another boot mean nothing here. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

/**
 * From now on the heap's place for what was just made does not grow: a process that does little is some 8 MB smaller, and collects more
 * often. V8's own flag; one that a later V8 does not know does nothing.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}
