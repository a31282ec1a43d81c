/** `npm run sim -- …`: builds `test/sim/run.ts` into `.build/` and runs it with the options; see test/sim/README.md. */
import { runCommand, tools } from './child.mjs'

const built = await runCommand([...tools.tsc, '-p', 'tsconfig.tools.json'], { timeoutMs: 120_000 })
if (built.code !== 0) process.exit(1)
// Ctrl-C reaches the run as well, which ends with what it has in hand.
process.on('SIGINT', () => undefined)
// Every processor has a simulation to run and none to spare for the helpers of a collector.
const program = [process.execPath, '--single-threaded-gc', '.build/test/sim/run.js']
const { code } = await runCommand([...program, ...process.argv.slice(2)], { timeoutMs: 12 * 60 * 60_000 })
process.exitCode ||= code
