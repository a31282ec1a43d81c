import { realpathSync } from '../platform/disk.ts'
import { monotonicMs } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import { processesIn, processStat, signalProcess, type ProcessStat } from '../platform/process.ts'
import { pause } from '../platform/timers.ts'

export type KillOutcome =
  /**
   * Nothing of the instance can run any more. `killed` counts the processes that were there; those in `stuck` sleep in the kernel
   * with our SIGKILL pending: they never return to their own code, so they acknowledge nothing, but they still hold the directory.
   */
  | {
      readonly kind: 'dead'
      readonly killed: number
      readonly stuck: readonly number[]
      readonly endedAtMs: number
    }
  | { readonly kind: 'alive'; readonly pids: readonly number[] }

/** A fork bomb in somebody's `archive_command` must not keep us here: each round is bounded, the deadline bounds the rounds. */
const ROUND_PAUSE_MS = 2
/** A process that ends may sleep in the kernel for a moment, as it gives its memory and files back. */
const STUCK_AFTER_MS = 250

/** All live processes of the instance, orphans and children of its commands included: PostgreSQL makes the data directory their cwd. */
export function instanceProcesses(dataDir: string): readonly ProcessStat[] {
  let folder: string
  try {
    folder = realpathSync(dataDir)
  } catch {
    return []
  }
  return processesIn(folder)
}

/** Those that have no parent within the instance: its postmaster, or orphans of one that was killed. */
export function rootsOf(processes: readonly ProcessStat[]): readonly ProcessStat[] {
  const pids = new Set(processes.map((process) => process.pid))
  return processes.filter((process) => !pids.has(process.parentPid))
}

/**
 * Leaves no process of the instance alive: the end of the postmaster alone is not the end, its backends go on acknowledging commits
 * for seconds. Needs nothing but the path. `deadlineMs` is a duration.
 */
export async function killInstance(
  dataDir: string,
  options: { deadlineMs: number; log?: Logger | undefined },
): Promise<KillOutcome> {
  const giveUpAt = monotonicMs() + options.deadlineMs
  const killed = new Map<string, ProcessStat>()
  let endedAtMs: number | undefined
  for (;;) {
    const processes = withDying(instanceProcesses(dataDir), killed)
    const running = processes.filter((process) => !(process.state === 'D' && killed.has(nameOf(process))))
    const now = monotonicMs()
    endedAtMs = running.length === 0 ? (endedAtMs ?? now) : undefined
    const isOver = now >= giveUpAt
    if (endedAtMs !== undefined && (processes.length === 0 || isOver || now - endedAtMs >= STUCK_AFTER_MS)) {
      if (killed.size > 0)
        options.log?.warn('Killed the PostgreSQL instance', { dataDir, killed: killed.size })
      return { kind: 'dead', killed: killed.size, stuck: processes.map(({ pid }) => pid), endedAtMs }
    }
    if (isOver) return { kind: 'alive', pids: running.map(({ pid }) => pid) }
    killOnce(processes)
    for (const process of processes) killed.set(nameOf(process), process)
    await pause(ROUND_PAUSE_MS)
  }
}

/** A process that ends lets go of its folder before it closes its sockets: what was killed is waited for by its name. */
function withDying(
  found: readonly ProcessStat[],
  killed: ReadonlyMap<string, ProcessStat>,
): readonly ProcessStat[] {
  const seen = new Set(found.map(nameOf))
  const dying: ProcessStat[] = []
  for (const [name, { pid }] of killed) {
    if (seen.has(name)) continue
    const now = processStat(pid)
    if (now && nameOf(now) === name) dying.push(now)
  }
  return [...found, ...dying]
}

/** Order: the postmaster is stopped first, so that it forks nothing while its children die, and killed last. */
function killOnce(processes: readonly ProcessStat[]): void {
  const roots = rootsOf(processes)
  for (const root of roots) signalIfSame(root, 'SIGSTOP')
  for (const process of processes) if (!roots.includes(process)) signalIfSame(process, 'SIGKILL')
  for (const root of roots) signalIfSame(root, 'SIGKILL')
}

/** A pid can be given away between the look and the signal; its start time tells. */
function signalIfSame(process: ProcessStat, signal: NodeJS.Signals): void {
  if (processStat(process.pid)?.startTicks === process.startTicks) signalProcess(process.pid, signal)
}

function nameOf(process: ProcessStat): string {
  return `${process.pid}.${process.startTicks}`
}
