/**
 * `npm run chaos -- …`: builds `test/chaos/run.ts` into `.build/` and runs it in namespaces of its own, so that no network, mount or
 * process of it outlives it, however it ends; see test/chaos/README.md.
 */
import { runCommand, tools } from './child.mjs'
import { leftOutLines, missingNeeds } from './machine.mjs'

const missing = missingNeeds().filter((need) => need === 'network-namespaces' || need === 'iptables')
if (missing.length > 0) {
  process.stderr.write(`${leftOutLines(missing).join('\n')}\n`)
  process.exit(2)
}
const built = await runCommand([...tools.tsc, '-p', 'tsconfig.tools.json'], { timeoutMs: 120_000 })
if (built.code !== 0) process.exit(1)
const alone = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
const script = 'ip link set lo up && exec "$@"'
const { code } = await runCommand(
  [
    ...alone,
    'sh',
    '-c',
    script,
    'sh',
    process.execPath,
    '.build/test/chaos/run.js',
    ...process.argv.slice(2),
  ],
  { timeoutMs: 12 * 60 * 60_000 },
)
process.exitCode ||= code
