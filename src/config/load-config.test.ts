import { describe, expect, it } from 'vitest'
import { formatProblems } from './format-problems.ts'
import { type ConfigInput, loadConfig, type LoadedConfig } from './load-config.ts'
import { NO_TLS } from '../model/tls-settings.ts'
import type { NodeConfig } from './node-config.ts'
import { nodeMode } from './node-mode.ts'

const MEMBERS = `cluster_members:
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
`
const SMALLEST = `identity: {node_name: node1}
local_db: {password: correct-horse}
${MEMBERS}`

function load(files: Record<string, string>, more: Partial<ConfigInput> = {}): LoadedConfig {
  return loadConfig({ path: '/etc/pg/main.yaml', readText: (path) => files[path], env: {}, ...more })
}

function loadText(text: string, more: Partial<ConfigInput> = {}): LoadedConfig {
  return load({ '/etc/pg/main.yaml': text }, more)
}

function good(loaded: LoadedConfig): LoadedConfig & { kind: 'ok' } {
  if (loaded.kind === 'refused') throw new Error(formatProblems(loaded.problems, loaded.sources))
  return loaded
}

const told = (loaded: LoadedConfig) => (loaded.kind === 'ok' ? loaded.warnings : loaded.problems)

describe('the smallest useful config', () => {
  it('has a value for every key', () => {
    const { config } = good(loadText(SMALLEST))
    expect(config).toEqual({
      scope: 'pg-metako',
      namespace: '/service/',
      identity: { nodeName: 'node1', apiHost: '0.0.0.0', apiPort: 8008 },
      localDb: {
        name: 'node1',
        host: 'localhost',
        port: 5432,
        roleHint: 'standby',
        username: 'postgres',
        password: 'correct-horse',
        database: 'postgres',
      },
      members: [
        { nodeName: 'node2', apiHost: '10.77.0.2', apiPort: 8008, roleHint: 'standby' },
        { nodeName: 'node3', apiHost: '10.77.0.3', apiPort: 8008, roleHint: 'standby' },
      ],
      coordination: {
        heartbeatIntervalMs: 100,
        communicationTimeoutMs: 1000,
        failoverTimeoutMs: 30_000,
        minConsensusNodes: 2,
        localNodePreference: 0.8,
      },
      pairMode: { enable: false, failoverDelayMs: 10_000, failureThreshold: 3 },
      healthCheck: { intervalMs: 2000, timeoutMs: 2000, failureThreshold: 3 },
      loadBalancer: { algorithm: 'round_robin', readTimeoutMs: 0, writeTimeoutMs: 0 },
      security: {
        tlsEnabled: false,
        allowlist: [],
        allowlistIncludeMembers: false,
        verifyClient: 'none',
        extraHeaders: {},
      },
      ctl: { isInsecure: false },
      postgresql: {
        listenAddresses: ['*'],
        parameters: {},
        pgHba: ['host all all 0.0.0.0/0 scram-sha-256', 'host all all ::/0 scram-sha-256'],
        startTimeoutMs: 300_000,
        stopTimeoutMs: 60_000,
        callbacks: { commands: {}, timeoutMs: 60_000 },
      },
      replication: {
        username: 'replicator',
        maximumLagOnFailoverBytes: 1_048_576,
        useSlots: true,
        acks: { method: 'ANY', isStrict: false },
      },
      bootstrap: { users: [], databases: [], initdb: [] },
      ha: {
        profile: 'lan',
        leaseTtlMs: 3000,
        primaryStartTimeoutMs: 0,
        storeGraceMs: 30_000,
        drainTimeoutMs: 2000,
        fencing: 'required',
      },
      watchdog: { mode: 'off', device: '/dev/watchdog', safetyMarginMs: 100 },
      router: {
        enabled: true,
        listenHost: '0.0.0.0',
        primaryPort: 5433,
        replicaPort: 5434,
        pooledPort: 6432,
        holdTimeoutMs: 30_000,
        maxClientConnections: 1000,
        workers: 1,
        drainTimeoutMs: 300_000,
        tls: NO_TLS,
      },
      pool: {
        poolMode: 'transaction',
        defaultPoolSize: 20,
        minPoolSize: 0,
        reservePoolSize: 0,
        reservePoolTimeoutMs: 5000,
        maxDbConnections: 0,
        maxUserConnections: 0,
        maxDbClientConnections: 0,
        maxUserClientConnections: 0,
        maxPreparedStatements: 200,
        queryWaitTimeoutMs: 120_000,
        queryTimeoutMs: 0,
        transactionTimeoutMs: 0,
        idleTransactionTimeoutMs: 0,
        clientIdleTimeoutMs: 0,
        clientLoginTimeoutMs: 60_000,
        serverIdleTimeoutMs: 600_000,
        serverLifetimeMs: 3_600_000,
        serverConnectTimeoutMs: 15_000,
        serverResetQuery: 'DISCARD ALL',
        serverResetQueryAlways: false,
        serverRoundRobin: false,
        applicationNameAddHost: false,
        ignoreStartupParameters: [],
        onlyListedDatabases: false,
        readWriteSplit: false,
        consistency: 'session',
        maxReplicaLagBytes: 16 * 1024 * 1024,
        maxReplicaLagMs: 0,
        trackStatements: false,
        logMinDurationMs: 0,
        readFunctions: [],
        writeFunctions: [],
        authType: 'md5',
        authQuery: expect.stringContaining('pg_authid'),
        adminUsers: [],
        statsUsers: [],
        databases: [],
        users: [],
      },
      logging: { level: 'info', statusIntervalMs: 30_000 },
      paths: { stateDir: '/etc/pg/node1.metako', runDir: '/etc/pg/node1.metako/run' },
    } satisfies NodeConfig)
  })

  it('warns that it is attached and that the cluster secret is derived', () => {
    expect(told(loadText(SMALLEST)).map(({ code }) => code)).toEqual(['ATTACHED', 'CLUSTER_SECRET_DERIVED'])
  })
})

