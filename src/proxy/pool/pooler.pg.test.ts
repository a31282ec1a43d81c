import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { LOOKUP_QUERY } from '../../../test/support/pool-options.ts'
import { APP, PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres, SUPERUSER } from '../../../test/support/postgres.ts'
import { eventually, type RawClient } from '../../../test/support/raw-client.ts'
import { message, MessageReader } from '../../wire/frame.ts'
import { parseParameterStatus } from '../../wire/session-state.ts'
import { buildCancelRequest, buildStartup, parseBackendKey } from '../../wire/startup.ts'

const LOOKUP = {
  user: SUPERUSER.name,
  password: SUPERUSER.password,
  database: 'postgres',
  query: LOOKUP_QUERY,
}

async function pidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid ?? 0
}

function messagesOf(client: RawClient) {
  const reader = new MessageReader()
  reader.push(client.bytes())
  const found: { type: string; body: Buffer }[] = []
  for (let next = reader.next(); next; next = reader.next()) {
    found.push({ type: String.fromCharCode(next.type), body: next.body })
  }
  return found
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const parse = (name: string, sql: string): Buffer =>
  message('P', Buffer.concat([text(name), text(sql), Buffer.alloc(2)]))
const bind = (name: string): Buffer => message('B', Buffer.concat([text(''), text(name), Buffer.alloc(6)]))
const describeStatement = (name: string): Buffer => message('D', text(`S${name}`))
const close = (name: string): Buffer => message('C', text(`S${name}`))
const EXECUTE = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))

