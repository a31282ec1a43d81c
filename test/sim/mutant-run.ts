import { parseArgs } from 'node:util'
import { ClusterSimulation, type ClusterSimulationOptions } from './cluster/cluster-simulation.ts'
import { fromPlainTask } from './cluster/microtasks.ts'
import { checkerOf } from './cluster/shrink.ts'
import { RaftSimulation } from './raft-simulation.ts'
import { simulateStore } from './store-simulation.ts'

/*
 * Runs seeds of one simulation until the named checker stops one: how a planted bug is looked for. Says what became of it in one
 * line of JSON. A crash, a time-out or another checker's word is not a find.
 */

type Finding =
  | { readonly kind: 'found'; readonly seed: number; readonly message: string }
  | { readonly kind: 'missed'; readonly seeds: number; readonly others: readonly string[] }

const OTHERS_MAX = 5

async function main(): Promise<Finding> {
  const { values } = parseArgs({
    options: {
      simulation: { type: 'string', default: 'cluster' },
      checker: { type: 'string', default: '' },
      seeds: { type: 'string', default: '50' },
      first: { type: 'string', default: '1' },
      run: { type: 'string', default: '{}' },
    },
  })
  const others: string[] = []
  const seeds = Number(values.seeds)
  // The seed that found it last time goes first, then the others as they come.
  const first = Number(values.first)
  const order = [
    first,
    ...Array.from({ length: seeds }, (_, index) => index + 1).filter((seed) => seed !== first),
  ]
  for (const seed of order.slice(0, seeds)) {
    const message = await runOnce(values.simulation, { seed, ...(JSON.parse(values.run) as object) })
    if (message === undefined) continue
    if (checkerOf(message) === values.checker) return { kind: 'found', seed, message }
    others.push(`seed ${seed}: ${message}`)
  }
  return { kind: 'missed', seeds, others: others.slice(0, OTHERS_MAX) }
}

/** What stopped the run, in words that begin with the checker's name; undefined when nothing did. */
async function runOnce(simulation: string, options: { readonly seed: number }): Promise<string | undefined> {
  try {
    if (simulation === 'raft') new RaftSimulation(options).run()
    else if (simulation === 'store') await simulateStore(options.seed)
    else {
      const cluster: ClusterSimulationOptions = { minutes: 2, ...options }
      await fromPlainTask(() => new ClusterSimulation(cluster).run())
    }
    return undefined
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const { cause } = error
    return cause instanceof Error ? cause.message : error.message
  }
}

process.stdout.write(`${JSON.stringify(await main())}\n`)
