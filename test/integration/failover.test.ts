import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { describePostgres } from '../support/postgres.ts'

const ROUNDS = 3

describePostgres('three agents under load', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({ count: 3, binDir: postgres().binaries.folder, mode: 'async' }),
    )
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  it('another node takes writes each time the postmaster of the primary is killed, and the killed one streams again', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    for (let round = 0; round < ROUNDS; round += 1) await story.round((node) => cluster.killPostmaster(node))
    expectHonestHistory(await story.verdict())
  })

  it('another node takes writes each time all processes of the primary’s node are killed, and the killed one streams again', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    for (let round = 0; round < ROUNDS; round += 1) await story.round((node) => cluster.killNode(node))
    expectHonestHistory(await story.verdict())
  })

  it('a switchover loses nothing', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    for (let round = 0; round < ROUNDS; round += 1) {
      const old = await cluster.waitForHealthy(30_000)
      // Also to a member that ranks behind another by its name.
      const next = cluster.nodes.findLast((node) => node !== old)!
      await story.writesGoOn(30)
      await cluster.switchover(next)
      expect((await cluster.waitForPrimary({ deadlineMs: 10_000 })).name).toBe(next.name)
      await story.writesGoOn(30)
    }
    await cluster.waitForHealthy(30_000)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
  })
})
