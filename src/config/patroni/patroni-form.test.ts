import { describe, expect, it } from 'vitest'
import type { NodeConfig } from '../node-config.ts'
import { loadConfig, type LoadedConfig } from '../load-config.ts'
import { parseHostPort } from './host-port.ts'
import { PATRONI_KEYS } from './patroni-keys.ts'

/** The least that Patroni takes; what a test is about starts at line 13. */
const BASE = `scope: demo
name: node1
restapi:
  listen: 10.0.0.1:8008
etcd3: {hosts: "10.0.0.9:2379"}
postgresql:
  listen: 0.0.0.0:5432
  data_dir: /srv/data
  authentication:
    superuser: {username: postgres, password: correct-horse-battery}
    replication: {username: standby, password: battery-staple-horse}
security: {cluster_secret: 0123456789abcdef}
`
const WITHOUT_STORE = BASE.replace(/^etcd3.*\n/m, '')

type Files = Readonly<Record<string, string>>
type Env = Readonly<Record<string, string>>

function loadFiles(files: Files, env: Env = {}, path = 'patroni.yml'): LoadedConfig {
  const inFolder = (folder: string) =>
    Object.keys(files)
      .filter((name) => name.startsWith(`${folder}/`))
      .map((name) => name.slice(folder.length + 1))
  return loadConfig({
    path,
    readText: (file) => files[file],
    listFolder: (folder) => (inFolder(folder).length > 0 ? inFolder(folder) : undefined),
    env,
    fileExists: () => true,
  })
}

const load = (text: string, env: Env = {}): LoadedConfig => loadFiles({ 'patroni.yml': text }, env)

function configOf(text: string, env: Env = {}): NodeConfig {
  const loaded = load(text, env)
  if (loaded.kind === 'refused') throw new Error(loaded.problems.map(({ rule }) => rule).join('; '))
  return loaded.config
}

/** `severity key` of all that is told. */
function toldOf(text: string, env: Env = {}): readonly string[] {
  const loaded = load(text, env)
  return (loaded.kind === 'ok' ? loaded.warnings : loaded.problems).map(
    ({ severity, key }) => `${severity} ${key}`,
  )
}

describe("Patroni's form", () => {
  it('is taken without a word where all of it means the same here', () => {
    expect(toldOf(BASE)).toEqual([])
    expect(configOf(BASE)).toMatchObject({
      scope: 'demo',
      namespace: '/service/',
      identity: { nodeName: 'node1', apiHost: '10.0.0.1', apiPort: 8008 },
      etcd: { endpoints: ['http://10.0.0.9:2379'] },
      localDb: { port: 5432, username: 'postgres', password: 'correct-horse-battery' },
      replication: { username: 'standby', password: 'battery-staple-horse' },
    })
  })

  it("has Patroni's defaults, and whoever wants ours says so in a section of ours", () => {
    expect(configOf(BASE)).toMatchObject({
      ha: { leaseTtlMs: 30_000, primaryStartTimeoutMs: 300_000 },
      router: { enabled: false },
      watchdog: { mode: 'automatic', safetyMarginMs: 5000 },
    })
    const own = `${BASE}ha: {lease_ttl: 3s, primary_start_timeout: 0}\nrouter: {enabled: true}\nreplication: {mode: quorum}\n`
    expect(configOf(own)).toMatchObject({
      ha: { leaseTtlMs: 3000, primaryStartTimeoutMs: 0 },
      router: { enabled: true },
      replication: { acks: { method: 'ANY', wantedK: 1 } },
    })
  })

  it('takes a ttl above thirty seconds', () => {
    expect(configOf(`${BASE}bootstrap: {dcs: {ttl: 60}}\n`).ha.leaseTtlMs).toBe(60_000)
  })

  it.each([
    ['on', { method: 'FIRST', isStrict: false, wantedK: 1 }],
    ['quorum', { method: 'ANY', isStrict: false, wantedK: 1 }],
    ['off', undefined],
  ])('reads synchronous_mode %s', (mode, acks) => {
    expect(configOf(`${BASE}bootstrap: {dcs: {synchronous_mode: ${mode}}}\n`).replication.acks).toEqual(acks)
  })

  it('keeps the order of Patroni among parameters: the file before what all begin with, but not for what all share', () => {
    const text = BASE.replace(
      'postgresql:\n',
      `bootstrap: {dcs: {postgresql: {parameters: {work_mem: 1MB, max_connections: 50, hot_standby: on}}}}
postgresql:
  parameters: {work_mem: 2MB, max_connections: 70}\n`,
    )
    expect(configOf(text).postgresql.parameters).toEqual({ work_mem: '2MB', max_connections: '50' })
    expect(toldOf(text)).toEqual(['warning postgresql.parameters.max_connections'])
  })

  it('reads watchdog and tags, and a margin of half the ttl', () => {
    const text = `${BASE}watchdog: {mode: required, safety_margin: -1}\ntags: {nofailover: true, clonefrom: false}\n`
    expect(configOf(text)).toMatchObject({
      watchdog: { mode: 'required', safetyMarginMs: 15_000 },
      tags: { nofailover: true },
    })
    expect(toldOf(text)).toEqual([])
  })

  it('speaks TLS with the certificate of the REST API', () => {
    const text = BASE.replace(
      'restapi:\n',
      'restapi:\n  certfile: /etc/c.pem\n  keyfile: /etc/k.pem\n  authentication: {username: admin, password: a-long-password-here}\n',
    )
    expect(configOf(text).security).toMatchObject({
      tlsEnabled: true,
      certFile: '/etc/c.pem',
      apiToken: 'a-long-password-here',
    })
  })

  it('listens where it says, and is reached where it says', () => {
    const text = BASE.replace('10.0.0.1:8008', "'[::]:8018'\n  connect_address: node1.lan:8018").replace(
      '0.0.0.0:5432',
      '10.0.0.1,127.0.0.2:5433',
    )
    expect(configOf(text)).toMatchObject({
      identity: { apiHost: '::', apiPort: 8018, advertiseHost: 'node1.lan' },
      localDb: { host: '10.0.0.1', port: 5433 },
      postgresql: { listenAddresses: ['10.0.0.1', '127.0.0.2'] },
    })
  })

  it('refuses addresses that differ in a way that others could not follow', () => {
    const elsewhere = BASE.replace('0.0.0.0:5432', '0.0.0.0:5432\n  connect_address: db1:6000')
    expect(toldOf(elsewhere)).toEqual(['error postgresql.connect_address'])
    const other = BASE.replace('10.0.0.1:8008', '10.0.0.1:8008\n  connect_address: api1:8008').replace(
      '0.0.0.0:5432',
      '0.0.0.0:5432\n  connect_address: db1:5432',
    )
    expect(toldOf(other)).toEqual(['error postgresql.connect_address'])
  })

  it('takes out the roles that are created anyway', () => {
    const text = `${BASE}bootstrap: {users: {standby: {password: x}, postgres: {password: y}, app: {password: z-of-the-app, options: [createdb]}}}\n`
    expect(configOf(text).bootstrap.users).toEqual([
      { name: 'app', password: 'z-of-the-app', options: ['createdb'] },
    ])
  })
})

