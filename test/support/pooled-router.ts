import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import type { RoutingTableMessage } from '../../src/model/routing-table.ts'
import { NO_TLS } from '../../src/model/tls-settings.ts'
import { bootMs, monotonicMs } from '../../src/platform/clock.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { bootId } from '../../src/platform/process.ts'
import type { PoolOptions } from '../../src/proxy/pool/pool-options.ts'
import type { ReloadNews } from '../../src/proxy/router/agent-link.ts'
import { startRouter, type RouterOptions, type RunningRouter } from '../../src/proxy/router-process.ts'
import type { InstanceOptions } from '../../src/postgres/instance-outcome.ts'
import type { Instance } from '../../src/postgres/instance.ts'
import { LOOKUP_QUERY, poolOptions } from './pool-options.ts'
import { freePort, running, SUPERUSER, Workspace, type TestPostgres } from './postgres.ts'
import { connectRaw, eventually, type RawClient } from './raw-client.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'
import { RouterProcess } from './router-process.ts'

export const APP = { user: 'app', password: 'app secret', database: 'app', host: '127.0.0.1' }

/** A PostgreSQL, and routers before it whose agent is the test. */
export class PooledRouters {
  readonly workspace: Workspace
  port = 0
  epoch = 1
  readonly #agents: Server[] = []
  readonly #links = new Set<Socket>()
  readonly #routers: Pick<RunningRouter, 'stop'>[] = []
  readonly #clients: (pg.Client | RawClient)[] = []
  replicas: RoutingTableMessage['replicas'] = []
  /** What the agent says when a router asks it to read the configuration again. */
  onReload: () => ReloadNews | object = () => ({})
  /** Tests that are not about it give it more, since a busy machine may need it. */
  validForMs = 3000
  #instance: Instance | undefined
  #hasPrimary = true
  #holding: 'SWITCHOVER' | undefined
  #pushes = 0

  constructor(postgres: TestPostgres) {
    this.workspace = new Workspace(postgres)
  }

