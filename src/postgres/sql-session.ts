import pg from 'pg'
import { afterUnheld } from '../platform/timers.ts'
import { Fault, messageOf } from '../std/fault.ts'

/** How the agent reaches its own PostgreSQL. `host` may be the folder of a Unix socket. */
export type SqlTarget = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** One statement waits for the one before it; more than this many waiting ones mean that PostgreSQL hangs. */
const PENDING_MAX = 32

/** A statement; one with a name is planned once for each connection. */
export type Statement = {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}

/**
 * One kept-open connection to the local PostgreSQL, opened when it is first needed and again after it was lost. Statements run one
 * after the other, each with a deadline that counts its wait too; when it passes, the connection is given up, since nobody knows what
 * still happens on it. Sessions commit locally: the agent's own statements must never wait for a standby.
 */
export class SqlSession {
  readonly #target: () => SqlTarget
  readonly #name: string
  #client: pg.Client | undefined
  #pending = 0
  #tail: Promise<unknown> = Promise.resolve()

  constructor(options: { target: () => SqlTarget; name: string }) {
    this.#target = options.target
    this.#name = options.name
  }

  /** Rows of one statement. Throws PostgreSQL's own error, `PG_QUERY_TIMEOUT` or `PG_UNREACHABLE`. */
  async query<Row extends Record<string, unknown>>(
    statement: Statement,
    deadlineMs: number,
  ): Promise<readonly Row[]> {
    if (this.#pending >= PENDING_MAX) throw timeout(deadlineMs, `${this.#pending} statements wait already`)
    this.#pending += 1
    let overdue = false
    let giveUp = () => {}
    const deadline = new Promise<never>((_, reject) => {
      giveUp = afterUnheld(deadlineMs, () => {
        overdue = true
        this.close()
        reject(timeout(deadlineMs, 'no answer'))
      })
    })
    const run = async () => {
      if (overdue) return []
      const client = this.#client ?? (await this.#open(deadlineMs))
      const values = statement.values ?? []
      if (values.length === 0 && statement.name === undefined) {
        return (await client.query<Row>(statement.text)).rows
      }
      return (await client.query<Row>({ ...statement, values: [...values] })).rows
    }
    const done = this.#tail.then(run, run)
    this.#tail = done.catch(() => undefined)
    try {
      return await Promise.race([done, deadline])
    } finally {
      giveUp()
      this.#pending -= 1
    }
  }

  /** Ends the connection at once; the next statement opens another. */
  close(): void {
    const client = this.#client
    this.#client = undefined
    if (client) discard(client)
  }

  async #open(deadlineMs: number): Promise<pg.Client> {
    const client = new pg.Client({
      ...this.#target(),
      ssl: false,
      application_name: this.#name,
      connectionTimeoutMillis: deadlineMs,
      options: '-c synchronous_commit=local -c search_path=pg_catalog -c lock_timeout=10s -c DateStyle=ISO',
    })
    const forget = () => {
      if (this.#client === client) this.#client = undefined
    }
    client.on('error', forget)
    client.on('end', forget)
    this.#client = client
    try {
      await client.connect()
      return client
    } catch (error) {
      forget()
      discard(client)
      throw new Fault('PG_UNREACHABLE', `Cannot connect to the local PostgreSQL: ${messageOf(error)}`, {
        cause: error,
        retryable: true,
      })
    }
  }
}

function timeout(deadlineMs: number, why: string): Fault {
  return new Fault('PG_QUERY_TIMEOUT', `Cannot ask the local PostgreSQL within ${deadlineMs} ms: ${why}`, {
    retryable: true,
  })
}

/** A polite end would wait for a server that hangs. */
function discard(client: pg.Client): void {
  const { connection } = client as unknown as { connection?: { stream?: { destroy?: () => void } } }
  client.on('error', () => {})
  connection?.stream?.destroy?.()
}
