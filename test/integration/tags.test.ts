import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'

const CONNECTIONS = 12

/** node1 creates the cluster, node2 must never lead it, node3 gets no reads. */
describePostgres('what an operator says of a member', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const tags: Readonly<Record<string, string>> = { node2: 'nofailover', node3: 'noloadbalance' }
    const configure = (text: string, node: string): string =>
      tags[node] === undefined ? text : `${text}tags: { ${tags[node]}: true }\n`
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum', configure }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const waitsFor = async (): Promise<string> => {
    const primary = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const client = await connectTo(cluster.directUrl(primary))
    try {
      const { rows } = await client.query<{ synchronous_standby_names: string }>(
        'show synchronous_standby_names',
      )
      return rows[0]?.synchronous_standby_names ?? ''
    } finally {
      await client.end()
    }
  }

  it('nofailover: no commit waits for a member that could not take over with it', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const names = await cluster.waitFor('a rule', 15_000, async () => {
      const text = await waitsFor()
      return text.includes('node3') && text
    })
    expect(names).not.toContain('node2')
  })

  it('noloadbalance: the replica port leads elsewhere, and /replica says 503', async () => {
    const ports = new Set<number>()
    for (let count = 0; count < CONNECTIONS; count += 1) {
      const client = await connectTo(cluster.url(cluster.nodes[count % 3]!, 'replica'))
      const { rows } = await client.query<{ port: number }>('select inet_server_port() as port')
      ports.add(rows[0]!.port)
      await client.end()
    }
    expect([...ports]).toEqual([cluster.node('node2').ports.postgres])
    expect((await fetch(`${cluster.node('node2').api}replica`)).status).toBe(200)
    expect((await fetch(`${cluster.node('node3').api}replica`)).status).toBe(503)
    expect((await fetch(`${cluster.node('node3').api}replica?tag_noloadbalance=true`)).status).toBe(503)
  })

  it('nofailover: a switchover to it is refused with the reason', async () => {
    await expect(cluster.switchover(cluster.node('node2'))).rejects.toThrow('is tagged nofailover')
  })

  it('nofailover: it does not take over from a killed primary, another does', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const epoch = await cluster.epoch()
    cluster.crashNode(cluster.node('node1'))
    const next = await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
    expect(next.name).toBe('node3')
    await cluster.waitForHealthy(60_000)
    const failover = (await cluster.failovers()).find((one) => one.epoch > epoch)
    expect(failover?.passedOver).toContainEqual({ name: 'node2', why: 'is tagged nofailover' })
  })
})
