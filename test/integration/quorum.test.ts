import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import type { TestNode } from '../support/machines.ts'
import { describePostgres } from '../support/postgres.ts'
import type { HistoryVerdict } from '../support/write-history.ts'

const ROUNDS = 3

describePostgres('three agents in quorum mode under load', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({
        count: 3,
        binDir: postgres().binaries.folder,
        extraConfig: 'replication: { mode: quorum }\n',
      }),
    )
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  const tell = async (fault: (node: TestNode) => void): Promise<HistoryVerdict> => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    for (let round = 0; round < ROUNDS; round += 1) await story.round(fault)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    return verdict
  }

  it('loses no acknowledged row when the postmaster of the primary is killed, and another node takes over by revocation', async () => {
    expect((await tell((node) => cluster.killPostmaster(node))).missing).toEqual([])
    expect((await cluster.takeovers()).slice(-ROUNDS)).toEqual(Array(ROUNDS).fill('revocation'))
  })

  it('loses no acknowledged row when all processes of the primary’s node are killed', async () => {
    expect((await tell((node) => cluster.killNode(node))).missing).toEqual([])
  })
})