describe('how commits wait, where nobody says it', () => {
  const acksOf = (members: string) =>
    good(loadText(SMALLEST.replace(MEMBERS, `cluster_members: ${members}\n`))).config.replication.acks

  it('is for one of the standbys with three members, and for nobody with one', () => {
    const [node2, node3] = ['node2', 'node3'].map((name) => `{node_name: ${name}, api_host: ${name}.test}`)
    expect(acksOf(`[${node2}, ${node3}]`)).toEqual({ method: 'ANY', isStrict: false })
    expect(acksOf('[]')).toBeUndefined()
  })

  it('is what is written, also with three', () => {
    expect(good(loadText(`${SMALLEST}replication: {mode: async}\n`)).config.replication.acks).toBeUndefined()
  })
})

describe('the values of a config', () => {
  const read = (text: string): NodeConfig => good(loadText(SMALLEST + text)).config

  it('are read with the units that people write', () => {
    const config = read(`health_check: {interval: 1m30s, timeout: 1500ms}
replication: {maximum_lag_on_failover: 16MB}
router: {hold_timeout: 5}
`)
    expect(config.healthCheck).toMatchObject({ intervalMs: 90_000, timeoutMs: 1500 })
    expect(config.replication.maximumLagOnFailoverBytes).toBe(16 * 1024 * 1024)
    expect(config.router.holdTimeoutMs).toBe(5000)
  })

  it('keep secrets letter by letter, whatever YAML would make of them', () => {
    for (const password of ['0777', '1e3', 'yes', '1_000', '0x1F', '2026-11-21', '12:30']) {
      const config = good(loadText(SMALLEST.replace('correct-horse', password))).config
      expect(config.localDb.password).toBe(password)
    }
  })

  it('know both families of words for the roles', () => {
    const words = {
      master: 'primary',
      leader: 'primary',
      primary: 'primary',
      slave: 'standby',
      replica: 'standby',
    }
    for (const [word, role] of Object.entries(words)) {
      const text = SMALLEST.replace('correct-horse', `correct-horse, role: ${word}`)
      expect(good(loadText(text)).config.localDb.roleHint).toBe(role)
    }
  })

  it('are the same in the flat and in the nested form of coordination', () => {
    const flat = read(
      'coordination: {heartbeat_interval: 200ms, failover_timeout: 20s, local_node_preference: 0.5}\n',
    )
    const nested = read(
      'coordination: {cluster_mode: {heartbeat_interval: 200ms, failover_timeout: 20s, local_node_preference: 0.5}}\n',
    )
    expect(flat.coordination).toEqual(nested.coordination)
    expect(flat.coordination).toMatchObject({ heartbeatIntervalMs: 200, localNodePreference: 0.5 })
  })

  it('take users and databases as lists and as mappings', () => {
    const asMap = read(`bootstrap:
  users: {app: {password: s3cret-of-app, options: [createdb]}}
  databases: {app: {owner: app}, reports: }
`)
    const asList = read(`bootstrap:
  users:
    - {name: app, password: s3cret-of-app, options: createdb}
  databases:
    - {name: app, owner: app}
    - name: reports
`)
    expect(asMap.bootstrap).toEqual(asList.bootstrap)
    expect(asMap.bootstrap.databases).toEqual([
      { name: 'app', owner: 'app' },
      { name: 'reports', owner: 'postgres' },
    ])
  })

  it("take initdb's options in every usual form", () => {
    const config = read('bootstrap: {initdb: [data-checksums, encoding: UTF8, --locale=C]}\n')
    expect(config.bootstrap.initdb).toEqual(['--data-checksums', '--encoding=UTF8', '--locale=C'])
  })

  it('keep parameters as PostgreSQL will read them', () => {
    const config = read(
      'postgresql: {parameters: {fsync: on, work_mem: 16MB, max_connections: 200, my.flag: yes}}\n',
    )
    expect(config.postgresql.parameters).toEqual({
      fsync: 'on',
      work_mem: '16MB',
      max_connections: '200',
      'my.flag': 'yes',
    })
  })

  it('follow the profile where nothing else is said', () => {
    const config = read('ha: {profile: noisy}\n')
    expect(config.ha.leaseTtlMs).toBe(9000)
    expect(config.coordination).toMatchObject({ heartbeatIntervalMs: 200, communicationTimeoutMs: 3000 })
  })
})