describe('a store', () => {
  it.each(['consul', 'zookeeper', 'exhibitor', 'kubernetes', 'raft'])(
    'that cannot serve here, %s, stops the start with the ways out',
    (name) => {
      const loaded = load(`${WITHOUT_STORE}${name}: {host: h}\n`)
      if (loaded.kind === 'ok') throw new Error('it was taken')
      const errors = loaded.problems.filter(({ severity }) => severity === 'error')
      expect(errors.map(({ key }) => key)).toEqual([name])
      expect(errors[0]?.remedy).toMatch(/etcd3.*cluster_members/)
    },
  )

  it('must be named, or the nodes listed for the built-in consensus', () => {
    expect(toldOf(WITHOUT_STORE)).toEqual(['error ', 'warning cluster_members'])
    const listed = `${WITHOUT_STORE}cluster_members: [{node_name: node2, api_host: 10.0.0.2}, {node_name: node3, api_host: 10.0.0.3}]\n`
    expect(configOf(listed)).not.toHaveProperty('etcd')
    expect(configOf(listed).members).toHaveLength(2)
  })

  it('of version 2 is asked by version 3, and that is said', () => {
    const text = `${WITHOUT_STORE}etcd: {hosts: [a:2379, b], protocol: https, cacert: /etc/ca.pem}\n`
    expect(toldOf(text)).toEqual(['warning etcd'])
    expect(configOf(text).etcd).toEqual({
      endpoints: ['https://a:2379', 'https://b:2379'],
      caFile: '/etc/ca.pem',
    })
  })

  it.each(['{host: "a:2379"}', '{url: "http://a:2379"}', '{proxy: "http://a:2379"}', '{hosts: "a:2379"}'])(
    'is found by %s',
    (section) => {
      expect(configOf(`${WITHOUT_STORE}etcd3: ${section}\n`).etcd?.endpoints).toEqual(['http://a:2379'])
    },
  )
})