  get instance(): Instance {
    if (!this.#instance) throw new Error('not started')
    return this.#instance
  }

  async start(changes: Pick<Partial<InstanceOptions>, 'parameters' | 'pgHba'> = {}): Promise<void> {
    this.port = await freePort()
    this.#instance = await this.workspace.instance('n1', {
      port: this.port,
      pgHba: changes.pgHba ?? [
        'host all trusty 127.0.0.1/32 trust',
        'host all old 127.0.0.1/32 md5',
        'host all all 127.0.0.1/32 scram-sha-256',
      ],
      parameters: { shared_buffers: '16MB', max_connections: '60', ...changes.parameters },
    })
    await this.#instance.initialise({
      users: [
        { name: APP.user, password: APP.password, options: [] },
        { name: 'trusty', password: 'unused', options: [] },
      ],
      databases: [{ name: APP.database, owner: APP.user }],
      initdbArgs: [],
    })
    await running(this.#instance.start({ as: 'primary' }))
  }

  /** Says what every router's table is now. */
  table(change: { epoch?: number; hasPrimary?: boolean; holding?: 'SWITCHOVER' } = {}): void {
    if (change.hasPrimary !== undefined) this.#holding = change.holding
    this.epoch = change.epoch ?? this.epoch
    this.#hasPrimary = change.hasPrimary ?? this.#hasPrimary
    for (const link of this.#links) link.write(this.#line())
    this.#pushes += 1
  }

  /** Resolves when every router was told the table twice more: whatever they let pass has passed by then. */
  async tableSent(): Promise<void> {
    const pushes = this.#pushes
    await eventually(() => {
      if (this.#pushes < pushes + 2) throw new Error('no table was sent')
    })
  }

  async router(
    changes: Partial<PoolOptions> = {},
    holdTimeoutMs = 20_000,
    tls = NO_TLS,
  ): Promise<RunningRouter> {
    const router = await startRouter(
      { ...(await this.routerOptions(changes)), holdTimeoutMs, tls },
      { log: silentLogger(), clock: { monotonicMs, bootMs }, onStop: () => {} },
    )
    this.#routers.push(router)
    return router
  }

  /** The same as a process of its own, or as several: `workers`. */
  async process(
    changes: Partial<PoolOptions> = {},
    options: Partial<RouterOptions> = {},
  ): Promise<RouterProcess> {
    const told = { ...(await this.routerOptions(changes)), ...options }
    const router = await RouterProcess.start(told, this.workspace.folder)
    this.#routers.push(router)
    return router
  }

  /** Says to the routers what an agent says when its configuration was read again. */
  reload(pool: PoolOptions): void {
    for (const link of this.#links) link.write(`${JSON.stringify({ kind: 'reload', pool })}\n`)
  }

  /** Says to the routers what an agent says when another is to take their place. */
  replace({ options }: RouterProcess, changes: Partial<RouterOptions>, withinMs: number): void {
    const command = [process.execPath, join(REPOSITORY_ROOT, 'dist/main.js'), 'router']
    const order = { kind: 'restart', command, options: { ...options, ...changes }, withinMs }
    for (const link of this.#links) link.write(`${JSON.stringify(order)}\n`)
  }

  /** What a router is told, here or in a process of its own; its agent is there. */
  async routerOptions(changes: Partial<PoolOptions> = {}): Promise<RouterOptions> {
    const agentSocket = join(this.workspace.folder, `agent${this.#agents.length}.sock`)
    const agent = createServer((socket) => {
      this.#links.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => this.#links.delete(socket))
      const lines = createInterface({ input: socket }).on('error', () => {})
      lines.on('line', (line) => {
        const { kind, id } = JSON.parse(line) as { kind?: string; id?: number }
        if (kind === 'reload')
          socket.write(`${JSON.stringify({ kind: 'reloaded', id, ...this.onReload() })}\n`)
      })
      socket.write(this.#line())
    })
    await new Promise<void>((resolve) => agent.listen(agentSocket, resolve))
    const pushing = setInterval(() => this.table(), 200)
    agent.once('close', () => clearInterval(pushing))
    this.#agents.push(agent)
    const lookup = {
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      database: 'postgres',
      query: LOOKUP_QUERY,
    }
    return {
      nodeName: 'n1',
      listenHost: '127.0.0.1',
      ports: { primary: 0, replica: 0, pooled: 0 },
      holdTimeoutMs: 20_000,
      maxClientConnections: 500,
      pool: poolOptions({ auth: { type: 'md5', lookup }, ...changes }),
      tls: NO_TLS,
      agentSocket,
      members: [],
      routingToken: 'unused',
      logging: { level: 'error' },
    }
  }

  async connect(port: number, changes: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({ ...APP, port, ...changes })
    client.on('error', () => {})
    await client.connect()
    this.#clients.push(client)
    return client
  }

  raw(port: number): RawClient {
    return this.own(connectRaw(port))
  }

  /** Ends it with the others. */
  own(client: RawClient): RawClient {
    this.#clients.push(client)
    return client
  }

  /** A superuser's session that goes past the router. */
  direct(): Promise<pg.Client> {
    return this.connect(this.port, { user: SUPERUSER.name, password: SUPERUSER.password })
  }

  /** The superuser's session with the console of a pooled port. */
  console(port: number): Promise<pg.Client> {
    const { name: user, password } = SUPERUSER
    return this.connect(port, { user, password, database: 'pgbouncer' })
  }

  /** Ends clients and routers; PostgreSQL stays for the next test. */
  async clear(): Promise<void> {
    for (const client of this.#clients.splice(0)) {
      if (client instanceof pg.Client) await client.end().catch(() => {})
      else client.socket.destroy()
    }
    for (const router of this.#routers.splice(0)) await router.stop()
    for (const link of this.#links) link.destroy()
    for (const agent of this.#agents) agent.close()
    this.#hasPrimary = true
    this.#holding = undefined
  }

  async dispose(): Promise<void> {
    await this.clear()
    await this.workspace.dispose()
  }

  #line(): string {
    const table: RoutingTableMessage = {
      epoch: this.epoch,
      ...(this.#hasPrimary ? { primary: { name: 'n1', host: '127.0.0.1', port: this.port } } : {}),
      ...(this.#holding ? { holding: this.#holding } : {}),
      replicas: this.replicas,
      validForMs: this.validForMs,
      validUntil: monotonicMs() + this.validForMs,
      bootId: bootId(),
    }
    return `${JSON.stringify(table)}\n`
  }
}
