import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'

type Row = Readonly<Record<string, string>>

describePostgres('what the pooled port knows of statements', (postgres) => {
  let routers: PooledRouters

  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  const console = async (port: number) => {
    const admin = await routers.console(port)
    return async (what: string) => (await admin.query<Row>(`SHOW ${what}`)).rows
  }

  it('counts them by fingerprint: as queries, in batches, by name, failed ones, one behind the other', async () => {
    const { ports } = await routers.router({ trackStatements: true })
    const show = await console(ports.pooled)
    const client = await routers.connect(ports.pooled)
    for (const n of [1, 2, 3]) await client.query(`select ${n} as q`)
    for (const n of [1, 2]) await client.query('select $1::int as batch', [n])
    for (const n of [1, 2])
      await client.query({ name: 'named', text: 'select $1::int as named', values: [n] })
    await expect(client.query('select 1 / 0 as failed')).rejects.toThrow('zero')
    // Statements that are sent before the one before them was answered.
    await Promise.all([1, 2, 3, 4].map((n) => client.query(`select pg_sleep(0.${n}), 1 as behind`)))
    await client.query('alter user app connection limit 50').catch(() => {})
    // A client hears of an error before the statement has ended.
    await client.query('select 1')
    const rows = await show('STATEMENTS')
    const calls = (part: string) =>
      rows
        .filter(({ statement }) => statement?.includes(part))
        .map(({ calls: count, errors }) => [count, errors])
    expect(calls('as q')).toEqual([['3', '0']])
    expect(calls('as batch')).toEqual([['2', '0']])
    expect(calls('as named')).toEqual([['2', '0']])
    expect(calls('as failed')).toEqual([['1', '1']])
    expect(calls('as behind')).toEqual([['4', '0']])
    expect(calls('alter user')).toHaveLength(1)
    // The longest stands first, and each was given its own time.
    expect(rows[0]).toMatchObject({
      database: 'app',
      user: 'app',
      statement: expect.stringContaining('behind'),
    })
    expect(Number(rows[0]?.['max_us'])).toBeGreaterThanOrEqual(200_000)
    expect(Number(rows[0]?.['mean_us'])).toBeLessThan(Number(rows[0]?.['max_us']))
  })

  it('keeps none where nobody asked for it, and how long they took in any case, by database and user', async () => {
    const { ports } = await routers.router()
    const show = await console(ports.pooled)
    const client = await routers.connect(ports.pooled)
    for (let turn = 0; turn < 9; turn += 1) await client.query('select 1')
    await client.query('select pg_sleep(0.1)')
    expect(await show('STATEMENTS')).toEqual([])
    const row = (await show('LATENCIES')).find(({ user }) => user === 'app')
    expect(row).toMatchObject({ database: 'app', count: '10' })
    expect(Number(row?.['p50_us'])).toBeLessThan(Number(row?.['p99_us']))
    expect(Number(row?.['max_us'])).toBeGreaterThanOrEqual(100_000)
  })

  it('writes a line for a slow one, without its constants, and says why connections ended that no client has closed', async () => {
    const router = await routers.process(
      { logMinDurationMs: 50, idleTransactionTimeoutMs: 100 },
      { workers: 1 },
    )
    const client = await routers.connect(router.ports.pooled)
    await client.query("select pg_sleep(0.06), 's3cret'")
    await eventually(() => {
      expect(router.logged('A statement was slow')).toMatchObject([
        { user: 'app', database: 'app', failed: false, statement: expect.stringMatching(/^select pg_sleep/) },
      ])
    })
    expect(JSON.stringify(router.logged('A statement was slow'))).not.toContain('s3cret')
    await client.end()
    const lost = await routers.connect(router.ports.pooled)
    const ended = new Promise((resolve) => lost.once('error', resolve))
    await lost.query('begin')
    await ended
    const killed = await routers.connect(router.ports.pooled)
    const show = await console(router.ports.pooled)
    const id = (await show('CLIENTS')).find(({ user }) => user === 'app')?.['id']
    const gone = new Promise((resolve) => killed.once('error', resolve))
    const admin = await routers.console(router.ports.pooled)
    await admin.query(`KILL_CLIENT ${id}`)
    await gone
    await eventually(() => {
      const reasons = router
        .logged('Client connections ended')
        .flatMap(({ reasons: each }) => Object.keys(each as Record<string, number>))
      expect(reasons).toEqual(expect.arrayContaining(['LIMIT_REACHED', 'KILLED']))
    })
  })
})
