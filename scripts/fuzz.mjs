/** `npm run fuzz -- --messages N --from SEED [--live M]`: builds `test/fuzz/run.ts` into `.build/` and runs it with the options. */
import { runCommand, tools } from './child.mjs'

const built = await runCommand([...tools.tsc, '-p', 'tsconfig.tools.json'], { timeoutMs: 120_000 })
if (built.code !== 0) process.exit(1)
const { code } = await runCommand([process.execPath, '.build/test/fuzz/run.js', ...process.argv.slice(2)], {
  timeoutMs: 12 * 60 * 60_000,
})
process.exitCode ||= code
