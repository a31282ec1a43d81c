import type { PoolOptions } from '../../src/proxy/pool/pool-options.ts'

export const LOOKUP_QUERY =
  'SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin'

/** The defaults of the configuration, for tests of the pooled port. */
export function poolOptions(changes: Partial<PoolOptions> = {}): PoolOptions {
  return {
    listenAddr: '127.0.0.1',
    poolMode: 'transaction',
    defaultPoolSize: 20,
    minPoolSize: 0,
    reservePoolSize: 0,
    reservePoolTimeoutMs: 5000,
    maxClientConn: 1000,
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
    databases: [],
    users: [],
    auth: { type: 'md5' },
    adminUsers: ['postgres'],
    statsUsers: [],
    ...changes,
  }
}
