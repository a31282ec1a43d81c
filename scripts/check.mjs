/**
 * The only gate: format, types, lint, dead code, unit tests (transcripts and architecture among them), generated documents.
 * Names of steps as arguments run those alone.
 */
import { tools } from './child.mjs'
import { runSteps } from './steps.mjs'

/** @type {readonly import('./steps.mjs').GateStep[]} */
const steps = [
  { name: 'format', command: [...tools.oxfmt, '--check'], remedy: 'npm run format' },
  { name: 'types', command: [...tools.tsc, '--noEmit', '-p', '.'] },
  { name: 'types (browser)', command: [...tools.tsc, '--noEmit', '-p', 'dashboard'] },
  { name: 'lint', command: [...tools.oxlint, '--format=unix'] },
  { name: 'knip', command: [...tools.knip, '--no-progress'] },
  { name: 'unit', command: [...tools.vitest, 'run', '--project', 'unit'] },
  {
    name: 'figures',
    command: [process.execPath, 'scripts/bench-readme.mjs', '--check'],
    remedy: 'npm run bench:readme',
  },
]

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !steps.some((step) => step.name === name))
if (unknown.length > 0) {
  const known = steps.map(({ name }) => name).join(', ')
  process.stderr.write(`Cannot check ${unknown.join(', ')}: steps are ${known}\n`)
  process.exit(2)
}
const failures = await runSteps(
  steps.filter(({ name }) => asked.length === 0 || asked.includes(name)),
  (text) => process.stdout.write(text),
)
if (failures > 0) process.exitCode = 1
