import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { describePostgres } from '../support/postgres.ts'

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

  const tell = async (rounds: (story: FailoverStory) => Promise<void>): Promise<void> => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    await rounds(story)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing, 'acknowledged, and not there').toEqual([])
  }

  it('loses no acknowledged row when the postmaster of the primary is killed, and another node takes over by revocation', () =>
    tell(async (one) => {
      for (let round = 0; round < ROUNDS; round += 1) await one.round((node) => cluster.killPostmaster(node))
      expect((await cluster.takeovers()).slice(-ROUNDS)).toEqual(Array(ROUNDS).fill('revocation'))
    }))

  it('loses no acknowledged row when all processes of the primary’s node are killed', () =>
    tell(async (one) => {
      for (let round = 0; round < ROUNDS; round += 1) await one.round((node) => cluster.killNode(node))
    }))
})
