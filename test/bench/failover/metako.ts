import { Client } from 'pg'
import type { LossReport } from '#client'
import { Cluster } from '../../support/cluster.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'
import type { BenchCluster, Case, Mode } from './bench-cluster.ts'

const START_MS = 60_000
const CONNECT_MS = 40_000
const QUERY_MS = 10_000

/** Ours: an application connects to the router of a node that is not the primary's, so that a lost node takes no client with it. */
export class MetakoCluster implements BenchCluster {
  readonly system = 'pg-metako'
  readonly #cluster: Cluster
  #epoch = 0

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  static async start(options: { mode: Mode; binDir: string | undefined }): Promise<MetakoCluster> {
    const cluster = new Cluster(await loopbackMachines({ count: 3, ...options }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(START_MS)
    return new MetakoCluster(cluster)
  }

  async waitForHealthy(deadlineMs: number): Promise<string> {
    const { name } = await this.#cluster.waitForHealthy(deadlineMs)
    this.#epoch = await this.#cluster.epoch()
    return name
  }

  async connect(without: string): Promise<Client> {
    const client = new Client({
      connectionString: this.#cluster.url(this.#other(without), 'primary'),
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  async fault(name: Case, primary: string): Promise<void> {
    const node = this.#cluster.node(primary)
    switch (name) {
      case 'kill':
        this.#cluster.killPostmaster(node)
        return
      case 'crash':
        // As if its power was cut: nothing comes back before another node has taken over.
        this.#cluster.supervise(false)
        this.#cluster.crashNode(node)
        return
      case 'switchover':
        await this.#cluster.switchover(this.#other(primary))
        return
    }
  }

  async waitForTakeover(_before: string, deadlineMs: number): Promise<void> {
    await this.#cluster.waitForPrimary({ deadlineMs, after: this.#epoch })
  }

  heal(node: string): Promise<void> {
    this.#cluster.supervise(true)
    this.#cluster.startAgent(this.#cluster.node(node))
    return Promise.resolve()
  }

  losses(): Promise<readonly LossReport[]> {
    return this.#cluster.losses()
  }

  logTails(): string {
    return this.#cluster.logTails()
  }

  dispose(): Promise<void> {
    return this.#cluster.dispose()
  }

  #other(without: string): TestNode {
    const found = this.#cluster.nodes.find(({ name }) => name !== without)
    if (!found) throw new Error('Cannot measure a failover: wanted three nodes')
    return found
  }
}
