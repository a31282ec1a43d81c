import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PGBOUNCER_SETTINGS } from '../../model/pgbouncer-setting.ts'
import { describeConfig } from '../describe-config.ts'
import { loadConfig, type LoadedConfig } from '../load-config.ts'
import { INI_KEYS, INI_LISTS } from './ini-keys.ts'

const NODE = `
identity: {node_name: node1}
local_db: {password: a-password}
security: {cluster_secret: a-secret-of-the-cluster}
cluster_members:
  - {node_name: node1, api_host: 10.77.0.1}
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
postgresql: {data_dir: /var/lib/pg-metako/data}
`
const INI = '/etc/pgbouncer/pgbouncer.ini'

function load(ini: string, pool = '', further: Readonly<Record<string, string>> = {}): LoadedConfig {
  const texts: Readonly<Record<string, string>> = {
    '/etc/pg-metako/node.yaml': `${NODE}pool:\n  pgbouncer_ini: ${INI}\n${pool}`,
    [INI]: ini,
    ...further,
  }
  return loadConfig({ path: '/etc/pg-metako/node.yaml', readText: (path) => texts[path], env: {} })
}

function good(ini: string, pool = '', further = {}) {
  const loaded = load(ini, pool, further)
  if (loaded.kind === 'refused') throw new Error(describeConfig(loaded))
  return loaded
}

function errors(ini: string, pool = '') {
  const loaded = load(ini, pool)
  const problems = loaded.kind === 'refused' ? loaded.problems : []
  return problems.filter(({ severity }) => severity === 'error')
}

const notHonoured = (ini: string, pool = '') => good(ini, pool).config.pool.pgbouncer?.notHonoured ?? []

