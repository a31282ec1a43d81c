import { ClientError } from './client-error.ts'
import { findServers } from './find-servers.ts'
import type { PgClient, PgPoolClass, PgResult } from './pg-pool.ts'
import { poolSettings, type PoolSettings } from './pool-settings.ts'
import { connectVerdict, queryVerdict } from './retry-rules.ts'
import { ServerPools, type ServerPool } from './server-pools.ts'
import type { HttpTransport } from './transport.ts'

/** Longer than a failover with a lease of Patroni's takes. */
const RETRY_MS_DEFAULT = 60_000
const CONNECT_MS = 5000
/** A server that stands still is told as such, and not waited for. */
const ANSWER_MS = 5000
const BACKOFF_FIRST_MS = 50
const BACKOFF_MAX_MS = 1000

export type PoolsOptions = {
  /** `Pool` of the package `pg`. */
  readonly Pool: PgPoolClass
  /** Where the cluster is: `process.env` with the variables of `poolSettings`, unless `settings` says it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly settings?: PoolSettings
  /** Further options of `pg`, such as `ssl`. */
  readonly pg?: Readonly<Record<string, unknown>>
  /** How long a query waits for a server to send it to. */
  readonly retryForMs?: number
  /** How the APIs are asked; absent: `fetch`. */
  readonly transport?: HttpTransport
}

export type QueryOptions = {
  /** It may be sent again also where nobody knows whether it was done: for what can be done twice. */
  readonly isRepeatable?: boolean
}

/** Connections to one side of the cluster: `write` leads to the primary, `read` to the replicas in turn, and to the primary without one. */
export type PoolSide = {
  /**
   * One statement in a transaction of its own. Where it is known that nothing was done it is sent again, to wherever the primary is
   * then; reads always. Rejects with PostgreSQL's own error; with a `ClientError` of code `OUTCOME_UNKNOWN` where a write may have been
   * done, and of code `NO_SERVER` where no server took it in time.
   */
  query<Row = Record<string, unknown>>(
    text: string,
    values?: unknown[],
    options?: QueryOptions,
  ): Promise<PgResult<Row>>
  /** A connection for a transaction; to be released. What was lost with it is not sent again. */
  connect(): Promise<PgClient>
}

export type ServerHealth = {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly isHealthy: boolean
  readonly latencyMs?: number
  readonly error?: string
  readonly connections: { readonly total: number; readonly idle: number; readonly waiting: number }
}
export type SideHealth = { readonly isHealthy: boolean; readonly servers: readonly ServerHealth[] }
export type PoolsHealth = {
  /** Writes work now. */
  readonly isHealthy: boolean
  readonly checkedAt: string
  readonly write: SideHealth
  readonly read: SideHealth
}

export type Pools = {
  readonly write: PoolSide
  readonly read: PoolSide
  /** Looks for the servers anew, and tries each. */
  healthCheck(): Promise<PoolsHealth>
  end(): Promise<void>
}

/** Two pools on `pg` that follow the primary. Looks for the servers once; where none is found yet, queries wait for one. */
export async function createPools(options: PoolsOptions): Promise<Pools> {
  const pools = new ClusterPools(options, options.settings ?? poolSettings(options.env ?? {}))
  await pools.refresh()
  return {
    write: pools.side('write'),
    read: pools.side('read'),
    healthCheck: () => pools.healthCheck(),
    end: () => pools.end(),
  }
}

type SideName = 'write' | 'read'

class ClusterPools {
  readonly #options: PoolsOptions
  readonly #sides: Readonly<Record<SideName, ServerPools>>
  readonly #timer: ReturnType<typeof setInterval>
  #apis: readonly string[]
  #refreshing: Promise<void> | undefined
  #isEnded = false

