import pg from 'pg'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { LOOKUP_QUERY } from '../../../../test/support/pool-options.ts'
import { APP, PooledRouters } from '../../../../test/support/pooled-router.ts'
import { describePostgres, SUPERUSER } from '../../../../test/support/postgres.ts'
import { eventually } from '../../../../test/support/raw-client.ts'

/** PgBouncer 1.25.2's, as it printed them: exporters and people's scripts read by name. */
const COLUMNS: Readonly<Record<string, string>> = {
  POOLS:
    'database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts',
  CLIENTS:
    'type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id',
  SERVERS:
    'type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id',
  SOCKETS:
    'type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail',
  DATABASES:
    'name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode load_balance_hosts max_connections current_connections max_client_connections current_client_connections paused disabled',
  USERS:
    'name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections current_client_connections',
  STATS:
    'database total_server_assignment_count total_xact_count total_query_count total_received total_sent total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count',
  STATS_TOTALS:
    'database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time client_parse_count server_parse_count bind_count client_login_count',
  STATS_AVERAGES:
    'database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count',
  LISTS: 'list items',
  TOTALS: 'name value',
  STATE: 'key value',
  VERSION: 'version',
  // The last one is ours.
  CONFIG: 'key value default changeable not_honoured_because',
  MEM: 'name size used free memtotal',
  PEERS: 'peer_id host port pool_size',
  PEER_POOLS: 'peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login',
  DNS_HOSTS: 'hostname ttl addrs',
  DNS_ZONES: 'zonename serial count',
}

