import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'

/** Twice the lease of the profile `lan`, the guard's reaction included. */
const OUTLIVES_MS = 6_000

/** Asynchronous mode, where nothing but the lease and who ends PostgreSQL keep a second primary away. */
describePostgres('a paused cluster', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'async' }))
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const order = async (...words: readonly string[]): Promise<string> => {
    const node = cluster.nodes[0]!
    const { code, out, err } = await cluster.runOn(node, [...words, '--config', node.configFile])
    expect([code, err]).toEqual([0, ''])
    return out
  }
  const postmasters = () => cluster.nodes.map((node) => cluster.postmasterPid(node))

  it('keeps its PostgreSQL when all agents are told to stop, for longer than any lease', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    expect(await order('pause')).toContain('The cluster is paused')
    await cluster.waitFor('every agent to know it', 5000, async () => {
      const { members } = await cluster.view()
      return members.every(({ facts }) => facts.paused)
    })
    const before = { epoch: await cluster.epoch(), pids: postmasters() }
    const primary = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const client = await connectTo(cluster.directUrl(primary))
    await client.query('create table paused (at timestamptz)')

    await cluster.stopAll(10_000)
    const stoppedAt = performance.now()
    await cluster.waitFor('commits long after the lease', 2 * OUTLIVES_MS, async () => {
      await client.query('insert into paused values (now())')
      return performance.now() - stoppedAt > OUTLIVES_MS
    })
    await client.end()
    expect(postmasters()).toEqual(before.pids)

    cluster.startAll()
    await cluster.waitForHealthy(20_000)
    expect({ epoch: await cluster.epoch(), pids: postmasters() }).toEqual(before)
  })

  it('leaves a primary down that was killed; when it is over the cluster writes again', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const epoch = await cluster.epoch()
    cluster.killPostmaster(primary)
    await cluster.waitFor('its agent to leave it so', 10_000, async () => {
      const { views } = await cluster.observe()
      return views.get(primary.name)?.stance.includes('the cluster is paused') && true
    })
    expect([await cluster.epoch(), cluster.postmasterPid(primary)]).toEqual([epoch, undefined])

    expect(await order('resume', '--wait')).toContain('resumed')
    await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
    await cluster.waitForHealthy(60_000)
  })

  it('does a switchover that somebody asks for, and guards its primary again afterwards', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    await order('pause', '--wait')
    expect(await order('list')).toContain('nobody takes over')
    const old = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const next = cluster.nodes.find((node) => node.name !== old.name)!
    await cluster.switchover(next)
    const guardOf = async () => {
      const view = await cluster.view()
      return view.members.find(({ facts }) => facts.name === next.name)?.facts.guard
    }
    await cluster.waitFor('its guard to let go', 10_000, async () => (await guardOf()) === 'idle')
    await order('resume', '--wait')
    await cluster.waitFor('its guard to hold a deadline', 10_000, async () => (await guardOf()) === 'armed')
    expect((await cluster.waitForHealthy(20_000)).name).toBe(next.name)
  })
})
