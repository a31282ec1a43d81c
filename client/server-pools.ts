import type { ServerPlace } from './find-servers.ts'
import type { PgClient, PgPool, PgPoolClass } from './pg-pool.ts'

export type ServerPool = {
  readonly place: ServerPlace
  readonly pool: PgPool
  /** Ends the connections that statements are under way on. */
  readonly cuts: Set<(why: Error) => void>
}

/** The pools of one kind of server, one for each: opened when it is first seen, ended when it is none any more. */
export class ServerPools {
  readonly #Pool: PgPoolClass
  readonly #config: Readonly<Record<string, unknown>>
  readonly #minConnections: number
  readonly #onTrouble: () => void
  #pools: readonly ServerPool[] = []
  #turn = 0

  constructor(
    Pool: PgPoolClass,
    options: {
      readonly config: Readonly<Record<string, unknown>>
      readonly minConnections: number
      readonly onTrouble: () => void
    },
  ) {
    this.#Pool = Pool
    this.#config = options.config
    this.#minConnections = options.minConnections
    this.#onTrouble = options.onTrouble
  }

  get all(): readonly ServerPool[] {
    return this.#pools
  }

  /** The next in turn. */
  next(): ServerPool | undefined {
    this.#turn += 1
    return this.#pools[this.#turn % this.#pools.length]
  }

  use(places: readonly ServerPlace[]): void {
    const gone = this.#pools.filter(({ place }) => !places.some((one) => isSame(one, place)))
    this.#pools = places.map(
      (place) => this.#pools.find((one) => isSame(one.place, place)) ?? this.#open(place),
    )
    const why = new Error('the server is no longer the one to ask')
    for (const { pool, cuts } of gone) {
      // It may be frozen, and then answers never. Who has taken a connection for a transaction keeps it.
      for (const cut of cuts) cut(why)
      pool.end().catch(() => undefined)
    }
  }

  /**
   * A connection of it was lost: the others that wait unused may be dead too, which only a statement would show that is then lost with
   * them. From now on there are new ones.
   */
  renew(server: ServerPool): void {
    if (!this.#pools.includes(server)) return
    this.#pools = this.#pools.map((one) => (one === server ? this.#open(server.place) : one))
    server.pool.end().catch(() => undefined)
  }

  async end(): Promise<void> {
    const pools = this.#pools
    this.#pools = []
    await Promise.all(pools.map(({ pool }) => pool.end()))
  }

  #open(place: ServerPlace): ServerPool {
    const { host, port } = place
    const pool = new this.#Pool({ ...this.#config, host, port })
    const server: ServerPool = { place, pool, cuts: new Set() }
    // Of a connection that nobody uses, and of one that is lost while no statement is under way: without listeners each would end the
    // process. Whoever sends a statement then is told.
    pool.on('error', () => {
      this.renew(server)
      this.#onTrouble()
    })
    pool.on('connect', (client) => client.on('error', () => undefined))
    void warm(pool, this.#minConnections)
    return server
  }
}

/** `pg` opens a connection when it is asked for, never before. */
async function warm(pool: PgPool, count: number): Promise<void> {
  const asked = Array.from({ length: count }, () => pool.connect().catch((): undefined => undefined))
  const clients: readonly (PgClient | undefined)[] = await Promise.all(asked)
  for (const client of clients) client?.release()
}

function isSame(one: ServerPlace, other: ServerPlace): boolean {
  return one.name === other.name && one.host === other.host && one.port === other.port
}
