import { Client } from 'pg'
import { pause } from '../../src/platform/timers.ts'
import type { Write } from './write-history.ts'

/** Longer than a router holds a new connection: then it is the router that says no. */
const CONNECT_MS = 40_000
/** A server that is frozen answers never; the outcome is then unknown. */
const QUERY_MS = 10_000
/** After an error, so that a refused connection does not make a busy loop. */
const RETRY_MS = 10

/** Timeline of the WAL that the primary writes now: the first eight hex digits of the segment's name. */
const INSERT = `INSERT INTO numbered (id) VALUES ($1) RETURNING
  pg_current_xact_id()::text AS xid,
  ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline,
  coalesce(host(inet_server_addr()), 'local') || ':' || coalesce(inet_server_port(), 0) AS server`

/** Ids of different writers never meet. */
const IDS_PER_WRITER = 10_000_000

/** Where to connect to, or how. */
export type Target = string | (() => Promise<Client>)

export type WriterOptions = {
  readonly url: Target
  /** Which block of ids is this writer's. */
  readonly number: number
  /** Pause between a row's answer and the next row. */
  readonly everyMs: number
}

/** Creates the table that writers write to, empty; without a primary key, so that a row written twice can be seen. */
export async function createNumberedTable(url: Target): Promise<void> {
  await withClient(url, async (client) => {
    await client.query('DROP TABLE IF EXISTS numbered')
    await client.query('CREATE TABLE numbered (id bigint NOT NULL)')
  })
}

/** All ids in the table. */
export async function readNumbered(url: Target): Promise<readonly number[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ id: string }>('SELECT id FROM numbered')
    return rows.map(({ id }) => Number(id))
  })
}

/** Runs `task` with a connection of its own. */
export async function withClient<T>(url: Target, task: (client: Client) => Promise<T>): Promise<T> {
  const client = typeof url === 'string' ? await connectTo(url) : await url()
  try {
    return await task(client)
  } finally {
    await client.end().catch(() => {})
  }
}

/** A connection as an application opens it through a router. */
export async function connectTo(url: string): Promise<Client> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * An application as it should be: writes one numbered row after another, each in a transaction of its own, connects again after
 * every error and never repeats a row. It remembers what it was told.
 */
export class NumberedWriter {
  readonly #options: WriterOptions
  readonly #writes: Write[] = []
  readonly #stop = new AbortController()
  #client: Client | undefined
  #next: number
  #done: Promise<void> | undefined

  constructor(options: WriterOptions) {
    this.#options = options
    this.#next = options.number * IDS_PER_WRITER + 1
  }

  get writes(): readonly Write[] {
    return this.#writes
  }

  /** Whether a row is of this writer. */
  owns(id: number): boolean {
    return Math.floor(id / IDS_PER_WRITER) === this.#options.number
  }

  /** How many writes that were begun after `sinceMs` have been acknowledged. */
  acknowledgedSince(sinceMs: number): number {
    let count = 0
    for (let index = this.#writes.length - 1; index >= 0; index -= 1) {
      const write = this.#writes[index]
      if (!write || write.invokedMs < sinceMs) break
      if (write.outcome === 'acknowledged') count += 1
    }
    return count
  }

  start(): void {
    this.#done = this.#run()
  }

  /** Ends after the write that is under way; no answer for it makes it unknown. */
  async stop(): Promise<readonly Write[]> {
    this.#stop.abort()
    await Promise.race([this.#done, pause(1000)])
    this.#client?.connection.stream.destroy()
    await this.#done
    return this.#writes
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const client = await this.#connected()
      if (!client) await pause(RETRY_MS, signal)
      else await this.#write(client)
      await pause(this.#options.everyMs, signal)
    }
    await this.#client?.end().catch(() => {})
  }

  async #connected(): Promise<Client | undefined> {
    if (this.#client) return this.#client
    const { url } = this.#options
    if (typeof url !== 'string') {
      const opened = await url()
      opened.on('error', () => this.#drop(opened))
      this.#client = opened
      return opened
    }
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    client.on('error', () => this.#drop(client))
    this.#client = client
    const destroy = () => client.connection.stream.destroy()
    this.#stop.signal.addEventListener('abort', destroy, { once: true })
    try {
      await client.connect()
      return client
    } catch {
      this.#drop(client)
      return undefined
    } finally {
      this.#stop.signal.removeEventListener('abort', destroy)
    }
  }

  async #write(client: Client): Promise<void> {
    const id = this.#next
    this.#next += 1
    const invokedMs = performance.now()
    try {
      const { rows } = await client.query<{ xid: string; timeline: number; server: string }>(INSERT, [id])
      const row = rows[0]
      this.#writes.push({
        id,
        invokedMs,
        endedMs: performance.now(),
        outcome: 'acknowledged',
        ...(row
          ? { xid: Number(BigInt(row.xid) % 4294967296n), timeline: row.timeline, server: row.server }
          : {}),
      })
    } catch (error) {
      this.#writes.push({
        id,
        invokedMs,
        endedMs: performance.now(),
        outcome: outcomeOf(error),
        error: error instanceof Error ? error.message : String(error),
      })
      this.#drop(client)
    }
  }

  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined
    client.connection.stream.destroy()
  }
}

/** Read-only (25006): the statement failed before anything could be committed. Everything else may have been committed. */
function outcomeOf(error: unknown): 'unknown' | 'refused' {
  return (error as { code?: unknown }).code === '25006' ? 'refused' : 'unknown'
}
