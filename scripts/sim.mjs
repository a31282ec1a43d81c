/** `npm run sim -- --seed N --seeds M`: the whole cluster in one process, M runs from seed N on. */
import { parseArgs } from 'node:util'
import { runCommand, tools } from './child.mjs'

const { values } = parseArgs({ options: { seed: { type: 'string' }, seeds: { type: 'string' } } })
for (const [name, value] of Object.entries(values)) {
  if (/^\d+$/.test(value)) continue
  process.stderr.write(`Cannot simulate: --${name} is "${value}", wanted a whole number\n`)
  process.exit(2)
}
const { code } = await runCommand([...tools.vitest, 'run', '--project', 'sim', '--passWithNoTests'], {
  timeoutMs: 12 * 60 * 60_000,
  env: { PG_METAKO_SIM_SEED: values.seed, PG_METAKO_SIM_SEEDS: values.seeds },
})
process.exitCode ||= code