describe('a shared list of members', () => {
  const shared = `cluster_members:
  - {node_name: node1, api_host: 10.77.0.1, api_port: 8010, role: primary}
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
`

  it("gives this node its address, port and role, and is not counted as a peer's entry", () => {
    const { config } = good(
      loadText(`identity: {node_name: node1}\nlocal_db: {password: correct-horse}\n${shared}`),
    )
    expect(config.identity).toMatchObject({ apiPort: 8010, advertiseHost: '10.77.0.1', apiHost: '0.0.0.0' })
    expect(config.localDb.roleHint).toBe('primary')
    expect(config.members.map(({ nodeName }) => nodeName)).toEqual(['node2', 'node3'])
    expect(config.coordination.minConsensusNodes).toBe(2)
  })

  it('contradicting the rest of the file is refused at the place of the contradiction', () => {
    const loaded = loadText(
      `identity: {node_name: node1, api_port: 8008}\nlocal_db: {password: correct-horse}\n${shared}`,
    )
    expect(told(loaded)).toContainEqual(
      expect.objectContaining({ line: 1, column: 40, key: 'identity.api_port', severity: 'error' }),
    )
  })
})

describe('include', () => {
  it('brings in what nodes share; the file itself wins, and places name the right file', () => {
    const loaded = load({
      '/etc/pg/main.yaml':
        'include: [shared/a.yaml, shared/b.yaml]\nidentity: {node_name: node1}\nha: {profile: wan}\n',
      '/etc/pg/shared/a.yaml': 'local_db: {password: correct-horse}\nha: {profile: noisy, lease_ttl: 20s}\n',
      '/etc/pg/shared/b.yaml': `include: c.yaml\nha: {lease_ttl: 30s}\n`,
      '/etc/pg/shared/c.yaml': MEMBERS,
    })
    const { config, origins, files } = good(loaded)
    expect(config.ha).toMatchObject({ profile: 'wan', leaseTtlMs: 30_000 })
    expect(origins.get('ha.profile')).toMatchObject({ kind: 'file', file: '/etc/pg/main.yaml', line: 3 })
    expect(origins.get('ha.lease_ttl')).toMatchObject({ file: '/etc/pg/shared/b.yaml', line: 2 })
    expect(files).toHaveLength(4)
  })

  it('lets a password file of the node replace the shared password', () => {
    const { config } = good(
      load({
        '/etc/pg/main.yaml':
          'include: a.yaml\nidentity: {node_name: node1}\nlocal_db: {password_file: secret}\n',
        '/etc/pg/a.yaml': `local_db: {password: shared-password}\n${MEMBERS}`,
        '/etc/pg/secret': 'own-password\n',
      }),
    )
    expect(config.localDb.password).toBe('own-password')
  })

  it('of itself, of nothing, or without end is refused at the line that names it', () => {
    const circle = load({
      '/etc/pg/main.yaml': 'include: b.yaml\n',
      '/etc/pg/b.yaml': '# circle\ninclude: main.yaml\n',
    })
    expect(told(circle)).toEqual([expect.objectContaining({ file: '/etc/pg/b.yaml', line: 2, column: 10 })])
    const missing = told(loadText(`${SMALLEST}include: gone.yaml\n`))
    expect(missing).toEqual([
      expect.objectContaining({
        line: 6,
        value: 'gone.yaml',
        rule: expect.stringContaining('/etc/pg/gone.yaml'),
      }),
    ])
    const endless = loadConfig({
      path: '/0.yaml',
      env: {},
      readText: (path) => `include: ${Number.parseInt(path.slice(1), 10) + 1}.yaml\n`,
    })
    expect(told(endless)[0]?.rule).toContain('8 levels')
  })
})

