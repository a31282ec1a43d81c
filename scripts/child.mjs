import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

/** Root of the repository, with a closing slash. */
export const root = fileURLToPath(new URL('../', import.meta.url))

/** A tool of `node_modules`, run by this very Node. */
export const tools = {
  vitest: [process.execPath, 'node_modules/vitest/vitest.mjs'],
  tsc: [process.execPath, 'node_modules/typescript/bin/tsc'],
  oxlint: [process.execPath, 'node_modules/oxlint/bin/oxlint'],
  oxfmt: [process.execPath, 'node_modules/oxfmt/bin/oxfmt'],
  knip: [process.execPath, 'node_modules/knip/bin/knip.js'],
}

/**
 * Runs a command, in the root of the repository where nothing else is said, and waits for its end, `timeoutMs` at most. With `quiet` its output is
 * kept and returned, otherwise it goes to the terminal. The command is a group of its own: what it started ends with it.
 *
 * @param {readonly string[]} command
 * @param {{ quiet?: boolean, timeoutMs: number, cwd?: string, env?: Record<string, string | undefined> }} options
 * @returns {Promise<{ code: number, output: string, timedOut: boolean }>}
 */
export function runCommand(command, options) {
  const [file = '', ...argv] = command
  return new Promise((resolve) => {
    const child = spawn(file, argv, {
      cwd: options.cwd ?? root,
      env: { ...process.env, ...(options.quiet ? { NO_COLOR: '1' } : {}), ...options.env },
      stdio: options.quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
      detached: true,
    })
    let output = ''
    let timedOut = false
    const collect = (/** @type {Buffer} */ chunk) => (output += chunk.toString())
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)

    const kill = (/** @type {NodeJS.Signals} */ signal) => signalGroup(child.pid, signal)
    const timer = setTimeout(() => {
      timedOut = true
      kill('SIGKILL')
    }, options.timeoutMs)
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      kill(signal)
      process.exitCode = 128 + constants.signals[signal]
    }
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(signal, forward)

    const finish = (/** @type {number} */ code, /** @type {string} */ text) => {
      clearTimeout(timer)
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, forward)
      resolve({ code, output: output + text, timedOut })
    }
    // A grandchild that outlives the command would hold its output open for ever.
    child.once('exit', () => kill('SIGKILL'))
    child.once('error', (error) => finish(127, `Cannot run ${file}: ${error.message}\n`))
    child.once('close', (code, signal) => finish(code ?? 128 + constants.signals[signal ?? 'SIGKILL'], ''))
  })
}

/**
 * @param {number | undefined} leader
 * @param {NodeJS.Signals} signal
 */
function signalGroup(leader, signal) {
  if (leader === undefined) return
  try {
    process.kill(-leader, signal)
  } catch {
    // The group is gone already.
  }
}

/**
 * Seconds for a line of a report.
 * @param {number} startedMs from `performance.now()`
 */
export function secondsSince(startedMs) {
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
}
