import { parentPort } from 'node:worker_threads'
import type { ClusterSimulationOptions } from './cluster-simulation.ts'
import { runSeed } from './seed-runner.ts'
import { reportOf, type SeedReport } from './seed-report.ts'

/** Runs the seeds that it is sent, one at a time. */
type Order = { readonly options: ClusterSimulationOptions; readonly twice: boolean }

parentPort?.on('message', (order: Order) => {
  void runSeed(order.options, { twice: order.twice }).then(
    (verdict) => parentPort?.postMessage(reportOf(order.options.seed, verdict)),
    (error: unknown) => {
      const report: SeedReport = {
        seed: order.options.seed,
        kind: 'broken',
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
        trace: [],
        schedule: [],
      }
      parentPort?.postMessage(report)
    },
  )
})
