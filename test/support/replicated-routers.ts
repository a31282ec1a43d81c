import pg from 'pg'
import type { Instance } from '../../src/postgres/instance.ts'
import type { PoolOptions } from '../../src/proxy/pool/pool-options.ts'
import { buildStartup } from '../../src/wire/startup.ts'
import { PooledRouters } from './pooled-router.ts'
import { freePort, running, SUPERUSER, type TestPostgres } from './postgres.ts'
import { eventually, type RawClient } from './raw-client.ts'

/** A primary and a standby, and routers before them that split. */
export class ReplicatedRouters {
  readonly routers: PooledRouters
  standbyPort = 0
  #clients: { readonly admin: pg.Client; readonly onStandby: pg.Client } | undefined

  constructor(postgres: TestPostgres) {
    this.routers = new PooledRouters(postgres)
  }

  get port(): number {
    return this.routers.port
  }

  /** A superuser's session with the primary. */
  get admin(): pg.Client {
    if (!this.#clients) throw new Error('not started')
    return this.#clients.admin
  }

  /** The same with the standby. */
  get onStandby(): pg.Client {
    if (!this.#clients) throw new Error('not started')
    return this.#clients.onStandby
  }

  async start(schema: string): Promise<void> {
    await this.routers.start()
    this.standbyPort = await freePort()
    const parameters = { shared_buffers: '16MB', max_connections: '60' }
    const standby: Instance = await this.routers.workspace.instance('n2', {
      port: this.standbyPort,
      pgHba: ['host all trusty 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256'],
      parameters,
    })
    const source = { host: '127.0.0.1', port: this.port }
    await standby.clone({ source })
    await running(standby.start({ as: 'standby', follow: source }))
    const [admin, onStandby] = await Promise.all([this.#direct(this.port), this.#direct(this.standbyPort)])
    this.#clients = { admin, onStandby }
    await admin.query(schema)
  }

  async dispose(): Promise<void> {
    await this.admin.end()
    await this.onStandby.end()
    await this.routers.dispose()
  }

  /** The routers have the standby as their replica, and it has everything. */
  async reset(): Promise<void> {
    this.routers.replicas = [{ name: 'n2', host: '127.0.0.1', port: this.standbyPort, lagBytes: 0 }]
    await this.caughtUp()
  }

  caughtUp(): Promise<void> {
    return eventually(async () => {
      const { rows } = await this.admin.query<{ at: string }>('select pg_current_wal_lsn()::text as at')
      const { rows: replayed } = await this.onStandby.query<{ there: boolean }>(
        'select pg_last_wal_replay_lsn() >= $1::pg_lsn as there',
        [rows[0]?.at],
      )
      if (replayed[0]?.there !== true) throw new Error('the standby is behind')
    })
  }

  /** A router, and a client of its pooled port whose reads go to the standby. */
  async split(
    changes: Partial<PoolOptions> = {},
    login: pg.ClientConfig = {},
  ): Promise<{ client: pg.Client; port: number }> {
    const { ports } = await this.routers.router({ readWriteSplit: true, defaultPoolSize: 4, ...changes })
    const client = await this.routers.connect(ports.pooled, login)
    // The grammar and the catalog are there when the first read has gone to the replica.
    await eventually(async () => {
      if ((await this.portOf(client)) !== this.standbyPort) throw new Error('reads go to the primary')
    }, 20_000)
    return { client, port: ports.pooled }
  }

  /** The same by bytes: a client of such a router, whom nobody asks for a password, and one of PostgreSQL itself. */
  async raw(): Promise<{ raw: RawClient; direct: RawClient }> {
    const { port } = await this.split({ auth: { type: 'trust' } }, { user: 'trusty', password: '' })
    const [raw, direct] = [this.routers.raw(port), this.routers.raw(this.port)]
    for (const each of [raw, direct]) {
      each.socket.write(buildStartup({ user: 'trusty', database: 'app' }))
      await each.untilReady()
    }
    return { raw, direct }
  }

  /** Where a read runs: the hint takes the doubt that asks the node. */
  async portOf(client: pg.Client, rest = ''): Promise<number> {
    const { rows } = await client.query<{ port: number }>(`${WHERE} ${rest}`)
    return rows[0]?.port ?? 0
  }

  async #direct(port: number): Promise<pg.Client> {
    const client = new pg.Client({
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      host: '127.0.0.1',
      database: 'app',
      port,
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }
}

/** A read whose answer is the port that it ran on. */
const WHERE = '/* pg-metako: replica */ select inet_server_port() as port'

/** Writes to a client's connection what a driver would not. */
export function writeRaw(client: pg.Client | RawClient, bytes: Buffer): void {
  if (!(client instanceof pg.Client)) return void client.socket.write(bytes)
  const { connection } = client as unknown as { connection: { stream: { write(bytes: Buffer): void } } }
  connection.stream.write(bytes)
}
