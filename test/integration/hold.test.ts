import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'

const CONNECTIONS = 6
const TOLD_MS = 10_000

/** node1 creates the cluster; node2 is held. */
describePostgres('a member that is held', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum' }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const order = (...words: readonly string[]) => {
    const node = cluster.node('node3')
    return cluster.runOn(node, [...words, '--config', node.configFile])
  }
  const factsOf = async (name: string) =>
    (await cluster.view()).members.find(({ facts }) => facts.name === name)?.facts
  const counted = async (): Promise<readonly string[]> =>
    (await cluster.view()).record?.acks?.at(-1)?.rule.members.map(({ name }) => name) ?? []

  it('gets no reads, no commit waits for it, and everybody is told why, also after all agents were started anew', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    expect(await order('hold', 'node2', '--reason', 'new disk')).toMatchObject({
      code: 0,
      out: expect.stringContaining('"node2" is held: it takes over from nobody'),
      err: '',
    })
    await cluster.waitFor('commits that wait for the other', TOLD_MS, async () =>
      (await counted()).every((name) => name === 'node3'),
    )
    await cluster.killAllAgents()
    cluster.startAll()
    await cluster.waitForHealthy(30_000)
    const facts = await factsOf('node2')
    expect(facts?.tags).toEqual({ nofailover: true, noloadbalance: true })
    expect(facts?.held).toEqual({ since: expect.stringMatching(/^20/), reason: 'new disk' })
    expect((await order('list')).out).toMatch(/node2 .*held since 20.*: new disk/)
    const ports = new Set<number>()
    for (let count = 0; count < CONNECTIONS; count += 1) {
      const client = await connectTo(cluster.url(cluster.nodes[count % 3]!, 'replica'))
      const { rows } = await client.query<{ port: number }>('select inet_server_port() as port')
      ports.add(rows[0]!.port)
      await client.end()
    }
    expect([...ports]).toEqual([cluster.node('node3').ports.postgres])
  })

  it('does not take over, not even asked to; the primary cannot be held', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    await expect(cluster.switchover(cluster.node('node2'))).rejects.toThrow('is tagged nofailover')
    expect((await order('hold', 'node1')).err).toContain('"node1" is the primary')
    const epoch = await cluster.epoch()
    cluster.killPostmaster(cluster.node('node1'))
    expect((await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })).name).toBe('node3')
    await cluster.waitForHealthy(60_000)
  })

  it('is of service again when it is taken back, once', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    expect((await order('unhold', 'node2')).out).toContain('is held no more')
    expect((await order('unhold', 'node2')).err).toContain('"node2" is not held')
    await cluster.waitFor('its tags to go', TOLD_MS, async () => (await factsOf('node2'))?.tags === undefined)
    await cluster.waitFor('commits that may wait for it', TOLD_MS, async () =>
      (await counted()).includes('node2'),
    )
    await cluster.switchover(cluster.node('node2'))
    expect((await cluster.waitForHealthy(30_000)).name).toBe('node2')
  })
})
