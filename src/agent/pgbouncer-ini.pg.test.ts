import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { APP, PooledRouters } from '../../test/support/pooled-router.ts'
import { describePostgres, SUPERUSER } from '../../test/support/postgres.ts'
import { loadConfig } from '../config/load-config.ts'
import { readFileSync } from '../platform/disk.ts'
import { routerOptions } from './router-options.ts'

describePostgres("a router with PgBouncer's own files", (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
    await routers.clear()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  const optionsOf = (ini: string) => {
    const node = `
identity: {node_name: n1, api_host: 127.0.0.1}
local_db: {port: ${routers.port}, username: ${SUPERUSER.name}, password: ${JSON.stringify(SUPERUSER.password)}}
security: {cluster_secret: a-secret-of-the-cluster}
pool: {pgbouncer_ini: ${ini}}
`
    const loaded = loadConfig({
      path: '/etc/pg-metako/node.yaml',
      readText: (path) => (path.endsWith('.yaml') ? node : readFileSync(path, 'utf8')),
      env: {},
    })
    if (loaded.kind === 'refused') throw new Error(loaded.problems.map(({ rule }) => rule).join('\n'))
    return routerOptions(loaded.config, { routingToken: 'unused', logFile: '/dev/null', members: [] })
  }

  it('does what they say, and says in SHOW CONFIG what it does not', async () => {
    const { folder } = routers.workspace
    const ini = join(folder, 'pgbouncer.ini')
    writeFileSync(join(folder, 'userlist.txt'), `"app" "${APP.password}"\n"reader" "reader secret"\n`)
    writeFileSync(
      ini,
      `;; what an operator has
[databases]
app = host=127.0.0.1 port=${routers.port} pool_size=1 connect_query='set work_mem = ''7MB'''
orders = host=127.0.0.1 port=${routers.port} dbname=app user=app timezone='Asia/Tokyo'

[users]
app = max_user_connections=1

[pgbouncer]
listen_addr = 127.0.0.1
pool_mode = transaction
auth_type = md5
auth_file = userlist.txt
stats_users = reader
ignore_startup_parameters = extra_float_digits, options
tcp_user_timeout = 3000
unix_socket_dir = /var/run/postgresql
`,
    )
    const options = optionsOf(ini)
    expect(options).toMatchObject({ listenHost: '0.0.0.0', pooledHost: '127.0.0.1' })
    const { ports } = await routers.router(options.pool)
    const app = await routers.connect(ports.pooled)
    const shown = async (name: string): Promise<unknown> =>
      (await app.query<{ value: string }>(`select current_setting('${name}') as value`)).rows[0]?.value
    expect(await shown('work_mem')).toBe('7MB')
    // Known to the list of users alone: at PostgreSQL it is app.
    const reader = { user: 'reader', password: 'reader secret', options: '-c geqo=off' }
    const orders = await routers.connect(ports.pooled, { ...reader, database: 'orders' })
    const { rows } = await orders.query(
      "select session_user, current_database() as database, current_setting('TimeZone') as zone, current_setting('geqo') as geqo",
    )
    expect(rows).toEqual([{ session_user: 'app', database: 'app', zone: 'Asia/Tokyo', geqo: 'on' }])
    await expect(routers.connect(ports.pooled, { database: 'postgres' })).rejects.toMatchObject({
      code: '3D000',
    })
    const stats = await routers.connect(ports.pooled, { ...reader, database: 'pgbouncer' })
    const { rows: settings } = await stats.query('SHOW CONFIG')
    expect(settings).toContainEqual({
      key: 'tcp_user_timeout',
      value: '3000',
      default: '0',
      changeable: 'no',
      not_honoured_because: 'Node.js cannot set it on a socket',
    })
    const { rows: users } = await stats.query('SHOW USERS')
    expect(users).toContainEqual(expect.objectContaining({ name: 'app', max_user_connections: '1' }))
    // One connection for all of app: an idle one of the other database makes room.
    const watcher = await routers.direct()
    const { rows: sessions } = await watcher.query("select 1 from pg_stat_activity where usename = 'app'")
    expect(sessions).toHaveLength(1)
  })
})
