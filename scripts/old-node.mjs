import { readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root, runCommand } from './child.mjs'

const ENTRY_MS = 60_000
/** What npm itself says around the output of a script. */
const NPM_LINE = /^(?:>|npm )/

/**
 * Whether a version of Node is below the floor of package.json.
 * @param {string} version as `node --version` says it
 */
export function isTooOld(version) {
  const numbers = (/** @type {string} */ text) => (text.match(/\d+/g) ?? []).map(Number)
  const [major = 0, minor = 0] = numbers(version)
  const [wantedMajor = 0, wantedMinor = 0] = numbers(readPackage().engines.node)
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor)
}

/**
 * What is wrong with how a command ended that should have refused this Node: `undefined` when it said the one line and
 * nothing else, and ended with 2.
 * @param {{ code: number, output: string }} ended
 * @param {string} version
 */
export function objectionTo({ code, output }, version) {
  const wanted = `pg-metako needs Node.js 20.19 or newer: this is ${version.replace(/^v/, '')}`
  const lines = output.split('\n').filter((line) => line.trim() !== '' && !NPM_LINE.test(line))
  if (lines.length !== 1 || lines[0] !== wanted) return `said ${JSON.stringify(lines.join('\n'))}`
  return code === 2 ? undefined : `ended with ${code}`
}

/**
 * Starts every entry of the project with a Node that is too old: scripts of package.json as npm runs them, those that the
 * README names by npm itself, and the program. Prints what each did, and returns how many did not refuse in one line.
 * @param {{ version: string, binFolder: string }} node
 */
export async function checkRefusals({ version, binFolder }) {
  const path = [binFolder, join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)
  const run = (/** @type {readonly string[]} */ command) =>
    runCommand(command, { quiet: true, timeoutMs: ENTRY_MS, env: { PATH: path } })
  const entries = Object.entries(readPackage().scripts).map(([name, script]) => ({
    name: `script ${name}`,
    command: ['sh', '-c', script],
  }))
  for (const command of [
    'node dist/main.js',
    'node dist/main.js --version',
    'node scripts/require-node.cjs',
  ]) {
    entries.push({ name: command, command: command.split(' ') })
  }
  // Newer npms do not run on a very old Node: then nothing of ours is reached by it.
  if ((await run(['npm', '--version'])).code === 0) {
    for (const command of ['npm start', 'npm test', 'npm run check']) {
      entries.push({ name: command, command: command.split(' ') })
    }
  }
  let failed = 0
  for (const { name, command } of entries) {
    const objection = objectionTo(await run(command), version)
    if (objection !== undefined) failed += 1
    process.stdout.write(
      `${objection === undefined ? 'ok    ' : 'FAILED'} ${name}${objection ? `: ${objection}` : ''}\n`,
    )
  }
  process.stdout.write(`${entries.length - failed} passed, ${failed} failed, 0 skipped\n`)
  return failed
}

/** @returns {{ engines: { node: string }, scripts: Record<string, string> }} */
function readPackage() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
}
