import type { Logger } from '../../platform/log.ts'
import { CATALOG_QUERY, catalogFrom, type Catalog, type CatalogRow } from '../../sql/catalog.ts'
import { SECOND } from '../../std/units.ts'
import type { Pool } from '../pool/pool.ts'
import { askServer, type Row } from '../pool/server-question.ts'

/** What others change is known after this at the latest. */
const MAX_AGE_MS = 30 * SECOND
/** Something was made, or is not known: it is looked for again, but not for every statement. */
const RETRY_MS = SECOND

/** What the classifier knows of one database: asked for when somebody needs it, and again when it has grown old. */
export class DatabaseCatalog {
  readonly #log: Logger
  readonly #now: () => number
  #catalog: Catalog | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  #isAsking = false
  #isIncomplete = false
  /** Counts the changes: an answer to what was asked before one is none. */
  #changes = 0

  constructor(deps: { readonly log: Logger; readonly now: () => number }) {
    this.#log = deps.log
    this.#now = deps.now
  }

  /** Nothing, until there is an answer: statements go to the primary meanwhile. */
  current(pool: Pool): Catalog | undefined {
    const age = this.#now() - this.#askedAt
    const isWanted = this.#catalog === undefined || this.#isIncomplete
    if (age > MAX_AGE_MS || (isWanted && age > RETRY_MS)) this.#ask(pool)
    return this.#catalog
  }

  /** A statement is about to change it: it says nothing until it was read again. */
  changes(): void {
    this.#changes += 1
    this.#catalog = undefined
    this.#askedAt = Math.min(this.#askedAt, this.#now() - RETRY_MS)
  }

  /** It does not have what a statement names. */
  lacks(): void {
    this.#isIncomplete = true
  }

  #ask(pool: Pool): void {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#isIncomplete = false
    this.#askedAt = this.#now()
    const changes = this.#changes
    askServer(pool, { text: CATALOG_QUERY, now: this.#askedAt }, (rows) => {
      this.#isAsking = false
      if (changes !== this.#changes) return
      // An old one may be wrong by now, and nobody would know.
      this.#catalog = rows && catalogFrom(rows.map(catalogRow))
      if (rows !== undefined) return
      const { database } = pool
      this.#log.warn('Cannot read the catalog: statements go to the primary', { database })
    })
  }
}

function catalogRow([kind, schema, name, fact, queries]: Row): CatalogRow {
  return {
    kind: kind as CatalogRow['kind'],
    schema: schema ?? '',
    name: name ?? '',
    fact: fact ?? '',
    queries: queries ?? '[]',
  }
}
