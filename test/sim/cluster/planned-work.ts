import { RandomStream } from '../random-stream.ts'

/** What an operator does to a whole cluster on a day that is not a disaster; faults come all the same. */
export type PlannedWork =
  /** Nobody acts by itself meanwhile (docs/adr/0034). */
  | { readonly kind: 'pause-cluster'; readonly ms: number }
  /** A parameter of PostgreSQL for the whole cluster. */
  | { readonly kind: 'set-parameters'; readonly via: string; readonly value: number }
  /** The PostgreSQL of a member is started anew; nobody takes over because of that. */
  | { readonly kind: 'restart-postgres'; readonly via: string; readonly host: string }

export type PlannedKind = PlannedWork['kind']

export const PLANNED_KINDS: readonly PlannedKind[] = ['pause-cluster', 'restart-postgres', 'set-parameters']

/** How many runs of the profile `any` have some of it. */
const RUNS_WITH_THEM = 0.15
const FEW = 2

/** From a stream of their own: the other faults of a seed are what they were. */
export function drawPlannedWork(draw: {
  readonly seed: number
  readonly hosts: readonly string[]
  readonly moment: (chance: RandomStream) => number
}): readonly { readonly at: number; readonly fault: PlannedWork }[] {
  const chance = new RandomStream(draw.seed, 'planned work')
  if (!chance.chance(RUNS_WITH_THEM)) return []
  return Array.from({ length: 1 + chance.below(FEW) }, () => ({
    at: Math.round(draw.moment(chance)),
    fault: drawPlanned(chance, chance.pick(PLANNED_KINDS), draw.hosts),
  }))
}

export function drawPlanned(chance: RandomStream, kind: PlannedKind, hosts: readonly string[]): PlannedWork {
  switch (kind) {
    case 'pause-cluster':
      return { kind, ms: Math.round(chance.exponential(chance.pick([300, 4000, 15_000]))) + 1 }
    case 'set-parameters':
      return { kind, via: chance.pick(hosts), value: 1 + chance.below(9) }
    case 'restart-postgres':
      return { kind, via: chance.pick(hosts), host: chance.pick(hosts) }
  }
}
