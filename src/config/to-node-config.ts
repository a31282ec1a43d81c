import type { TlsSide } from '../model/tls-settings.ts'
import { commandWords } from '../std/command-words.ts'
import { whereGiven } from '../std/where-given.ts'
import { isWitness, otherMembers } from './derive-defaults.ts'
import { etcdEndpoints } from './etcd-checks.ts'
import { accessKeys as access, accessLists, accessMaps } from './keys/access-keys.ts'
import { clusterKeys as cluster, memberFields } from './keys/cluster-keys.ts'
import { etcdKeys as etcd } from './keys/etcd-keys.ts'
import {
  callbacksKey,
  databaseFields,
  databasesKey,
  parametersKey,
  postgresKeys as postgres,
  postgresLists,
  userFields,
  userOptions,
  usersKey,
} from './keys/postgres-keys.ts'
import {
  databaseOverrideFields,
  poolDatabasesKey,
  poolKeys as pool,
  poolLists,
  poolUsersKey,
  userOverrideFields,
} from './keys/pool-keys.ts'
import { runtimeKeys as runtime } from './keys/runtime-keys.ts'
import { clientTlsKeys, serverTlsKeys, type TlsSideKeys } from './keys/tls-keys.ts'
import type { MemberTags } from '../model/member-tags.ts'
import type { PgBouncerImport } from '../model/pgbouncer-setting.ts'
import type { DatabaseOverrides, UserOverrides } from '../model/pool-settings.ts'
import type { NodeConfig } from './node-config.ts'
import type { Settings } from './settings.ts'

/** Settings without errors, defaults filled in, as the value that all other rooms get. */
export function toNodeConfig(settings: Settings, pgbouncer?: PgBouncerImport): NodeConfig {
  return {
    scope: settings.need(cluster.scope),
    namespace: normalNamespace(settings.need(cluster.namespace)),
    ...clusterPart(settings),
    ...whereGiven('etcd', etcdPart(settings)),
    ...postgresPart(settings),
    ...runtimePart(settings),
    ...tagsPart(settings),
    pool: { ...poolPart(settings), ...whereGiven('pgbouncer', pgbouncer) },
  }
}

/** What was not said is absent: a node without tags tells nobody of any. */
function tagsPart(settings: Settings): Pick<NodeConfig, 'tags'> {
  const priority = settings.need(runtime.failoverPriority)
  const tags: MemberTags = {
    ...(settings.need(runtime.nofailover) || priority === 0 ? { nofailover: true } : {}),
    ...(priority > 1 ? { failover_priority: priority } : {}),
    ...(settings.need(runtime.noloadbalance) ? { noloadbalance: true } : {}),
    ...(settings.need(runtime.nosync) ? { nosync: true } : {}),
  }
  return Object.keys(tags).length > 0 ? { tags } : {}
}

/** `/service`, `service/` and `/service/` are one folder. */
function normalNamespace(written: string): string {
  const parts = written.split('/').filter((part) => part !== '')
  return parts.length === 0 ? '/' : `/${parts.join('/')}/`
}

function clusterPart(settings: Settings): Pick<NodeConfig, 'identity' | 'localDb' | 'members'> & Talk {
  return {
    identity: {
      nodeName: settings.need(cluster.nodeName),
      apiHost: settings.need(cluster.apiHost),
      apiPort: settings.need(cluster.apiPort),
      ...whereGiven('advertiseHost', settings.get(cluster.advertiseHost)),
    },
    localDb: {
      name: settings.need(cluster.dbName),
      host: settings.need(cluster.dbHost),
      port: settings.need(cluster.dbPort),
      roleHint: settings.need(cluster.dbRole),
      username: settings.need(cluster.dbUsername),
      password: settings.get(cluster.dbPassword) ?? '',
      database: settings.need(cluster.dbDatabase),
    },
    members: otherMembers(settings).map((member) => ({
      nodeName: member.need(memberFields.nodeName),
      apiHost: member.need(memberFields.apiHost),
      apiPort: member.need(memberFields.apiPort),
      roleHint: member.need(memberFields.role),
    })),
    ...talkPart(settings),
  }
}