describe("PgBouncer's own file", () => {
  it('says what the pooled port does, in its units, with its places', () => {
    const { config, origins, files } = good(`;;; comment
[databases]
app = host=127.0.0.1 port=5432 pool_size=7 reserve_pool=2 pool_mode=Session max_db_connections=9 min_pool_size=1
bardb = host=10.77.0.2 dbname=bazdb connect_query='select ''a''' client_encoding=UNICODE timezone=UTC
forced = user=baz password='it''s' query_wait_timeout=1.5 server_lifetime=60 max_db_client_connections=4

[users]
worker = pool_mode=transaction max_user_connections=10 query_timeout=2 idle_transaction_timeout=0.5
worker2 = pool_size=-1 reserve_pool_size=3 transaction_timeout=3 client_idle_timeout=4 max_user_client_connections=5

[pgbouncer]
listen_addr = *
listen_port = 0x1920
pool_mode = STATEMENT
max_client_conn = 500
default_pool_size = 010
reserve_pool_timeout = 2.5
server_lifetime = 0
server_idle_timeout = 1e2
auth_type = SCRAM-SHA-256
auth_file = userlist.txt
auth_user = asker
auth_query = SELECT uname, phash FROM user_lookup($1)
auth_dbname = asked
admin_users = root, "boss"
stats_users = stats
ignore_startup_parameters = extra_float_digits, OPTIONS
server_reset_query =
server_reset_query_always = 1
server_round_robin = 1
application_name_add_host = 1
`)
    expect(config.router.pooledPort).toBe(6432)
    expect(config.pool).toMatchObject({
      listenAddr: '0.0.0.0',
      poolMode: 'statement',
      maxClientConn: 500,
      defaultPoolSize: 8,
      reservePoolTimeoutMs: 2500,
      // Used once, then closed.
      serverLifetimeMs: 1,
      serverIdleTimeoutMs: 100_000,
      authType: 'scram-sha-256',
      authFile: '/etc/pgbouncer/userlist.txt',
      authUser: 'asker',
      authQuery: 'SELECT uname, phash FROM user_lookup($1)',
      authDbname: 'asked',
      adminUsers: ['root', '"boss"'],
      statsUsers: ['stats'],
      ignoreStartupParameters: ['extra_float_digits', 'options'],
      serverResetQuery: '',
      serverResetQueryAlways: true,
      serverRoundRobin: true,
      applicationNameAddHost: true,
      onlyListedDatabases: true,
      databases: [
        {
          name: 'app',
          poolSize: 7,
          reservePoolSize: 2,
          poolMode: 'session',
          maxConnections: 9,
          minPoolSize: 1,
        },
        {
          name: 'bardb',
          dbname: 'bazdb',
          connectQuery: "select 'a'",
          startup: { client_encoding: 'UNICODE', timezone: 'UTC' },
        },
        {
          name: 'forced',
          user: 'baz',
          password: "it's",
          queryWaitTimeoutMs: 1500,
          serverLifetimeMs: 60_000,
          maxClientConnections: 4,
        },
      ],
      users: [
        {
          name: 'worker',
          poolMode: 'transaction',
          maxConnections: 10,
          queryTimeoutMs: 2000,
          idleTransactionTimeoutMs: 500,
        },
        {
          name: 'worker2',
          reservePoolSize: 3,
          transactionTimeoutMs: 3000,
          clientIdleTimeoutMs: 4000,
          maxClientConnections: 5,
        },
      ],
      pgbouncer: { file: INI, notHonoured: [] },
    })
    expect(config.pool.users[1]).not.toHaveProperty('poolSize')
    expect(origins.get('pool.pool_mode')).toEqual({ kind: 'file', file: INI, line: 14, column: 1 })
    expect(files).toContain(INI)
  })

  it('counts less than what the config says itself, key by key', () => {
    const { config } = good(
      '[databases]\n* = pool_size=3\napp = pool_size=7 pool_mode=session dbname=other\n[pgbouncer]\npool_mode = session\nmin_pool_size=2\nadmin_users = a',
      '  pool_mode: transaction\n  admin_users: [b]\n  databases: {app: {pool_size: 1}}\n',
    )
    expect(config.pool).toMatchObject({
      poolMode: 'transaction',
      minPoolSize: 2,
      adminUsers: ['b'],
      onlyListedDatabases: false,
      databases: [
        { name: 'app', poolSize: 1, poolMode: 'session', dbname: 'other' },
        { name: '*', poolSize: 3 },
      ],
    })
  })

  it('means sessions where nobody says another mode, as PgBouncer does', () => {
    expect(good('[pgbouncer]\n').config.pool.poolMode).toBe('session')
    expect(good('[pgbouncer]\n', '  pool_mode: statement\n').config.pool.poolMode).toBe('statement')
    expect(describeConfig(load('[pgbouncer]\n'))).toContain(`pool_mode: session`)
  })

  it('may lie in several files, in which the section goes on; what comes last counts', () => {
    const { config, files } = good(
      '[pgbouncer]\ndefault_pool_size = 1\n%include more.ini\nafter = host=localhost\n',
      '',
      { '/etc/pgbouncer/more.ini': 'default_pool_size = 2\n[databases]\nafter = port=1\nincluded =\n' },
    )
    expect(config.pool).toMatchObject({
      defaultPoolSize: 2,
      databases: [{ name: 'after' }, { name: 'included' }],
    })
    expect(files).toContain('/etc/pgbouncer/more.ini')
  })

  it('shows no password, whatever is wrong', () => {
    const hidden =
      "[databases]\na = host=9.9.9.9 password=hush-hush\nb = password='hush-hush\nc = passwort=hush-hush\n"
    const loaded = load(hidden)
    expect(loaded.kind).toBe('refused')
    expect(describeConfig(loaded)).not.toContain('hush-hush')
    expect(describeConfig(load('[databases]\nd = user=x password=hush-hush\n'))).not.toContain('hush-hush')
    // A value that was forgotten: the next word is it.
    for (const setting of ['port', 'dbname']) {
      const said = describeConfig(load(`[databases]\ne = ${setting}= password=hush-hush\n`))
      expect(said).not.toContain('hush-hush')
      expect(said).toContain('none of them empty')
    }
    const ldap = '[pgbouncer]\nauth_ldap_options = ldapbindpasswd="hush-hush"\n'
    expect(describeConfig(load(ldap))).toContain('auth_ldap_options')
    expect(JSON.stringify(good(ldap).config)).not.toContain('hush-hush')
  })
})

