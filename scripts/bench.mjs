/** `npm run bench -- NAME [options]`: builds `test/bench/NAME.ts` into `.build/` and runs it with the options. */
import { existsSync, readdirSync } from 'node:fs'
import { root, runCommand, tools } from './child.mjs'

const [name = '', ...options] = process.argv.slice(2)
const known = existsSync(`${root}test/bench`)
  ? readdirSync(`${root}test/bench`)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => file.slice(0, -'.ts'.length))
  : []
if (!known.includes(name)) {
  process.stderr.write(`usage: npm run bench -- ${known.length > 0 ? known.join('|') : 'NAME'} [options]\n`)
  process.exit(2)
}
const built = await runCommand([...tools.tsc, '-p', 'tsconfig.tools.json'], { timeoutMs: 120_000 })
if (built.code !== 0) process.exit(1)
const { code } = await runCommand([process.execPath, `.build/test/bench/${name}.js`, ...options], {
  timeoutMs: 12 * 60 * 60_000,
})
process.exitCode ||= code
