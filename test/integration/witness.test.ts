import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'

/** What a host must have to spare for a third vote. */
const MEMORY_MAX_MB = 80
/** A standby that is away is waited for 4 s, and then two records are committed. */
const DEGRADED_MS = 15_000
/** Longer than any take-over takes, the wait for an expired lease included. */
const NOBODY_MS = 10_000

describePostgres('two databases with a witness', (postgres) => {
  let cluster: Cluster

  beforeAll(async () => {
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, witness: true, binDir }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })
  afterAll(() => cluster?.dispose())

  const witness = () => cluster.nodes.at(-1)!
  const ruleK = async () => (await cluster.view()).record?.acks?.at(-1)?.rule.k
  const protectedBy = (k: number, deadlineMs: number) =>
    cluster.waitFor(`commits that wait for ${k}`, deadlineMs, async () => (await ruleK()) === k)

  it('begin in quorum mode; the witness votes, runs no database, and needs little memory', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    await protectedBy(1, 10_000)
    const { consensus } = await cluster.view()
    expect(consensus.voters).toEqual(cluster.nodes.map(({ name }) => name))
    const { agents, instance, guards, routers } = cluster.processesOf(witness())
    expect([agents.length, instance, guards, routers]).toEqual([1, [], [], []])
    const status = readFileSync(`/proc/${agents[0]!.pid}/status`, 'utf8')
    const megabytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
    process.stdout.write(`    the witness has ${megabytes.toFixed(0)} MB\n`)
    expect(megabytes).toBeLessThan(MEMORY_MAX_MB)
    const { out } = await cluster.runOn(witness(), ['list', '--config', witness().configFile])
    expect(out).toMatch(/node3 .* witness .* voting/)
    const why = await cluster.runOn(witness(), ['why', 'node3', '--config', witness().configFile])
    expect([why.code, why.out]).toEqual([0, expect.stringContaining('votes, and has no database')])
  })

  it('let the witness be neither held nor primary', async () => {
    const order = (...words: readonly string[]) =>
      cluster.runOn(witness(), [...words, '--config', witness().configFile])
    expect((await order('hold', 'node3')).err).toContain('"node3" is a witness and has no database')
    await expect(cluster.switchover(witness())).rejects.toThrow('is a witness and has no database')
  })

  it('lose no acknowledged row when the host of the primary dies, and the one that is left takes writes alone', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const story = new FailoverStory(cluster)
    await story.begin()
    for (let round = 0; round < 2; round += 1) await story.round((node) => cluster.killNode(node))
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
    expect((await cluster.takeovers()).slice(-2)).toEqual(['revocation', 'revocation'])
  })

  it('go on without the standby, say that commits are on one disk, and protect them again when it is back', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(60_000)
    await protectedBy(1, 10_000)
    const standby = cluster.nodes.find((node) => node !== primary && node !== witness())!
    cluster.supervise(false)
    cluster.killNode(standby)
    await protectedBy(0, DEGRADED_MS)
    const client = await connectTo(cluster.directUrl(primary))
    await client.query('create table alone as select 1 as one')
    await client.end()
    const doctor = await cluster.runOn(primary, ['doctor', '--config', primary.configFile])
    expect(doctor.out).toContain('no standby has what is committed now')
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
    await protectedBy(1, 10_000)
  })

  it('go on without the witness, and take nothing over without it, until it is back', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(60_000)
    const epoch = await cluster.epoch()
    const standby = cluster.nodes.find((node) => node !== primary && node !== witness())!
    cluster.supervise(false)
    cluster.killNode(witness())
    const client = await connectTo(cluster.directUrl(primary))
    await client.query('create table unwitnessed as select 1 as one')
    await client.end()
    cluster.killNode(primary)
    const killedAt = performance.now()
    await cluster.waitFor('nobody to take over for long', 2 * NOBODY_MS, async () => {
      const { facts } = (await cluster.view()).members.find((one) => one.facts.name === standby.name)!
      expect([facts.instance.role, await cluster.epoch()]).toEqual(['standby', epoch])
      return performance.now() - killedAt > NOBODY_MS
    })
    const why = await cluster.runOn(standby, ['why', '--config', standby.configFile])
    expect(why.out).toContain('no majority answers node')
    cluster.startAgent(witness())
    expect((await cluster.waitForPrimary({ deadlineMs: 30_000, after: epoch })).name).toBe(standby.name)
    const reader = await connectTo(cluster.directUrl(standby))
    expect((await reader.query('select one from unwitnessed')).rows).toEqual([{ one: 1 }])
    await reader.end()
  })
})
