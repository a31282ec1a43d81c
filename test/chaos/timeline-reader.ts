import { Client } from 'pg'
import { pause } from '../../src/platform/timers.ts'
import type { Read } from './verdict.ts'

const CONNECT_MS = 5000
const QUERY_MS = 5000
const EVERY_MS = 20

/** Fails on a standby, which is no answer. */
const SELECT = `SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline,
  coalesce(host(inet_server_addr()), 'local') AS server`

/** An application that asks a router's primary port for the timeline again and again, and remembers the answers. */
export class TimelineReader {
  readonly reads: Read[] = []
  readonly #url: string
  readonly #stop = new AbortController()
  #client: Client | undefined
  #done: Promise<void> | undefined

  constructor(url: string) {
    this.#url = url
  }

  start(): void {
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#client?.connection.stream.destroy()
    await this.#done
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        this.#client ??= await this.#connect()
        await this.#read(this.#client)
      } catch {
        this.#client?.connection.stream.destroy()
        this.#client = undefined
      }
      await pause(EVERY_MS, signal)
    }
    this.#client?.connection.stream.destroy()
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.#url,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
    })
    client.on('error', () => {})
    this.#client = client
    await client.connect()
    return client
  }

  async #read(client: Client): Promise<void> {
    const invokedMs = performance.now()
    const { rows } = await client.query<{ timeline: number; server: string }>(SELECT)
    const [row] = rows
    if (row) this.reads.push({ invokedMs, endedMs: performance.now(), ...row })
  }
}
