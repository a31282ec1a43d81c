import { MiB } from '../../std/units.ts'

/** A statement as clients prepared it: the same text with the same types is one, whoever it comes from. */
export type PreparedStatement = {
  /** What it is called on every server connection. */
  readonly name: string
  /** Text and types, as Parse messages carry them. */
  readonly definition: Buffer
}

type Entry = { readonly statement: PreparedStatement; uses: number }

/** Clients cannot prepare this name by themselves: theirs never reach PostgreSQL. */
export const STATEMENT_PREFIX = 'pg_metako_'
/** Never prepared: closing it is the cheapest message that is answered in its turn. */
export const NO_STATEMENT = `${STATEMENT_PREFIX}none`

/**
 * All statements that clients of this router have prepared, each once. Forgotten when no client and no server
 * connection has it any more.
 */
export class StatementRegistry {
  readonly #entries = new Map<string, Entry>()
  readonly #keys = new Map<PreparedStatement, string>()
  #count = 0

  get size(): number {
    return this.#entries.size
  }

  /** The statement of this definition, counted as used once more. */
  take(definition: Buffer): PreparedStatement {
    const key = definition.toString('latin1')
    const known = this.#entries.get(key)
    if (known) {
      known.uses += 1
      return known.statement
    }
    this.#count += 1
    // A copy: the chunk that it came in may be many times larger.
    const statement = { name: `${STATEMENT_PREFIX}${this.#count}`, definition: Buffer.from(definition) }
    this.#entries.set(key, { statement, uses: 1 })
    this.#keys.set(statement, key)
    return statement
  }

  keep(statement: PreparedStatement): void {
    const entry = this.#entryOf(statement)
    if (entry) entry.uses += 1
  }

  drop(statement: PreparedStatement): void {
    const entry = this.#entryOf(statement)
    if (!entry) return
    entry.uses -= 1
    if (entry.uses > 0) return
    this.#entries.delete(this.#keys.get(statement) ?? '')
    this.#keys.delete(statement)
  }

  #entryOf(statement: PreparedStatement): Entry | undefined {
    const key = this.#keys.get(statement)
    return key === undefined ? undefined : this.#entries.get(key)
  }
}

const STATEMENTS_MAX = 10_000
const STATEMENTS_BYTES_MAX = 16 * MiB

/** What one client has prepared, by its own names. */
export class ClientStatements {
  readonly #registry: StatementRegistry
  readonly #byName = new Map<string, PreparedStatement>()
  #bytes = 0

  constructor(registry: StatementRegistry) {
    this.#registry = registry
  }

  get size(): number {
    return this.#byName.size
  }

  /** A client that prepares without end is not to fill the router's memory. */
  get isFull(): boolean {
    return this.#byName.size >= STATEMENTS_MAX || this.#bytes > STATEMENTS_BYTES_MAX
  }

  get(name: string): PreparedStatement | undefined {
    return this.#byName.get(name)
  }

  set(name: string, statement: PreparedStatement): void {
    this.#byName.set(name, statement)
    this.#bytes += statement.definition.length
  }

  delete(name: string): void {
    const statement = this.#byName.get(name)
    if (!statement) return
    this.#byName.delete(name)
    this.#bytes -= statement.definition.length
    this.#registry.drop(statement)
  }

  clear(): void {
    for (const statement of this.#byName.values()) this.#registry.drop(statement)
    this.#byName.clear()
    this.#bytes = 0
  }
}

/** What one server connection has prepared; the one not used for longest goes first. */
export class ServerStatements {
  readonly #registry: StatementRegistry
  readonly #known = new Set<PreparedStatement>()
  /** Often the same as before: then the order stands. */
  #newest: PreparedStatement | undefined

  constructor(registry: StatementRegistry) {
    this.#registry = registry
  }

  get size(): number {
    return this.#known.size
  }

  /** Whether it is prepared here; counts as a use. */
  use(statement: PreparedStatement): boolean {
    if (statement === this.#newest) return true
    if (!this.#known.delete(statement)) return false
    this.#known.add(statement)
    this.#newest = statement
    return true
  }

  add(statement: PreparedStatement): void {
    if (this.#known.has(statement)) return
    this.#known.add(statement)
    this.#newest = statement
    this.#registry.keep(statement)
  }

  delete(statement: PreparedStatement): void {
    if (!this.#known.delete(statement)) return
    if (statement === this.#newest) this.#newest = undefined
    this.#registry.drop(statement)
  }

  /** Forgets the one not used for longest when there are more than `limit`; it is to be closed. */
  evictAbove(limit: number): PreparedStatement | undefined {
    if (this.#known.size <= limit) return undefined
    for (const oldest of this.#known) {
      this.delete(oldest)
      return oldest
    }
    return undefined
  }

  clear(): void {
    for (const statement of this.#known) this.#registry.drop(statement)
    this.#known.clear()
    this.#newest = undefined
  }
}
