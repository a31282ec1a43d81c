import { Pool } from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { ClientError } from './client-error.ts'
import type { PgClient, PgPool, PgPoolClass } from './pg-pool.ts'
import { poolSettings } from './pool-settings.ts'
import { createPools, type Pools, type PoolsOptions } from './pools.ts'
import type { HttpTransport } from './transport.ts'

// What an application passes fits: the compiler says so.
const real: PgPoolClass = Pool
const MEMBERS = ['n1', 'n2', 'n3']
const ENV = { PATRONI_HOSTS: 'n1,n2,n3', PATRONI_MIN_CONNECTIONS: '0' }
const lost = () => new Error('Connection terminated unexpectedly')
const state = (code: string) => Object.assign(new Error(`error ${code}`), { code })

/** A cluster of which one member leads, and what its servers do with a statement. */
class FakeCluster {
  primary: string | undefined = 'n1'
  down = new Set<string>()
  /** Their agents answer nothing, and their servers take connections. */
  silent = new Set<string>()
  readonly statements: string[] = []
  readonly opened: Record<string, unknown>[] = []
  readonly ended: string[] = []
  onQuery: (server: string, text: string) => Promise<void> | void = () => {}
  onConnect: (server: string) => void = (server) => {
    if (this.down.has(server)) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  }

  readonly transport: HttpTransport = ({ url }) => {
    const { hostname, pathname } = new URL(url)
    if (this.down.has(hostname) || this.silent.has(hostname)) return Promise.reject(new Error('no route'))
    const answer = (status: number, body: unknown) =>
      Promise.resolve({ status, mediaType: 'application/json', body: JSON.stringify(body) })
    if (pathname === '/cluster')
      // As a member has it that heard of no change yet: everybody is asked what it is.
      return answer(200, {
        members: MEMBERS.map((name) => ({
          name,
          host: name,
          port: 5432,
          api_url: `http://${name}:8008/patroni`,
        })),
      })
    const isPrimary = hostname === this.primary
    return answer((pathname === '/primary') === isPrimary ? 200 : 503, {})
  }

  readonly Pool = poolClassOf(this)
}

