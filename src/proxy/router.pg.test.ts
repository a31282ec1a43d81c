import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { NOBODY } from '../model/ack-rule.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import { bootMs, monotonicMs } from '../platform/clock.ts'
import { silentLogger } from '../platform/log.ts'
import { bootId } from '../platform/process.ts'
import type { Instance } from '../postgres/instance.ts'
import { buildCancelRequest, buildStartup, parseBackendKey } from '../wire/startup.ts'
import { MessageReader, messageType } from '../wire/frame.ts'
import { describePostgres, freePort, running, SUPERUSER, Workspace } from '../../test/support/postgres.ts'
import { connectRaw, eventually, type RawClient } from '../../test/support/raw-client.ts'
import { startRouter, type RunningRouter } from './router-process.ts'

const APP = { user: 'app', password: 'app secret', database: 'app', host: '127.0.0.1' }

/** COPY as pg's own connection sees it: the driver has no streams for it, and the bytes are what we are after. */
class CopyCommand {
  readonly received: Buffer[] = []
  readonly done: Promise<void>
  readonly #text: string
  readonly #input: Buffer | undefined
  #finish: (error?: Error) => void = () => {}

  constructor(text: string, input?: Buffer) {
    this.#text = text
    this.#input = input
    this.done = new Promise((resolve, reject) => {
      this.#finish = (error) => (error ? reject(error) : resolve())
    })
  }

