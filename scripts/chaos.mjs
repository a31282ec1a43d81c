/**
 * `npm run chaos -- …`: builds `test/chaos/run.ts` into `.build/` and runs it in namespaces of its own, so that no network, mount, file or
 * process of it outlives it, however it ends; see test/chaos/README.md.
 */
import { readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { root, runCommand, tools } from './child.mjs'
import { leftOutLines, missingNeeds } from './machine.mjs'

const GROUPS = '/sys/fs/cgroup/cpu'
/** Hosts have their data below it, so it is a disk in memory of the run's own: two runs never meet there. */
const OWN_FOLDER = '/var/lib'

const missing = missingNeeds().filter((need) => need === 'network-namespaces' || need === 'iptables')
if (missing.length > 0) {
  process.stderr.write(`${leftOutLines(missing).join('\n')}\n`)
  process.exit(2)
}
if (root.startsWith(`${OWN_FOLDER}/`)) {
  process.stderr.write(`Cannot run chaos from below ${OWN_FOLDER}, which its hosts have of their own\n`)
  process.exit(2)
}
const built = await runCommand([...tools.tsc, '-p', 'tsconfig.tools.json'], { timeoutMs: 120_000 })
if (built.code !== 0) process.exit(1)
removeGroups()
// The end of this process, also by SIGKILL, ends everything.
const bound = ['setpriv', '--pdeathsig', 'KILL']
const alone = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']
const script = [
  `mount -t tmpfs -o mode=755 own ${OWN_FOLDER}`,
  `mkdir -m 1777 ${OWN_FOLDER}/tmp`,
  'ip link set lo up',
  'exec "$@"',
].join(' && ')
const run = [process.execPath, '.build/test/chaos/run.js', ...process.argv.slice(2)]
const { code } = await runCommand([...bound, ...alone, 'sh', '-c', script, 'sh', ...run], {
  timeoutMs: 12 * 60 * 60_000,
  env: { TMPDIR: `${OWN_FOLDER}/tmp`, CHAOS_CGROUP: `metako-chaos-${process.pid}` },
})
removeGroups()
process.exitCode ||= code

/** Control groups of this run, and of those that were killed: they alone are not the namespaces' own. */
function removeGroups() {
  let names = /** @type {string[]} */ ([])
  try {
    names = readdirSync(GROUPS)
  } catch {
    return
  }
  for (const name of names) {
    const [, owner] = /^metako-chaos-(\d+)-/.exec(name) ?? []
    if (owner === undefined || (Number(owner) !== process.pid && isAlive(Number(owner)))) continue
    try {
      rmdirSync(join(GROUPS, name))
    } catch {
      // Processes of it are still ending: the next run takes it away.
    }
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
