import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { processStat, type ProcessStat } from './process.ts'

/** The arguments that a process was started with, its program first; empty when it is gone or hides them. */
export function argumentsOf(target: number): readonly string[] {
  try {
    return readFileSync(`/proc/${target}/cmdline`, 'utf8')
      .split('\0')
      .filter((part) => part !== '')
  } catch {
    return []
  }
}

/** One variable of another process's environment, as it was when that process began; only for processes of our own user. */
export function environmentOf(target: number, name: string): string | undefined {
  try {
    const pairs = readFileSync(`/proc/${target}/environ`, 'utf8').split('\0')
    return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
  } catch {
    return undefined
  }
}

/** The file that a process runs; `undefined` for other users' processes and for kernel threads. */
export function programOf(target: number): string | undefined {
  try {
    return readlinkSync(`/proc/${target}/exe`)
  } catch {
    return undefined
  }
}

export function listPids(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** All live processes of this host that `accepts`, with their arguments. */
export function findProcesses(
  accepts: (argv: readonly string[], stat: ProcessStat) => boolean,
): readonly ProcessStat[] {
  const found: ProcessStat[] = []
  for (const target of listPids()) {
    const stat = processStat(target)
    if (stat && accepts(argumentsOf(stat.pid), stat)) found.push(stat)
  }
  return found
}

/** One process for ever within a boot: a pid alone comes round again. */
export type ProcessIdentity = { readonly pid: number; readonly startTicks: number }

export function identityOf(target: number): ProcessIdentity | undefined {
  const stat = processStat(target)
  return stat && { pid: stat.pid, startTicks: stat.startTicks }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return processStat(identity.pid)?.startTicks === identity.startTicks
}

/** How many files a process has open, and how many it may have; `undefined` where it is gone or not ours to see. */
export function openFilesOf(target: number): { readonly open: number; readonly max: number } | undefined {
  try {
    const limits = readFileSync(`/proc/${target}/limits`, 'latin1')
    const max = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return max === undefined
      ? undefined
      : { open: readdirSync(`/proc/${target}/fd`).length, max: Number(max) }
  } catch {
    return undefined
  }
}