  submit(connection: { query: (text: string) => void }): void {
    connection.query(this.#text)
  }
  handleCopyInResponse(connection: {
    sendCopyFromChunk: (chunk: Buffer) => void
    endCopyFrom: () => void
  }): void {
    for (let at = 0; this.#input && at < this.#input.length; at += 70_000) {
      connection.sendCopyFromChunk(this.#input.subarray(at, at + 70_000))
    }
    connection.endCopyFrom()
  }
  handleCopyData(message: { chunk: Buffer }): void {
    this.received.push(Buffer.from(message.chunk))
  }
  handleCommandComplete(): void {}
  handleError(error: Error): void {
    this.#finish(error)
  }
  handleReadyForQuery(): void {
    this.#finish()
  }
}

describePostgres('the router before PostgreSQL', (postgres) => {
  let workspace: Workspace
  let instance: Instance
  let port: number
  let agent: Server
  let router: RunningRouter
  const agentLinks = new Set<Socket>()
  const clients: (pg.Client | RawClient)[] = []
  let epoch = 1

  function push(): void {
    const table: RoutingTableMessage = {
      epoch,
      primary: { name: 'n1', host: '127.0.0.1', port },
      replicas: [],
      validForMs: 3000,
      validUntil: monotonicMs() + 3000,
      bootId: bootId(),
    }
    for (const link of agentLinks) link.write(`${JSON.stringify(table)}\n`)
  }

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    port = await freePort()
    instance = await workspace.instance('n1', {
      port,
      pgHba: ['host all trusty 127.0.0.1/32 trust', 'host all all 127.0.0.1/32 scram-sha-256'],
    })
    await instance.initialise({
      users: [
        { name: APP.user, password: APP.password, options: [] },
        { name: 'trusty', password: 'unused', options: [] },
      ],
      databases: [{ name: APP.database, owner: APP.user }],
      initdbArgs: [],
    })
    await running(instance.start({ as: 'primary' }))
    const agentSocket = join(workspace.folder, 'agent.sock')
    agent = createServer((socket) => {
      agentLinks.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => agentLinks.delete(socket))
      socket.resume()
      push()
    })
    await new Promise<void>((resolve) => agent.listen(agentSocket, resolve))
    const pushing = setInterval(push, 200)
    agent.once('close', () => clearInterval(pushing))
    router = await startRouter(
      {
        nodeName: 'n1',
        listenHost: '127.0.0.1',
        ports: { primary: 0, replica: 0, pooled: 0 },
        holdTimeoutMs: 20_000,
        maxClientConnections: 50,
        agentSocket,
        members: [],
        routingToken: 'unused',
        logging: { level: 'error' },
      },
      { log: silentLogger(), clock: { monotonicMs, bootMs }, onStop: () => {} },
    )
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) {
      if (client instanceof pg.Client) await client.end().catch(() => {})
      else client.socket.destroy()
    }
  })
  afterAll(async () => {
    await router.stop()
    for (const link of agentLinks) link.destroy()
    agent.close()
    await workspace.dispose()
  })

  async function connect(through: number, changes: Partial<typeof APP> = {}): Promise<pg.Client> {
    const client = new pg.Client({ ...APP, ...changes, port: through })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client
  }

  /** Whom commits of sessions that begin from now on wait for. */
  async function waitForStandbys(names: string): Promise<void> {
    const owner = await connect(port, { ...SUPERUSER, user: SUPERUSER.name, database: 'postgres' })
    await owner.query(`alter system set synchronous_standby_names = '${names}'`)
    await owner.query('select pg_reload_conf()')
    await eventually(async () => {
      const { rows } = await owner.query('show synchronous_standby_names')
      expect(rows).toEqual([{ synchronous_standby_names: names }])
    })
  }

  function startTrusty(minor: 0 | 2): RawClient {
    const client = connectRaw(router.ports.primary)
    clients.push(client)
    client.socket.write(buildStartup({ user: 'trusty', database: APP.database }, { minor }))
    return client
  }

  it('passes SCRAM, queries and prepared statements through on every port', async () => {
    for (const through of Object.values(router.ports)) {
      const client = await connect(through)
      const text = 'select $1::int + 1 as next, pg_is_in_recovery() as standby'
      for (const value of [1, 2, 3]) {
        const { rows } = await client.query({ name: 'next', text, values: [value] })
        expect(rows).toEqual([{ next: value + 1, standby: false }])
      }
    }
  })

  it('passes PostgreSQL’s own refusals through with every field', async () => {
    await expect(connect(router.ports.primary, { password: 'wrong' })).rejects.toMatchObject({
      severity: 'FATAL',
      code: '28P01',
      routine: expect.any(String),
    })
    await expect(connect(router.ports.primary, { database: 'nowhere' })).rejects.toMatchObject({
      code: '3D000',
    })
  })

  it('works for psql', async (context) => {
    const folders = ['/usr/bin', '/usr/local/bin', '/usr/lib/postgresql/18/bin', '/usr/lib/postgresql/15/bin']
    const psql = folders.map((folder) => join(folder, 'psql')).find((path) => existsSync(path))
    if (!psql) return context.skip('psql is not installed')
    const url = `postgresql://app:app%20secret@127.0.0.1:${router.ports.pooled}/app`
    const { stdout } = await promisify(execFile)(psql, [url, '-AtXc', 'select 6 * 7'], { timeout: 20_000 })
    expect(stdout).toBe('42\n')
  })

  it('carries some megabytes of COPY in both directions byte for byte', async () => {
    const client = await connect(router.ports.primary)
    await client.query('create temp table big (number int, filling text)')
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `${index}\t${'äb\\\\c'.repeat(index % 30)}${index}`,
    )
    const input = Buffer.from(`${lines.join('\n')}\n`)
    const copyIn = new CopyCommand('copy big from stdin', input)
    client.query(copyIn)
    await copyIn.done
    const copyOut = new CopyCommand('copy (select * from big order by number) to stdout')
    client.query(copyOut)
    await copyOut.done
    const output = Buffer.concat(copyOut.received)
    expect(input.length).toBeGreaterThan(5_000_000)
    expect([output.length, output.equals(input)]).toEqual([input.length, true])
  })

  it.each([0, 2] as const)('cancels a running statement over another port, protocol 3.%i', async (minor) => {
    const client = startTrusty(minor)
    await client.untilReady()
    const key = backendKeyOf(client)
    client.query('select pg_sleep(60)')
    const watcher = await connect(router.ports.primary, { user: 'trusty' })
    await eventually(async () => {
      const active = "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"
      expect((await watcher.query(active)).rowCount).toBe(1)
    })
    const request = connectRaw(router.ports.replica)
    request.socket.write(buildCancelRequest(key))
    await request.untilClosed()
    await client.untilReady(2)
    expect(client.error()).toMatchObject({ C: '57014' })
  })

  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'never passes on the success of a commit whose wait for standbys was ended by %s',
    async (end) => {
      const client = await connect(router.ports.primary)
      const watcher = await connect(router.ports.primary)
      await client.query('create table if not exists confirmed (id int)')
      await waitForStandbys(NOBODY)
      try {
        // The first ones may not wait yet: PostgreSQL's checkpointer tells that commits wait.
        const insertUntilRefused = async (): Promise<unknown> => {
          for (;;) await client.query('insert into confirmed values (1)')
        }
        const refusal = insertUntilRefused().catch((error: unknown) => error)
        await eventually(async () => {
          const waiting = await watcher.query(
            `select ${end}(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
          )
          expect(waiting.rowCount).toBe(1)
        })
        expect(await refusal).toMatchObject({ code: '40003' })
      } finally {
        await waitForStandbys('')
      }
    },
  )

  it('passes on that PostgreSQL shuts down, and holds a new client until it is up again', async () => {
    const old = await connect(router.ports.primary)
    const ended = new Promise<Error>((resolve) => old.once('error', resolve))
    await instance.stop({ mode: 'fast' })
    expect(await ended).toMatchObject({ code: '57P01' })
    const waiting = connect(router.ports.primary)
    await running(instance.start({ as: 'primary' }))
    const { rows } = await (await waiting).query('select 1 as up')
    expect(rows).toEqual([{ up: 1 }])
  })

  it('cuts its sessions at a higher epoch, in the middle of a statement', async () => {
    const client = await connect(router.ports.primary)
    const sleeping = client.query('select pg_sleep(60)').catch((error: unknown) => error)
    const watcher = await connect(router.ports.primary)
    await eventually(async () => {
      const asleep = await watcher.query("select 1 from pg_stat_activity where wait_event = 'PgSleep'")
      expect(asleep.rowCount).toBe(1)
    })
    epoch += 1
    push()
    expect(await sleeping).toMatchObject({ code: '57P01', detail: expect.stringContaining('unknown') })
  })
})

function backendKeyOf(client: RawClient) {
  const reader = new MessageReader()
  reader.push(client.bytes())
  for (let next = reader.next(); next; next = reader.next()) {
    const key = next.type === messageType('K') ? parseBackendKey(next.body) : undefined
    if (key) return key
  }
  throw new Error('no BackendKeyData')
}