describe('relative paths', () => {
  it('start at the file that they stand in and become absolute', () => {
    const { config } = good(
      loadConfig({
        path: 'conf/main.yaml',
        cwd: '/srv',
        env: { PG_METAKO_LOGGING_FILE: 'log/agent.log' },
        readText: (path) =>
          ({
            'conf/main.yaml': `${SMALLEST}include: shared/common.yaml\n`,
            'conf/shared/common.yaml': 'postgresql: {data_dir: ../data}\n',
          })[path],
      }),
    )
    expect(config.postgresql.dataDir).toBe('/srv/conf/data')
    expect(config.logging.file).toBe('/srv/conf/log/agent.log')
    expect(config.paths).toEqual({ stateDir: '/srv/conf/data.metako', runDir: '/srv/conf/data.metako/run' })
  })

  it('that would make a socket path too long are replaced by a short run folder', () => {
    const deep = `/srv/${'d'.repeat(80)}`
    const { config } = good(loadText(`${SMALLEST}postgresql: {data_dir: ${deep}}\n`))
    expect(config.paths.runDir).toMatch(/^\/tmp\/pg-metako-[0-9a-f]{8}$/)
    expect(good(loadText(`${SMALLEST}postgresql: {data_dir: ${deep}x}\n`)).config.paths.runDir).not.toBe(
      config.paths.runDir,
    )
  })
})

