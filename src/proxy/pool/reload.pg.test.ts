import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import type { PoolOptions } from './pool-options.ts'

describePostgres('settings of the pooled port that change while clients are connected', (postgres) => {
  let routers: PooledRouters
  let admin: pg.Client

  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterEach(async () => {
    routers.onReload = () => ({})
    await routers.clear()
  })
  afterAll(() => routers.dispose())

  /** A router with these settings, its console, and how they change. */
  const started = async (settings: Partial<PoolOptions>) => {
    const { ports } = await routers.router(settings)
    const { pool } = await routers.routerOptions(settings)
    if (!pool) throw new Error('no pooled port')
    admin = await routers.console(ports.pooled)
    const change = (changes: Partial<PoolOptions>) => routers.reload({ ...pool, ...changes })
    return { port: ports.pooled, change, pool }
  }
  const shown = async (what: string): Promise<readonly Record<string, unknown>[]> =>
    (await admin.query<Record<string, unknown>>(`SHOW ${what}`)).rows
  const servers = async (): Promise<number> => {
    const rows = (await shown('SERVERS')).filter(({ database }) => database === 'app')
    return rows.length
  }

  it('more server connections for those who wait, and fewer as they become free', async () => {
    const { port, change } = await started({ defaultPoolSize: 1 })
    const [one, two, three] = await Promise.all([1, 2, 3].map(() => routers.connect(port)))
    await one?.query('begin')
    const waiting = two?.query('begin')
    await eventually(async () => {
      const rows = await shown('POOLS')
      expect(rows.find(({ database }) => database === 'app')).toMatchObject({ cl_waiting: '1' })
    })
    change({ defaultPoolSize: 3 })
    await waiting
    await three?.query('begin')
    expect(await servers()).toBe(3)
    change({ defaultPoolSize: 1 })
    await eventually(async () => expect(await shownSetting('default_pool_size')).toBe('1'))
    // Nobody loses a transaction by it.
    for (const client of [one, two, three])
      expect((await client?.query('select 1 as n'))?.rows).toEqual([{ n: 1 }])
    for (const client of [one, two, three]) await client?.query('commit')
    expect(await servers()).toBe(1)
    expect((await two?.query('select 1 as n'))?.rows).toEqual([{ n: 1 }])
  })

  const shownSetting = async (name: string): Promise<unknown> =>
    (await shown('CONFIG')).find(({ key }) => key === name)?.['value']

  it('time limits, of all and of one user, count for who is connected', async () => {
    const { port, change } = await started({})
    const client = await routers.connect(port)
    const ended = new Promise((resolve) => client.once('error', resolve))
    await client.query('begin')
    change({ users: [{ name: 'app', idleTransactionTimeoutMs: 50 }] })
    expect(await ended).toMatchObject({ code: '25P03' })
    const other = await routers.connect(port)
    change({ queryTimeoutMs: 50 })
    await expect(other.query('select pg_sleep(60)')).rejects.toMatchObject({ code: '57014' })
  })

  it('what server connections begin with: those that were begun otherwise end', async () => {
    const { port, change } = await started({})
    const client = await routers.connect(port)
    const name = async () => (await client.query("select current_setting('work_mem') as it")).rows[0]?.it
    expect(await name()).not.toBe('123kB')
    change({ databases: [{ name: 'app', connectQuery: "set work_mem = '123kB'" }] })
    await eventually(async () => expect(await name()).toBe('123kB'))
  })

  it('limits of clients, and who may look', async () => {
    const { port, change } = await started({})
    await routers.connect(port)
    await expect(routers.connect(port, { database: 'pgbouncer' })).rejects.toMatchObject({ code: '42501' })
    change({ maxUserClientConnections: 1, statsUsers: ['app'] })
    await eventually(async () => {
      await expect(routers.connect(port)).rejects.toMatchObject({ code: '53300' })
    })
    await expect(routers.connect(port, { database: 'pgbouncer' })).resolves.toBeDefined()
  })

  it('by RELOAD, which has the agent read its configuration and says what waits for another router', async () => {
    const { pool } = await started({})
    const notices: (string | undefined)[] = []
    admin.on('notice', ({ message }) => notices.push(message))
    routers.onReload = () => ({
      pool: { ...pool, defaultPoolSize: 7, poolMode: 'session' },
      waiting: ['pool.pool_mode'],
    })
    await admin.query('RELOAD')
    expect(notices).toEqual(['these wait for "pg-metako router restart": pool.pool_mode'])
    expect([await shownSetting('default_pool_size'), await shownSetting('pool_mode')]).toEqual([
      '7',
      'transaction',
    ])
    routers.onReload = () => ({ refusal: 'line 3: no such key' })
    await expect(admin.query('RELOAD')).rejects.toMatchObject({
      code: '55000',
      message: 'line 3: no such key',
    })
    expect(await shownSetting('default_pool_size')).toBe('7')
  })

  it('are those of all workers, also of one that begins later', async () => {
    const router = await routers.process({}, { workers: 2 })
    const { pool } = router.options
    if (!pool) throw new Error('no pooled port')
    const atEach = async (name: string): Promise<ReadonlySet<unknown>> => {
      const clients = await Promise.all([1, 2, 3, 4].map(() => routers.console(router.ports.pooled)))
      const values = new Set<unknown>()
      for (const client of clients) {
        const { rows } = await client.query<{ key: string; value: string }>('SHOW CONFIG')
        values.add(rows.find(({ key }) => key === name)?.value)
        await client.end()
      }
      return values
    }
    routers.reload({ ...pool, defaultPoolSize: 9 })
    await eventually(async () => expect(await atEach('default_pool_size')).toEqual(new Set(['9'])), 20_000)
    const [first = 0] = router.workers
    process.kill(first, 'SIGKILL')
    await eventually(() => {
      if (router.workers.includes(first)) throw new Error('no other worker yet')
    }, 20_000)
    expect(await atEach('default_pool_size')).toEqual(new Set(['9']))
  })
})