describe('what does nothing here', () => {
  it('is listed with place and reason, once, where it differs from what PgBouncer does by itself', () => {
    const ini = `[databases]
app = auth_user=asker host=10.77.0.1,10.77.0.2 target_session_attrs=read-write
[peers]
1 = host=/tmp/pgbouncer1
[pgbouncer]
logfile = /var/log/pgbouncer.log
unix_socket_dir = /var/run/postgresql
tcp_user_timeout = 3000
tcp_keepcnt = 0
verbose = 0
track_extra_parameters = IntervalStyle, role
server_connect_timeout = 0
auth_query = select 1, $1
listen_addr = 10.77.0.1, 127.0.0.1
`
    const listed = notHonoured(ini).map(({ setting, place }) => `${setting} ${place}`)
    expect(listed).toHaveLength(10)
    expect(new Set(listed)).toEqual(
      new Set([
        `app: auth_user ${INI}:2`,
        `app: target_session_attrs ${INI}:2`,
        `peers ${INI}:4`,
        `logfile ${INI}:6`,
        `unix_socket_dir ${INI}:7`,
        `tcp_user_timeout ${INI}:8`,
        `track_extra_parameters ${INI}:11`,
        `server_connect_timeout ${INI}:12`,
        `auth_query ${INI}:13`,
        `listen_addr ${INI}:14`,
      ]),
    )
    const text = describeConfig(load(ini))
    expect(text).toContain(`${INI}: 10 of what it says are not honoured here`)
    expect(text).toMatch(/pgbouncer\.ini:8: tcp_user_timeout = 3000: Node\.js cannot set it on a socket\n/)
    expect(text.split('tcp_user_timeout')).toHaveLength(2)
    expect(good(ini).config.pool).toMatchObject({ listenAddr: '10.77.0.1', serverConnectTimeoutMs: 15_000 })
  })

  it.each(['any', 'hba', 'ldap', 'pam'])(
    'is no way to authenticate: %s is refused until the config says what counts',
    (type) => {
      const ini = `[pgbouncer]\nauth_type = ${type}\n`
      expect(errors(ini)).toMatchObject([{ file: INI, line: 2, key: 'auth_type', value: type }])
      const { config } = good(ini, '  auth_type: server\n')
      expect(config.pool.authType).toBe('server')
      expect(config.pool.pgbouncer?.notHonoured).toMatchObject([{ setting: 'auth_type', value: type }])
    },
  )

  it('is no password in clear: who had to send one is asked as for md5', () => {
    const { pool } = good('[pgbouncer]\nauth_type = plain\n').config
    expect(pool.authType).toBe('md5')
    expect(pool.pgbouncer?.notHonoured).toMatchObject([{ setting: 'auth_type' }])
  })
})

describe('a line that leads to another server', () => {
  it.each([
    ['a = host=10.77.0.9', '10.77.0.9:5432'],
    ['a = host=10.77.0.1,db.example.net', 'db.example.net:5432'],
    ['a = host=127.0.0.1 port=5000', '127.0.0.1:5000'],
    ['a = port=5000', 'localhost:5000'],
    ['* = host=testserver', 'testserver:5432'],
    ['a = host=10.77.0.1 port=5434', '10.77.0.1:5434'],
  ])('is refused: %s', (line, address) => {
    const [found, ...others] = errors(`[databases]\n${line}\n`)
    expect(others).toEqual([])
    expect(found).toMatchObject({ file: INI, line: 2, value: address })
    expect(found?.remedy).toContain(`cluster_addresses: ['${address}']`)
    expect(errors(`[databases]\n${line}\n`, `  cluster_addresses: ['${address}']\n`)).toEqual([])
  })

  it.each([
    'a =',
    'a = host=/run/postgresql',
    'a = host=10.77.0.3',
    'a = host=localhost port=5433',
    'a = host=::1',
  ])('is not one of this cluster: %s', (line) => expect(errors(`[databases]\n${line}\n`)).toEqual([]))

  it('a name without a port stands for all its ports', () => {
    expect(errors('[databases]\na = host=VIP port=5000\n', '  cluster_addresses: [vip]\n')).toEqual([])
  })
})