describe('the environment', () => {
  it('beats the file, for every kind of key', () => {
    const loaded = good(
      loadText(`${SMALLEST}router: {primary_port: 5433}\n`, {
        env: {
          PG_METAKO_IDENTITY_NODE_NAME: 'node7',
          PG_METAKO_ROUTER_PRIMARY_PORT: '15433',
          PG_METAKO_COORDINATION_HEARTBEAT_INTERVAL: '150ms',
          PG_METAKO_POSTGRESQL_LISTEN_ADDRESSES: '10.77.0.1, localhost',
          PG_METAKO_LOG_LEVEL: 'debug',
        },
      }),
    )
    expect(loaded.config.identity.nodeName).toBe('node7')
    expect(loaded.config.router.primaryPort).toBe(15_433)
    expect(loaded.config.coordination.heartbeatIntervalMs).toBe(150)
    expect(loaded.config.postgresql.listenAddresses).toEqual(['10.77.0.1', 'localhost'])
    expect(loaded.config.logging.level).toBe('debug')
    expect(loaded.origins.get('router.primary_port')).toEqual({
      kind: 'environment',
      name: 'PG_METAKO_ROUTER_PRIMARY_PORT',
    })
  })

  it('can hold or name every secret', () => {
    const text = `${SMALLEST.replace('correct-horse', 'x')}bootstrap: {users: {app: , re-port: }}\n`
    const { config } = good(
      load(
        {
          '/etc/pg/main.yaml': text,
          '/run/secrets/db': 'from-a-file\n',
          '/run/secrets/rep': 'report-secret',
        },
        {
          env: {
            PG_METAKO_LOCAL_DB_PASSWORD_FILE: '/run/secrets/db',
            PG_METAKO_REPLICATION_PASSWORD: 'replication-secret',
            PG_METAKO_SECURITY_CLUSTER_SECRET: 'cluster-secret-0123',
            PG_METAKO_SECURITY_API_TOKEN: 'api-token-0123456789',
            PG_METAKO_BOOTSTRAP_USERS_APP_PASSWORD: 'app-secret',
            PG_METAKO_BOOTSTRAP_USERS_RE_PORT_PASSWORD_FILE: '/run/secrets/rep',
          },
        },
      ),
    )
    expect(config.localDb.password).toBe('from-a-file')
    expect(config.replication.password).toBe('replication-secret')
    expect(config.security).toMatchObject({
      clusterSecret: 'cluster-secret-0123',
      apiToken: 'api-token-0123456789',
    })
    expect(config.bootstrap.users.map(({ password }) => password)).toEqual(['app-secret', 'report-secret'])
  })

  it('warns of variables that mean nothing, and leaves those of other parts alone', () => {
    const warnings = told(
      loadText(SMALLEST, {
        env: {
          PG_METAKO_ROUTER_PRIMARYPORT: '1',
          PG_METAKO_CLUSTER_MEMBERS: 'node2',
          PG_METAKO_CONFIG_PATH: 'x',
          PG_METAKO_TOKEN: 't',
          PG_METAKO_PG_BIN: '/x',
          PG_METAKO_TEST_PG: '18',
          PG_METAKO_ROUTER_POOLED_PORT: '',
          PATH: '/bin',
        },
      }),
    ).filter(({ line }) => line === 0)
    expect(warnings.map(({ file, remedy }) => `${file}: ${remedy}`)).toEqual([
      'environment variable PG_METAKO_CLUSTER_MEMBERS: write it into the config file',
      'environment variable PG_METAKO_CONFIG_PATH: name the file with --config',
      'environment variable PG_METAKO_ROUTER_PRIMARYPORT: did you mean PG_METAKO_ROUTER_PRIMARY_PORT?',
    ])
  })

  it('with a wrong value is refused by the name of the variable', () => {
    const problems = told(loadText(SMALLEST, { env: { PG_METAKO_IDENTITY_API_PORT: '80a' } }))
    expect(problems).toContainEqual(
      expect.objectContaining({ file: 'environment variable PG_METAKO_IDENTITY_API_PORT', value: '80a' }),
    )
  })
})

describe('the list of files to watch', () => {
  it('names the config, its includes and its secret files, also when the config is refused', () => {
    const files = {
      '/etc/pg/main.yaml':
        'include: a.yaml\nidentity: {node_name: node1}\nlocal_db: {password_file: secret}\n',
      '/etc/pg/a.yaml': MEMBERS,
    }
    const wanted = ['/etc/pg/main.yaml', '/etc/pg/a.yaml', '/etc/pg/secret']
    expect(load(files)).toMatchObject({ kind: 'refused', files: wanted })
    expect(load({ ...files, '/etc/pg/secret': 'correct-horse' })).toMatchObject({ kind: 'ok', files: wanted })
  })
})

describe('a witness', () => {
  it('needs no password, is none of the nodes with a database, and uses nothing that the file says of one', () => {
    const { config, warnings } = good(
      loadText(`identity: {node_name: w}
cluster_members:
  - {node_name: n1, api_host: 10.77.0.1, role: primary}
  - {node_name: n2, api_host: 10.77.0.2}
  - {node_name: w, api_host: 10.77.0.3, role: witness}
security: {cluster_secret: 0123456789abcdef}
postgresql: {data_dir: /srv/data}
router: {enabled: true}
`),
    )
    expect(warnings).toEqual([])
    expect(nodeMode(config)).toBe('witness')
    expect([config.postgresql.dataDir, config.router.enabled]).toEqual([undefined, false])
    expect(config.replication.acks).toMatchObject({ method: 'ANY', isStrict: false })
  })
})

describe('what a program may act on', () => {
  const codes = (text: string) =>
    told(loadText(text)).flatMap(({ code }) => (code === undefined ? [] : [code]))

  it('tells clusters of one and of two nodes apart from larger ones', () => {
    const one = 'identity: {node_name: node1}\nlocal_db: {password: correct-horse}\n'
    const two = `${one}cluster_members: [{node_name: node2, api_host: 10.77.0.2}]\n`
    expect(codes(one)).toContain('ONE_NODE')
    expect(codes(two)).toContain('TWO_NODES')
    expect(good(loadText(two)).config.pairMode.enable).toBe(true)
    expect(codes(SMALLEST)).not.toContain('TWO_NODES')
  })
})
