import { afterAll, afterEach, beforeAll, describe, it, onTestFailed } from 'vitest'
import { Cluster } from '../support/cluster.ts'
import { expectHonestHistory, FailoverStory } from '../support/failover-story.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import type { TestNode } from '../support/machines.ts'
import { canMakeHosts, namespaceMachines } from '../support/namespace-machines.ts'
import { seededRandom } from '../support/seeded-random.ts'

/** `PG_METAKO_CHAOS_ROUNDS=200 PG_METAKO_CHAOS_SEED=7 npm run chaos` makes a long run, or the same one again. */
const ROUNDS = Number(process.env['PG_METAKO_CHAOS_ROUNDS'] ?? 12)
const SEED = Number(process.env['PG_METAKO_CHAOS_SEED'] ?? Date.now() % 100_000)
const HEALED_MS = 90_000
const ROUND_MS = 150_000

/** One fault at a node; `undo` ends it, and may come late. */
type Fault = {
  readonly name: string
  readonly make: (cluster: Cluster, node: TestNode) => void
  readonly undo?: (cluster: Cluster, node: TestNode) => void
  readonly needsLinks?: boolean
}

const FAULTS: readonly Fault[] = [
  { name: 'kill the postmaster', make: (cluster, node) => cluster.killPostmaster(node) },
  { name: 'kill the agent', make: (cluster, node) => cluster.killAgent(node) },
  { name: 'kill agent, guard, router and postmaster', make: (cluster, node) => cluster.killNode(node) },
  { name: 'kill every process', make: (cluster, node) => cluster.crashNode(node) },
  {
    name: 'freeze PostgreSQL',
    make: (cluster, node) => cluster.freezeInstance(node, 'SIGSTOP'),
    undo: (cluster, node) => cluster.freezeInstance(node, 'SIGCONT'),
  },
  {
    name: 'freeze the agent',
    make: (cluster, node) => cluster.freezeAgent(node, 'SIGSTOP'),
    undo: (cluster, node) => cluster.freezeAgent(node, 'SIGCONT'),
  },
  {
    name: 'pull the cable',
    make: (cluster, node) => cluster.setLink(node, false),
    undo: (cluster, node) => cluster.setLink(node, true),
    needsLinks: true,
  },
]

describe(`random faults, seed ${SEED}`, () => {
  let cluster: Cluster
  let story: FailoverStory | undefined

  beforeAll(async () => {
    cluster = new Cluster(canMakeHosts() ? await namespaceMachines() : await loopbackMachines({ count: 3 }))
    cluster.supervise(true)
    cluster.startAll()
    await cluster.waitForHealthy(60_000)
  })

  afterEach(() => story?.end())
  afterAll(() => cluster?.dispose())

  it(
    'leave one primary, all standbys streaming, and a history without a lie',
    async () => {
      onTestFailed(() => console.error(cluster.logTails()))
      const random = seededRandom(SEED)
      const faults = FAULTS.filter(({ needsLinks }) => !needsLinks || cluster.hasLinks)
      story = new FailoverStory(cluster)
      await story.begin()
      for (let round = 1; round <= ROUNDS; round += 1) {
        const fault = faults[Math.floor(random() * faults.length)]!
        // The primary's node every other time.
        const primary = await cluster.waitForHealthy(HEALED_MS)
        const node = random() < 0.5 ? primary : cluster.nodes[Math.floor(random() * cluster.nodes.length)]!
        const forMs = Math.round(200 + random() * 8000)
        process.stdout.write(
          `    ${round}/${ROUNDS} ${fault.name} at ${node.name}${node === primary ? ', the primary' : ''}${fault.undo ? ` for ${forMs} ms` : ''}\n`,
        )
        const begunMs = performance.now()
        fault.make(cluster, node)
        try {
          await cluster.waitFor('the end of the fault', forMs + 5000, () => {
            return !fault.undo || performance.now() - begunMs >= forMs
          })
        } finally {
          fault.undo?.(cluster, node)
        }
        // Order: writes first; what the agents say just after a fault may still be the state before it.
        await story.writesGoOn(20)
        await cluster.waitForHealthy(HEALED_MS)
      }
      expectHonestHistory(await story.verdict())
    },
    ROUNDS * ROUND_MS,
  )
})
