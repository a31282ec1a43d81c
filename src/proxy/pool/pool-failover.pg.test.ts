import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { NOBODY } from '../../model/ack-rule.ts'
import { APP, PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres, running } from '../../../test/support/postgres.ts'
import { eventually, type RawClient } from '../../../test/support/raw-client.ts'
import { message } from '../../wire/frame.ts'
import { buildStartup } from '../../wire/startup.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const SYNC = message('S', Buffer.alloc(0))
const parse = (sql: string): Buffer => message('P', Buffer.concat([text(''), text(sql), Buffer.alloc(2)]))
const BIND = message('B', Buffer.concat([text(''), text(''), Buffer.alloc(6)]))
const EXECUTE = message('E', Buffer.alloc(5))

describePostgres('the pooled port when the primary changes', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
    const admin = await routers.direct()
    await admin.query('create table numbers (n int); grant all on numbers to public')
    await routers.clear()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  async function trusty(port: number): Promise<RawClient> {
    const client = routers.raw(port)
    client.socket.write(buildStartup({ user: 'trusty', database: APP.database }))
    await client.untilReady()
    return client
  }

  /** Each test sleeps for a time of its own: PostgreSQL may still be at what an earlier one left behind. */
  async function untilAsleep(seconds: number): Promise<void> {
    const watcher = await routers.direct()
    await eventually(async () => {
      const asleep = `select 1 from pg_stat_activity where wait_event = 'PgSleep' and query ~ 'sleep.${seconds}'`
      expect((await watcher.query(asleep)).rowCount).toBe(1)
    })
  }

  async function pidOf(client: pg.Client): Promise<number> {
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return rows[0]?.pid ?? 0
  }

  it('lets an idle client go on without noticing, on a connection of the new epoch', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    const named = { name: 'kept', text: 'select $1::int * 2 as twice', values: [21] }
    await client.query("set timezone to 'Asia/Tokyo'")
    expect((await client.query(named)).rows).toEqual([{ twice: 42 }])
    const before = await pidOf(client)
    routers.table({ epoch: routers.epoch + 1 })
    await eventually(async () => expect(await pidOf(client)).not.toBe(before))
    expect((await client.query(named)).rows).toEqual([{ twice: 42 }])
    expect((await client.query('show timezone')).rows).toEqual([{ TimeZone: 'Asia/Tokyo' }])
  })

  it('holds statements while there is no primary, and runs them once when there is one', async () => {
    const { ports } = await routers.router()
    const clients = await Promise.all([1, 2, 3, 4, 5].map(() => routers.connect(ports.pooled)))
    await Promise.all(clients.map((client) => client.query('select 1')))
    routers.table({ hasPrimary: false })
    const inserts = clients.map((client, index) => client.query('insert into numbers values ($1)', [index]))
    const newcomer = routers.connect(ports.pooled)
    const settled = await Promise.race([Promise.all(inserts), routers.tableSent().then(() => 'held')])
    expect(settled).toBe('held')
    routers.table({ epoch: routers.epoch + 1, hasPrimary: true })
    await Promise.all(inserts)
    const { rows } = await (await newcomer).query('select count(*)::int as n from numbers')
    expect(rows).toEqual([{ n: 5 }])
  })

  it('fails a statement in flight as unknown, and the client goes on', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    const sleeping = client.query('select pg_sleep(61)').catch((error: unknown) => error)
    await untilAsleep(61)
    routers.table({ epoch: routers.epoch + 1 })
    expect(await sleeping).toMatchObject({
      severity: 'ERROR',
      code: '40003',
      detail: expect.stringContaining('unknown'),
    })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('keeps a client in its lost transaction until it ends it, so that nothing runs outside of it', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    await client.query('truncate numbers')
    await client.query('begin')
    await client.query('insert into numbers values (1)')
    routers.table({ epoch: routers.epoch + 1 })
    const insert = { text: 'insert into numbers values ($1)', values: [2] }
    await eventually(async () => {
      await expect(client.query(insert)).rejects.toMatchObject({
        code: expect.stringMatching(/^(40000|40003|25P02)$/),
      })
    })
    await expect(client.query(insert)).rejects.toMatchObject({ code: '25P02' })
    await expect(client.query('rollback to savepoint s')).rejects.toMatchObject({ code: '25P02' })
    expect((await client.query('commit')).command).toBe('ROLLBACK')
    const { rows } = await client.query('select count(*)::int as n from numbers')
    expect(rows).toEqual([{ n: 0 }])
  })

  it('answers every statement that was in flight, and drops a batch up to its Sync', async () => {
    const { ports } = await routers.router({ auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    client.query('select pg_sleep(62)')
    client.query('select 2')
    client.socket.write(Buffer.concat([parse('select 3'), BIND]))
    await untilAsleep(62)
    routers.table({ epoch: routers.epoch + 1 })
    await eventually(() => expect(client.types()).toMatch(/KZEZEZE$/))
    client.socket.write(Buffer.concat([EXECUTE, SYNC, parse('select 4'), BIND, EXECUTE, SYNC]))
    await client.untilReady(5)
    expect(client.types()).toMatch(/KZEZEZEZ12DCZ$/)
  })

  it('drops what a client still sends of a COPY whose server connection is gone', async () => {
    const { ports } = await routers.router({ auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    client.query('copy numbers from stdin')
    await eventually(() => expect(client.types()).toMatch(/G$/))
    const half = message('d', Buffer.from('77\n'.repeat(100)))
    client.socket.write(half.subarray(0, 40))
    routers.table({ epoch: routers.epoch + 1 })
    await eventually(() => expect(client.types()).toMatch(/GEZ$/))
    client.socket.write(Buffer.concat([half.subarray(40), half, message('c', Buffer.alloc(0))]))
    client.query('select count(*) from numbers where n = 77')
    await client.untilReady(3)
    expect(client.types()).toMatch(/GEZTDCZ$/)
    expect(client.bytes().includes(Buffer.from([0, 0, 0, 1, 0x30]))).toBe(true)
  })

  it('tells in PostgreSQL’s words why a server connection went, and the client goes on', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    const sleeping = client.query('select pg_sleep(63)').catch((error: unknown) => error)
    await untilAsleep(63)
    const admin = await routers.direct()
    await admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where query ~ 'sleep.63' and pid <> pg_backend_pid()",
    )
    expect(await sleeping).toMatchObject({ severity: 'ERROR', code: '57P01' })
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('lets idle clients go on through a restart of PostgreSQL', async () => {
    const { ports } = await routers.router()
    const clients = await Promise.all([1, 2, 3].map(() => routers.connect(ports.pooled)))
    await Promise.all(clients.map((client) => client.query('select 1')))
    await routers.instance.stop({ mode: 'fast' })
    const waiting = clients.map((client) => client.query('select 1 as one'))
    await running(routers.instance.start({ as: 'primary' }))
    for (const { rows } of await Promise.all(waiting)) expect(rows).toEqual([{ one: 1 }])
  })

  it('gives every server connection up before the primary moves, each at the end of its transaction', async () => {
    const { ports } = await routers.router()
    const [idle, busy] = [await routers.connect(ports.pooled), await routers.connect(ports.pooled)]
    await idle.query('select 1')
    await busy.query('begin')
    await busy.query('create temp table mine (n int) on commit drop')
    routers.table({ hasPrimary: false, holding: 'SWITCHOVER' })
    const waiting = idle.query('select 1 as one')
    await routers.tableSent()
    await busy.query('insert into mine values (1)')
    await busy.query('commit')
    const watcher = await routers.direct()
    await eventually(async () => {
      const sessions =
        "select 1 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
      expect((await watcher.query(sessions)).rowCount).toBe(0)
    })
    routers.table({ epoch: routers.epoch + 1, hasPrimary: true })
    expect((await waiting).rows).toEqual([{ one: 1 }])
    expect((await busy.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  })

  it('ends sessions that have nothing open before the primary moves, in session mode', async () => {
    const { ports } = await routers.router({ poolMode: 'session' })
    const [idle, busy] = [await routers.connect(ports.pooled), await routers.connect(ports.pooled)]
    const endOf = (client: pg.Client) => new Promise<Error>((resolve) => client.once('error', resolve))
    const [idleEnd, busyEnd] = [endOf(idle), endOf(busy)]
    await idle.query('select 1')
    await busy.query('begin')
    routers.table({ hasPrimary: false, holding: 'SWITCHOVER' })
    expect(await idleEnd).toMatchObject({ code: '57P01' })
    await busy.query('insert into numbers values (9)')
    await busy.query('commit')
    expect(await busyEnd).toMatchObject({ code: '57P01' })
  })

  it.each(['pg_cancel_backend', 'pg_terminate_backend'])(
    'never passes on the success of a commit whose wait for standbys was ended by %s',
    async (end) => {
      const { ports } = await routers.router()
      const [client, watcher] = [await routers.connect(ports.pooled), await routers.direct()]
      await client.query('truncate numbers')
      const waitFor = async (names: string): Promise<void> => {
        await watcher.query(`alter system set synchronous_standby_names = '${names}'`)
        await watcher.query('select pg_reload_conf()')
        await eventually(async () => {
          const { rows } = await watcher.query('show synchronous_standby_names')
          expect(rows).toEqual([{ synchronous_standby_names: names }])
        })
      }
      await waitFor(NOBODY)
      try {
        // The first ones may not wait yet: PostgreSQL's checkpointer tells that commits wait.
        const insertUntilRefused = async (): Promise<unknown> => {
          for (;;) await client.query('insert into numbers values (1)')
        }
        const refusal = insertUntilRefused().catch((error: unknown) => error)
        await eventually(async () => {
          const waiting = await watcher.query(
            `select ${end}(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
          )
          expect(waiting.rowCount).toBe(1)
        })
        expect(await refusal).toMatchObject({ severity: 'ERROR', code: '40003' })
      } finally {
        await waitFor('')
      }
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    },
  )

  it('ends a session with its server connection, in session mode', async () => {
    const { ports } = await routers.router({ poolMode: 'session' })
    const client = await routers.connect(ports.pooled)
    const ended = new Promise<Error>((resolve) => client.once('error', resolve))
    await client.query('select 1')
    routers.table({ epoch: routers.epoch + 1 })
    expect(await ended).toMatchObject({ severity: 'FATAL', code: '57P01' })
  })
})
