import type { Pool } from '../pool/pool.ts'
import type { ClientStatements } from '../pool/prepared-statements.ts'
import { readUnit } from './read-unit.ts'
import type { SplitChoice, SplitClient } from './read-split.ts'

/** Where a client's next server connection comes from. */
export interface RoutePlace {
  now(): number
  /** `texts` are the statements of what it wants to run, where they are all known. */
  choose(client: SplitClient, texts: () => readonly string[] | undefined): SplitChoice
}

/**
 * One client's part in the read/write split: the pool that its server connection comes from, and what runs on it. A proven read
 * runs alone: what follows waits until it has ended, since it may have to go elsewhere.
 */
export class ClientRoute implements SplitClient {
  readonly pool: Pool
  readonly settings: ReadonlyMap<string, string>
  /** Its own pool, or the same on a replica. */
  from: Pool
  committedAt: number | undefined
  readonly #place: RoutePlace
  #isRead = false
  #isSent = false

  constructor(
    client: { readonly pool: Pool; readonly settings: ReadonlyMap<string, string> },
    place: RoutePlace,
  ) {
    this.pool = client.pool
    this.settings = client.settings
    this.from = client.pool
    this.#place = place
  }

  /** A Query or a batch begins, for which the client has no server connection. */
  choose(cursor: { readonly chunk: Buffer; readonly at: number }, statements: ClientStatements): void {
    if (this.pool.mode === 'session') return
    const { chunk, at } = cursor
    const { pool, isRead } = this.#place.choose(this, () => readUnit(chunk, at, statements))
    this.from = pool
    this.#isRead = isRead
  }

  /** A Query or the Sync of a batch was sent. */
  sent(): void {
    this.#isSent = this.#isRead
  }

  /** Whether what follows has to wait. */
  get isClosed(): boolean {
    return this.#isSent
  }

  toPrimary(): void {
    this.from = this.pool
  }

  /** The server connection is given back, or lost. What may have been a commit has to be found by the reads that follow. */
  ended(): void {
    if (!this.#isRead) this.committedAt = this.#place.now()
    this.#isRead = false
    this.#isSent = false
  }
}
