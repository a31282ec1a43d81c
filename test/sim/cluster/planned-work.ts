import type { RandomStream } from '../random-stream.ts'
import { drawSeldomly, type SeldomDraw, type SeldomKind } from './draw-seldom.ts'

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

const PLANNED: SeldomKind = { stream: 'planned work', share: 0.15, few: 2 }

export function drawPlannedWork(draw: SeldomDraw): ReturnType<typeof drawSeldomly<PlannedWork>> {
  return drawSeldomly(draw, PLANNED, (chance) => drawPlanned(chance, chance.pick(PLANNED_KINDS), draw.hosts))
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
