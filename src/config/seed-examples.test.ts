import { describe, expect, it } from 'vitest'
import { readFileSync } from '../platform/disk.ts'
import { describeConfig } from './describe-config.ts'
import { type ConfigInput, loadConfig, type LoadedConfig } from './load-config.ts'

const ROOT = new URL('../../', import.meta.url).pathname
const SEEDS = 'test/fixtures/config/seeds'

function load(path: string, more: Partial<ConfigInput> = {}): LoadedConfig {
  const readText = (file: string): string | undefined => {
    try {
      return readFileSync(file.startsWith('/') ? file : ROOT + file, 'utf8')
    } catch {
      return undefined
    }
  }
  return loadConfig({ path, readText, env: {}, cwd: '/', fileExists: () => true, ...more })
}

const told = (loaded: LoadedConfig) => (loaded.kind === 'ok' ? loaded.warnings : loaded.problems)
const keysOf = (loaded: LoadedConfig) =>
  told(loaded).map(({ severity, line, key }) => `${severity} ${line} ${key}`)

/** The config that a refusal offers, read as if somebody had followed its advice. */
function followed(loaded: LoadedConfig, change: (text: string) => string = (text) => text): LoadedConfig {
  const text = told(loaded)[0]?.replacement
  if (text === undefined) throw new Error('the problem offers no config')
  const files: Readonly<Record<string, string>> = { 'new.yaml': change(text) }
  return loadConfig({
    path: 'new.yaml',
    readText: (path) => files[path] ?? (path.endsWith('password') ? 'a-secret-of-my-own\n' : undefined),
    env: {},
  })
}

describe('the example of the README (three nodes, nested, pair mode on, TLS)', () => {
  it('loads once its certificates exist; pair mode is ignored and that is explained', () => {
    const loaded = load(`${SEEDS}/readme-nested.yaml`)
    expect(loaded.kind).toBe('ok')
    expect(keysOf(loaded)).toEqual([
      'warning 12 postgresql.data_dir',
      'warning 16 local_db.password',
      'warning 16 security.cluster_secret',
      'warning 34 coordination.cluster_mode.heartbeat_interval',
      'warning 35 coordination.cluster_mode.communication_timeout',
      'warning 40 coordination.pair_mode.enable',
    ])
    const { config } = loaded as LoadedConfig & { kind: 'ok' }
    expect(config.pairMode.enable).toBe(false)
    expect(config.members.map(({ apiHost, roleHint }) => [apiHost, roleHint])).toEqual([
      ['192.168.1.102', 'standby'],
      ['192.168.1.103', 'standby'],
    ])
    expect(config.coordination).toMatchObject({ failoverTimeoutMs: 30_000, minConsensusNodes: 2 })
    expect(config.loadBalancer.readTimeoutMs).toBe(10_000)
  })

  it('is refused as it stands, since its certificates are placeholders, and says how to start without', () => {
    const loaded = load(`${SEEDS}/readme-nested.yaml`, { fileExists: () => false })
    expect(keysOf(loaded).filter((one) => one.startsWith('error'))).toEqual([
      'error 59 security.cert_file',
      'error 60 security.key_file',
    ])
    const text = describeConfig(loaded)
    expect(text).toContain('placeholder from an example')
    expect(text).toContain('tls_enabled: false')
  })
})

describe('the examples of the deployment guide', () => {
  it('node 1 (flat coordination) loads like the nested form', () => {
    const flat = load(`${SEEDS}/distributed-node1.yaml`) as LoadedConfig & { kind: 'ok' }
    const nested = load(`${SEEDS}/readme-nested.yaml`) as LoadedConfig & { kind: 'ok' }
    expect(flat.kind).toBe('ok')
    expect(flat.config.coordination).toEqual(nested.config.coordination)
    expect(flat.config.identity).toEqual(nested.config.identity)
  })

  it('node 2 ("the same sections as node 1" left out) loads with the defaults of those sections', () => {
    const loaded = load(`${SEEDS}/distributed-node2.yaml`) as LoadedConfig & { kind: 'ok' }
    expect(loaded.kind).toBe('ok')
    expect(loaded.config.localDb.roleHint).toBe('standby')
    expect(loaded.config.members.map(({ roleHint }) => roleHint)).toEqual(['primary', 'standby'])
    expect(loaded.origins.get('health_check.interval')).toEqual({ kind: 'default' })
    expect(loaded.config.security.tlsEnabled).toBe(false)
  })
})

