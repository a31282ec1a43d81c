import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import { ReplicatedRouters, writeRaw } from '../../../test/support/replicated-routers.ts'
import { message } from '../../wire/frame.ts'
import { buildQuery } from '../../wire/session-state.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const parse = (name: string, sql: string): Buffer =>
  message('P', Buffer.concat([text(name), text(sql), Buffer.alloc(2)]))
const bind = (name: string): Buffer => message('B', Buffer.concat([text(''), text(name), Buffer.alloc(6)]))
const describeStatement = (name: string): Buffer => message('D', text(`S${name}`))
const DESCRIBE_PORTAL = message('D', text('P'))
const EXECUTE = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))

describePostgres('transactions and the read/write split', (postgres) => {
  let cluster: ReplicatedRouters
  let routers: PooledRouters
  let admin: pg.Client
  let client: pg.Client
  let port: number

  beforeAll(async () => {
    cluster = new ReplicatedRouters(postgres())
    await cluster.start(`
      create table numbers (n int);
      create function says_it_reads() returns int language plpgsql stable as $$ begin return nextval('s'); end $$;
      create sequence s;
      grant all on all tables in schema public to public;
      grant all on all sequences in schema public to public;
    `)
    void ({ routers, admin } = cluster)
  })
  beforeEach(async () => {
    await admin.query('truncate numbers')
    await cluster.reset()
    void ({ client, port } = await cluster.split())
  })
  afterEach(() => routers.clear())
  afterAll(() => cluster.dispose())

  /** Where a statement of a transaction that was begun so runs, after what stands before it. */
  const runsAt = async (begin: string, ...before: readonly string[]): Promise<'primary' | 'replica'> => {
    // Order: what this session committed is on the replica, or the primary would be right for that reason.
    await cluster.caughtUp()
    await eventually(async () => {
      if ((await cluster.portOf(client)) !== cluster.standbyPort) throw new Error('reads go to the primary')
    })
    await client.query(begin)
    for (const text of before) await client.query(text)
    const at = await cluster.portOf(client)
    await client.query('rollback')
    return at === cluster.standbyPort ? 'replica' : 'primary'
  }
  /** What PostgreSQL itself says of the transaction that the client is in. */
  const modes = async (): Promise<Record<string, string>> => {
    const { rows } = await client.query<Record<string, string>>(
      `/* pg-metako: replica */ select current_setting('transaction_isolation') as isolation,
        current_setting('transaction_read_only') as read_only, current_setting('transaction_deferrable') as deferrable,
        inet_server_port() = ${cluster.standbyPort} as on_replica`,
    )
    return rows[0] ?? {}
  }
  /** Has the client's statement cancelled, as a driver does: by a connection of its own. */
  const cancel = (): void => {
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const canceller = new pg.Client({ host: '127.0.0.1', port }) as unknown as {
      connection: {
        connect(port: number, host: string): void
        on(event: string, act: () => void): void
        cancel(pid: number, key: number): void
      }
    }
    canceller.connection.on('connect', () => canceller.connection.cancel(processID, secretKey))
    canceller.connection.connect(port, '127.0.0.1')
  }
  const tag = async (text: string): Promise<string | undefined> => (await client.query(text)).command

  it.each([
    ['begin read only'],
    ['start transaction read only'],
    ['begin isolation level repeatable read, read only, not deferrable'],
    ['begin', 'set transaction read only'],
    ['begin', 'set transaction isolation level repeatable read', 'set transaction read only'],
    ['begin read only', "set local work_mem = '1MB'", 'select 1'],
    ['begin read only', "select set_config('app.tenant', '5', true)"],
  ])('%s %s %s reads on a replica', async (begin, ...before) => {
    expect(await runsAt(begin ?? '', ...before)).toBe('replica')
  })

  it.each([
    ['begin'],
    ['begin read write'],
    ['begin isolation level serializable read only'],
    ['begin isolation level serializable read only deferrable'],
    ['begin read only', 'set transaction read write'],
    ['begin read only', 'set transaction isolation level serializable'],
    ['begin read only', 'savepoint a'],
    ['begin read only', 'select pg_advisory_xact_lock(1)'],
    ['begin isolation level repeatable read read only', 'select pg_export_snapshot()'],
    ['begin read only', 'notify x'],
    ['begin read only', 'listen x'],
    ['/* pg-metako: primary */ begin read only'],
    ['begin', 'select 1'],
  ])('%s %s runs on the primary, and works there', async (begin, ...before) => {
    expect(await runsAt(begin ?? '', ...before)).toBe('primary')
    await client.query('discard all')
  })

  it('keeps everything that its BEGIN says, wherever it runs', async () => {
    await client.query('begin isolation level repeatable read read only deferrable')
    expect(await modes()).toEqual({
      isolation: 'repeatable read',
      read_only: 'on',
      deferrable: 'on',
      on_replica: true,
    })
    await client.query('commit')
    await client.query('begin')
    await client.query('set transaction isolation level serializable, read only, deferrable')
    expect(await modes()).toEqual({
      isolation: 'serializable',
      read_only: 'on',
      deferrable: 'on',
      on_replica: false,
    })
    await client.query('commit')
    // A transaction that says READ WRITE may write, whatever its session does by default.
    await client.query('set default_transaction_read_only = on')
    await cluster.caughtUp()
    await eventually(async () => expect(await runsAt('begin')).toBe('replica'))
    await client.query('begin read write')
    await client.query('insert into numbers values (1)')
    await client.query('commit')
    await expect(client.query('insert into numbers values (2)')).rejects.toMatchObject({ code: '25006' })
  })

  it('answers as PostgreSQL does, and nothing that did nothing reaches it', async () => {
    // Every server connection that a client of this database was given is counted here.
    const given = async (): Promise<number> => {
      const console = await routers.console(port)
      const { rows } = await console.query<Record<string, string>>('SHOW STATS')
      return Number(rows.find(({ database }) => database === 'app')?.['total_server_assignment_count'])
    }
    const before = await given()
    expect(await tag('begin')).toBe('BEGIN')
    expect(await tag('set transaction read only')).toBe('SET')
    expect(await tag('commit')).toBe('COMMIT')
    expect(await tag('start transaction')).toBe('START')
    expect(await tag('end')).toBe('COMMIT')
    expect(await tag('begin')).toBe('BEGIN')
    expect(await tag('abort')).toBe('ROLLBACK')
    expect((await client.query({ text: 'begin', name: 'b' })).command).toBe('BEGIN')
    expect((await client.query({ text: 'rollback', name: 'r' })).command).toBe('ROLLBACK')
    expect((await client.query({ text: 'begin', name: 'b' })).command).toBe('BEGIN')
    expect((await client.query({ text: 'select $1::int as one', values: [1] })).rows).toEqual([{ one: 1 }])
    expect((await client.query({ text: 'commit', values: [] })).command).toBe('COMMIT')
    expect(await given()).toBe(before + 1)
  })

  it('tells a client on the wire what PostgreSQL would, for a Query and for a batch', async () => {
    const { raw, direct } = await cluster.raw()
    const both = async (...messages: readonly Buffer[]) => {
      const at = [raw, direct].map((each) => ({
        each,
        from: each.bytes().length,
        count: each.types().split('Z').length,
      }))
      for (const { each } of at) writeRaw(each, Buffer.concat(messages))
      await Promise.all(at.map(({ each, count }) => each.untilReady(count)))
      const [ours, theirs] = at.map(({ each, from }) => each.bytes().subarray(from).toString('latin1'))
      expect(ours).toBe(theirs)
    }
    await both(buildQuery('begin read only'))
    await both(buildQuery('set transaction isolation level repeatable read;'))
    await both(SYNC)
    await both(buildQuery('commit'))
    await both(parse('', 'begin'), bind(''), DESCRIBE_PORTAL, EXECUTE, SYNC)
    await both(parse('c', 'commit'), describeStatement('c'), bind('c'), EXECUTE, SYNC)
    await both(bind('c'), EXECUTE, SYNC)
    await both(
      parse('', 'start transaction'),
      bind(''),
      EXECUTE,
      parse('', 'select 1'),
      bind(''),
      EXECUTE,
      SYNC,
    )
    await both(buildQuery('begin'))
    await both(bind('c'), EXECUTE, SYNC)
  })

  it('that came with its first statement, or all in one packet, runs where it belongs', async () => {
    const { raw } = await cluster.raw()
    const ports = () =>
      [
        ...raw
          .bytes()
          .toString('latin1')
          .matchAll(/at=(\d+)/g),
      ].map(([, at]) => Number(at))
    const where = "/* pg-metako: replica */ select 'at=' || inet_server_port()"
    const insert = 'insert into numbers values (1)'
    // As JDBC begins: BEGIN and the first statement in one batch.
    writeRaw(
      raw,
      Buffer.concat([
        parse('', 'begin read only'),
        bind(''),
        EXECUTE,
        parse('', where),
        bind(''),
        EXECUTE,
        SYNC,
      ]),
    )
    await raw.untilReady(2)
    expect(ports()).toEqual([cluster.standbyPort])
    // As Npgsql and everybody in a hurry: messages of three transactions at once.
    writeRaw(raw, Buffer.concat([buildQuery(where), buildQuery('commit'), buildQuery(insert)]))
    writeRaw(raw, Buffer.concat(['begin read only', where, 'commit', insert].map((sql) => buildQuery(sql))))
    await raw.untilReady(9)
    expect(raw.error()).toBeUndefined()
    expect((await admin.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 2 }])
    // A batch that is only prepared, as drivers do that ask for types first.
    writeRaw(
      raw,
      Buffer.concat([buildQuery('begin read only'), parse('s', where), describeStatement('s'), SYNC]),
    )
    await raw.untilReady(11)
    writeRaw(raw, Buffer.concat([bind('s'), EXECUTE, SYNC, buildQuery('commit')]))
    await raw.untilReady(13)
    expect(raw.error()).toBeUndefined()
  })

  it('finds what its session wrote before, however far the replica is behind, and reads one moment', async () => {
    await cluster.onStandby.query('select pg_wal_replay_pause()')
    await client.query('insert into numbers values (1)')
    await client.query('begin isolation level repeatable read read only')
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 1 }])
    expect(await cluster.portOf(client)).toBe(routers.port)
    await client.query('commit')
    await cluster.onStandby.query('select pg_wal_replay_resume()')
    await eventually(async () => expect(await runsAt('begin read only')).toBe('replica'))
    await client.query('begin isolation level repeatable read read only')
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 1 }])
    await admin.query('insert into numbers values (2)')
    await cluster.caughtUp()
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 1 }])
    await client.query('commit')
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 2 }])
  })

  it('fails as a whole with a write in it, and goes on behind a savepoint', async () => {
    await client.query('begin read only')
    await client.query('select count(*) from numbers')
    await client.query('savepoint a')
    await expect(client.query('insert into numbers values (1)')).rejects.toMatchObject({ code: '25006' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    await client.query('rollback to a')
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
    await client.query('rollback')
    expect((await client.query('insert into numbers values (1)')).rowCount).toBe(1)
  })

  it.each([
    ['select pg_advisory_xact_lock(1)'],
    ['select pg_try_advisory_lock($1)', 1],
    ['select pg_export_snapshot()'],
    ['prepare later as select 1'],
    ['declare later cursor with hold for select 1'],
    ['commit; begin; select 1'],
  ])('refuses on a replica what would mean nothing there: %s', async (text, ...values) => {
    await client.query('begin read only')
    await client.query('select 1')
    await client.query('savepoint a')
    await expect(client.query({ text, values })).rejects.toMatchObject({
      code: '25006',
      message: expect.stringContaining('on a replica'),
      hint: expect.stringContaining('pg_metako.route'),
    })
    await client.query('rollback to a')
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
    await client.query('commit')
    const { rows } = await cluster.onStandby.query(
      "select count(*)::int as n from pg_locks where locktype = 'advisory'",
    )
    expect(rows).toEqual([{ n: 0 }])
  })

  it('is the primary’s, from its BEGIN on, where the replica refuses its first statement', async () => {
    await client.query('begin isolation level repeatable read read only')
    // Held for a read, and refused: on the primary it is refused as well, since the transaction is READ ONLY.
    await expect(client.query('select says_it_reads()')).rejects.toMatchObject({
      code: '25006',
      message: 'cannot execute nextval() in a read-only transaction',
    })
    await client.query('rollback')
    const role = { user: 'strict', password: 'secret' }
    await admin.query(`create role strict login password 'secret'`)
    await admin.query(`alter role strict set default_transaction_isolation = serializable`)
    await cluster.caughtUp()
    const strict = await routers.connect(port, role)
    for (const begin of ['begin read only', 'begin read only']) {
      await strict.query(begin)
      expect((await strict.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 0 }])
      expect((await strict.query("select current_setting('transaction_isolation') as it")).rows).toEqual([
        { it: 'serializable' },
      ])
      await strict.query('commit')
    }
    await strict.end()
    await admin.query('drop role strict')
  })

  it('that was put off waits for a primary like any statement, and one on a replica outlives the primary’s epoch', async () => {
    await client.query('begin')
    routers.table({ epoch: routers.epoch + 1, hasPrimary: false })
    await routers.tableSent()
    const insert = client.query('insert into numbers values (1)')
    routers.table({ hasPrimary: true })
    await insert
    await client.query('commit')
    expect((await client.query('select count(*)::int as n from numbers')).rows).toEqual([{ n: 1 }])
    await eventually(async () => expect(await runsAt('begin read only')).toBe('replica'))
    await client.query('begin read only')
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
    routers.table({ epoch: routers.epoch + 1 })
    await routers.tableSent()
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
    await client.query('commit')
  })

  it('is over with its replica: the client is told, and stays in a transaction that failed', async () => {
    await client.query('begin read only')
    expect(await cluster.portOf(client)).toBe(cluster.standbyPort)
    await cluster.onStandby.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' and state = 'idle in transaction'",
    )
    await eventually(async () => {
      await expect(client.query('select 1')).rejects.toMatchObject({
        code: expect.stringMatching(/57P01|25P02/),
      })
    })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    expect(await tag('commit')).toBe('ROLLBACK')
    expect((await client.query('insert into numbers values (1)')).rowCount).toBe(1)
  })

  it('is cancelled where it runs', async () => {
    await client.query('begin read only')
    const sleeping = client.query('select pg_sleep(60)')
    await eventually(async () => {
      const { rows } = await cluster.onStandby.query(
        "select from pg_stat_activity where wait_event = 'PgSleep'",
      )
      expect(rows).toHaveLength(1)
    })
    cancel()
    await expect(sleeping).rejects.toMatchObject({ code: '57014' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    expect(await tag('commit')).toBe('ROLLBACK')
  })

  it('cancelled while it waits for a server connection has failed, and ends when the client ends it', async () => {
    await client.query('begin')
    routers.table({ epoch: routers.epoch + 1, hasPrimary: false })
    await routers.tableSent()
    const waiting = client.query('insert into numbers values (1)')
    cancel()
    await expect(waiting).rejects.toMatchObject({ code: '57014' })
    await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
    expect(await tag('commit')).toBe('ROLLBACK')
    routers.table({ hasPrimary: true })
    expect((await client.query('insert into numbers values (2) returning n')).rows).toEqual([{ n: 2 }])
  })

  describe('in statement mode', () => {
    it('is refused as without a split', async () => {
      const { client: single } = await cluster.split({ poolMode: 'statement' })
      const refused = new Promise((resolve) => single.once('error', resolve))
      await single.query('begin read only')
      expect(await refused).toMatchObject({ code: '0A000' })
    })
  })

  it('that was put off takes no server connection', async () => {
    await client.query('begin')
    const console = await routers.console(port)
    const { rows } = await console.query<{ sv_active: number }>('SHOW POOLS')
    expect(rows.every(({ sv_active }) => Number(sv_active) === 0)).toBe(true)
  })
})
