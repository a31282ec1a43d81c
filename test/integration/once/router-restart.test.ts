import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { tlsSettings } from '../../support/tls-files.ts'
import { PooledRouters } from '../../support/pooled-router.ts'
import { describePostgres } from '../../support/postgres.ts'
import { eventually } from '../../support/raw-client.ts'
import type { RouterProcess } from '../../support/router-process.ts'
import { buildCancelRequest } from '../../../src/wire/startup.ts'

const HAS_HEIR = 'The next router has the ports: this one ends behind its clients'
const DEADLINE_MS = 20_000

describePostgres('a router that another takes the place of', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  async function replaced(router: RouterProcess, withinMs = 60_000): Promise<void> {
    routers.replace(router, {}, withinMs)
    await eventually(() => expect(router.logged(HAS_HEIR)).toHaveLength(1), DEADLINE_MS)
  }

  /** Somebody who connects again and again, until `stop`: what went wrong. */
  function newcomers(port: number): {
    readonly stop: () => Promise<readonly unknown[]>
    readonly count: () => number
  } {
    const problems: unknown[] = []
    let [count, isOver] = [0, false]
    const coming = (async () => {
      while (!isOver) {
        try {
          const client = await routers.connect(port)
          await client.query('select 1')
          await client.end()
          count += 1
        } catch (error) {
          problems.push(error)
        }
      }
    })()
    return {
      count: () => count,
      stop: async () => {
        isOver = true
        await coming
        return problems
      },
    }
  }

  it.each([1, 2])('of %i workers refuses nobody and drops nobody meanwhile', async (workers) => {
    const router = await routers.process({}, { workers })
    const { pooled, primary } = router.ports
    const idle = await routers.connect(pooled)
    await idle.query({ name: 'one', text: 'select $1::int as v', values: [1] })
    const inTransaction = await routers.connect(pooled)
    await inTransaction.query('begin')
    await inTransaction.query(`create table kept_${workers} (v int)`)
    const session = await routers.connect(primary)
    await session.query(`set application_name = 'mine'`)
    const comers = [newcomers(pooled), newcomers(primary)]
    await replaced(router)
    const before = comers.map(({ count }) => count())
    await eventually(() => {
      for (const [index, { count }] of comers.entries())
        expect(count()).toBeGreaterThan((before[index] ?? 0) + 5)
    }, DEADLINE_MS)

    expect((await idle.query({ name: 'one', text: 'select $1::int as v', values: [2] })).rows).toEqual([
      { v: 2 },
    ])
    await inTransaction.query(`insert into kept_${workers} values (1)`)
    expect((await inTransaction.query('commit')).command).toBe('COMMIT')
    expect((await session.query('show application_name')).rows).toEqual([{ application_name: 'mine' }])
    await cancels(idle, pooled)
    await cancels(session, primary)

    expect(router.hasEnded).toBe(false)
    for (const client of [idle, inTransaction, session]) await client.end()
    await eventually(() => expect(router.hasEnded).toBe(true), DEADLINE_MS)
    const after = comers.map(({ count }) => count())
    await eventually(() => {
      for (const [index, { count }] of comers.entries())
        expect(count()).toBeGreaterThan((after[index] ?? 0) + 5)
    }, DEADLINE_MS)
    for (const { stop } of comers) expect(await stop()).toEqual([])
  })

  /** The request comes to the next router, the statement runs in the old one. */
  async function cancels(client: pg.Client, port: number): Promise<void> {
    const outcome = client.query('select pg_sleep(30)').catch((error: unknown) => error)
    const watcher = await routers.direct()
    await eventually(async () => {
      const { rows } = await watcher.query(
        "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'",
      )
      expect(rows).toHaveLength(1)
    })
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const secret = Buffer.alloc(4)
    secret.writeInt32BE(secretKey)
    routers.raw(port).socket.end(buildCancelRequest({ processId: processID, secret }))
    expect(await outcome).toMatchObject({ code: '57014' })
  }

  it('ends who is still there when the time is over, between two transactions', async () => {
    const router = await routers.process()
    const session = await routers.connect(router.ports.primary)
    const idle = await routers.connect(router.ports.pooled)
    const busy = await routers.connect(router.ports.pooled)
    await busy.query('begin')
    await session.query('select 1')
    const running = busy.query('select pg_sleep(0.5)')
    await replaced(router, 100)
    await running
    await busy.query('commit')
    await eventually(() => expect(router.hasEnded).toBe(true), DEADLINE_MS)
    for (const client of [session, idle])
      await expect(client.query('select 1')).rejects.toThrow(/terminat|stopping|queryable/i)
    await (await routers.connect(router.ports.pooled)).query('select 1')
  })

  it('goes on as it was where the next one cannot begin', async () => {
    const router = await routers.process()
    const idle = await routers.connect(router.ports.pooled)
    const missing = { mode: 'require', certFile: '/nowhere/c.pem', keyFile: '/nowhere/k.pem' } as const
    routers.replace(router, { tls: tlsSettings({ client: missing }) }, 60_000)
    await eventually(
      () => expect(router.logged('The next router cannot begin: this one goes on')).toHaveLength(1),
      DEADLINE_MS,
    )
    await idle.query('select 1')
    await (await routers.connect(router.ports.pooled)).query('select 1')
    expect(router.routers).toEqual([router.pid])
    await replaced(router)
  })

  it('has more workers afterwards, where that is what it is told', async () => {
    const router = await routers.process()
    routers.replace(router, { workers: 2 }, 1000)
    await eventually(() => expect(router.hasEnded).toBe(true), DEADLINE_MS)
    await Promise.all(
      Array.from({ length: 4 }, async () => (await routers.connect(router.ports.pooled)).query('select 1')),
    )
    expect(router.logged('A worker is ready')).toHaveLength(2)
  })
})