function etcdPart(settings: Settings): NodeConfig['etcd'] {
  const endpoints = etcdEndpoints(settings)
  if (endpoints.length === 0) return undefined
  return {
    endpoints,
    ...whereGiven('username', settings.get(etcd.username)),
    ...whereGiven('password', settings.get(etcd.password)),
    ...whereGiven('caFile', settings.get(etcd.caFile)),
    ...whereGiven('certFile', settings.get(etcd.certFile)),
    ...whereGiven('keyFile', settings.get(etcd.keyFile)),
  }
}

type Talk = Pick<
  NodeConfig,
  'coordination' | 'pairMode' | 'healthCheck' | 'loadBalancer' | 'security' | 'ctl'
>

function talkPart(settings: Settings): Talk {
  return {
    coordination: {
      heartbeatIntervalMs: settings.need(cluster.heartbeat),
      communicationTimeoutMs: settings.need(cluster.communicationTimeout),
      failoverTimeoutMs: settings.need(cluster.failoverTimeout),
      minConsensusNodes: settings.need(cluster.minConsensus),
      localNodePreference: settings.need(cluster.localPreference),
    },
    pairMode: {
      enable: settings.need(cluster.pairEnable),
      failoverDelayMs: settings.need(cluster.pairDelay),
      failureThreshold: settings.need(cluster.pairThreshold),
    },
    healthCheck: {
      intervalMs: settings.need(cluster.healthInterval),
      timeoutMs: settings.need(cluster.healthTimeout),
      failureThreshold: settings.need(cluster.healthThreshold),
    },
    loadBalancer: {
      algorithm: settings.need(cluster.algorithm),
      readTimeoutMs: settings.need(cluster.readTimeout),
      writeTimeoutMs: settings.need(cluster.writeTimeout),
    },
    ...accessPart(settings),
  }
}

function accessPart(settings: Settings): Pick<NodeConfig, 'security' | 'ctl'> {
  const tlsEnabled = settings.need(cluster.tlsEnabled)
  const headers = [accessMaps.httpHeaders, ...(tlsEnabled ? [accessMaps.httpsHeaders] : [])]
  return {
    security: {
      tlsEnabled,
      ...whereGiven('certFile', settings.get(cluster.certFile)),
      ...whereGiven('keyFile', settings.get(cluster.keyFile)),
      ...whereGiven('caFile', settings.get(cluster.caFile)),
      ...whereGiven('clusterSecret', settings.get(cluster.clusterSecret)),
      ...whereGiven('apiToken', settings.get(cluster.apiToken)),
      allowlist: settings.list(accessLists.allowlist),
      allowlistIncludeMembers: settings.need(access.allowlistIncludeMembers),
      verifyClient: settings.need(access.verifyClient),
      extraHeaders: Object.fromEntries(headers.flatMap((key) => [...settings.mapping(key)])),
    },
    ctl: {
      ...whereGiven('caFile', settings.get(access.ctlCaFile)),
      ...whereGiven('certFile', settings.get(access.ctlCertFile)),
      ...whereGiven('keyFile', settings.get(access.ctlKeyFile)),
      isInsecure: settings.need(access.ctlInsecure),
    },
  }
}

function postgresPart(settings: Settings): Pick<NodeConfig, 'postgresql' | 'replication' | 'bootstrap'> {
  return {
    postgresql: {
      ...whereGiven('dataDir', isWitness(settings) ? undefined : settings.get(postgres.dataDir)),
      ...whereGiven('binDir', settings.get(postgres.binDir)),
      ...whereGiven('osUser', settings.get(postgres.osUser)),
      listenAddresses: settings.list(postgresLists.listenAddresses),
      parameters: Object.fromEntries(settings.mapping(parametersKey)),
      pgHba: settings.list(postgresLists.pgHba),
      startTimeoutMs: settings.need(postgres.startTimeout),
      stopTimeoutMs: settings.need(postgres.stopTimeout),
      callbacks: {
        commands: Object.fromEntries(
          [...settings.mapping(callbacksKey)].map(([action, text]) => [action, commandWords(text)]),
        ),
        timeoutMs: settings.need(postgres.callbackTimeout),
      },
    },
    replication: {
      ...acksOf(settings),
      username: settings.need(postgres.replicationUsername),
      ...whereGiven('password', settings.get(postgres.replicationPassword)),
      maximumLagOnFailoverBytes: settings.need(postgres.maximumLag),
      useSlots: settings.need(postgres.useSlots),
    },
    bootstrap: {
      users: settings.records(usersKey).map((user) => ({
        name: user.need(userFields.name),
        password: user.need(userFields.password),
        options: user.list(userOptions),
      })),
      databases: settings.records(databasesKey).map((database) => ({
        name: database.need(databaseFields.name),
        owner: database.need(databaseFields.owner),
      })),
      initdb: settings.list(postgresLists.initdb).map(withDashes),
    },
  }
}

