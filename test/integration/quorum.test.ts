import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import type { TestNode } from '../support/machines.ts'
import { describePostgres } from '../support/postgres.ts'
import type { HistoryVerdict } from '../support/write-history.ts'

const ROUNDS = 3
const STEPS = ['noticed', 'begun', 'pledged', 'authorised', 'promoted', 'protected', 'open']
/** The lease of the profile `lan` is over, and the guard would have acted. */
const LEASE_OVER_MS = 4000

describePostgres('three agents in quorum mode under load', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({
        count: 3,
        binDir: postgres().binaries.folder,
        mode: 'quorum',
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
    for (const { takeover, reason, steps } of (await cluster.failovers()).slice(-ROUNDS)) {
      expect({ takeover, reason }).toEqual({ takeover: 'revocation', reason: 'PRIMARY_CRASHED' })
      expect([...new Set(steps.map(({ step }) => step))]).toEqual(STEPS)
    }
  })

  it('loses no acknowledged row when all processes of the primary’s node are killed', async () => {
    expect((await tell((node) => cluster.killNode(node))).missing).toEqual([])
  })

  it('keeps its primary, and the primary its PostgreSQL, when all agents stay away for longer than the lease', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const primary = await cluster.waitForHealthy(30_000)
    const before = { epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }
    cluster.supervise(false)
    const killedAt = performance.now()
    await cluster.killAllAgents()
    await cluster.waitFor(
      'the lease to be over',
      2 * LEASE_OVER_MS,
      () => performance.now() - killedAt > LEASE_OVER_MS,
    )
    expect(cluster.postmasterPid(primary)).toBe(before.pid)
    cluster.supervise(true)
    cluster.startAll()
    await story.writesGoOn()
    expect((await cluster.waitForHealthy(30_000)).name).toBe(primary.name)
    expect({ epoch: await cluster.epoch(), pid: cluster.postmasterPid(primary) }).toEqual(before)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
  })
})
