import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../../support/failover-story.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import { describePostgres } from '../../support/postgres.ts'

describePostgres('a rolling restart in quorum mode', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum' }))
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  it('gives every member another postmaster, moves no primary, and cuts no statement of those who write', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const primary = await cluster.waitForHealthy(20_000)
    const epoch = await cluster.epoch()
    const before = cluster.nodes.map((node) => cluster.postmasterPid(node))

    const [first] = cluster.nodes
    const { code, out, err } = await cluster.runOn(first!, [
      'restart',
      '--force',
      '--config',
      first!.configFile,
    ])
    expect([code, err]).toEqual([0, ''])
    expect(out.trim().split('\n').at(-1)).toContain(`"${primary.name}" restarted`)
    await story.writesGoOn(20)
    await cluster.waitForHealthy(20_000)

    const after = cluster.nodes.map((node) => cluster.postmasterPid(node))
    expect(after.filter((pid, index) => pid === undefined || pid === before[index])).toEqual([])
    expect(await cluster.epoch()).toBe(epoch)
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict).toMatchObject({ unknown: 0, missing: [] })
  })
})
