import { parseLsn } from '../../model/lsn.ts'
import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import { after } from '../../platform/timers.ts'
import type { Pool } from '../pool/pool.ts'
import { askServer } from '../pool/server-question.ts'
import { Freshness } from './freshness.ts'

/** What it needs from the pooler around it. */
export interface PositionsPlace {
  now(): number
  table(): RoutingTable | undefined
  replicaPool(pool: Pool, target: RouteTarget): Pool
}

/** Somebody who would rather wait for a moment than go elsewhere. */
type Waiter = { readonly isServed: () => boolean; readonly end: () => void }

/** Positions are asked for at most this often. */
const SAMPLE_EVERY_MS = 20
/** Two round trips, where nobody is behind. */
const WAIT_MS = 25
const PRIMARY_POSITION = 'select pg_catalog.pg_current_wal_insert_lsn()'
const REPLAYED_POSITION = 'select pg_catalog.pg_last_wal_replay_lsn()'

/** Where the primary is and how far replicas are: asked when somebody needs the answer, once for all sessions, by pools that are there anyway. */
export class ReplicaPositions {
  readonly #place: PositionsPlace
  readonly #freshness = new Freshness()
  readonly #waiters = new Set<Waiter>()
  /** Replicas that have not answered yet. */
  readonly #asked = new Set<string>()
  #isSampling = false
  #sampledAt = Number.NEGATIVE_INFINITY

  constructor(place: PositionsPlace) {
    this.#place = place
  }

  /** Whether the replica has everything that had been committed by then. */
  has(replica: string, since: number | undefined): boolean {
    return this.#freshness.has(replica, since)
  }

  /** Positions of one history say nothing about another. */
  epochIs(epoch: number): void {
    this.#freshness.epochIs(epoch)
  }

  /** Asks the primary where it is, then the replicas how far they are. */
  sample(pool: Pool, since: number | undefined): void {
    const askedAt = this.#place.now()
    if (this.#isSampling || askedAt - this.#sampledAt < SAMPLE_EVERY_MS) return
    // Order: an older position is enough where it was asked for later than what is wanted. A newer one would run away
    // from the replicas: reads write as well (hint bits), and nobody hurries to flush that.
    const { position } = this.#freshness
    if (position !== undefined && position.askedAt > (since ?? askedAt)) {
      this.#sampledAt = askedAt
      return this.#askReplicas(pool)
    }
    this.#ask(pool, askedAt)
  }

  /** `done` follows when `isServed`, or after a moment; what is returned stops the wait. */
  wait(pool: Pool, isServed: () => boolean, done: () => void): () => void {
    const end = (): void => {
      stopTimer()
      if (this.#waiters.delete(waiter)) done()
    }
    const waiter = { isServed, end }
    const stopTimer = after(WAIT_MS, end)
    this.#waiters.add(waiter)
    if (!this.#isSampling) this.#ask(pool, this.#place.now())
    return () => {
      stopTimer()
      this.#waiters.delete(waiter)
    }
  }

  #ask(pool: Pool, askedAt: number): void {
    this.#sampledAt = askedAt
    this.#isSampling = true
    const { epoch } = this.#place.table() ?? {}
    askServer(pool, { text: PRIMARY_POSITION, now: askedAt }, (rows) => {
      this.#isSampling = false
      const lsn = parseLsn(rows?.[0]?.[0] ?? '')
      // Order: what was asked in another epoch says nothing in this one.
      if (lsn === undefined || this.#place.table()?.epoch !== epoch) return
      this.#freshness.primaryIs({ askedAt, lsn })
      this.#askReplicas(pool)
    })
  }

  #askReplicas(pool: Pool): void {
    const { position } = this.#freshness
    for (const target of this.#place.table()?.replicas ?? []) {
      if (this.#asked.has(target.name)) continue
      this.#asked.add(target.name)
      const own = this.#place.replicaPool(pool, target)
      askServer(own, { text: REPLAYED_POSITION, now: this.#place.now() }, (rows) => {
        this.#asked.delete(target.name)
        const lsn = parseLsn(rows?.[0]?.[0] ?? '')
        if (lsn === undefined || position === undefined) return
        this.#freshness.replayed(target.name, lsn, position)
        for (const waiter of this.#waiters) if (waiter.isServed()) waiter.end()
      })
    }
  }
}
