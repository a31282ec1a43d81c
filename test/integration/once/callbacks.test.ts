import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { signalAll } from '../../../src/cli/demo/node-processes.ts'
import { Cluster } from '../../support/cluster.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'
import { describePostgres } from '../../support/postgres.ts'
import { findDatabaseUser } from '../../../src/platform/os-user.ts'

/** Notes what it is told of; told of another role, it never ends. */
const SCRIPT = `#!/bin/sh
echo "$2 $3 $4 $(id -un)" >> "$1"
echo "heard of $2"
if [ "$2" = on_role_change ]; then exec sleep 600; fi
`
const ACTIONS = ['on_start', 'on_stop', 'on_restart', 'on_role_change', 'on_reload']
const SCOPE = 'demo'

describePostgres('callbacks', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    const configure = (text: string, node: string) => {
      const [, dataDir = ''] = /data_dir: "([^"]+)"/.exec(text) ?? []
      const folder = join(dataDir, '..', 'calls of')
      mkdirSync(folder)
      chmodSync(folder, 0o777)
      const script = join(folder, 'script.sh')
      writeFileSync(script, SCRIPT, { mode: 0o755 })
      const lines = ACTIONS.map((action) => `    ${action}: '"${script}" "${join(folder, node)}"'`)
      return text.replace('postgresql:\n', `postgresql:\n  callbacks:\n${lines.join('\n')}\n`)
    }
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'async', configure }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const user = () => findDatabaseUser({})?.name ?? ''
  /** `action role` of each call, in their order. */
  const callsOf = (node: TestNode): readonly string[] => {
    const file = join(node.dataDir, '..', 'calls of', node.name)
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
    return lines.map((line) => {
      const [action, role, scope, name] = line.split(' ')
      expect([scope, user() === '' || name === user()]).toEqual([SCOPE, true])
      return `${action} ${role}`
    })
  }
  const waitForCalls = (node: TestNode, calls: readonly string[]) =>
    cluster.waitFor(`${node.name} to call ${calls.join(', ')}`, 20_000, () => {
      const found = callsOf(node).slice(0, calls.length)
      return found.join() === calls.join()
    })

  it('are called with action, role and scope, in order, through a failover, a restart, a reload and the end, and a program that hangs holds nothing up', async () => {
    onTestFailed(() => console.error(cluster.nodes.map(callsOf), cluster.logTails()))
    const old = await cluster.waitForHealthy(30_000)
    for (const node of cluster.nodes)
      await waitForCalls(node, [`on_start ${node === old ? 'primary' : 'replica'}`])

    const epoch = await cluster.epoch()
    cluster.killPostmaster(old)
    const next = await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
    await cluster.waitForHealthy(30_000)
    const atNext = ['on_start replica', 'on_role_change primary']
    await waitForCalls(next, atNext)
    await waitForCalls(old, ['on_start primary', 'on_stop primary', 'on_role_change replica'])

    // The program hangs on both now: what comes next ends it.
    const { code, err } = await cluster.runOn(next, [
      'restart',
      next.name,
      '--force',
      '--config',
      next.configFile,
    ])
    expect([code, err]).toEqual([0, ''])
    await waitForCalls(next, [...atNext, 'on_restart primary'])
    const log = () => readFileSync(next.logFile, 'utf8')
    expect(log()).toContain('something newer has happened')
    await cluster.waitFor('what it said in the log', 10_000, () => log().includes('heard of on_restart'))

    signalAll(cluster.processesOf(next).agents, 'SIGHUP')
    await waitForCalls(next, [...atNext, 'on_restart primary', 'on_reload primary'])

    const third = cluster.nodes.find((node) => node !== old && node !== next)!
    expect(callsOf(third)).toEqual(['on_start replica'])
    await cluster.stopAll(40_000)
    expect(callsOf(third)).toEqual(['on_start replica', 'on_stop replica'])
    expect(callsOf(old).at(-1)).toMatch(/^on_stop /)
    expect(callsOf(next).filter((call) => call.startsWith('on_stop'))).toEqual(['on_stop primary'])
  })
})
