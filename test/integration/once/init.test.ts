import { afterAll, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import { createClient, type MembersDocument } from '#client'
import { Cluster } from '../../support/cluster.ts'
import type { TestNode } from '../../support/machines.ts'
import { canMakeHosts, namespaceMachines } from '../../support/namespace-machines.ts'
import { createNumberedTable, readNumbered, withClient } from '../../support/numbered-writer.ts'

/** A copy of a small cluster, its start, and the steps of consensus. */
const TAKEN_IN_MS = 45_000

/** The README's "On three hosts", typed out: the files are what `init` and `join` write, used as they are. */
describe.runIf(canMakeHosts())('hosts with the files that init and join write', () => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = new Cluster(await namespaceMachines({ from: 'init', spare: 1 }))
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterAll(() => cluster?.dispose())

  async function members(asked: TestNode): Promise<MembersDocument['members']> {
    const { code, out, err } = await cluster.runOn(asked, [
      ...['member', 'list', '--format', 'json', '--config', asked.configFile],
    ])
    expect(code, err).toBe(0)
    return (JSON.parse(out) as MembersDocument).members
  }

  it('a fourth joins, all start again from files of which three name three, and one is removed while it is away', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [first] = cluster.nodes
    const [fourth] = cluster.spares
    if (!first || !fourth) throw new Error('A test without hosts')
    await createNumberedTable(cluster.url(first, 'primary'))
    const invited = await cluster.runOn(first, [
      ...['member', 'add', fourth.name, '--api-host', fourth.host],
      ...['--format', 'json', '--config', first.configFile],
    ])
    expect(invited.code, invited.err).toBe(0)
    const [, ...join] = (JSON.parse(invited.out) as { command: string }).command.split(' ')
    const out = fourth.configFile.replace(/\/[^/]*$/, '')
    const joined = await cluster.runOn(fourth, [...join, '--out', out])
    expect(joined.code, joined.err).toBe(0)
    cluster.setMember(fourth, true)
    cluster.startAgent(fourth)
    const takenIn = async () =>
      (await members(first)).some(
        ({ name, consensus, state }) =>
          name === fourth.name && consensus === 'voter' && state === 'streaming',
      )
    await cluster.waitFor('the fourth votes and streams', TAKEN_IN_MS, takenIn)

    await cluster.stopAll(30_000)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
    const primary = cluster.url(fourth, 'primary')
    await withClient(primary, (client) => client.query('INSERT INTO numbered VALUES (1)'))
    expect(await readNumbered(primary)).toEqual([1])
    expect((await members(fourth)).map(({ name, reachable }) => [name, reachable])).toEqual(
      ['node1', 'node2', 'node3', 'node4'].map((name) => [name, true]),
    )

    // Removed while it is away: it hears of it from the others when it is back.
    const leaving = (await cluster.primary()) === fourth ? first : fourth
    const asked = leaving === fourth ? first : fourth
    cluster.crashNode(leaving)
    const removed = await cluster.runOn(asked, [
      ...['member', 'remove', leaving.name, '--force', '--config', asked.configFile],
    ])
    expect(removed.code, removed.err).toBe(0)
    expect(removed.out).toContain('it is out of consensus')
    cluster.startAgent(leaving)
    await cluster.waitFor('the removed one to know it', 20_000, async () => {
      const view = await createClient({ url: leaving.api, timeoutMs: 1000 })
        .view()
        .catch(() => undefined)
      return view?.findings.some(({ code }) => code === 'NODE_REMOVED')
    })
    expect(cluster.processesOf(leaving).instance).toEqual([])
  })
})