describePostgres('the console of the pooled port', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterEach(() => routers.clear())
  afterAll(() => routers.dispose())

  async function show(client: pg.Client, what: string): Promise<Record<string, unknown>[]> {
    return (await client.query<Record<string, unknown>>(`SHOW ${what}`)).rows
  }

  it('shows PgBouncer’s columns in PgBouncer’s order', async () => {
    const { ports } = await routers.router()
    const admin = await routers.console(ports.pooled)
    const shown: Record<string, string> = {}
    for (const what of Object.keys(COLUMNS)) {
      const { fields, command } = await admin.query(`show ${what.toLowerCase()};`)
      expect(command).toBe('SHOW')
      shown[what] = fields.map(({ name }) => name).join(' ')
    }
    expect(shown).toEqual(COLUMNS)
  })

  it('keeps nothing of databases that do not exist, however many a client names', async () => {
    const { ports } = await routers.router()
    await routers.connect(ports.pooled)
    for (const name of ['nowhere1', 'nowhere2', 'x'.repeat(5000)]) {
      await expect(routers.connect(ports.pooled, { database: name })).rejects.toMatchObject({ code: '3D000' })
    }
    const admin = await routers.console(ports.pooled)
    await eventually(async () => {
      const names = (await show(admin, 'STATS')).map(({ database }) => database)
      expect(new Set(names)).toEqual(new Set(['app', 'postgres']))
    })
  })

  it('shows who waits, who works and what was done', async () => {
    const { ports } = await routers.router({ defaultPoolSize: 1 })
    const holder = await routers.connect(ports.pooled, { application_name: 'holder' })
    const waiting = await routers.connect(ports.pooled)
    await holder.query('begin')
    await holder.query({ name: 'one', text: 'select 1' })
    const query = waiting.query('select 2')
    const admin = await routers.console(ports.pooled)
    await eventually(async () => {
      const pools = await show(admin, 'POOLS')
      expect(pools.find(({ database }) => database === 'app')).toMatchObject({
        user: 'app',
        cl_active: '1',
        cl_waiting: '1',
        sv_active: '1',
        sv_idle: '0',
        pool_mode: 'transaction',
      })
    })
    const clients = await show(admin, 'CLIENTS')
    const held = clients.find(({ application_name: name }) => name === 'holder')
    expect(held).toMatchObject({
      type: 'C',
      user: 'app',
      database: 'app',
      state: 'active',
      prepared_statements: '1',
    })
    const server = (await show(admin, 'SERVERS')).find(({ ptr }) => ptr === held?.['link'])
    expect(server).toMatchObject({
      type: 'S',
      state: 'active',
      link: held?.['ptr'],
      port: String(routers.port),
    })
    const { rows } = await holder.query('select pg_backend_pid() as pid')
    expect(server?.['remote_pid']).toBe(String(rows[0].pid))
    await holder.query('commit')
    await query
    const stats = (await show(admin, 'STATS_TOTALS')).find(({ database }) => database === 'app')
    expect(stats).toMatchObject({
      xact_count: '2',
      query_count: '5',
      client_parse_count: '1',
      client_login_count: '2',
    })
    const databases = await show(admin, 'DATABASES')
    expect(databases.map(({ name }) => name)).toEqual(expect.arrayContaining(['app', 'pgbouncer']))
    expect(await show(admin, 'LISTS')).toHaveLength(14)
    expect(await show(admin, 'CONFIG')).toContainEqual({
      key: 'pool_mode',
      value: 'transaction',
      default: 'session',
      changeable: 'no',
      not_honoured_because: null,
    })
  })

  it('lets in whom the settings name, to look or to act', async () => {
    const { ports } = await routers.router({ adminUsers: [], statsUsers: ['app'] })
    const stats = await routers.connect(ports.pooled, { database: 'pgbouncer' })
    expect(await show(stats, 'VERSION')).toHaveLength(1)
    await expect(stats.query('PAUSE')).rejects.toMatchObject({ code: '42501' })
    await expect(routers.console(ports.pooled)).rejects.toMatchObject({ code: '42501' })
    await expect(
      routers.connect(ports.pooled, { database: 'pgbouncer', password: 'wrong' }),
    ).rejects.toMatchObject({
      code: '28P01',
    })
  })

  it('says what it does not know, and goes on', async () => {
    const { ports } = await routers.router()
    const admin = await routers.console(ports.pooled)
    await expect(admin.query('drop everything')).rejects.toThrow(
      "invalid command 'drop everything', use SHOW HELP;",
    )
    await expect(admin.query('PAUSE nowhere')).rejects.toThrow('no such database: nowhere')
    await expect(admin.query({ text: 'SHOW POOLS', values: [1] })).rejects.toMatchObject({ code: '0A000' })
    await expect(admin.query('SHUTDOWN')).rejects.toThrow('the agent of this node')
    expect(await show(admin, 'VERSION')).toHaveLength(1)
  })

  it('pauses when the last transaction has ended, and resumes who waited', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    const other = await routers.connect(ports.pooled)
    const admin = await routers.console(ports.pooled)
    await client.query('begin')
    const order: string[] = []
    const pausing = admin.query('PAUSE').then(() => order.push('paused'))
    const waiting = other.query('select 1').then(() => order.push('resumed'))
    await eventually(async () => {
      expect(
        (await show(await routers.console(ports.pooled), 'DATABASES')).find(({ name }) => name === 'app'),
      ).toMatchObject({
        paused: '1',
      })
    })
    await client.query('commit')
    await pausing
    const watcher = await routers.direct()
    expect((await watcher.query("select 1 from pg_stat_activity where usename = 'app'")).rowCount).toBe(0)
    await expect(admin.query('PAUSE')).rejects.toThrow('already')
    await (await routers.console(ports.pooled)).query('RESUME')
    await waiting
    expect(order).toEqual(['paused', 'resumed'])
  })

  it('opens new server connections after RECONNECT, closes everything with KILL and one client with KILL_CLIENT', async () => {
    const { ports } = await routers.router()
    const client = await routers.connect(ports.pooled)
    const admin = await routers.console(ports.pooled)
    const pid = async (): Promise<number> =>
      (await client.query('select pg_backend_pid() as pid')).rows[0].pid
    const before = await pid()
    await admin.query('RECONNECT app')
    expect(await pid()).not.toBe(before)
    const other = await routers.connect(ports.pooled, { application_name: 'victim' })
    const endOf = (each: pg.Client) => new Promise<Error>((resolve) => each.once('error', resolve))
    const [otherEnd, clientEnd] = [endOf(other), endOf(client)]
    const victim = (await show(admin, 'CLIENTS')).find(({ application_name: name }) => name === 'victim')
    await admin.query(`KILL_CLIENT ${String(victim?.['id'])}`)
    expect(await otherEnd).toMatchObject({ code: '57P01' })
    await admin.query('KILL app')
    expect(await clientEnd).toMatchObject({ code: '57P01' })
    await admin.query('RESUME app')
    await admin.query('DISABLE app')
    await expect(routers.connect(ports.pooled)).rejects.toMatchObject({ code: '57P03' })
    await admin.query('ENABLE app')
    await expect(routers.connect(ports.pooled)).resolves.toBeDefined()
  })

  it('reads the list of users again, and keeps the old one where the new one is broken', async () => {
    const file = join(routers.workspace.folder, 'users.txt')
    writeFileSync(file, '"postgres" "su\'per\\secret"\n"app" "another"\n')
    const lookup = {
      user: SUPERUSER.name,
      password: SUPERUSER.password,
      database: 'postgres',
      query: LOOKUP_QUERY,
    }
    const { ports } = await routers.router({ auth: { type: 'md5', file, lookup } })
    const admin = await routers.console(ports.pooled)
    await expect(routers.connect(ports.pooled)).rejects.toMatchObject({ code: '28P01' })
    writeFileSync(file, 'broken\n')
    await expect(admin.query('RELOAD')).rejects.toThrow('line 1')
    await expect(routers.connect(ports.pooled)).rejects.toMatchObject({ code: '28P01' })
    writeFileSync(file, `"app" "${APP.password}"\n`)
    await admin.query('RELOAD')
    await expect(routers.connect(ports.pooled)).resolves.toBeDefined()
  })
})