/** Patroni's files write `data-checksums`, shells write `--data-checksums`. */
function withDashes(option: string): string {
  return option.startsWith('-') ? option : `--${option}`
}

function runtimePart(
  settings: Settings,
): Pick<NodeConfig, 'ha' | 'watchdog' | 'router' | 'logging' | 'paths'> {
  return {
    ha: {
      profile: settings.need(runtime.profile),
      leaseTtlMs: settings.need(runtime.leaseTtl),
      primaryStartTimeoutMs: settings.need(runtime.primaryStartTimeout),
      storeGraceMs: settings.need(runtime.storeGrace),
      drainTimeoutMs: settings.need(runtime.drainTimeout),
      fencing: settings.need(runtime.fencing),
    },
    watchdog: {
      mode: settings.need(runtime.watchdogMode),
      device: settings.need(runtime.watchdogDevice),
      safetyMarginMs: settings.need(runtime.watchdogMargin),
    },
    router: {
      enabled: settings.need(runtime.routerEnabled),
      listenHost: settings.need(runtime.routerHost),
      primaryPort: settings.need(runtime.primaryPort),
      replicaPort: settings.need(runtime.replicaPort),
      pooledPort: settings.need(runtime.pooledPort),
      holdTimeoutMs: settings.need(runtime.holdTimeout),
      maxClientConnections: settings.need(runtime.maxClients),
      workers: settings.need(runtime.workers),
      drainTimeoutMs: settings.need(runtime.routerDrainTimeout),
      tls: { client: tlsSide(settings, clientTlsKeys), server: tlsSide(settings, serverTlsKeys) },
    },
    logging: {
      level: settings.need(runtime.logLevel),
      ...whereGiven('file', settings.get(runtime.logFile)),
      statusIntervalMs: settings.need(runtime.statusInterval),
    },
    paths: {
      stateDir: settings.need(runtime.stateDir),
      runDir: settings.need(runtime.runDir),
    },
  }
}

function tlsSide(settings: Settings, keys: TlsSideKeys): TlsSide {
  const protocols = settings.need(keys.protocols)
  const ciphers = settings.need(keys.ciphers)
  return {
    mode: settings.need(keys.mode),
    ...whereGiven('certFile', settings.get(keys.certFile)),
    ...whereGiven('keyFile', settings.get(keys.keyFile)),
    ...whereGiven('caFile', settings.get(keys.caFile)),
    minVersion: protocols === 'tlsv1.3' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: protocols === 'tlsv1.2' ? 'TLSv1.2' : 'TLSv1.3',
    ...(ciphers === 'default' ? {} : { ciphers }),
  }
}

