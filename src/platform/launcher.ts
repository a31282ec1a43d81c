import { basename } from 'node:path'
import { argumentsOf, identityOf, isAlive, type ProcessIdentity } from './process-table.ts'
import { processStat } from './process.ts'
import { every } from './timers.ts'

const SHELLS: readonly string[] = ['sh', 'bash', 'dash', 'ash', 'zsh']
const LOOK_MS = 250

/**
 * Calls `gone` once when a package runner that started this process (`npm start`, `npx`) ends before it. npm passes no
 * signal on to what its shell runs, and standard input may well stay open. Without such a runner nothing is watched: a
 * program started with `nohup` outlives its shell on purpose. Returns what ends the watch.
 */
export function watchLauncher(gone: () => void): () => void {
  const parents = launcherChain(process.ppid)
  if (parents.length === 0) return () => {}
  const cancel = every(LOOK_MS, () => {
    if (parents.every(isAlive)) return
    cancel()
    gone()
  })
  return cancel
}

/** The parent when it is a package runner; parent and grandparent when it is the shell of one. */
function launcherChain(parent: number): readonly ProcessIdentity[] {
  const first = identityOf(parent)
  if (!first) return []
  if (isRunner(argumentsOf(parent))) return [first]
  const argv = argumentsOf(parent)
  if (!SHELLS.includes(basename(argv[0] ?? ''))) return []
  const grandparent = processStat(parent)?.parentPid ?? 0
  const second = identityOf(grandparent)
  return second && isRunner(argumentsOf(grandparent)) ? [first, second] : []
}

/** npm writes its title over its arguments: `npm start`, all in one. */
export function isRunner(argv: readonly string[]): boolean {
  const words = argv.flatMap((part) => part.split(' ')).slice(0, 2)
  return words.some((word) => /^(npm|npx|pnpm|yarn|bun)(-cli)?(\.c?js)?$/.test(basename(word)))
}
