import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { monotonicMs } from '../../../src/platform/clock.ts'
import { APP, PooledRouters } from '../../support/pooled-router.ts'
import { describePostgres } from '../../support/postgres.ts'
import { eventually, startSession } from '../../support/raw-client.ts'
import type { RouterProcess } from '../../support/router-process.ts'

type Row = Readonly<Record<string, unknown>>

describePostgres('a router of two workers', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  const two = (
    changes: Parameters<PooledRouters['process']>[0] = {},
    options: Parameters<PooledRouters['process']>[1] = {},
  ): Promise<RouterProcess> => routers.process(changes, { workers: 2, ...options })

  async function show(client: pg.Client, what: string): Promise<readonly Row[]> {
    return (await client.query<Row>(`SHOW ${what}`)).rows
  }

  /** Clients of the application, by the worker that has them: their ids tell. */
  async function clientsByWorker(admin: pg.Client): Promise<readonly number[]> {
    const counts = [0, 0]
    for (const { id, user } of await show(admin, 'CLIENTS'))
      if (user === APP.user) counts[Number(id) % 2] = (counts[Number(id) % 2] ?? 0) + 1
    return counts
  }

  const connect = (router: RouterProcess, count: number): Promise<readonly pg.Client[]> =>
    Promise.all(Array.from({ length: count }, () => routers.connect(router.ports.pooled)))

  it('serves all ports from both workers, and shares clients evenly', async () => {
    const router = await two()
    const clients = await connect(router, 8)
    for (const [index, client] of clients.entries()) {
      const { rows } = await client.query('select $1::int as mine', [index])
      expect(rows).toEqual([{ mine: index }])
    }
    const session = await routers.connect(router.ports.primary)
    expect((await session.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    const admin = await routers.console(router.ports.pooled)
    const counts = await clientsByWorker(admin)
    expect(counts).toEqual([4, 4])
  })

  it('keeps the limits of the node, whichever worker has the clients, and lets all of them go on', async () => {
    const router = await two({ defaultPoolSize: 3 })
    const watcher = await routers.direct()
    const clients = await connect(router, 12)
    const done = clients.map(() => 0)
    let isOver = false
    const working = clients.map(async (client, index) => {
      while (!isOver) {
        await client.query('select pg_sleep(0.005)')
        done[index] = (done[index] ?? 0) + 1
      }
    })
    // One that ends and the one that takes its place are seen together for a moment.
    const settled = `select count(*)::int as count from pg_stat_activity
      where usename = 'app' and backend_start < clock_timestamp() - interval '500 ms'`
    let most = 0
    await eventually(async () => {
      const { rows } = await watcher.query<{ count: number }>(settled)
      most = Math.max(most, rows[0]?.count ?? 0)
      expect(Math.min(...done)).toBeGreaterThan(40)
    }, 20_000)
    isOver = true
    await Promise.all(working)
    expect(most).toBe(3)
  })

  it('lends the only connection of a pool to both workers in turn', async () => {
    const router = await two({ defaultPoolSize: 1 })
    const clients = await connect(router, 4)
    const admin = await routers.console(router.ports.pooled)
    expect(await clientsByWorker(admin)).toEqual([2, 2])
    for (let round = 0; round < 3; round += 1)
      await Promise.all(clients.map((client) => client.query('select pg_sleep(0.01)')))
    const { rows } = await admin.query<Row>('SHOW POOLS')
    const pool = rows.find(({ user }) => user === APP.user)
    expect(Number(pool?.['sv_active']) + Number(pool?.['sv_idle'])).toBe(1)
  })

  it('counts clients over both workers, and lets the next one in when one has left', async () => {
    const router = await two({}, { maxClientConnections: 5 })
    const clients = await connect(router, 5)
    await expect(routers.connect(router.ports.pooled)).rejects.toMatchObject({ code: '53300' })
    await expect(routers.connect(router.ports.primary)).rejects.toMatchObject({ code: '53300' })
    await clients[0]?.end()
    await eventually(async () => void (await routers.connect(router.ports.pooled)))
  })

  it('counts the clients of a database and of a user over both workers', async () => {
    const router = await two({ maxUserClientConnections: 3 })
    await connect(router, 3)
    await expect(routers.connect(router.ports.pooled)).rejects.toMatchObject({
      code: '53300',
      message: expect.stringContaining('max_user_client_connections'),
    })
  })

  it('cancels a statement whichever worker the request comes to', async () => {
    const router = await two()
    for (const port of [router.ports.pooled, router.ports.primary]) {
      const [one, other] = await Promise.all([routers.connect(port), routers.connect(port)])
      for (const client of [one, other, one, other]) {
        const refused = client.query('select pg_sleep(30)').catch((error: unknown) => error)
        await eventually(async () => {
          const watcher = await routers.direct()
          const { rows } = await watcher.query(
            "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'",
          )
          await watcher.end()
          expect(rows).toHaveLength(1)
        })
        // Node's driver makes a connection of its own for it, as every driver does.
        const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
        const request = routers.raw(port)
        const packet = Buffer.alloc(16)
        packet.writeInt32BE(16, 0)
        packet.writeInt32BE(80_877_102, 4)
        packet.writeInt32BE(processID, 8)
        packet.writeInt32BE(secretKey, 12)
        request.socket.end(packet)
        expect(await refused).toMatchObject({ code: '57014' })
      }
    }
  })

  it('shows all workers as one at the console, and commands them as one', async () => {
    const router = await two()
    const clients = await connect(router, 6)
    for (const client of clients) await client.query('select 1')
    const admin = await routers.console(router.ports.pooled)
    const pools = (await show(admin, 'POOLS')).filter(({ user }) => user === APP.user)
    expect(pools).toHaveLength(1)
    expect(pools[0]).toMatchObject({ cl_active: '6', cl_waiting: '0' })
    const stats = (await show(admin, 'STATS')).find(({ database }) => database === APP.database)
    expect(stats).toMatchObject({ total_query_count: '6', total_client_login_count: '6' })
    const shown = (await show(admin, 'CLIENTS')).filter(({ user }) => user === APP.user)
    expect(new Set(shown.map(({ id }) => id)).size).toBe(6)

    await admin.query('PAUSE app')
    expect((await show(admin, 'DATABASES')).find(({ name }) => name === 'app')).toMatchObject({ paused: '1' })
    await expect(admin.query('PAUSE app')).rejects.toThrow('already suspended/paused')
    const waiting = clients.map((client) => client.query('select 2'))
    await eventually(async () => {
      const pool = (await show(admin, 'POOLS')).find(({ user }) => user === APP.user)
      expect(pool?.['cl_waiting']).toBe('6')
    })
    await admin.query('RESUME app')
    await Promise.all(waiting)

    await admin.query('DISABLE app')
    for (let tries = 0; tries < 2; tries += 1)
      await expect(routers.connect(router.ports.pooled)).rejects.toMatchObject({ code: '57P03' })
    await admin.query('ENABLE app')
    await admin.query('RELOAD')
    for (const { id } of shown) await admin.query(`KILL_CLIENT ${Number(id)}`)
    await eventually(async () => expect(await clientsByWorker(admin)).toEqual([0, 0]))
    await expect(admin.query('KILL_CLIENT 999999')).rejects.toThrow('not found')
    await expect(admin.query('PAUSE nowhere')).rejects.toThrow('no such database')
  })

  it('loses with a worker its clients alone, and the next one knows what people have said', async () => {
    const router = await two()
    const clients = await connect(router, 6)
    const admin = await routers.console(router.ports.pooled)
    await admin.query('DISABLE postgres')
    for (const client of clients) await client.query('select 1')
    const [victim = 0] = router.workers
    process.kill(victim, 'SIGKILL')
    const outcomes = await Promise.allSettled(clients.map((client) => client.query('select 2')))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    await eventually(() => expect(router.logged('A worker is ready')).toHaveLength(3), 15_000)
    expect(new Set(router.workers).has(victim)).toBe(false)
    const more = await connect(router, 3)
    for (const client of more) await client.query('select 3')
    const later = await routers.console(router.ports.pooled)
    await eventually(async () => expect(await clientsByWorker(later)).toEqual([3, 3]))
    for (let tries = 0; tries < 2; tries += 1) {
      await expect(routers.connect(router.ports.pooled, { database: 'postgres' })).rejects.toMatchObject({
        code: '57P03',
      })
    }
  })

  it('does not lead clients to a worker that stands still, whose table ends for itself', async () => {
    routers.validForMs = 1500
    const router = await two()
    const clients = await connect(router, 4)
    for (const client of clients) await client.query('begin')
    const [stopped = 0] = router.workers
    process.kill(stopped, 'SIGSTOP')
    const stoppedAt = monotonicMs()
    try {
      await eventually(async () => {
        const late = await routers.connect(router.ports.pooled, { connectionTimeoutMillis: 300 })
        await late.query('select 1')
      }, 15_000)
      await eventually(() => expect(monotonicMs() - stoppedAt).toBeGreaterThan(routers.validForMs))
      routers.table({ epoch: routers.epoch + 1 })
    } finally {
      process.kill(stopped, 'SIGCONT')
    }
    // Of the old epoch nobody is told that anything was committed.
    const outcomes = await Promise.allSettled(clients.map((client) => client.query('commit')))
    for (const outcome of outcomes) {
      const isCommitted = outcome.status === 'fulfilled' && outcome.value.command === 'COMMIT'
      expect(isCommitted).toBe(false)
    }
  })

  it('lets no client hang that was handed to a worker which then dies', async () => {
    const router = await two()
    const [victim = 0] = router.workers
    process.kill(victim, 'SIGSTOP')
    const handed = Array.from({ length: 6 }, () => routers.own(startSession(router.ports.pooled)))
    const served = (): number => handed.filter(({ types }) => types().includes('R')).length
    await eventually(() => expect(served()).toBeGreaterThan(0))
    process.kill(victim, 'SIGKILL')
    await eventually(() => {
      const isSettled = handed.map(({ types, isClosed }) => isClosed() || types().includes('R'))
      expect(isSettled).toEqual(handed.map(() => true))
    }, 15_000)
  })

  it('leaves no worker behind, stopped with a word to every client or killed', async () => {
    const router = await two()
    const raw = routers.raw(router.ports.primary)
    const [client] = await connect(router, 1)
    await client?.query('select 1')
    const { workers } = router
    await router.stop()
    await raw.untilClosed()
    for (const pid of workers) expect(() => process.kill(pid, 0)).toThrow('ESRCH')

    const other = await two()
    const left = other.workers
    await other.stop('SIGKILL')
    await eventually(() => {
      for (const pid of left) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    }, 15_000)
  })
})
