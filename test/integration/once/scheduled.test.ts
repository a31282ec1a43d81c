import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { Machines, TestNode } from '../../support/machines.ts'
import { describePostgres } from '../../support/postgres.ts'

/** Time enough for all to hear of an order, and for an agent to die, before it is due. */
const SOON_MS = 5000

describePostgres('orders for later', (postgres) => {
  let machines: Machines
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    machines = await loopbackMachines({ count: 3, binDir, mode: 'async' })
    cluster = new Cluster(machines)
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const send = async (node: TestNode, method: string, path: string, body?: object): Promise<string> => {
    const answer = await fetch(node.api + path, {
      method,
      headers: { authorization: `Bearer ${machines.apiToken(node)}` },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return `${answer.status} ${await answer.text()}`
  }
  type Shown = {
    readonly scheduled_switchover?: object
    readonly members: readonly { readonly name: string; readonly scheduled_restart?: object }[]
  }
  const shown = async (node: TestNode) => (await (await fetch(`${node.api}cluster`)).json()) as Shown
  const others = (node: TestNode) => cluster.nodes.filter((one) => one !== node)

  it('a switchover takes place when its time has come, also where the agent that took the order has died, and once', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const old = await cluster.waitForHealthy(30_000)
    const [next, third] = others(old)
    const epoch = await cluster.epoch()
    const time = Date.now() + SOON_MS
    const at = new Date(time).toISOString()
    const order = { leader: old.name, candidate: next!.name, scheduled_at: at }
    expect(await send(third!, 'POST', 'switchover', order)).toBe('202 Switchover scheduled')
    await cluster.waitFor('the order on every node', 3000, async () => {
      const documents = await Promise.all(cluster.nodes.map(shown))
      return documents.every((one) => one.scheduled_switchover !== undefined)
    })
    cluster.killAgent(third!)
    expect((await cluster.waitForPrimary({ deadlineMs: 30_000, after: epoch })).name).toBe(next!.name)
    expect(Date.now()).toBeGreaterThanOrEqual(time)
    expect((await cluster.view()).history.at(-1)).toMatchObject({ holder: next!.name, reason: 'SWITCHOVER' })
    expect((await shown(third!)).scheduled_switchover).toBeUndefined()
    expect((await cluster.waitForHealthy(45_000)).name).toBe(next!.name)
    expect(await cluster.epoch()).toBe(epoch + 1)
  })

  it('a restart takes place when its time has come, on the member that it was given to alone', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    const [member, other] = others(primary)
    const pids = () => cluster.nodes.map((node) => cluster.postmasterPid(node))
    const before = pids()
    const schedule = new Date(Date.now() + SOON_MS).toISOString()
    expect(await send(member!, 'POST', 'restart', { schedule, role: 'replica' })).toBe(
      '202 Restart scheduled',
    )
    expect(await send(member!, 'POST', 'restart', { schedule })).toBe(
      '409 Another restart is already scheduled',
    )
    await cluster.waitFor('all to show it', 3000, async () => {
      const { members } = await shown(other!)
      return members.some(({ name, scheduled_restart }) => name === member!.name && scheduled_restart)
    })
    const index = cluster.nodes.indexOf(member!)
    await cluster.waitFor('another postmaster', 30_000, () => {
      const pid = pids()[index]
      return pid !== undefined && pid !== before[index]
    })
    await cluster.waitForHealthy(30_000)
    expect(pids().filter((pid, at) => pid !== before[at])).toHaveLength(1)
    expect(await send(member!, 'DELETE', 'restart')).toBe('404 no restarts are scheduled')
  })

  it('what is called off does not take place', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    const [member] = others(primary)
    const ctl = (...words: readonly string[]) =>
      cluster.runOn(member!, ['patronictl', '-c', member!.configFile, ...words])
    const at = new Date(Date.now() + 3_600_000).toISOString()
    const ordered = await ctl('switchover', '--leader', primary.name, '--scheduled', at, '--force')
    expect(ordered.out).toContain('Switchover scheduled at: ')
    expect((await ctl('flush', 'demo', 'switchover', '--force')).out).toBe(
      'Success: scheduled switchover deleted\n',
    )
    expect(await send(primary, 'DELETE', 'switchover')).toBe('404 no switchover is scheduled')
    await cluster.waitFor('nobody to show it', 3000, async () => {
      const documents = await Promise.all(cluster.nodes.map(shown))
      return documents.every((one) => one.scheduled_switchover === undefined)
    })
  })
})
