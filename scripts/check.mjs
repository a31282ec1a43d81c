/**
 * The only gate: format, types, lint, dead code, unit tests (transcripts and architecture among them), generated docs.
 * One line for each step; the output of a step is shown only when it fails. Names of steps as arguments run those alone.
 */
import { runCommand, secondsSince, tools } from './child.mjs'

const node = process.execPath
const MINUTE = 60_000

/** @type {readonly { name: string, command: readonly string[], remedy?: string }[]} */
const steps = [
  { name: 'format', command: [...tools.oxfmt, '--check'], remedy: 'npm run format' },
  { name: 'types', command: [...tools.tsc, '--noEmit', '-p', '.'] },
  { name: 'lint', command: [...tools.oxlint, '--format=unix'] },
  { name: 'dead code', command: [...tools.knip, '--no-progress'] },
  { name: 'unit tests', command: [...tools.vitest, 'run', '--project', 'unit'] },
  { name: 'figures', command: [node, 'scripts/bench-readme.mjs', '--check'], remedy: 'npm run bench:readme' },
]

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !steps.some((step) => step.name === name))
if (unknown.length > 0) {
  process.stderr.write(
    `Cannot check ${unknown.join(', ')}: steps are ${steps.map(({ name }) => name).join(', ')}\n`,
  )
  process.exit(2)
}

const started = performance.now()
let failures = 0
for (const step of steps.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
  const begun = performance.now()
  const { code, output, timedOut } = await runCommand(step.command, { quiet: true, timeoutMs: 5 * MINUTE })
  const verdict = code === 0 ? 'ok' : timedOut ? 'FAILED (too slow)' : 'FAILED'
  process.stdout.write(`${step.name.padEnd(12)} ${verdict} ${secondsSince(begun)}\n`)
  if (code === 0) continue
  failures += 1
  process.stdout.write(`${output.trimEnd()}\n${step.remedy ? `→ ${step.remedy}\n` : ''}`)
}
process.stdout.write(failures === 0 ? `all ok in ${secondsSince(started)}\n` : `${failures} steps failed\n`)
if (failures > 0) process.exitCode = 1
