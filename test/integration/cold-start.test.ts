import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { describePostgres } from '../support/postgres.ts'

/** The lease of the profile `lan`, the guard's reaction, and what two busy cores add. */
const FENCED_MS = 15_000
/** The promise: the same primary takes writes this soon after a majority of agents is back. */
const BACK_MS = 5_000

describePostgres('three agents killed at once', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({ count: 3, binDir: postgres().binaries.folder, mode: 'async' }),
    )
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  const pids = () => cluster.nodes.map((node) => [cluster.postmasterPid(node), cluster.routerPid(node)])

  it('costs no write, no failover and no process when they are started again at once', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const before = { epoch: await cluster.epoch(), pids: pids() }
    const beginMs = performance.now()
    const { killedAt, startedAt } = await cluster.restartAllAgents()
    const primary = await cluster.waitForHealthy(20_000)
    await story.writesGoOn(20)
    const renewedAt = cluster.saidAt(primary, /"primary of epoch/) ?? Number.NaN
    process.stdout.write(
      `    three agents killed, started again after ${startedAt - killedAt} ms, lease renewed after ${renewedAt - killedAt} ms\n`,
    )

    expect(story.failures(beginMs - 1000)).toEqual([])
    expect({ epoch: await cluster.epoch(), pids: pids() }).toEqual(before)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict).toMatchObject({ unknown: 0, refused: 0, missing: [] })
  })

  it('stops PostgreSQL of the primary when they stay away, and the same primary is back with a majority', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const primary = await cluster.waitForHealthy(20_000)
    const epoch = await cluster.epoch()

    await cluster.killAllAgents()
    await cluster.waitFor(
      'the guard to stop PostgreSQL',
      FENCED_MS,
      () => cluster.processesOf(primary).instance.length === 0,
    )
    const majority = [primary, ...cluster.nodes.filter((node) => node !== primary)].slice(0, 2)
    for (const node of majority) cluster.startAgent(node)
    const backMs = performance.now()
    await story.writesGoOn()
    expect(performance.now() - backMs).toBeLessThan(BACK_MS)
    expect((await cluster.primary())?.name).toBe(primary.name)

    cluster.startAll()
    expect((await cluster.waitForHealthy(30_000)).name).toBe(primary.name)
    expect(await cluster.epoch()).toBe(epoch)
    expectHonestHistory(await story.verdict())
  })

  it('keeps its data and its primary when all nodes were stopped and started again', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    await story.writesGoOn(20)
    await story.end()
    await cluster.waitForHealthy(20_000)
    await cluster.stopAll(10_000)
    await cluster.waitFor('every process to end', 2000, () => cluster.pids().length === 0)

    cluster.startAll()
    await cluster.waitForHealthy(30_000)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
  })
})
