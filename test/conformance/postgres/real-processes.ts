import { readFileSync } from 'node:fs'
import { instanceProcesses } from '../../../src/postgres/process-tree.ts'

/** Pids of the processes of a data directory whose title has this word; PostgreSQL writes what each one is into its title. */
export function pidsTitled(dataDir: string, word: string): readonly number[] {
  return instanceProcesses(dataDir)
    .map(({ pid }) => pid)
    .filter((pid) => titleOf(pid).includes(word))
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1')
  } catch {
    return ''
  }
}

export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It ended meanwhile.
    }
  }
}
