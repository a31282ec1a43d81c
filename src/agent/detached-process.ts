import { dirname, mkdirSync, openSync, closeSync } from '../platform/disk.ts'
import { MAIN_FILE } from '../platform/main-file.ts'
import { environment, nodeExecutable, resetPriority, spawn } from '../platform/process.ts'

/**
 * Starts `pg-metako <command>` detached, in a session of its own: it survives this agent and every signal to its group.
 * Options travel in the environment, so that no secret is seen in the process list.
 */
export function startDetached(
  command: 'guard' | 'router',
  start: { options: object; logFile: string },
): { pid: number } | undefined {
  mkdirSync(dirname(start.logFile), { recursive: true, mode: 0o700 })
  const log = openSync(start.logFile, 'a', 0o600)
  try {
    const child = spawn(nodeExecutable, [MAIN_FILE, command], {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { ...environment(), [variableOf(command)]: JSON.stringify(start.options) },
    })
    child.on('error', () => undefined)
    child.unref()
    if (command === 'router') resetPriority(child.pid)
    return child.pid === undefined ? undefined : { pid: child.pid }
  } finally {
    closeSync(log)
  }
}

/** What a router starts in its own place: this agent's program, which may be newer than the router's. */
export function routerProgram(): { readonly command: readonly string[] } {
  return { command: [nodeExecutable, MAIN_FILE, 'router'] }
}

/** The environment variable that the options of a detached process travel in. */
export function variableOf(command: 'guard' | 'router'): string {
  return `PG_METAKO_${command.toUpperCase()}`
}
