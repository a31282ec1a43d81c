import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../../support/failover-story.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import { describePostgres } from '../../support/postgres.ts'
import { seededRandom } from '../../support/seeded-random.ts'

const KILLS = 100
/** A start takes as long on two cores: the second kill of an agent comes anywhere in it. */
const HALF_WAY_MAX_MS = 1000
const BACK_MS = 30_000
const SEED = 11

describePostgres('agents that are killed over and over under load', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({ count: 3, binDir: postgres().binaries.folder, mode: 'quorum' }),
    )
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterAll(async () => {
    await story?.end()
    await cluster?.dispose()
  })

  it(`come back ${KILLS} times with their log and state intact: PostgreSQL runs on, no epoch begins, no row is lost`, async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const primary = await cluster.waitForHealthy(30_000)
    const before = { epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }
    const chance = seededRandom(SEED)
    for (let kills = 0; kills < KILLS; kills += 2) {
      const node = cluster.nodes[Math.floor(chance() * cluster.nodes.length)] ?? primary
      await cluster.restartAgent(node)
      const strikesAt = performance.now() + chance() * HALF_WAY_MAX_MS
      await cluster.waitFor(
        'the moment of the second kill',
        2 * HALF_WAY_MAX_MS,
        () => performance.now() >= strikesAt,
      )
      await cluster.restartAgent(node)
      await cluster.waitFor(`${node.name} to take part again`, BACK_MS, () =>
        cluster.saidAt(node, /"Consensus answers"/),
      )
    }
    await cluster.waitForHealthy(60_000)
    expect({ epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }).toEqual(before)
    await story.writesGoOn()
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
  }, 400_000)
})
