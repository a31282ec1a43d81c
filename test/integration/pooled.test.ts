import { Client } from 'pg'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'
import { connectRaw } from '../support/raw-client.ts'
import { buildCancelRequest } from '../../src/wire/startup.ts'

/** An application on the pooled port that never connects again: one row after another, each told once. */
class PooledWriter {
  readonly acknowledged: number[] = []
  readonly errors: { readonly id: number; readonly code: string | undefined }[] = []
  ended: Error | undefined
  readonly #client: Client
  readonly #firstId: number
  #isStopped = false
  #done: Promise<void> | undefined

  constructor(client: Client, firstId: number) {
    this.#client = client
    this.#firstId = firstId
    client.on('error', (error) => {
      this.ended ??= error
    })
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
    await this.#client.end().catch(() => undefined)
  }

  async #run(): Promise<void> {
    for (let id = this.#firstId; !this.#isStopped && !this.ended; id += 1) {
      try {
        await this.#client.query({ name: 'insert', text: 'insert into pooled values ($1)', values: [id] })
        this.acknowledged.push(id)
      } catch (error) {
        this.errors.push({ id, code: (error as { code?: string }).code })
      }
    }
  }
}

const IDS_PER_WRITER = 1_000_000
/** The statement's outcome is unknown; or PostgreSQL itself said that it stops. */
const UNKNOWN = /^(40003|57P01|57P02)$/

describePostgres('the pooled port of a cluster in quorum mode', (postgres) => {
  let cluster: Cluster
  let writers: readonly PooledWriter[] = []

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({
        count: 3,
        binDir: postgres().binaries.folder,
        mode: 'quorum',
        // One router of three has two workers: it has to do as the others in all that follows.
        configure: (text, node) =>
          node === 'node2' ? text.replace('router:\n', 'router:\n  workers: 2\n') : text,
      }),
    )
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
    const anywhere = await connectTo(cluster.url(cluster.nodes[0]!, 'primary'))
    await anywhere.query('create table pooled (id bigint not null)')
    await anywhere.end()
    const clients = await Promise.all(cluster.nodes.map((node) => connectTo(cluster.url(node, 'pooled'))))
    writers = clients.map((client, at) => new PooledWriter(client, at * IDS_PER_WRITER))
    for (const writer of writers) writer.start()
  })
  afterAll(async () => {
    await Promise.all(writers.map((writer) => writer.stop()))
    await cluster?.dispose()
  })

  async function everybodyWrites(): Promise<void> {
    const before = writers.map(({ acknowledged }) => acknowledged.length)
    await cluster.waitFor('ten more rows of every writer', 20_000, () =>
      writers.every(({ acknowledged }, at) => acknowledged.length > before[at]! + 10),
    )
  }

  it('fails no statement of a switchover, and ends no connection', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    for (let round = 0; round < 2; round += 1) {
      const old = await cluster.waitForHealthy(30_000)
      await everybodyWrites()
      await cluster.switchover(cluster.nodes.findLast((node) => node !== old)!)
      await everybodyWrites()
    }
    expect(writers.flatMap(({ errors }) => errors)).toEqual([])
    expect(writers.map(({ ended }) => ended)).toEqual([undefined, undefined, undefined])
  })

  it('ends no connection when a router gives its ports to the next one, nor when both lose their agent', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    for (const node of cluster.nodes) {
      const { router, retiring } = await cluster.restartRouter(node)
      expect(router).not.toBe(retiring)
      if (node !== primary) await cluster.restartAgent(node)
      const client = await connectTo(cluster.url(node, 'pooled'))
      await client.query('select 1')
      await client.end()
      await everybodyWrites()
    }
    await cluster.waitForHealthy(30_000)
    expect(writers.map(({ ended }) => ended)).toEqual([undefined, undefined, undefined])
  })

  it('cancels a statement also where the request comes to the router of another node', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    await cluster.waitForHealthy(30_000)
    const [one, two] = [cluster.node('node1'), cluster.node('node2')]
    const watcher = await connectTo(cluster.url(one, 'primary'))
    for (const port of ['pooled', 'primary'] as const) {
      for (const [at, asked] of [
        [one, two],
        [two, one],
      ] as const) {
        const client = await connectTo(cluster.url(at, port))
        const outcome = client.query('select pg_sleep(30)').catch((error: unknown) => error)
        await cluster.waitFor('the statement', 10_000, async () => {
          const text =
            "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'"
          return (await watcher.query(text)).rows.length === 1
        })
        const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
        const secret = Buffer.alloc(4)
        secret.writeInt32BE(secretKey)
        const request = connectRaw(asked.ports[port])
        request.socket.end(buildCancelRequest({ processId: processID, secret }))
        expect(await outcome).toMatchObject({ code: '57014' })
        await request.untilClosed()
        await client.end()
      }
    }
    await watcher.end()
  })

  it('keeps every connection through a killed primary: one statement each is unknown, no acknowledged row is lost, none is there twice', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const primary = await cluster.waitForHealthy(30_000)
    await everybodyWrites()
    cluster.killPostmaster(primary)
    await everybodyWrites()
    await Promise.all(writers.map((writer) => writer.stop()))
    for (const { errors, ended } of writers) {
      expect(ended).toBeUndefined()
      expect(errors.length).toBeLessThanOrEqual(1)
      for (const { code } of errors) expect(code).toMatch(UNKNOWN)
    }
    const reader = await connectTo(cluster.url(cluster.nodes[1]!, 'pooled'))
    const { rows } = await reader.query<{ id: string }>('select id from pooled')
    await reader.end()
    const ids = rows.map(({ id }) => Number(id))
    const there = new Set(ids)
    expect(there.size).toBe(ids.length)
    expect(writers.flatMap(({ acknowledged }) => acknowledged).filter((id) => !there.has(id))).toEqual([])
  })
})