describe('the environment', () => {
  it('goes before the file, and leaves alone what applications read', () => {
    const env = {
      PATRONI_NAME: 'node7',
      PATRONI_RESTAPI_LISTEN: '10.0.0.7:8007',
      PATRONI_ETCD3_HOSTS: '10.0.0.8:2379,10.0.0.9:2379',
      PATRONI_SUPERUSER_PASSWORD: 'another-password',
      PATRONI_POSTGRESQL_DATA_DIR: '/srv/seven',
      PATRONI_LOG_LEVEL: 'DEBUG',
      PATRONI_HOSTS: 'a,b',
    }
    expect(toldOf(BASE, env)).toEqual([])
    expect(configOf(BASE, env)).toMatchObject({
      identity: { nodeName: 'node7', apiHost: '10.0.0.7', apiPort: 8007 },
      etcd: { endpoints: ['http://10.0.0.8:2379', 'http://10.0.0.9:2379'] },
      localDb: { password: 'another-password' },
      postgresql: { dataDir: '/srv/seven' },
      logging: { level: 'debug' },
    })
  })

  it('has roles of the bootstrap too', () => {
    const env = { PATRONI_app_PASSWORD: 'a-password-of-the-app', PATRONI_app_OPTIONS: 'createdb,createrole' }
    expect(toldOf(BASE, env)).toEqual([])
    expect(configOf(BASE, env).bootstrap.users).toEqual([
      { name: 'app', password: 'a-password-of-the-app', options: ['createdb', 'createrole'] },
    ])
  })

  it('names a variable that is none', () => {
    const loaded = load(BASE, { PATRONI_SCOPES: 'x' })
    expect(loaded.kind === 'ok' && loaded.warnings[0]).toMatchObject({
      file: 'environment variable PATRONI_SCOPES',
    })
  })

  it('may be the whole file, and then no other variable counts', () => {
    const env = { PATRONI_CONFIGURATION: BASE, PATRONI_NAME: 'node9' }
    const loaded = loadFiles({}, env)
    expect(loaded.kind === 'ok' && loaded.config.identity.nodeName).toBe('node1')
  })
})

describe('access to the API', () => {
  const withTls = (lines: string) =>
    `${BASE.replace('  listen: 10.0.0.1:8008\n', `  listen: 10.0.0.1:8008\n  certfile: /tls/a.crt\n  keyfile: /tls/a.key\n${lines}`)}ctl: {cacert: /tls/ca.crt, certfile: /tls/c.crt, keyfile: /tls/c.key, insecure: on}\n`

  it('is what Patroni makes of the same keys', () => {
    const text = withTls(
      '  cafile: /tls/ca.crt\n  verify_client: optional\n  allowlist: [10.0.0.0/8, db1, "fd00::1"]\n  allowlist_include_members: true\n  http_extra_headers: {X-A: 1}\n  https_extra_headers: {X-B: 2}\n',
    )
    expect(toldOf(text)).toEqual([])
    expect(configOf(text)).toMatchObject({
      security: {
        verifyClient: 'optional',
        allowlist: ['10.0.0.0/8', 'db1', 'fd00::1'],
        allowlistIncludeMembers: true,
        extraHeaders: { 'X-A': '1', 'X-B': '2' },
      },
      ctl: { caFile: '/tls/ca.crt', certFile: '/tls/c.crt', keyFile: '/tls/c.key', isInsecure: true },
    })
    const env = { PATRONI_RESTAPI_ALLOWLIST: '10.0.0.1, 10.0.0.2', PATRONI_CTL_INSECURE: 'on' }
    expect(configOf(BASE, env)).toMatchObject({
      security: { allowlist: ['10.0.0.1', '10.0.0.2'] },
      ctl: { isInsecure: true },
    })
  })

  it('has the headers for https where it speaks TLS alone', () => {
    const section = 'restapi:\n  http_extra_headers: {X-A: 1}\n  https_extra_headers: {X-B: 2}\n'
    expect(configOf(BASE.replace('restapi:\n', section)).security.extraHeaders).toEqual({ 'X-A': '1' })
  })

  it.each([
    ['  verify_client: required\n', 'security.verify_client'],
    ['  cafile: /tls/ca.crt\n  verify_client: sometimes\n', 'security.verify_client'],
    ['  allowlist: [10.0.0.0/33]\n', 'security.allowlist[0]'],
    ['  allowlist: ["http://db1"]\n', 'security.allowlist[0]'],
    ['  http_extra_headers: {"X A": 1}\n', 'security.http_extra_headers.***'],
    ['  http_extra_headers: {Content-Length: 1}\n', 'security.http_extra_headers.Content-Length'],
    ['  http_extra_headers: {X-A: "a\\nb"}\n', 'security.http_extra_headers.X-A'],
  ])('%j is refused', (lines, key) => {
    expect(toldOf(withTls(lines))).toEqual([`error ${key}`])
  })

  it('is refused where certificates are asked for without TLS, or one is shown without its key', () => {
    expect(
      toldOf(
        `${BASE}security: {verify_client: required}\n`.replace(
          'security: {cluster_secret: 0123456789abcdef}\n',
          '',
        ),
      ),
    ).toContain('error security.verify_client')
    expect(toldOf(`${BASE}ctl: {certfile: /tls/c.crt}\n`)).toEqual(['error ctl'])
  })
})

