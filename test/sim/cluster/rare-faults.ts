import type { SeldomDraw } from './draw-seldom.ts'
import { RandomStream } from '../random-stream.ts'
import type { AgentDiskFault } from './agent-disk.ts'
import type { Victim } from './sim-operator.ts'

/*
 * What happens to a cluster a few times a year: disks that fail, and an operator who changes what the cluster is made of. A run of
 * the profile `any` has some of it now and then, on top of its other faults.
 */

export type RareFault =
  /** The volume of a state folder fails, is full or hangs; PostgreSQL's is another one. */
  | { readonly kind: 'agent-disk'; readonly host: string; readonly what: AgentDiskFault; readonly ms: number }
  /** Agent or power end between the next write to the consensus log and its fsync. */
  | {
      readonly kind: 'cut-write'
      readonly host: string
      readonly how: 'kill' | 'power'
      readonly ms: number
    }
  /** A bit of the consensus log rots where it had been durable, and the agent starts again. */
  | { readonly kind: 'rot'; readonly host: string }
  /** The host is off and comes back with an empty volume in the place of one or both of its own. */
  | {
      readonly kind: 'new-disk'
      readonly host: string
      readonly what: 'state' | 'data' | 'both'
      readonly ms: number
    }
  // What an operator does.
  /** A host joins: a fresh one, or one that was removed before. */
  | { readonly kind: 'member-add'; readonly host: string }
  | { readonly kind: 'member-remove'; readonly victim: Victim }
  /** A host is gone for good, and its name comes back on an empty one. */
  | { readonly kind: 'member-replace'; readonly host: string }
  /** One agent after the other is started again as the next release, from that before this one or from this one on. */
  | { readonly kind: 'upgrade'; readonly from: 'before' | 'this' }

export type RareKind = RareFault['kind']

export const RARE_KINDS: readonly RareKind[] = [
  'agent-disk',
  'cut-write',
  'rot',
  'new-disk',
  'member-add',
  'member-remove',
  'member-replace',
  'upgrade',
]

/** Hosts that no cluster begins with. */
const SPARES = ['n6', 'n7', 'n8']

/** How many runs of the profile `any` have rare faults, and how many of them. */
const RUNS_WITH_THEM = 0.25
const FEW = 4

/** Whether a run of the profile `any` has rare faults. */
export function hasRareFaults(seed: number): boolean {
  return rareStream(seed).chance(RUNS_WITH_THEM)
}

function rareStream(seed: number): RandomStream {
  return new RandomStream(seed, 'rare faults')
}

/** From a stream of their own: the other faults of a seed are what they were. */
export function drawRareFaults(
  draw: SeldomDraw,
): readonly { readonly at: number; readonly fault: RareFault }[] {
  const chance = rareStream(draw.seed)
  if (!chance.chance(RUNS_WITH_THEM)) return []
  const kinds = RARE_KINDS.filter(() => chance.chance(0.4))
  const enabled = kinds.length > 0 ? kinds : [chance.pick(RARE_KINDS)]
  return Array.from({ length: 1 + chance.below(FEW) }, () => ({
    at: Math.round(draw.moment(chance)),
    fault: drawRareFault(chance, chance.pick(enabled), draw.hosts),
  }))
}

export function drawRareFault(chance: RandomStream, kind: RareKind, hosts: readonly string[]): RareFault {
  const host = chance.pick(hosts)
  const ms = Math.round(chance.exponential(chance.pick([800, 4000, 12_000]))) + 1
  switch (kind) {
    case 'agent-disk':
      return {
        kind,
        host,
        what: chance.pick(['write-error', 'fsync-error', 'full', 'stalled', 'stalled'] as const),
        ms,
      }
    case 'cut-write':
      return { kind, host, how: chance.pick(['kill', 'power'] as const), ms }
    case 'rot':
      return { kind, host }
    case 'new-disk':
      return { kind, host, what: chance.pick(['state', 'data', 'both'] as const), ms }
    case 'member-add':
      return { kind, host: chance.chance(0.7) ? chance.pick(SPARES) : host }
    case 'member-remove':
      return { kind, victim: chance.pick(['any', 'primary', 'leader', 'dead'] as const) }
    case 'member-replace':
      return { kind, host }
    case 'upgrade':
      return { kind, from: chance.pick(['before', 'this'] as const) }
  }
}
