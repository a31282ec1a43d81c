import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import type { WhyAnswer } from '#client'
import { Cluster } from '../../support/cluster.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'
import { describePostgres } from '../../support/postgres.ts'

type Said = WhyAnswer & { readonly member?: string; readonly by: string }

describePostgres('pg-metako why, on a cluster that fails step by step', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const configure = (text: string, node: string): string =>
      node === 'node3' ? `${text}tags: { noloadbalance: true }\n` : text
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum', configure }))
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  /** What the command says on the host of a node. */
  const why = async (on: TestNode): Promise<readonly Said[]> => {
    const { code, out, err } = await cluster.runOn(on, ['why', '--config', on.configFile, '-f', 'json'])
    expect([code, err]).toEqual([0, ''])
    return (JSON.parse(out) as { answers: readonly Said[] }).answers
  }
  const about = (said: readonly Said[], question: WhyAnswer['question'], member?: string) =>
    said.find((one) => one.question === question && one.member === member)

  it('names beforehand who takes over when the primary is lost, and that one does', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    const epoch = await cluster.epoch()
    const said = await cluster.waitFor('a rule that both standbys are in', 20_000, async () => {
      const all = await why(primary)
      return about(all, 'COMMITS')?.sentence.includes('2 stream') && all
    })
    expect(about(said, 'FAILOVER')).toMatchObject({ isWell: true, reason: 'HOLDS_LEASE', by: primary.name })
    expect(about(said, 'COMMITS')).toMatchObject({ isWell: true, reason: 'ACKNOWLEDGED' })
    expect(about(said, 'CONSENSUS')?.sentence).toContain(
      '3 of 3 voters are heard, 2 are needed, 1 more may fail',
    )
    expect(about(said, 'READS', 'node3')).toMatchObject({
      isWell: primary.name === 'node3',
      sentence: 'routers lead no reads there: it is tagged noloadbalance',
    })
    const takers = said.filter(({ question, reason }) => question === 'IF_LOST' && reason === 'TAKES_OVER')
    expect(takers.length).toBeGreaterThanOrEqual(1)
    cluster.crashNode(primary)
    const next = await cluster.waitForPrimary({ deadlineMs: 20_000, after: epoch })
    expect(takers.map(({ member }) => member)).toContain(next.name)
  })

  it('says of a member that is down what it is missing for, and that no other may fail now', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const down = cluster.nodes.find((node) => cluster.processesOf(node).agents.length === 0)!
    const said = await why(primary)
    expect(about(said, 'CONSENSUS')).toMatchObject({ isWell: false, reason: 'NO_MARGIN' })
    expect(about(said, 'DOING', down.name)).toMatchObject({
      isWell: false,
      reason: 'SILENT',
      by: primary.name,
    })
    expect(about(said, 'READS', down.name)?.sentence).toMatch(/it (was not heard for|is tagged)/)
    const other = cluster.nodes.find((node) => node !== primary && node !== down)!
    expect(about(said, 'IF_LOST', other.name)).toMatchObject({
      isWell: false,
      reason: 'NO_QUORUM',
      sentence: 'waits for a majority of voters: 1 of 3 would answer',
    })
  })

  it('says without a majority that nobody can take over, and how many are needed', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForPrimary({ deadlineMs: 5000 })
    const last = cluster.nodes.find(
      (node) => node !== primary && cluster.processesOf(node).agents.length > 0,
    )!
    cluster.crashNode(primary)
    const said = await cluster.waitFor('a node that sees no majority', 20_000, async () => {
      const all = await why(last)
      return about(all, 'CONSENSUS')?.reason === 'NO_QUORUM' && all
    })
    expect(about(said, 'CONSENSUS')?.sentence).toMatch(/1 of 3 voters is heard, .* not, and 2 are needed/)
    expect(about(said, 'FAILOVER')).toMatchObject({ isWell: false, reason: 'NO_QUORUM', by: last.name })
  })
})
