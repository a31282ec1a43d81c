import type { RandomStream } from '../random-stream.ts'
import { drawSeldomly, type SeldomDraw, type SeldomKind } from './draw-seldom.ts'
import type { SimNode } from './sim-node.ts'

/*
 * What makes a PostgreSQL useless while its host, its agent and its kernel are well: the failures that heartbeats do not see. A SIGSTOP
 * of all its processes is one of the ordinary faults.
 */

export type GrayTrouble =
  /** What is written to the disk of the data does not come back; `deep-stall`: nor do processes that are killed while they wait. */
  | 'stall'
  | 'deep-stall'
  /** It comes back slower than on any other host, and never too late. */
  | 'slow-disk'
  /** It comes back too late, each time. */
  | 'late-disk'
  | 'full-disk'
  /** The postmaster alone stands still: sessions go on, nobody else gets in. */
  | 'hung-postmaster'

/** Of all these hosts at once: members may share a storage. */
export type GrayFault = {
  readonly kind: 'gray'
  readonly hosts: readonly string[]
  readonly what: GrayTrouble
  readonly ms: number
}

const GRAY: SeldomKind = { stream: 'gray faults', share: 0.4, few: 3 }
/** How often they strike every host. */
const SHARED = 0.2
/** With what a host needs anyway, above what a candidate may need and below a miss; and above a miss. */
const SLOW_EXTRA_MS = 300
const LATE_EXTRA_MS = 900

export function drawGrayFaults(draw: SeldomDraw): ReturnType<typeof drawSeldomly<GrayFault>> {
  return drawSeldomly(draw, GRAY, (chance) => drawGrayFault(chance, draw.hosts))
}

export function drawGrayFault(chance: RandomStream, hosts: readonly string[]): GrayFault {
  const what = chance.pick([
    'stall',
    'stall',
    'deep-stall',
    'slow-disk',
    'late-disk',
    'full-disk',
    'hung-postmaster',
  ] as const)
  const isShared = what !== 'hung-postmaster' && chance.chance(SHARED)
  return {
    kind: 'gray',
    hosts: isShared ? hosts : [chance.pick(hosts)],
    what,
    ms: Math.round(chance.exponential(chance.pick([800, 4000, 15_000]))) + 1,
  }
}

/** What PostgreSQL of this host goes through; the result ends it. */
export function strikeGray({ postgres }: SimNode, what: GrayTrouble): () => void {
  switch (what) {
    case 'stall':
    case 'deep-stall':
      return postgres.setDiskFault({ kind: 'stalled', isDeep: what === 'deep-stall' })
    case 'slow-disk':
      return postgres.setDiskFault({ kind: 'slow', extraMs: SLOW_EXTRA_MS })
    case 'late-disk':
      return postgres.setDiskFault({ kind: 'slow', extraMs: LATE_EXTRA_MS })
    case 'full-disk':
      return postgres.setDiskFault({ kind: 'full' })
    case 'hung-postmaster':
      return postgres.freezePostmaster()
  }
}
