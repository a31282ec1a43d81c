import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../../support/failover-story.ts'
import { canMakeHosts, namespaceMachines } from '../../support/namespace-machines.ts'

/** The README's "On three hosts", typed out: the example's files on three hosts with addresses of their own. */
describe.runIf(canMakeHosts())('three hosts with the files of examples/three-hosts', () => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(await namespaceMachines())
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  it('another host takes writes when PostgreSQL of the primary is killed, and when all of it is', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    await story.round((node) => cluster.killPostmaster(node))
    await story.round((node) => cluster.killNode(node))
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
    expect(verdict.acknowledged).toBeGreaterThan(100)
  })
})
