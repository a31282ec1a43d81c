import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolOptions } from '../pool/pool-options.ts'
import { ReplicaPositions, type PositionsPlace } from './replica-positions.ts'

/** What it needs from the pooler around it. */
export interface ReplicaPlace extends PositionsPlace {
  options(): Pick<PoolOptions, 'maxReplicaLagBytes' | 'maxReplicaLagMs'>
  /** Whether the replica may be dialled now. */
  mayDial(target: RouteTarget): boolean
}

/** When a client's last statement ended, and on which replica; it may have seen all that was committed until then. */
export type Seen = { readonly at: number; readonly replica: string | undefined; readonly epoch: number }

/** Whoever reads, and what it has to find; absent: nothing in particular. */
export type Reader = {
  readonly pool: Pool
  /** When something other than a read of its own ended last. */
  readonly committedAt: number | undefined
  readonly seen: Seen | undefined
}

/** Which replica a read goes to: one that answers, is near enough, and has what the reader is to find. */
export class ReplicaChoice {
  readonly #place: ReplicaPlace
  readonly #positions: ReplicaPositions
  #turn = 0

  constructor(place: ReplicaPlace) {
    this.#place = place
    this.#positions = new ReplicaPositions(place)
  }

  /** Nothing where the primary has to read; what is known is brought up to date then. */
  poolFor(reader: Reader): Pool | undefined {
    const { pool } = reader
    const found = this.#find(reader)
    if (found === undefined) {
      const { replicas = [], primary } = this.#place.table() ?? {}
      if (replicas.length > 0 && primary)
        this.#positions.sample(pool, latest(reader.committedAt, this.#oldest(1)))
      return undefined
    }
    // Order: before it is too old, or every so often a read would be the primary's.
    const half = this.#oldest(2)
    if (half !== undefined && !this.#positions.has(found.name, half)) this.#positions.sample(pool, half)
    return this.#place.replicaPool(pool, found)
  }

  /** Whether a replica has all but what the reader saw elsewhere a moment ago: it will have that soon. */
  isNear(reader: Reader): boolean {
    return this.#find(reader, () => reader.committedAt) !== undefined
  }

  /** `done` follows when there is a replica for the reader, or after a moment; what is returned stops the wait. */
  wait(reader: Reader, done: () => void): () => void {
    const isServed = (): boolean => this.#find(reader) !== undefined
    return this.#positions.wait(reader.pool, isServed, done)
  }

  /** The replica that it read from last, else in turn. */
  #find(reader: Reader, needed: typeof neededThere = neededThere): RouteTarget | undefined {
    const table = this.#place.table()
    if (table === undefined) return undefined
    this.#positions.epochIs(table.epoch)
    const { replicas, epoch } = table
    const oldest = this.#oldest(1)
    const fits = (target: RoutingTable['replicas'][number]): boolean =>
      target.lagBytes <= this.#place.options().maxReplicaLagBytes &&
      this.#place.mayDial(target) &&
      this.#positions.has(target.name, latest(needed(reader, target, epoch), oldest))
    const last = replicas.find(({ name }) => name === reader.seen?.replica)
    if (last && fits(last)) return last
    this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    for (let step = 0; step < replicas.length; step += 1) {
      const target = replicas[(this.#turn + step) % replicas.length]
      if (target && target !== last && fits(target)) return target
    }
    return undefined
  }

  /** All that was committed before this is to be there; `parts`: of the time that is allowed. */
  #oldest(parts: number): number | undefined {
    const { maxReplicaLagMs } = this.#place.options()
    return maxReplicaLagMs > 0 ? this.#place.now() - maxReplicaLagMs / parts : undefined
  }
}

/** A replica only goes forward, within an epoch: what it has shown once it shows again. */
function neededThere(
  { seen, committedAt }: Reader,
  { name }: RouteTarget,
  epoch: number,
): number | undefined {
  if (seen === undefined || (seen.replica === name && seen.epoch === epoch)) return committedAt
  return seen.at
}

function latest(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.max(one, other)
}