function poolPart(settings: Settings): NodeConfig['pool'] {
  return {
    poolMode: settings.need(pool.mode),
    defaultPoolSize: settings.need(pool.defaultPoolSize),
    minPoolSize: settings.need(pool.minPoolSize),
    reservePoolSize: settings.need(pool.reservePoolSize),
    reservePoolTimeoutMs: settings.need(pool.reservePoolTimeout),
    ...whereGiven('listenAddr', settings.get(pool.listenAddr)),
    ...whereGiven('maxClientConn', settings.get(pool.maxClientConn)),
    maxDbConnections: settings.need(pool.maxDbConnections),
    maxUserConnections: settings.need(pool.maxUserConnections),
    maxDbClientConnections: settings.need(pool.maxDbClientConnections),
    maxUserClientConnections: settings.need(pool.maxUserClientConnections),
    maxPreparedStatements: settings.need(pool.maxPreparedStatements),
    queryWaitTimeoutMs: settings.need(pool.queryWaitTimeout),
    queryTimeoutMs: settings.need(pool.queryTimeout),
    transactionTimeoutMs: settings.need(pool.transactionTimeout),
    idleTransactionTimeoutMs: settings.need(pool.idleTransactionTimeout),
    clientIdleTimeoutMs: settings.need(pool.clientIdleTimeout),
    clientLoginTimeoutMs: settings.need(pool.clientLoginTimeout),
    serverIdleTimeoutMs: settings.need(pool.serverIdleTimeout),
    serverLifetimeMs: settings.need(pool.serverLifetime),
    serverConnectTimeoutMs: settings.need(pool.serverConnectTimeout),
    serverResetQuery: settings.need(pool.serverResetQuery),
    serverResetQueryAlways: settings.need(pool.serverResetQueryAlways),
    serverRoundRobin: settings.need(pool.serverRoundRobin),
    applicationNameAddHost: settings.need(pool.applicationNameAddHost),
    ignoreStartupParameters: settings.list(poolLists.ignoreStartupParameters),
    onlyListedDatabases: settings.need(pool.onlyListedDatabases),
    readWriteSplit: settings.need(pool.readWriteSplit),
    consistency: settings.need(pool.consistency),
    maxReplicaLagBytes: settings.need(pool.maxReplicaLag),
    maxReplicaLagMs: settings.need(pool.maxReplicaLagTime),
    trackStatements: settings.need(pool.trackStatements),
    logMinDurationMs: settings.need(pool.logMinDuration),
    readFunctions: settings.list(poolLists.readFunctions),
    writeFunctions: settings.list(poolLists.writeFunctions),
    authType: settings.need(pool.authType),
    ...whereGiven('authFile', settings.get(pool.authFile)),
    ...whereGiven('authUser', settings.get(pool.authUser)),
    ...whereGiven('authDbname', settings.get(pool.authDbname)),
    authQuery: settings.need(pool.authQuery),
    adminUsers: settings.list(poolLists.adminUsers),
    statsUsers: settings.list(poolLists.statsUsers),
    databases: settings.records(poolDatabasesKey).map(databaseOf),
    users: settings.records(poolUsersKey).map(userOf),
  }
}

function overridesOf(entry: Settings): UserOverrides & DatabaseOverrides {
  const fields = databaseOverrideFields
  return {
    name: entry.need(fields.name),
    ...whereGiven('poolMode', entry.get(fields.poolMode)),
    ...whereGiven('consistency', entry.get(fields.consistency)),
    ...whereGiven('poolSize', entry.get(fields.poolSize)),
    ...whereGiven('reservePoolSize', entry.get(fields.reservePoolSize)),
    ...whereGiven('maxConnections', entry.get(fields.maxConnections)),
    ...whereGiven('maxClientConnections', entry.get(fields.maxClientConnections)),
    ...whereGiven('queryWaitTimeoutMs', entry.get(fields.queryWaitTimeout)),
  }
}

function databaseOf(entry: Settings): DatabaseOverrides {
  const fields = databaseOverrideFields
  const { clientEncoding, datestyle, timezone, applicationName } = fields
  const startup = [clientEncoding, datestyle, timezone, applicationName].flatMap((key) => {
    const value = entry.get(key)
    return value === undefined ? [] : [[key.name, value]]
  })
  return {
    ...overridesOf(entry),
    ...whereGiven('minPoolSize', entry.get(fields.minPoolSize)),
    ...whereGiven('serverLifetimeMs', entry.get(fields.serverLifetime)),
    ...whereGiven('dbname', entry.get(fields.dbname)),
    ...whereGiven('user', entry.get(fields.user)),
    ...whereGiven('password', entry.get(fields.password)),
    ...whereGiven('connectQuery', entry.get(fields.connectQuery)),
    ...(startup.length === 0 ? {} : { startup: Object.fromEntries(startup) }),
  }
}

function userOf(entry: Settings): UserOverrides {
  const fields = userOverrideFields
  return {
    ...overridesOf(entry),
    ...whereGiven('queryTimeoutMs', entry.get(fields.queryTimeout)),
    ...whereGiven('transactionTimeoutMs', entry.get(fields.transactionTimeout)),
    ...whereGiven('idleTransactionTimeoutMs', entry.get(fields.idleTransactionTimeout)),
    ...whereGiven('clientIdleTimeoutMs', entry.get(fields.clientIdleTimeout)),
  }
}

function acksOf(settings: Settings): Pick<NodeConfig['replication'], 'acks'> {
  const mode = settings.need(postgres.replicationMode)
  if (mode === 'async') return {}
  return {
    acks: {
      method: mode === 'sync' ? 'FIRST' : 'ANY',
      isStrict: settings.need(postgres.synchronousStrict),
      ...whereGiven('wantedK', settings.get(postgres.synchronousNodeCount)),
    },
  }
}