describePostgres('the pooled port', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
    const admin = await routers.direct()
    await admin.query("set password_encryption = 'md5'; create role old login password 'old secret'")
    await admin.query('create role silent login')
    await admin.query('create table numbers (n int); grant all on numbers to public')
    await routers.clear()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  /** A client that speaks bytes: the role is let in without a password by PostgreSQL and by the router. */
  async function trusty(port: number, minor: 0 | 2 = 0): Promise<RawClient> {
    const client = routers.raw(port)
    client.socket.write(buildStartup({ user: 'trusty', database: APP.database }, { minor }))
    await client.untilReady()
    return client
  }

  it('lets many clients share one server connection', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1 })
    const clients = await Promise.all([1, 2, 3, 4].map(() => routers.connect(ports.pooled)))
    expect(new Set(await Promise.all(clients.map(pidOf))).size).toBe(1)
  })

  it('gives a transaction its own server connection until it ends', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 2 })
    const one = await routers.connect(ports.pooled)
    const other = await routers.connect(ports.pooled)
    await one.query('begin')
    const first = await pidOf(one)
    expect(await pidOf(other)).not.toBe(first)
    expect(await pidOf(one)).toBe(first)
    await one.query('commit')
  })

  it('serves who waits in the order of their coming', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1 })
    const holder = await routers.connect(ports.pooled)
    const clients = await Promise.all([1, 2, 3, 4, 5].map(() => routers.connect(ports.pooled)))
    await holder.query('begin')
    const served: number[] = []
    const all = clients.map(async (client, index) => {
      await client.query('select 1')
      served.push(index)
    })
    await holder.query('commit')
    await Promise.all(all)
    expect(served).toEqual([0, 1, 2, 3, 4])
  })

  it('lets in by SCRAM and md5 as PostgreSQL keeps the secret, and logs in to PostgreSQL with that proof', async () => {
    const { ports } = await routers.router()
    for (const [user, password] of [
      ['app', APP.password],
      ['old', 'old secret'],
      [SUPERUSER.name, SUPERUSER.password],
    ] as const) {
      const client = await routers.connect(ports.pooled, { user, password })
      const { rows } = await client.query('select current_user::text as me, session_user::text as login')
      expect(rows).toEqual([{ me: user, login: user }])
    }
  })

  it('refuses a wrong password, and passes on what PostgreSQL refuses', async () => {
    const { ports } = await routers.router()
    const refusals = [
      [{ password: 'wrong' }, '28P01'],
      [{ user: 'old', password: 'wrong' }, '28P01'],
      [{ user: 'nobody' }, '28P01'],
      [{ user: 'silent' }, '28P01'],
      [{ database: 'nowhere' }, '3D000'],
    ] as const
    for (const [changes, code] of refusals) {
      await expect(routers.connect(ports.pooled, changes)).rejects.toMatchObject({ severity: 'FATAL', code })
    }
  })

  it('lets a role without a known secret in as PostgreSQL does, in a session of its own', async () => {
    const { ports } = await routers.router({ auth: { type: 'md5' } })
    const client = await routers.connect(ports.pooled, { user: 'trusty', password: '' })
    const pid = await pidOf(client)
    await client.query('create temp table mine (n int)')
    expect(await pidOf(client)).toBe(pid)
  })

  it('reads PgBouncer’s userlist.txt: passwords, md5 hashes and verifiers', async () => {
    const admin = await routers.direct()
    const { rows } = await admin.query("select rolpassword as secret from pg_authid where rolname = 'app'")
    const { rows: md5 } = await admin.query(
      "select rolpassword as secret from pg_authid where rolname = 'old'",
    )
    const file = join(routers.workspace.folder, 'userlist.txt')
    writeFileSync(
      file,
      `; by hand\n"app" "${rows[0].secret}"\n"old" "${md5[0].secret}"\n"postgres" "su'per\\secret"\n`,
    )
    const { ports } = await routers.router({ auth: { type: 'md5', file } })
    for (const [user, password] of [
      ['app', APP.password],
      ['old', 'old secret'],
      [SUPERUSER.name, SUPERUSER.password],
    ] as const) {
      const client = await routers.connect(ports.pooled, { user, password })
      expect((await client.query('select session_user::text as login')).rows).toEqual([{ login: user }])
      await expect(routers.connect(ports.pooled, { user, password: 'wrong' })).rejects.toMatchObject({
        code: '28P01',
      })
    }
    const scramOnly = await routers.router({ auth: { type: 'scram-sha-256', file } })
    await expect(
      routers.connect(scramOnly.ports.pooled, { user: 'old', password: 'old secret' }),
    ).rejects.toMatchObject({ code: '28P01' })
  })

  it('asks nobody for a password with auth_type trust', async () => {
    const { ports } = await routers.router({ auth: { type: 'trust' } })
    const client = await routers.connect(ports.pooled, { user: 'trusty', password: '' })
    expect((await client.query('select session_user::text as login')).rows).toEqual([{ login: 'trusty' }])
  })

  it('prepares named statements wherever they are used, each client its own', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 3 })
    const clients = await Promise.all([1, 2, 3, 4, 5].map(() => routers.connect(ports.pooled)))
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        clients.map(async (client, index) => {
          const { rows } = await client.query({
            name: 'next',
            text: `select $1::int + ${index % 2} as next`,
            values: [round],
          })
          expect(rows).toEqual([{ next: round + (index % 2) }])
        }),
      )
    }
  })

  it('keeps at most max_prepared_statements on a server connection', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, maxPreparedStatements: 3 })
    const client = await routers.connect(ports.pooled)
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 10; index += 1) {
        const { rows } = await client.query({ name: `s${index}`, text: `select ${index} as n` })
        expect(rows).toEqual([{ n: index }])
      }
    }
    const { rows } = await client.query('select count(*)::int as kept from pg_prepared_statements')
    expect(rows).toEqual([{ kept: 3 }])
  })

  it('answers the messages about named statements as PostgreSQL does, in their order', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    const direct = await trusty(ports.primary)
    const pooled = await trusty(ports.pooled)
    const other = await trusty(ports.pooled)
    other.socket.write(Buffer.concat([parse('theirs', 'select 1'), SYNC]))
    await other.untilReady(2)
    const batches = [
      [parse('a', 'select 1'), bind('a'), EXECUTE, SYNC],
      [bind('a'), EXECUTE, describeStatement('a'), SYNC],
      [parse('a', 'select 2'), bind('a'), SYNC],
      [bind('nowhere'), EXECUTE, SYNC],
      [parse('broken', 'selec 1'), SYNC],
      [parse('broken', 'select 3'), bind('broken'), EXECUTE, SYNC],
      [close('a'), parse('a', 'select 4'), bind('a'), EXECUTE, SYNC],
      [parse('b', 'select 1/0'), bind('b'), EXECUTE, parse('c', 'select 5'), close('a'), SYNC],
      [bind('a'), EXECUTE, bind('c'), SYNC],
      [message('H', Buffer.alloc(0)), close('a'), SYNC, SYNC],
      [
        parse('d', 'select 6'),
        SYNC,
        parse('e', 'select 7'),
        bind('d'),
        EXECUTE,
        SYNC,
        bind('e'),
        EXECUTE,
        SYNC,
      ],
    ]
    let ready = 1
    for (const batch of batches) {
      ready += batch.filter((each) => each === SYNC).length
      for (const client of [direct, pooled]) {
        client.socket.write(Buffer.concat(batch))
        await client.untilReady(ready)
      }
    }
    const typesAfterStart = (client: RawClient): string => client.types().replace(/^[^Z]*Z/, '')
    expect(typesAfterStart(pooled)).toBe(typesAfterStart(direct))
    const rows = (client: RawClient) => messagesOf(client).filter(({ type }) => 'DCZ'.includes(type))
    expect(rows(pooled)).toEqual(rows(direct))
    const codes = (client: RawClient) =>
      messagesOf(client)
        .filter(({ type }) => type === 'E')
        .map(({ body }) => /C([0-9A-Z]{5})\0/.exec(body.toString())?.[1])
    expect(codes(pooled)).toEqual(codes(direct))
    expect(codes(pooled)).toEqual(['42P05', '26000', '42601', '22012', '26000'])
  })

  it('reads a client’s bytes one at a time as it reads them at once', async () => {
    const { ports } = await routers.router({ auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    const batch = Buffer.concat([parse('a', 'select 1'), bind('a'), describeStatement('a'), EXECUTE, SYNC])
    for (const byte of batch) client.socket.write(Buffer.from([byte]))
    client.query('select 2')
    await client.untilReady(3)
    expect(client.types().replace(/^[^Z]*Z/, '')).toBe('12tTDCZTDCZ')
  })

  it('takes statements and parameters of megabytes, from several clients at once', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1 })
    const clients = await Promise.all([1, 2, 3].map(() => routers.connect(ports.pooled)))
    const large = 'x'.repeat(2_000_000)
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(
        clients.map(async (client, index) => {
          const statement = { name: 'large', text: `select length($1::text) + length('${large}') as n` }
          const { rows } = await client.query({ ...statement, values: [large.slice(index)] })
          expect(rows).toEqual([{ n: 4_000_000 - index }])
          const simple = await client.query(`select length('${large}') as n`)
          expect(simple.rows).toEqual([{ n: 2_000_000 }])
        }),
      )
    }
  })

  it('forgets statements that DISCARD ALL and DEALLOCATE ALL have thrown away', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    const other = await trusty(ports.pooled)
    for (const each of [client, other]) each.socket.write(Buffer.concat([parse('a', 'select 1'), SYNC]))
    await Promise.all([client.untilReady(2), other.untilReady(2)])
    client.query('deallocate all')
    await client.untilReady(3)
    for (const each of [client, other]) each.socket.write(Buffer.concat([bind('a'), EXECUTE, SYNC]))
    await Promise.all([client.untilReady(4), other.untilReady(3)])
    expect(client.error()).toMatchObject({ C: '26000' })
    expect(other.types()).toMatch(/2DCZ$/)
  })

  it('gives every client its own settings, on whichever server connection', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1 })
    const one = await routers.connect(ports.pooled, { application_name: 'one' })
    const other = await routers.connect(ports.pooled, { application_name: 'other' })
    await one.query("set timezone to 'Asia/Tokyo'; set datestyle to 'SQL, DMY'")
    await other.query("set timezone to 'America/Lima'")
    const settings = `select current_setting('TimeZone') as zone, current_setting('DateStyle') as style,
      current_setting('application_name') as name`
    for (let round = 0; round < 3; round += 1) {
      expect((await one.query(settings)).rows).toEqual([
        { zone: 'Asia/Tokyo', style: 'SQL, DMY', name: 'one' },
      ])
      expect((await other.query(settings)).rows).toEqual([
        { zone: 'America/Lima', style: 'ISO, MDY', name: 'other' },
      ])
    }
  })

  it('reports settings as PostgreSQL does, and honours startup options', async () => {
    const { ports } = await routers.router({ auth: { type: 'trust' } })
    const reported = async (port: number): Promise<Map<string, string>> => {
      const client = routers.raw(port)
      const parameters = {
        user: 'trusty',
        database: 'app',
        application_name: 'me',
        DateStyle: 'sql',
        client_encoding: 'utf-8',
        options: '-c work_mem=77MB',
      }
      client.socket.write(buildStartup(parameters))
      await client.untilReady()
      client.query('show work_mem')
      await client.untilReady(2)
      expect(client.bytes().toString()).toContain('77MB')
      const statuses = messagesOf(client).filter(({ type }) => type === 'S')
      return new Map(
        statuses.map(({ body }) => {
          const status = parseParameterStatus(body)
          return [status?.name ?? '', status?.value ?? '']
        }),
      )
    }
    expect(await reported(ports.pooled)).toEqual(await reported(ports.primary))
  })

  it('carries COPY in both directions, and goes on after one that fails', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    client.query('copy numbers from stdin')
    await eventually(() => expect(client.types()).toMatch(/G$/))
    const lines = Buffer.from(Array.from({ length: 50_000 }, (_, index) => `${index}\n`).join(''))
    for (let at = 0; at < lines.length; at += 9000) {
      client.socket.write(message('d', lines.subarray(at, at + 9000)))
    }
    client.socket.write(message('c', Buffer.alloc(0)))
    await client.untilReady(2)
    client.query('copy numbers to stdout')
    await client.untilReady(3)
    const copied = messagesOf(client).filter(({ type }) => type === 'd')
    expect(Buffer.concat(copied.map(({ body }) => body)).equals(lines)).toBe(true)
    client.socket.write(Buffer.concat([parse('', 'copy numbers from stdin'), bind(''), EXECUTE, SYNC]))
    await eventually(() => expect(client.types()).toMatch(/G$/))
    client.socket.write(
      Buffer.concat([message('d', Buffer.from('no number\n')), message('c', Buffer.alloc(0)), SYNC]),
    )
    await client.untilReady(4)
    expect(client.error()).toMatchObject({ C: '22P02' })
    const other = await trusty(ports.pooled)
    other.query('truncate numbers')
    await other.untilReady(2)
    expect(other.types()).toMatch(/CZ$/)
  })

  it('never gives a server connection on that a client left in a transaction', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    for (const vanish of [
      (client: RawClient) => client.socket.destroy(),
      (client: RawClient) => client.socket.end(message('X', Buffer.alloc(0))),
    ]) {
      const client = await trusty(ports.pooled)
      client.query('begin; insert into numbers values (666)')
      await client.untilReady(2)
      vanish(client)
      const other = await trusty(ports.pooled)
      other.query('select count(*) from numbers where n = 666')
      await other.untilReady(2)
      expect(other.types()).toMatch(/TDCZ$/)
      expect(other.bytes().subarray(-6)).toEqual(message('Z', Buffer.from('I')))
      expect(
        messagesOf(other)
          .find(({ type }) => type === 'D')
          ?.body.toString(),
      ).toMatch(/0$/)
    }
  })

  it.each([0, 2] as const)(
    'cancels with a key of its own what a client runs now, protocol 3.%i',
    async (minor) => {
      const { ports } = await routers.router({ auth: { type: 'trust' } })
      const client = await trusty(ports.pooled, minor)
      const key = messagesOf(client).find(({ type }) => type === 'K')
      const parsed = key && parseBackendKey(key.body)
      if (!parsed) throw new Error('no key')
      expect(parsed.secret).toHaveLength(minor === 2 ? 32 : 4)
      client.query('select pg_sleep(60)')
      const watcher = await routers.direct()
      await eventually(async () => {
        const active =
          "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'"
        expect((await watcher.query(active)).rowCount).toBe(1)
      })
      const request = routers.raw(ports.primary)
      request.socket.write(buildCancelRequest(parsed))
      await request.untilClosed()
      await client.untilReady(2)
      expect(client.error()).toMatchObject({ C: '57014' })
      client.query('select 1')
      await client.untilReady(3)
      expect(client.types()).toMatch(/EZTDCZ$/)
    },
  )

  it('cancels a statement that still waits for a server connection', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    const holder = await trusty(ports.pooled)
    holder.query('begin')
    await holder.untilReady(2)
    const client = await trusty(ports.pooled)
    const key = messagesOf(client).find(({ type }) => type === 'K')
    const parsed = key && parseBackendKey(key.body)
    client.query('insert into numbers values (13)')
    await eventually(async () => {
      const request = routers.raw(ports.pooled)
      request.socket.write(buildCancelRequest(parsed ?? { processId: 0, secret: Buffer.alloc(4) }))
      await request.untilClosed()
      expect(client.error()).toMatchObject({ C: '57014' })
    })
    holder.query('commit')
    await holder.untilReady(3)
    client.query('select count(*) from numbers where n = 13')
    await client.untilReady(3)
    expect(
      messagesOf(client)
        .find(({ type }) => type === 'D')
        ?.body.toString(),
    ).toMatch(/0$/)
  })

  it('takes many statements at once, and answers an error among them in its place', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, auth: { type: 'trust' } })
    const client = await trusty(ports.pooled)
    for (let index = 0; index < 50; index += 1) client.query(index === 25 ? 'select 1/0' : `select ${index}`)
    await client.untilReady(51)
    expect(client.types().replace(/^[^Z]*Z/, '')).toBe(`${'TDCZ'.repeat(25)}EZ${'TDCZ'.repeat(24)}`)
  })

  it('resets a session before another client gets it, in session mode', async () => {
    const { ports } = await routers.router({ poolMode: 'session', defaultPoolSize: 1 })
    const one = await routers.connect(ports.pooled)
    const pid = await pidOf(one)
    await one.query('create temp table mine (n int); set work_mem = 77')
    await one.end()
    const other = await routers.connect(ports.pooled)
    expect(await pidOf(other)).toBe(pid)
    expect((await other.query("select to_regclass('pg_temp.mine') as mine")).rows).toEqual([{ mine: null }])
    expect((await other.query('show work_mem')).rows).not.toEqual([{ work_mem: '77kB' }])
  })

  it('refuses transaction blocks in statement mode', async () => {
    const { ports } = await routers.router({ poolMode: 'statement' })
    const client = await routers.connect(ports.pooled)
    const ended = new Promise<Error>((resolve) => client.once('error', resolve))
    await client.query('select 1')
    await client.query('begin')
    expect(await ended).toMatchObject({ severity: 'FATAL', code: '0A000' })
  })

  it('opens no more than max_db_connections, and takes idle ones from other users', async () => {
    const { ports } = await routers.router({ maxDbConnections: 2 })
    const apps = await Promise.all([1, 2, 3].map(() => routers.connect(ports.pooled)))
    await Promise.all(apps.map((client) => client.query('select pg_sleep(0.01)')))
    const old = await routers.connect(ports.pooled, { user: 'old', password: 'old secret' })
    await old.query('select 1')
    const watcher = await routers.direct()
    const { rows } = await watcher.query(
      "select count(*)::int as n from pg_stat_activity where datname = 'app' and usename in ('app', 'old') and pid <> pg_backend_pid()",
    )
    expect(rows[0].n).toBeLessThanOrEqual(2)
  })

  it('disconnects who waits longer than query_wait_timeout, or idles in a transaction', async () => {
    const { ports } = await routers.router({
      defaultPoolSize: 1,
      queryWaitTimeoutMs: 300,
      idleTransactionTimeoutMs: 1500,
      auth: { type: 'md5', lookup: LOOKUP },
    })
    const holder = await routers.connect(ports.pooled)
    const waiting = await routers.connect(ports.pooled)
    const ended = new Promise<Error>((resolve) => holder.once('error', resolve))
    await holder.query('begin')
    await expect(waiting.query('select 1')).rejects.toMatchObject({ code: '57P03' })
    expect(await ended).toMatchObject({ code: '25P03' })
  })

  it.each([
    ['query_timeout', { queryTimeoutMs: 300 }, ['select pg_sleep(30)'], '57014'],
    ['transaction_timeout', { transactionTimeoutMs: 300 }, ['begin', 'select pg_sleep(30)'], '25P04'],
    ['client_idle_timeout', { clientIdleTimeoutMs: 300 }, ['select 1'], '57P05'],
  ] as const)('disconnects a client by %s', async (_name, limit, statements, code) => {
    const { ports } = await routers.router(limit)
    const client = await routers.connect(ports.pooled)
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    for (const statement of statements) client.query(statement).catch((error: unknown) => errors.push(error))
    await eventually(() =>
      expect(errors).toContainEqual(expect.objectContaining({ severity: 'FATAL', code })),
    )
    const watcher = await routers.direct()
    await eventually(async () => {
      const sessions = "select 1 from pg_stat_activity where usename = 'app' and state = 'active'"
      expect((await watcher.query(sessions)).rowCount).toBe(0)
    })
  })

  it('keeps min_pool_size server connections for a pool with clients, and none older than server_lifetime', async () => {
    const { ports } = await routers.router({ minPoolSize: 3, serverLifetimeMs: 1000 })
    await routers.connect(ports.pooled)
    const watcher = await routers.direct()
    const pids = async (): Promise<number[]> => {
      const { rows } = await watcher.query(
        "select pid from pg_stat_activity where usename = 'app' order by 1",
      )
      return rows.map(({ pid }) => pid as number)
    }
    await eventually(async () => expect(await pids()).toHaveLength(3))
    const before = await pids()
    await eventually(async () => {
      const now = await pids()
      expect(now).toHaveLength(3)
      expect(now.filter((pid) => before.includes(pid))).toEqual([])
    })
  })

  it('gives a database and a user limits of their own', async () => {
    const { ports } = await routers.router({
      databases: [{ name: 'app', poolSize: 1 }],
      users: [{ name: 'old', poolMode: 'session', maxConnections: 1 }],
    })
    const clients = await Promise.all([1, 2, 3].map(() => routers.connect(ports.pooled)))
    expect(new Set(await Promise.all(clients.map(pidOf))).size).toBe(1)
    const old = await routers.connect(ports.pooled, { user: 'old', password: 'old secret' })
    await old.query('create temp table mine (n int)')
    await old.query('select * from mine')
    const second = await routers.connect(ports.pooled, { user: 'old', password: 'old secret' })
    const waiting = second.query('select 1 as one')
    await old.end()
    expect((await waiting).rows).toEqual([{ one: 1 }])
  })

  it('closes server connections that nobody uses, and opens the reserve for who waits', async () => {
    const { ports } = await routers.router({
      defaultPoolSize: 1,
      reservePoolSize: 1,
      reservePoolTimeoutMs: 100,
      serverIdleTimeoutMs: 300,
    })
    const holder = await routers.connect(ports.pooled)
    const other = await routers.connect(ports.pooled)
    await holder.query('begin')
    await other.query('select 1')
    await holder.query('commit')
    const watcher = await routers.direct()
    await eventually(async () => {
      const sessions = "select 1 from pg_stat_activity where usename = 'app'"
      expect((await watcher.query(sessions)).rowCount).toBe(0)
    })
    expect((await other.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  it('refuses more clients than max_client_conn', async () => {
    const { ports } = await routers.router({ maxClientConn: 2 })
    await routers.connect(ports.pooled)
    await routers.connect(ports.pooled)
    await expect(routers.connect(ports.pooled)).rejects.toMatchObject({ code: '53300' })
  })

  it('works for psql and pgbench', async (context) => {
    const folders = ['/usr/bin', '/usr/lib/postgresql/15/bin']
    const find = (name: string) =>
      folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
    const psql = find('psql')
    if (!psql) return context.skip('psql is not installed')
    const { ports } = await routers.router({ defaultPoolSize: 2 })
    const url = `postgresql://app:app%20secret@127.0.0.1:${ports.pooled}/app`
    const run = promisify(execFile)
    const { stdout } = await run(psql, [url, '-AtXc', 'select 6 * 7'], { timeout: 20_000 })
    expect(stdout).toBe('42\n')
    const pgbench = find('pgbench')
    if (!pgbench) return
    await run(pgbench, ['-i', '-q', url], { timeout: 20_000 })
    // A thread for each client: pgbench itself waits for an answer to Parse, and would wait for its other clients.
    for (const mode of ['simple', 'extended', 'prepared']) {
      const { stdout: report } = await run(
        pgbench,
        ['-n', '-c', '8', '-j', '8', '-t', '20', '-M', mode, url],
        {
          timeout: 60_000,
        },
      )
      expect(report).toContain('number of failed transactions: 0')
    }
  })
})
