import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { PooledRouters } from '../../../test/support/pooled-router.ts'
import { LOOKUP_QUERY } from '../../../test/support/pool-options.ts'
import { describePostgres, SUPERUSER } from '../../../test/support/postgres.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import { buildStartup } from '../../wire/startup.ts'

const LOOKUP = {
  user: SUPERUSER.name,
  password: SUPERUSER.password,
  database: 'postgres',
  query: LOOKUP_QUERY,
}

async function ask(client: pg.Client, sql: string): Promise<unknown> {
  const { rows } = await client.query<{ answer: unknown }>(`select ${sql} as answer`)
  return rows[0]?.answer
}

describePostgres('what one database or user has of its own', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
    const admin = await routers.direct()
    await admin.query("create role other login password 'other secret'")
    await admin.query('create role nobody login; alter role trusty password null')
    await routers.clear()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  it('a database has another name at PostgreSQL, and keeps its own limits', async () => {
    const { ports } = await routers.router({
      databases: [
        { name: 'alias', dbname: 'app', maxConnections: 1 },
        { name: 'app', poolMode: 'session' },
      ],
    })
    const clients = await Promise.all(
      [1, 2, 3].map(() => routers.connect(ports.pooled, { database: 'alias' })),
    )
    const pids = await Promise.all(clients.map((client) => ask(client, 'pg_backend_pid()')))
    expect(new Set(pids).size).toBe(1)
    expect(await Promise.all(clients.map((client) => ask(client, 'current_database()')))).toEqual([
      'app',
      'app',
      'app',
    ])
    const own = await routers.connect(ports.pooled)
    expect(await ask(own, 'pg_backend_pid()')).not.toBe(pids[0])
  })

  it('whom PostgreSQL asks itself gets to the same database', async () => {
    const { ports } = await routers.router({
      databases: [{ name: 'alias', dbname: 'app' }],
      ignoreStartupParameters: ['extra_float_digits'],
      auth: { type: 'server' },
    })
    const raw = routers.raw(ports.pooled)
    const startup = { user: 'trusty', database: 'alias', extra_float_digits: 'none of these' }
    raw.socket.write(buildStartup(startup))
    await eventually(() => expect(raw.bytes().toString('latin1')).toContain('server_version'))
    const watcher = await routers.direct()
    const { rows } = await watcher.query("select datname from pg_stat_activity where usename = 'trusty'")
    expect(rows).toEqual([{ datname: 'app' }])
  })

  it('refuses a database that is not listed, also to whom PostgreSQL would ask', async () => {
    const listed = await routers.router({ databases: [{ name: 'app' }], onlyListedDatabases: true })
    await expect(routers.connect(listed.ports.pooled)).resolves.toBeDefined()
    const elsewhere = { database: 'postgres' }
    await expect(routers.connect(listed.ports.pooled, elsewhere)).rejects.toMatchObject({ code: '3D000' })
    const nobody = { ...elsewhere, user: 'nobody' }
    await expect(routers.connect(listed.ports.pooled, nobody)).rejects.toMatchObject({ code: '3D000' })
    const all = await routers.router({ databases: [{ name: '*', poolSize: 1 }], onlyListedDatabases: true })
    const clients = await Promise.all([1, 2].map(() => routers.connect(all.ports.pooled, elsewhere)))
    const pids = await Promise.all(clients.map((client) => ask(client, 'pg_backend_pid()')))
    expect(new Set(pids).size).toBe(1)
  })

  it('all clients of a database log in at PostgreSQL as its user, after they proved who they are', async () => {
    const { ports } = await routers.router({
      databases: [{ name: 'shared', dbname: 'app', user: 'other', password: 'other secret', poolSize: 1 }],
      adminUsers: ['app'],
    })
    const database = 'shared'
    const client = await routers.connect(ports.pooled, { database })
    const superuser = await routers.connect(ports.pooled, {
      database,
      user: SUPERUSER.name,
      password: SUPERUSER.password,
    })
    for (const each of [client, superuser]) expect(await ask(each, 'session_user')).toBe('other')
    expect(await ask(client, 'pg_backend_pid()')).toBe(await ask(superuser, 'pg_backend_pid()'))
    await expect(routers.connect(ports.pooled, { database, password: 'wrong' })).rejects.toMatchObject({
      code: '28P01',
    })
    // PostgreSQL would let it in as itself, without a password.
    await expect(routers.connect(ports.pooled, { database, user: 'trusty' })).rejects.toMatchObject({
      code: '28P01',
    })
    const admin = await routers.connect(ports.pooled, { database: 'pgbouncer' })
    const { rows: clients } = await admin.query('SHOW CLIENTS')
    expect(new Set(clients.map(({ user }) => user))).toEqual(new Set(['app', SUPERUSER.name]))
    const { rows: databases } = await admin.query('SHOW DATABASES')
    expect(databases).toContainEqual(
      expect.objectContaining({ name: 'shared', database: 'app', force_user: 'other', pool_size: '1' }),
    )
  })

  it('the password of a user of a database may stand in the list of users', async () => {
    const file = join(routers.workspace.folder, 'forced.txt')
    writeFileSync(file, '"other" "other secret"\n')
    const { ports } = await routers.router({
      databases: [{ name: 'shared', dbname: 'app', user: 'other' }],
      auth: { type: 'md5', file, lookup: LOOKUP },
    })
    const client = await routers.connect(ports.pooled, { database: 'shared' })
    expect(await ask(client, 'session_user')).toBe('other')
  })

  it('whom nobody asks for a proof comes in as the user of a database only when the list of users has it', async () => {
    const file = join(routers.workspace.folder, 'trusted.txt')
    writeFileSync(file, '"reader" ""\n')
    const { ports } = await routers.router({
      databases: [{ name: 'shared', dbname: 'app', user: 'other', password: 'other secret' }],
      auth: { type: 'trust', file },
    })
    const listed = await routers.connect(ports.pooled, { database: 'shared', user: 'reader' })
    expect(await ask(listed, 'session_user')).toBe('other')
    const stranger = { database: 'shared', user: 'stranger' }
    await expect(routers.connect(ports.pooled, stranger)).rejects.toMatchObject({ code: '28000' })
  })

  it('a connect_query has run before the first client comes, and what it sets is what clients begin with', async () => {
    const { ports } = await routers.router({
      databases: [
        { name: 'app', connectQuery: "set timezone = 'Asia/Tokyo'; set work_mem = '7MB'" },
        { name: 'broken', dbname: 'app', connectQuery: 'select nothing_of_the_kind()' },
        { name: 'open', dbname: 'app', connectQuery: 'begin' },
      ],
    })
    const client = await routers.connect(ports.pooled)
    expect(await ask(client, "current_setting('work_mem')")).toBe('7MB')
    expect(await ask(client, "current_setting('TimeZone')")).toBe('Asia/Tokyo')
    const broken = await routers.connect(ports.pooled, { database: 'broken' })
    expect(await ask(broken, '1')).toBe(1)
    // One that leaves a transaction open is no beginning: nobody is put into it.
    const open = await routers
      .connect(ports.pooled, {
        database: 'open',
        connectionTimeoutMillis: 1000,
      })
      .catch((error: Error) => error.message)
    expect(open).toMatch(/timeout/)
  })

  it('server connections begin with the settings of their database, and a client with its own', async () => {
    const { ports } = await routers.router({
      databases: [
        {
          name: 'app',
          startup: { timezone: 'Asia/Tokyo', datestyle: 'German', application_name: 'of the pool' },
        },
      ],
    })
    const client = await routers.connect(ports.pooled)
    expect(await ask(client, "current_setting('TimeZone')")).toBe('Asia/Tokyo')
    expect(await ask(client, "current_setting('DateStyle')")).toMatch(/^German/)
    expect(await ask(client, "current_setting('application_name')")).toBe('of the pool')
    const named = await routers.connect(ports.pooled, { application_name: 'its own' })
    expect(await ask(named, "current_setting('application_name')")).toBe('its own')
  })

  it('limits the clients of a database and of a user', async () => {
    const { ports } = await routers.router({
      databases: [{ name: 'app', maxClientConnections: 2 }],
      maxUserClientConnections: 3,
      users: [{ name: 'other', maxClientConnections: 1 }],
    })
    const first = await routers.connect(ports.pooled)
    await routers.connect(ports.pooled)
    await expect(routers.connect(ports.pooled)).rejects.toThrow('max_db_client_connections')
    await routers.connect(ports.pooled, { database: 'postgres' })
    await expect(routers.connect(ports.pooled, { database: 'postgres' })).rejects.toThrow(
      'max_user_client_connections',
    )
    const other = { database: 'postgres', user: 'other', password: 'other secret' }
    await routers.connect(ports.pooled, other)
    await expect(routers.connect(ports.pooled, other)).rejects.toMatchObject({ code: '53300' })
    await first.end()
    await eventually(async () => void (await routers.connect(ports.pooled)))
  })

  it('a user has time limits of its own', async () => {
    const { ports } = await routers.router({
      users: [
        { name: 'app', queryTimeoutMs: 200, queryWaitTimeoutMs: 300 },
        { name: 'other', idleTransactionTimeoutMs: 200 },
      ],
      databases: [{ name: 'app', poolSize: 1 }],
    })
    const slow = await routers.connect(ports.pooled)
    const free = await routers.connect(ports.pooled, { user: 'other', password: 'other secret' })
    await expect(slow.query('select pg_sleep(30)')).rejects.toThrow('query_timeout')
    expect(await ask(free, "pg_sleep(1)::text || 'slept'")).toBe('slept')
    const ended = new Promise<Error>((resolve) => free.once('error', resolve))
    await free.query('begin')
    expect(await ended).toMatchObject({ code: '25P03' })
    const holder = await routers.connect(ports.pooled)
    await holder.query('begin')
    const waiter = await routers.connect(ports.pooled)
    await expect(waiter.query('select 1')).rejects.toThrow('query_wait_timeout')
  })

  it('a database has a reserve and a lifetime of its server connections of its own', async () => {
    const { ports } = await routers.router({
      reservePoolTimeoutMs: 100,
      databases: [{ name: 'app', poolSize: 1, reservePoolSize: 1, serverLifetimeMs: 1, minPoolSize: 1 }],
    })
    const holder = await routers.connect(ports.pooled)
    const other = await routers.connect(ports.pooled)
    await holder.query('begin')
    const pid = await ask(other, 'pg_backend_pid()')
    await holder.query('commit')
    await other.query('select pg_sleep(0.05)')
    expect(await ask(other, 'pg_backend_pid()')).not.toBe(pid)
  })

  it('the reset query runs in transaction mode where it is asked for', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1, serverResetQueryAlways: true })
    const client = await routers.connect(ports.pooled)
    const pid = await ask(client, 'pg_backend_pid()')
    await client.query("set work_mem = '7MB'")
    expect(await ask(client, "current_setting('work_mem')")).not.toBe('7MB')
    await client.query({ name: 'mine', text: 'select 1 as one' })
    expect((await client.query({ name: 'mine', text: 'select 1 as one' })).rows).toEqual([{ one: 1 }])
    expect(await ask(client, 'pg_backend_pid()')).toBe(pid)
  })

  it('takes the server connection that was idle for longest where it is asked to', async () => {
    for (const serverRoundRobin of [false, true]) {
      const { ports } = await routers.router({ serverRoundRobin })
      const [one, other] = await Promise.all([1, 2].map(() => routers.connect(ports.pooled)))
      if (!one || !other) throw new Error('not connected')
      await Promise.all([one.query('begin'), other.query('begin')])
      await one.query('commit')
      await other.query('commit')
      const pids = [await ask(one, 'pg_backend_pid()'), await ask(one, 'pg_backend_pid()')]
      expect(new Set(pids).size).toBe(serverRoundRobin ? 2 : 1)
    }
  })

  it('drops startup parameters that are ignored, and adds the address of a client to its name', async () => {
    const { ports } = await routers.router({
      ignoreStartupParameters: ['options'],
      applicationNameAddHost: true,
      defaultPoolSize: 1,
    })
    const plain = await routers.connect(ports.pooled, { options: '-c geqo=off' })
    expect(await ask(plain, "current_setting('geqo')")).toBe('on')
    expect(await ask(plain, "current_setting('application_name')")).toMatch(/^app - 127\.0\.0\.1:\d+$/)
    const named = await routers.connect(ports.pooled, { application_name: 'reports' })
    expect(await ask(named, "current_setting('application_name')")).toMatch(/^reports - 127\.0\.0\.1:\d+$/)
  })
})