describe('a mistake in it', () => {
  it.each([
    ['[pgbouncer]\npol_mode = session', 2, 'did you mean pool_mode?'],
    ['[pgbouncer]\ndefault_pool_size = 5 ; five', 2, 'a comment needs a line of its own'],
    ['[pgbouncer]\nserver_lifetime = 15s', 2, 'without a unit'],
    ['[pgbouncer]\nserver_round_robin = on', 2, 'write 0 or 1'],
    ['[pgbouncer]\nauth_type = kerberos', 2, 'write one of md5'],
    ['[pgbouncer]\n\nfoo', 3, 'name'],
    ['pool_mode = session', 1, '[pgbouncer]'],
    ['[Databases]\na = host=localhost', 2, 'did you mean [databases]?'],
    ['[databases]\na = poolsize=5', 2, 'did you mean pool_size?'],
    ['[databases]\na = pool_size=many', 2, 'a comment'],
    ["[databases]\na = dbname=''", 2, 'single quotes'],
    ['[databases]\npgbouncer = host=localhost', 2, 'another name'],
    ['[users]\na = host=x', 2, 'it has client_idle_timeout'],
    ['[pgbouncer]\n%include nowhere.ini', 2, 'check the path'],
  ])('%j has a place and a remedy', (ini, line, remedy) => {
    const found = errors(ini)
    expect(found).toMatchObject([{ file: INI, line }])
    expect(found[0]?.remedy).toContain(remedy)
  })

  it('is that the file is not there, or includes itself', () => {
    const loaded = load('', '', { [INI]: `[pgbouncer]\n%include ${INI}\n` })
    expect(loaded).toMatchObject({ kind: 'refused', problems: [{ file: INI, line: 2 }] })
    const missing =
      load('').kind === 'ok' &&
      loadConfig({
        path: 'node.yaml',
        readText: (path) =>
          path === 'node.yaml' ? `${NODE}pool: {pgbouncer_ini: /nowhere.ini}\n` : undefined,
        env: {},
      })
    expect(missing).toMatchObject({
      kind: 'refused',
      problems: [{ key: 'pool.pgbouncer_ini', file: 'node.yaml' }],
    })
  })
})

describe('the settings of PgBouncer', () => {
  it('are each read, or judged, or said to do nothing', () => {
    const read = new Set([...Object.keys(INI_KEYS), ...Object.keys(INI_LISTS), 'track_extra_parameters'])
    const honoured = PGBOUNCER_SETTINGS.filter(({ ignoredBecause }) => ignoredBecause === undefined)
    expect(new Set(honoured.map(({ name }) => name))).toEqual(read)
    const names = PGBOUNCER_SETTINGS.map(({ name }) => name)
    expect(names).toEqual(names.toSorted((one, other) => (one < other ? -1 : 1)))
  })

  it('with the values that it has by itself are all taken, and nothing is listed', () => {
    const lines = PGBOUNCER_SETTINGS.map(({ name, fallback }) => `${name} = ${fallback}`)
    // An address is empty only where there are Unix sockets.
    const ini = ['[pgbouncer]', ...lines].filter((line) => line !== 'listen_addr = ').join('\n')
    expect(notHonoured(ini)).toEqual([])
  })

  it('are all known that its own example names, every comment tried', () => {
    const path = new URL('../../../test/fixtures/config/pgbouncer-example.ini', import.meta.url)
    const example = readFileSync(path, 'utf8')
    const [, settings = ''] = example.split('[pgbouncer]')
    const tried = settings.replaceAll(/^;\s?([a-z0-9_]+ =)/gm, '$1').replaceAll('<system default>', '')
    expect(tried.split('\n').filter((line) => /^\w+ =/.test(line)).length).toBeGreaterThan(70)
    expect(errors(`[pgbouncer]${tried}`)).toEqual([])
    expect(good(example).config.pool.onlyListedDatabases).toBe(false)
  })
})