  constructor(options: PoolsOptions, settings: PoolSettings) {
    const { database, user, password, minConnections, maxConnections } = settings
    this.#options = options
    this.#apis = settings.apis
    const config = {
      connectionTimeoutMillis: CONNECT_MS,
      ...options.pg,
      database,
      user,
      password,
      min: minConnections,
      max: maxConnections,
    }
    const side = () =>
      new ServerPools(options.Pool, { config, minConnections, onTrouble: () => void this.refresh() })
    this.#sides = { write: side(), read: side() }
    this.#timer = setInterval(() => void this.refresh(), settings.healthCheckIntervalMs)
    // Nobody's process is kept alive by looking.
    const { unref } = this.#timer as { unref?: () => void }
    unref?.call(this.#timer)
  }

  /** One look serves all who ask meanwhile. Never rejects: what is not found now is found later. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #look(): Promise<void> {
    const { primary, replicas, apis } = await findServers(this.#apis, this.#options.transport)
    if (this.#isEnded) return
    this.#apis = apis
    // While a primary is being chosen the last one is kept: it may be the next, and says no by itself where it is none.
    if (primary) this.#sides.write.use([primary])
    const readers = replicas.length > 0 || !primary ? replicas : [primary]
    if (readers.length > 0) this.#sides.read.use(readers)
  }

  side(name: SideName): PoolSide {
    return {
      query: <Row>(text: string, values?: unknown[], options?: QueryOptions) =>
        this.#query<Row>(name, { text, values }, options),
      connect: () => this.#untilServed(name, (client) => Promise.resolve({ kind: 'done', value: client })),
    }
  }

  async #query<Row>(
    name: SideName,
    statement: { readonly text: string; readonly values: unknown[] | undefined },
    options: QueryOptions = {},
  ): Promise<PgResult<Row>> {
    const mayRepeat = name === 'read' || options.isRepeatable === true
    return this.#untilServed(name, async (client, server) => {
      try {
        const value = await queryOnce(client, server, statement)
        return { kind: 'done', value: value as unknown as PgResult<Row> }
      } catch (error) {
        const verdict = queryVerdict(error)
        if (verdict === 'answered') throw error
        if (verdict === 'unknown') this.#sides[name].renew(server)
        if (verdict === 'not-done' || mayRepeat) return { kind: 'again', error }
        throw outcomeUnknown(error)
      }
    })
  }

  /** Takes a connection and gives it to `use`, over and over until that is done or the time is over. */
  async #untilServed<T>(
    name: SideName,
    use: (
      client: PgClient,
      server: ServerPool,
    ) => Promise<{ kind: 'done'; value: T } | { kind: 'again'; error: unknown }>,
  ): Promise<T> {
    const giveUpAt = Date.now() + (this.#options.retryForMs ?? RETRY_MS_DEFAULT)
    let last: unknown
    for (let backoffMs = BACKOFF_FIRST_MS; ; backoffMs = Math.min(2 * backoffMs, BACKOFF_MAX_MS)) {
      const server = this.#isEnded ? undefined : this.#sides[name].next()
      const client = await server?.pool.connect().catch((error: unknown) => {
        if (connectVerdict(error) === 'answered') throw error
        last = error
        return undefined
      })
      if (server && client) {
        const outcome = await use(client, server)
        if (outcome.kind === 'done') return outcome.value
        last = outcome.error
      }
      if (this.#isEnded || Date.now() + backoffMs > giveUpAt) throw noServer(name, last)
      await this.refresh()
      await new Promise((resolve) => setTimeout(resolve, backoffMs))
    }
  }

  async healthCheck(): Promise<PoolsHealth> {
    await this.refresh()
    const [write, read] = await Promise.all([
      sideHealth(this.#sides.write, 'write'),
      sideHealth(this.#sides.read, 'read'),
    ])
    return { isHealthy: write.isHealthy, checkedAt: new Date().toISOString(), write, read }
  }

  async end(): Promise<void> {
    this.#isEnded = true
    clearInterval(this.#timer)
    await Promise.all([this.#sides.write.end(), this.#sides.read.end()])
  }
}

async function sideHealth(pools: ServerPools, name: SideName): Promise<SideHealth> {
  const servers = await Promise.all(pools.all.map((one) => serverHealth(one, name)))
  return { isHealthy: servers.some(({ isHealthy }) => isHealthy), servers }
}

async function serverHealth(server: ServerPool, name: SideName): Promise<ServerHealth> {
  const { place, pool } = server
  const askedAt = Date.now()
  const counts = () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  try {
    const text = 'select pg_is_in_recovery() as standby'
    const { rows } = await queryOnce(await pool.connect(), server, { text, limitMs: ANSWER_MS })
    if (name === 'write' && rows[0]?.['standby'] !== false) throw new Error('it is a standby')
    return { ...place, isHealthy: true, latencyMs: Date.now() - askedAt, connections: counts() }
  } catch (error) {
    return { ...place, isHealthy: false, error: asError(error).message, connections: counts() }
  }
}

/** A statement on a connection that is given back behind it, or ended where it is of no more use. */
async function queryOnce(
  client: PgClient,
  { cuts }: ServerPool,
  statement: { readonly text: string; readonly values?: unknown[] | undefined; readonly limitMs?: number },
): Promise<PgResult<Record<string, unknown>>> {
  const { text, values, limitMs } = statement
  let isReleased = false
  const release = (why?: Error) => {
    if (!isReleased) client.release(why)
    isReleased = true
  }
  const giveUp = () => release(new Error(`no answer within ${limitMs} ms`))
  const timer = limitMs === undefined ? undefined : setTimeout(giveUp, limitMs)
  cuts.add(release)
  try {
    const result = await client.query(text, values)
    release()
    return result
  } catch (error) {
    release(queryVerdict(error) === 'answered' ? undefined : asError(error))
    throw error
  } finally {
    cuts.delete(release)
    clearTimeout(timer)
  }
}

function outcomeUnknown(cause: unknown): ClientError {
  const message = 'The connection was lost in the middle of a write: it may have been done'
  return new ClientError('failed', message, { code: 'OUTCOME_UNKNOWN', cause })
}

function noServer(name: SideName, cause: unknown): ClientError {
  const what = name === 'write' ? 'primary' : 'server'
  const why = cause === undefined ? 'none was found' : asError(cause).message
  return new ClientError('unreachable', `No ${what} took the statement in time: ${why}`, {
    code: 'NO_SERVER',
    cause,
  })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
