import {
  ClusterSimulation,
  ClusterSimulationFailure,
  type ClusterSimulationOptions,
  type ClusterSimulationResult,
} from './cluster-simulation.ts'
import { fromPlainTask } from './microtasks.ts'

/** Lines of the trace that explain a violation. */
const TRACE_LINES = 400

export type SeedVerdict =
  | { readonly kind: 'clean'; readonly result: ClusterSimulationResult }
  | { readonly kind: 'violation'; readonly failure: ClusterSimulationFailure }
  /** Two runs of one seed differed: something in the simulation hangs on more than the seed. */
  | { readonly kind: 'not-repeatable'; readonly seed: number; readonly hashes: readonly string[] }

/** Runs one seed; `twice` compares two runs of it to the event. A violation is run again with its trace. */
export async function runSeed(
  options: ClusterSimulationOptions,
  { twice }: { readonly twice: boolean } = { twice: false },
): Promise<SeedVerdict> {
  const first = await attempt(options)
  if (first.kind === 'violation') {
    if ((options.traceLines ?? 0) > 0) return first
    return attempt({ ...options, traceLines: TRACE_LINES })
  }
  if (!twice) return first
  const second = await attempt(options)
  const hashes = [first, second].map((verdict) =>
    verdict.kind === 'clean' ? verdict.result.hash : verdict.kind,
  )
  if (hashes[0] === hashes[1]) return first
  return { kind: 'not-repeatable', seed: options.seed, hashes }
}

type Attempt = Exclude<SeedVerdict, { kind: 'not-repeatable' }>

async function attempt(options: ClusterSimulationOptions): Promise<Attempt> {
  try {
    return { kind: 'clean', result: await fromPlainTask(() => new ClusterSimulation(options).run()) }
  } catch (error) {
    if (error instanceof ClusterSimulationFailure) return { kind: 'violation', failure: error }
    throw error
  }
}
