import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import { connectTo } from '../support/numbered-writer.ts'
import { describePostgres } from '../support/postgres.ts'

const ROUNDS = 4
const TRANSACTION = ['begin', 'insert into steps values (1)', 'select pg_sleep(0.02)', 'commit']

/** An application with transactions of several statements, which connects again when it is told that its connection ended. */
class TransactionClient {
  readonly errors: string[] = []
  committed = 0
  readonly #url: string
  #client: Client | undefined
  #isStopped = false
  #done: Promise<void> | undefined

  constructor(url: string) {
    this.#url = url
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#done
    await this.#client?.end().catch(() => undefined)
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const client = this.#client ?? (await this.#open())
        for (const text of TRANSACTION) await client.query(text)
        this.committed += 1
      } catch (error) {
        this.errors.push(String(error))
        this.#client = undefined
      }
    }
  }

  async #open(): Promise<Client> {
    const client = await connectTo(this.#url)
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    this.#client = client
    return client
  }
}

describePostgres('a planned switchover in quorum mode', (postgres) => {
  let cluster: Cluster
  let story: FailoverStory | undefined
  let clients: readonly TransactionClient[] = []

  beforeAll(async () => {
    cluster = new Cluster(
      await loopbackMachines({ count: 3, binDir: postgres().binaries.folder, mode: 'quorum' }),
    )
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(async () => {
    await Promise.all(clients.map((client) => client.stop()))
    await story?.end()
  })
  afterAll(() => cluster?.dispose())

  it('cuts no statement and no transaction of applications that connect again when they are told', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    story = new FailoverStory(cluster)
    await story.begin()
    const anywhere = cluster.url(cluster.nodes[0]!, 'primary')
    const one = await connectTo(anywhere)
    await one.query('create table steps (step int)')
    await one.end()
    clients = cluster.nodes.map((node) => new TransactionClient(cluster.url(node, 'primary')))
    for (const client of clients) client.start()
    const begunAt = performance.now()
    for (let round = 0; round < ROUNDS; round += 1) {
      const old = await cluster.waitForHealthy(30_000)
      const next = cluster.nodes.findLast((node) => node !== old)!
      await story.writesGoOn(20)
      const before = clients.map(({ committed }) => committed)
      await cluster.switchover(next)
      expect((await cluster.waitForPrimary({ deadlineMs: 10_000 })).name).toBe(next.name)
      await story.writesGoOn(20)
      await cluster.waitFor('a transaction of every client', 10_000, () =>
        clients.every(({ committed }, at) => committed > before[at]!),
      )
    }
    const failed = story.failures(begunAt).map(({ error }) => error)
    expect([...failed, ...clients.flatMap(({ errors }) => errors)]).toEqual([])
    const verdict = await story.verdict()
    expectHonestHistory(verdict)
    expect(verdict.missing).toEqual([])
  })

  it('cuts a transaction that does not end within the limit', async () => {
    onTestFailed(() => console.error(cluster.logTails()))
    const old = await cluster.waitForHealthy(30_000)
    const stuck = await connectTo(cluster.url(cluster.nodes[0]!, 'primary'))
    const told: string[] = []
    stuck.on('error', (error) => told.push(String(error)))
    await stuck.query('begin')
    const begunAt = performance.now()
    await cluster.switchover(cluster.nodes.find((node) => node !== old)!)
    expect(performance.now() - begunAt).toBeGreaterThan(2000)
    await cluster.waitFor('the cut', 5000, () => told.length > 0)
    expect(told[0]).toContain('terminating connection due to administrator command')
  })
})