describe('a pair with the old names', () => {
  it('loads, names the new keys, and says that two nodes cannot fail over by themselves', () => {
    const loaded = load(`${SEEDS}/pair.yaml`) as LoadedConfig & { kind: 'ok' }
    expect(loaded.kind).toBe('ok')
    expect(loaded.config.pairMode).toEqual({ enable: true, failoverDelayMs: 10_000, failureThreshold: 3 })
    expect(loaded.warnings.map(({ code }) => code)).toContain('TWO_NODES')
    const text = describeConfig(loaded)
    for (const key of ['enable', 'failover_delay', 'failure_threshold']) {
      expect(text).toContain(`write it as coordination.pair_mode.${key}`)
    }
  })
})

describe('the older form with nodes[]', () => {
  it('is refused with a config that loads on every node', () => {
    const loaded = load(`${SEEDS}/older-nodes.yaml`)
    expect(keysOf(loaded)).toEqual(['error 2 nodes'])
    const text = describeConfig(loaded)
    expect(text).toContain('only identity.node_name differs')
    expect(text).toContain('  - node_name: postgres-slave2\n    api_host: postgres-slave2\n')
    for (const name of ['postgres-master', 'postgres-slave1', 'postgres-slave2']) {
      const node = followed(loaded, (it) => it.replace(/node_name: \S+/, `node_name: ${name}`))
      expect(node.kind, describeConfig(node)).toBe('ok')
      const { config } = node as LoadedConfig & { kind: 'ok' }
      expect(config.identity.advertiseHost).toBe(name)
      expect(config.localDb.roleHint).toBe(name === 'postgres-master' ? 'primary' : 'standby')
      expect(config.healthCheck).toEqual({ intervalMs: 30_000, timeoutMs: 10_000, failureThreshold: 3 })
      expect(config.localDb.database).toBe('myapp')
    }
  })
})

describe('a patroni.yml', () => {
  it('loads as it is, and says once of each key that does nothing here why', () => {
    const loaded = load(`${SEEDS}/patroni.yml`)
    expect(keysOf(loaded)).toEqual([
      'warning 9 etcd',
      'warning 15 bootstrap.dcs.loop_wait',
      'warning 16 bootstrap.dcs.retry_timeout',
      'warning 73 postgresql.pgpass',
      'warning 77 replication.password',
      'warning 80 local_db.password',
      'warning 80 security.cluster_secret',
    ])
    expect(describeConfig(loaded)).not.toContain('change_me')
    const { config } = loaded as LoadedConfig & { kind: 'ok' }
    expect(config).toMatchObject({
      scope: 'postgres-cluster',
      namespace: '/service/',
      identity: { nodeName: 'node1', apiHost: '0.0.0.0', apiPort: 8008, advertiseHost: 'node1' },
      etcd: { endpoints: ['http://node1:2379'] },
      members: [],
      localDb: { host: 'localhost', port: 5432, username: 'postgres' },
      replication: { username: 'replicator', maximumLagOnFailoverBytes: 1_048_576 },
      ha: { leaseTtlMs: 30_000, primaryStartTimeoutMs: 300_000 },
      router: { enabled: false },
      watchdog: { mode: 'automatic', safetyMarginMs: 5000 },
      bootstrap: {
        users: [{ name: 'admin', options: ['createrole', 'createdb'] }],
        initdb: ['--encoding=UTF8', '--data-checksums'],
      },
    })
    expect(config.replication).not.toHaveProperty('acks')
    expect(config).not.toHaveProperty('tags')
    expect(config.postgresql).toMatchObject({
      dataDir: '/var/lib/postgresql/14/main',
      binDir: '/usr/lib/postgresql/14/bin',
      listenAddresses: ['0.0.0.0'],
      pgHba: ['host replication replicator 0.0.0.0/0 md5', 'host all all 0.0.0.0/0 md5'],
    })
    expect(config.postgresql.parameters).toMatchObject({ shared_buffers: '2GB', hot_standby_feedback: 'on' })
    expect(config.postgresql.parameters).not.toHaveProperty('hot_standby')
  })
})

describe('examples/three-hosts', () => {
  it('loads on each of its nodes without a warning, and all agree', () => {
    for (const number of [1, 2, 3]) {
      const path = `examples/three-hosts/node${number}.yaml`
      const secret = `a-long-random-secret-of-${number}`
      const loaded = load(path, {
        readText: (file) => (file.includes('/secrets/') ? secret : readFileSync(ROOT + file, 'utf8')),
      })
      expect(describeConfig(loaded)).toMatch(/config is valid$/)
      const { config } = loaded as LoadedConfig & { kind: 'ok' }
      expect(config.identity).toEqual({
        nodeName: `node${number}`,
        apiHost: '0.0.0.0',
        apiPort: 8008,
        advertiseHost: `10.77.0.${number}`,
      })
      expect(config.localDb.roleHint).toBe(number === 1 ? 'primary' : 'standby')
      expect(config.members).toHaveLength(2)
      expect(config.bootstrap.databases).toEqual([{ name: 'app', owner: 'app' }])
    }
  })
})
