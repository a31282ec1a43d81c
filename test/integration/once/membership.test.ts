import { renameSync, rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFailed } from 'vitest'
import type { MembersDocument } from '#client'
import { createClient } from '#client'
import { Cluster } from '../../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../../support/failover-story.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'

/** A copy of a small cluster, its start, and the steps of consensus. */
const TAKEN_IN_MS = 45_000

/** Members come and go by the command line alone, while a client writes through every router of the others. */
describe('members of a running cluster', () => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(await loopbackMachines({ count: 3, spare: 1 }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  const first = () => cluster.nodes[0] as TestNode
  const command = (...words: readonly string[]) => cluster.runOn(first(), words)
  const onFirst = (...words: readonly string[]) => command(...words, '--config', first().configFile)

  async function invite(node: TestNode): Promise<readonly string[]> {
    const { code, out, err } = await onFirst(
      ...['member', 'add', node.name, '--api-host', node.host],
      ...['--api-port', String(node.ports.api), '--format', 'json'],
    )
    expect(code, err).toBe(0)
    return (JSON.parse(out) as { command: string }).command.split(' ').slice(1)
  }

  async function members(): Promise<MembersDocument> {
    const { code, out, err } = await onFirst('member', 'list', '--format', 'json')
    expect(code, err).toBe(0)
    return JSON.parse(out) as MembersDocument
  }

  async function takenIn(node: TestNode): Promise<void> {
    await cluster.waitFor(`${node.name} votes and streams`, TAKEN_IN_MS, async () => {
      const entry = (await members()).members.find(({ name }) => name === node.name)
      return ['voter', 'leader'].includes(entry?.consensus ?? '') && entry?.state === 'streaming'
    })
  }

  const viewOf = (node: TestNode) => createClient({ url: node.api, timeoutMs: 1000 }).view()

  it('one joins and votes, comes back with an empty disk as a new member, and is removed', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const [fourth] = cluster.spares
    if (!fourth) throw new Error('A test without a spare node')
    story = new FailoverStory(cluster)
    await story.begin()
    const since = performance.now()

    const join = await invite(fourth)
    const joined = await command(...join, '--config', fourth.configFile)
    expect(joined, joined.err).toMatchObject({ code: 0 })
    expect(await command(...join, '--config', fourth.configFile)).toMatchObject({ code: 1 })
    cluster.setMember(fourth, true)
    cluster.startAgent(fourth)
    await takenIn(fourth)
    expect(story.failures(since), 'errors of clients while a node joined').toEqual([])

    await story.round((node) => cluster.killNode(node))
    if ((await cluster.primary()) === fourth) {
      await cluster.switchover(first())
      await cluster.waitForHealthy(TAKEN_IN_MS)
    }
    await story.writesGoOn()
    const later = performance.now()

    // A voter that lost its state folder: it is told what to do, does it, and is back.
    cluster.setMember(fourth, false)
    cluster.supervise(false)
    cluster.crashNode(fourth)
    await cluster.waitFor('the end of the node', 5000, () => cluster.processesOf(fourth).agents.length === 0)
    rmSync(fourth.stateDir, { recursive: true })
    cluster.startAgent(fourth)
    await cluster.waitFor('the words of the lost voter', 10_000, async () => {
      const view = await viewOf(fourth).catch(() => undefined)
      return view?.stance.includes(`pg-metako member remove ${fourth.name}`)
    })
    const removed = await onFirst('member', 'remove', fourth.name, '--force')
    expect(removed, removed.err).toMatchObject({ code: 0 })
    const again = await invite(fourth)
    const withData = await command(...again, '--config', fourth.configFile)
    expect(withData.err).toContain(`mv ${fourth.dataDir}`)
    renameSync(fourth.dataDir, `${fourth.dataDir}.aside`)
    const rejoined = await command(...again, '--config', fourth.configFile)
    expect(rejoined, rejoined.err).toMatchObject({ code: 0 })
    cluster.killAgent(fourth)
    await cluster.waitFor('the end of the agent', 5000, () => cluster.processesOf(fourth).agents.length === 0)
    cluster.startAgent(fourth)
    await takenIn(fourth)

    // A living standby that is removed knows it, and goes on knowing it after a restart of its agent.
    const gone = await onFirst('member', 'remove', fourth.name, '--force')
    expect(gone, gone.err).toMatchObject({ code: 0 })
    const isOut = async () => {
      const view = await viewOf(fourth).catch(() => undefined)
      const isTold = view?.findings.some(({ code }) => code === 'NODE_REMOVED')
      return isTold === true && cluster.processesOf(fourth).instance.length === 0
    }
    await cluster.waitFor('the removed node to stop', 20_000, isOut)
    cluster.killAgent(fourth)
    await cluster.waitFor('the end of the agent', 5000, () => cluster.processesOf(fourth).agents.length === 0)
    cluster.startAgent(fourth)
    await cluster.waitFor('the removed node to stay out', 20_000, isOut)
    expect((await members()).members.map(({ name, consensus }) => [name, consensus !== 'none'])).toEqual(
      cluster.nodes.map(({ name }) => [name, true]),
    )
    expect((await viewOf(first())).consensus.voters.toSorted()).toEqual(cluster.nodes.map(({ name }) => name))
    expect(story.failures(later), 'errors of clients while members came and went').toEqual([])
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
  })
})
