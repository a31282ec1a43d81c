import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Client } from 'pg'
import type { LossReport } from '#client'
import { Cluster } from '../../support/cluster.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { Machines, TestNode } from '../../support/machines.ts'
import { namespaceMachines } from '../../support/namespace-machines.ts'
import { connectTo } from '../../support/numbered-writer.ts'
import type { BenchCluster, Case, StartOptions } from './bench-cluster.ts'
import { faultsBeside, setDiskTrouble } from '../../support/faulty-host.ts'

const START_MS = 60_000

/** Ours: an application connects to the router of a node that is not the primary's, so that a lost node takes no client with it. */
export class MetakoCluster implements BenchCluster {
  readonly system = 'pg-metako'
  readonly #cluster: Cluster
  #epoch = 0

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  static async start({ onHosts, ...how }: StartOptions): Promise<MetakoCluster> {
    const cluster = new Cluster(
      onHosts ? await hostMachines(how) : await loopbackMachines({ count: 3, ...how }),
    )
    cluster.supervise(true)
    cluster.startAll()
    try {
      await cluster.waitForHealthy(START_MS)
    } catch (error) {
      process.stderr.write(`${cluster.logTails()}\n`)
      await cluster.dispose()
      throw error
    }
    return new MetakoCluster(cluster)
  }

  async waitForHealthy(deadlineMs: number): Promise<string> {
    const { name } = await this.#cluster.waitForHealthy(deadlineMs)
    this.#epoch = await this.#cluster.epoch()
    return name
  }

  connect(without: string): Promise<Client> {
    return connectTo(this.#cluster.url(this.#other(without), 'primary'))
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
      case 'power':
        this.#cluster.setPower(node, false)
        return
      case 'cut':
        this.#cluster.setLink(node, false)
        return
      case 'hang':
        this.#cluster.freezeInstance(node, 'SIGSTOP')
        return
      case 'disk':
        setDiskTrouble(faultsBeside(node.dataDir), { of: 'postgres', how: 'stall' })
        return
      case 'switchover':
        await this.#cluster.switchover(this.#other(primary))
        return
    }
  }

  async waitForTakeover(_before: string, deadlineMs: number): Promise<void> {
    await this.#cluster.waitForPrimary({ deadlineMs, after: this.#epoch })
  }

  heal(name: string): Promise<void> {
    const node = this.#cluster.node(name)
    if (this.#cluster.hasLinks) this.#cluster.setPower(node, true)
    else setDiskTrouble(faultsBeside(node.dataDir), undefined)
    this.#cluster.freezeInstance(node, 'SIGCONT')
    this.#cluster.supervise(true)
    this.#cluster.startAgent(node)
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

/** The example's files, for these programs and this mode. */
async function hostMachines({ mode, binDir }: Omit<StartOptions, 'onHosts'>): Promise<Machines> {
  const machines = await namespaceMachines()
  const common = join(dirname(machines.nodes[0]?.configFile ?? ''), 'common.yaml')
  const section = 'postgresql:\n'
  const withPrograms = binDir === undefined ? section : `${section}  bin_dir: ${JSON.stringify(binDir)}\n`
  const text = readFileSync(common, 'utf8').replace(section, withPrograms)
  writeFileSync(common, `${text}\nreplication: { mode: ${mode} }\n`)
  return machines
}