function poolClassOf(cluster: FakeCluster): PgPoolClass {
  return class implements PgPool {
    readonly #server: string
    totalCount = 0
    idleCount = 0
    waitingCount = 0

    constructor(config: Record<string, unknown>) {
      this.#server = String(config['host'])
      cluster.opened.push(config)
    }

    connect(): Promise<PgClient> {
      const server = this.#server
      let cut: ((error: Error) => void) | undefined
      const client: PgClient = {
        query: async (text) => {
          cluster.statements.push(`${server} ${text}`)
          const isCut = new Promise<never>((_, reject) => (cut = reject))
          isCut.catch(() => undefined)
          await Promise.race([cluster.onQuery(server, text), isCut])
          return { rows: [{ server, standby: server !== cluster.primary }], rowCount: 1 }
        },
        on: () => undefined,
        release: (error) => {
          if (error) cut?.(error)
        },
      }
      return new Promise((resolve) => {
        cluster.onConnect(server)
        resolve(client)
      })
    }

    end(): Promise<void> {
      cluster.ended.push(this.#server)
      return Promise.resolve()
    }

    on(): void {}
  }
}

let pools: Pools | undefined
afterEach(() => pools?.end())

async function open(cluster: FakeCluster, options: Partial<PoolsOptions> = {}): Promise<Pools> {
  pools = await createPools({ Pool: cluster.Pool, env: ENV, transport: cluster.transport, ...options })
  return pools
}

describe('the settings of pools', () => {
  it('are those of an application that was made for Patroni', () => {
    expect(
      poolSettings({
        PATRONI_HOSTS: 'node1, node2:9000,https://node3:8443',
        PATRONI_PORT: '8009',
        PATRONI_DB: 'app',
        PATRONI_USER: 'me',
        PATRONI_PASSWORD: 'secret',
        PATRONI_MIN_CONNECTIONS: '3',
        PATRONI_MAX_CONNECTIONS: '7',
        PATRONI_HEALTH_CHECK_INTERVAL: '15',
      }),
    ).toEqual({
      apis: ['http://node1:8009', 'http://node2:9000', 'https://node3:8443'],
      database: 'app',
      user: 'me',
      password: 'secret',
      minConnections: 3,
      maxConnections: 7,
      healthCheckIntervalMs: 15_000,
    })
    expect(poolSettings({ PATRONI_HOSTS: 'node1' })).toMatchObject({
      apis: ['http://node1:8008'],
      minConnections: 2,
      maxConnections: 20,
      healthCheckIntervalMs: 30_000,
    })
  })

  it.each([
    [{}, 'PATRONI_HOSTS is not set'],
    [{ PATRONI_HOSTS: 'a b' }, '"a b"'],
    [{ PATRONI_HOSTS: 'a', PATRONI_PORT: 'x' }, 'PATRONI_PORT is "x"'],
    [{ PATRONI_HOSTS: 'a', PATRONI_MAX_CONNECTIONS: '1' }, 'more than the 1'],
  ])('%j are refused', (env, why) => {
    expect(() => poolSettings(env)).toThrow(why)
  })
})

describe('pools', () => {
  it('are those of the package pg, with its options and the limits', async () => {
    expect(real).toBe(Pool)
    const cluster = new FakeCluster()
    await open(cluster, {
      env: { ...ENV, PATRONI_MAX_CONNECTIONS: '9', PATRONI_USER: 'me' },
      pg: { ssl: true, application_name: 'x' },
    })
    expect(cluster.opened.map(({ host }) => host)).toEqual(['n1', 'n2', 'n3'])
    expect(cluster.opened[0]).toMatchObject({ port: 5432, user: 'me', min: 0, max: 9, ssl: true })
  })

  it('send writes to the primary, and reads to the replicas in turn', async () => {
    const cluster = new FakeCluster()
    const { write, read } = await open(cluster)
    await write.query('w')
    for (const number of [1, 2, 3, 4]) await read.query(`r${number}`)
    expect(cluster.statements.filter((text) => text.includes('w'))).toEqual(['n1 w'])
    const servers = cluster.statements.slice(1).map((text) => text.slice(0, 2))
    expect(servers.toSorted()).toEqual(['n2', 'n2', 'n3', 'n3'])
  })

  it('send reads to the primary where there is no replica', async () => {
    const cluster = new FakeCluster()
    cluster.down = new Set(['n2', 'n3'])
    const { read } = await open(cluster)
    expect((await read.query('r')).rows).toMatchObject([{ server: 'n1' }])
  })

  it('send a write again where nothing was done: the server is gone, or no primary any more', async () => {
    const cluster = new FakeCluster()
    const { write } = await open(cluster)
    cluster.down.add('n1')
    cluster.primary = 'n2'
    expect((await write.query('a')).rows).toMatchObject([{ server: 'n2' }])
    cluster.primary = 'n3'
    cluster.onQuery = (server) => {
      if (server === 'n2') throw state('25006')
    }
    expect((await write.query('b')).rows).toMatchObject([{ server: 'n3' }])
    expect(cluster.statements).toEqual(['n2 a', 'n2 b', 'n3 b'])
    expect(cluster.ended).toContain('n1')
  })

  it.each([lost(), state('57P01')])('send no write again that may have been done (%s)', async (error) => {
    const cluster = new FakeCluster()
    const { write } = await open(cluster)
    cluster.onQuery = () => {
      throw error
    }
    const thrown: unknown = await write.query('w').catch((why: unknown) => why)
    expect(thrown).toBeInstanceOf(ClientError)
    expect(thrown).toMatchObject({ code: 'OUTCOME_UNKNOWN', cause: error })
    expect(cluster.statements).toEqual(['n1 w'])
    // What else waits unused may be dead too.
    expect([cluster.ended, cluster.opened.at(-1)?.['host']]).toEqual([['n1'], 'n1'])
  })

  it('send it again all the same where that does no harm, as they do every read', async () => {
    const cluster = new FakeCluster()
    const { write, read } = await open(cluster)
    let failures = 0
    cluster.onQuery = () => {
      failures += 1
      if (failures % 2 === 1) throw lost()
    }
    await write.query('w', [], { isRepeatable: true })
    await read.query('r')
    expect(cluster.statements).toHaveLength(4)
  })

  it("hand PostgreSQL's own errors on, at once", async () => {
    const cluster = new FakeCluster()
    const { write, read } = await open(cluster)
    cluster.onQuery = () => {
      throw state('23505')
    }
    await expect(write.query('w')).rejects.toMatchObject({ code: '23505' })
    await expect(read.query('r')).rejects.toMatchObject({ code: '23505' })
    cluster.onConnect = () => {
      throw state('28P01')
    }
    await expect(write.query('w')).rejects.toMatchObject({ code: '28P01' })
    await expect(write.connect()).rejects.toMatchObject({ code: '28P01' })
  })

  it('say that no server took a statement in time', async () => {
    const cluster = new FakeCluster()
    cluster.primary = undefined
    const { write } = await open(cluster, { retryForMs: 200 })
    await expect(write.query('w')).rejects.toMatchObject({ code: 'NO_SERVER', kind: 'unreachable' })
    expect(cluster.statements).toEqual([])
  })

  it('cut a write off at a server that stands still once another is the primary', async () => {
    const cluster = new FakeCluster()
    const { write, healthCheck } = await open(cluster)
    cluster.onQuery = (server) => (server === 'n1' ? new Promise(() => {}) : undefined)
    const outcome = write.query('w').catch((why: unknown) => why)
    cluster.primary = 'n2'
    cluster.silent.add('n1')
    await healthCheck()
    expect(await outcome).toMatchObject({ code: 'OUTCOME_UNKNOWN' })
    expect((await write.query('x')).rows).toMatchObject([{ server: 'n2' }])
  })

  it('tell how they are, each server for itself', async () => {
    const cluster = new FakeCluster()
    const { healthCheck } = await open(cluster)
    cluster.onConnect = (server) => {
      if (server === 'n3') throw new Error('no room')
    }
    const health = await healthCheck()
    expect(health).toMatchObject({
      isHealthy: true,
      write: { isHealthy: true, servers: [{ name: 'n1', host: 'n1', port: 5432, isHealthy: true }] },
      read: {
        isHealthy: true,
        servers: [
          { name: 'n2', isHealthy: true },
          { name: 'n3', isHealthy: false, error: 'no room' },
        ],
      },
    })
    expect(Date.parse(health.checkedAt)).not.toBeNaN()
    cluster.primary = undefined
    expect(await healthCheck()).toMatchObject({
      isHealthy: false,
      write: { servers: [{ error: 'it is a standby' }] },
    })
  })

  it('ask nobody any more once they are ended', async () => {
    const cluster = new FakeCluster()
    const { write, end } = await open(cluster)
    await end()
    expect(cluster.ended.toSorted()).toEqual(['n1', 'n2', 'n3'])
    await expect(write.query('w')).rejects.toMatchObject({ code: 'NO_SERVER' })
  })
})