describe('callbacks', () => {
  const withCallbacks = (section: string) =>
    BASE.replace('  data_dir:', `  callbacks: ${section}\n  data_dir:`)

  it('are read as words, in which a quote holds blanks together', () => {
    expect(toldOf(withCallbacks('{on_start: /opt/vip.sh}'))).toEqual([])
    const { callbacks } = configOf(
      withCallbacks('{on_role_change: /opt/vip.sh "eth 0" up, on_stop: /opt/off}'),
    ).postgresql
    expect(callbacks).toEqual({
      commands: { on_role_change: ['/opt/vip.sh', 'eth 0', 'up'], on_stop: ['/opt/off'] },
      timeoutMs: 60_000,
    })
  })

  it.each(['{on_failover: /opt/x}', '{on_stop: "/opt/x \'y"}', '{on_stop: "\'"}'])(
    '%s is refused',
    (section) => {
      expect(toldOf(withCallbacks(section))).toHaveLength(1)
      expect(toldOf(withCallbacks(section))[0]).toMatch(/^error postgresql\.callbacks\.on_/)
    },
  )
})

describe('a folder', () => {
  it('is read in the order of its names, the later ones win', () => {
    const files = {
      'conf/20-node.yaml': 'name: node4\nrestapi: {listen: "10.0.0.4:8008"}\n',
      'conf/10-base.yml': BASE,
      'conf/notes.txt': 'no: config',
    }
    const loaded = loadFiles(files, {}, 'conf')
    expect(loaded.kind === 'ok' && loaded.config).toMatchObject({
      identity: { nodeName: 'node4', apiHost: '10.0.0.4' },
      localDb: { username: 'postgres' },
    })
  })

  it('without a config in it is an error that says so', () => {
    const loaded = loadFiles({ 'conf/notes.txt': '' }, {}, 'conf')
    expect(loaded.kind === 'refused' && loaded.problems[0]?.rule).toContain('in the folder conf')
  })
})

describe('nothing is passed over silently', () => {
  /** Where a key is known to mean nothing at this value, something else stands in its place. */
  const VALUE: Readonly<Record<string, string>> = {
    'bootstrap.method': 'wal_g',
    'bootstrap.dcs.check_timeline': 'false',
    'postgresql.use_unix_socket': 'false',
    'postgresql.use_pg_rewind': 'false',
    'bootstrap.dcs.postgresql.use_pg_rewind': 'false',
    'log.type': 'plain',
    'postgresql.authentication.replication.sslmode': 'verify-full',
    'tags.sync_priority': '7',
  }
  const told = Object.entries(PATRONI_KEYS).filter(([, { kind }]) => kind === 'idle' || kind === 'absent')

  it.each(told.map(([name, rule]) => [name, rule] as const))('%s', (name, rule) => {
    const value = VALUE[name] ?? 'true'
    const env = {}
    const words = name.split('.')
    const last = words.pop() ?? ''
    const isSection = Object.keys(PATRONI_KEYS).some((known) => known.startsWith(`${name}.`))
    const leaf = isSection ? `{${last}: {something: x}}` : `{${last}: ${value}}`
    const text = words.reduceRight((below, word) => `{${word}: ${below}}`, leaf)
    const loaded = loadFiles(
      { 'patroni.yml': `include: rest.yml\n${text.slice(1, -1)}\n`, 'rest.yml': BASE },
      env,
    )
    const found = (loaded.kind === 'ok' ? loaded.warnings : loaded.problems).find(
      ({ key }) => key === name || key === `${name}.something`,
    )
    expect(found?.severity, name).toBe(rule.kind === 'idle' ? 'warning' : 'error')
    expect(found?.remedy).not.toBe('')
  })

  it('also a key that Patroni does not have', () => {
    expect(toldOf(`${BASE}standby: {x: 1}\n`)).toEqual(['warning standby'])
  })
})

describe('host and port', () => {
  it.each([
    ['10.0.0.1:8008', { host: '10.0.0.1', port: '8008' }],
    ['[::1]:8008', { host: '::1', port: '8008' }],
    ['*:5432', { host: '*', port: '5432' }],
    ['0.0.0.0,::1:5432', { host: '0.0.0.0,::1', port: '5432' }],
    ['db1', { host: 'db1' }],
    ['fe80::1', { host: 'fe80::1' }],
    [':::8008', { host: '::', port: '8008' }],
    ['http://x:1', undefined],
    [':8008', undefined],
  ])('%s', (text, found) => expect(parseHostPort(text)).toEqual(found))
})
