/**
 * Runs projects of vitest one after another (`npm test`: all that this machine allows) and ends with what was left out,
 * the command that brings it, and `N passed, N failed, N skipped` over all of them as the last line.
 * PG_METAKO_TEST_REQUIRE=all: what was left out counts as failed.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, secondsSince, tools } from './child.mjs'
import { leftOutLines, missingNeeds } from './machine.mjs'
import { addCounts, countsOf, formatCounts, planOf } from './test-plan.mjs'

const plan = choose(process.argv.slice(2))
const requireAll = process.env['PG_METAKO_TEST_REQUIRE'] === 'all'
const scratch = mkdtempSync(join(tmpdir(), 'pg-metako-test-'))
let total = { passed: 0, failed: 0, skipped: 0 }

try {
  for (const step of plan.steps) {
    const counts = await runProject(step)
    total = addCounts(total, counts)
    if (process.exitCode !== undefined && process.exitCode !== 0) break
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

for (const line of leftOutLines(plan.leftOut)) process.stdout.write(`${line}\n`)
if (requireAll) total = addCounts(total, { passed: 0, failed: plan.leftOut.length, skipped: 0 })
if (total.failed > 0) process.exitCode ||= 1
process.stdout.write(`${formatCounts(total)}\n`)

/** @param {readonly string[]} asked */
function choose(asked) {
  try {
    return planOf(asked, missingNeeds())
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(2)
  }
}

/**
 * @param {import('./test-plan.mjs').Step} step
 * @returns {Promise<import('./test-plan.mjs').Counts>}
 */
async function runProject(step) {
  const started = performance.now()
  const report = join(scratch, `${step.project}.json`)
  process.stdout.write(`── ${step.project} ──\n`)
  const { code, timedOut } = await runCommand(
    [
      ...tools.vitest,
      'run',
      '--project',
      step.project,
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
    ],
    { timeoutMs: step.timeoutMs },
  )
  const counts = countsOf(readReport(report), code)
  const late = timedOut ? `, stopped after ${step.timeoutMs / 1000} s` : ''
  process.stdout.write(`${step.project}: ${formatCounts(counts)} in ${secondsSince(started)}${late}\n`)
  return counts
}

/** @param {string} path */
function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
