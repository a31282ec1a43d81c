import { runCommand, secondsSince } from './child.mjs'

const STEP_LIMIT_MS = 5 * 60_000

/**
 * One step of a gate: a command, and what mends what it finds.
 * @typedef {{ name: string, command: readonly string[], remedy?: string }} GateStep
 */

/**
 * Runs steps one after another, all of them whatever fails: one line each, and the output of those that failed.
 *
 * @param {readonly GateStep[]} steps
 * @param {(text: string) => void} write
 * @returns {Promise<number>} how many failed
 */
export async function runSteps(steps, write) {
  const started = performance.now()
  let failures = 0
  for (const step of steps) {
    const begun = performance.now()
    const { code, output, timedOut } = await runCommand(step.command, {
      quiet: true,
      timeoutMs: STEP_LIMIT_MS,
    })
    const verdict = code === 0 ? 'ok' : timedOut ? 'FAILED (too slow)' : 'FAILED'
    write(`${step.name.padEnd(12)} ${verdict} ${secondsSince(begun)}\n`)
    if (code === 0) continue
    failures += 1
    write(`${output.trimEnd()}\n${step.remedy ? `→ ${step.remedy}\n` : ''}`)
  }
  write(
    failures === 0 ? `all ok in ${secondsSince(started)}\n` : `${failures} of ${steps.length} steps failed\n`,
  )
  return failures
}
