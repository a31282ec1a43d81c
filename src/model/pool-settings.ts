import type { PgBouncerImport } from './pgbouncer-setting.ts'

export type PoolMode = 'session' | 'transaction' | 'statement'

/** What a read that runs on a replica finds: what its session has written and seen, or whatever the replica has. */
export type ReadConsistency = 'session' | 'eventual'

/**
 * How clients of the pooled port prove who they are; `cert`: by a certificate for their name; `server`: PostgreSQL asks them itself,
 * session by session.
 */
export type PoolAuthType = 'md5' | 'scram-sha-256' | 'cert' | 'trust' | 'server'

/** What may differ by database or user; absent: as for all. */
type PoolOverrides = {
  readonly name: string
  readonly poolMode?: PoolMode
  readonly poolSize?: number
  readonly reservePoolSize?: number
  readonly maxConnections?: number
  readonly maxClientConnections?: number
  readonly queryWaitTimeoutMs?: number
  readonly consistency?: ReadConsistency
}

/** `*` as the name: every database that is not listed. May hold a secret: `password`. */
export type DatabaseOverrides = PoolOverrides & {
  readonly minPoolSize?: number
  readonly serverLifetimeMs?: number
  /** PostgreSQL's name for it; absent: the same. */
  readonly dbname?: string
  /** Who logs in at PostgreSQL for all its clients; absent: each client's own user. */
  readonly user?: string
  readonly password?: string
  /** Runs on each new server connection; its failure changes nothing. */
  readonly connectQuery?: string
  /** PostgreSQL's settings that server connections begin with. */
  readonly startup?: Readonly<Record<string, string>>
}

export type UserOverrides = PoolOverrides & {
  readonly queryTimeoutMs?: number
  readonly transactionTimeoutMs?: number
  readonly idleTransactionTimeoutMs?: number
  readonly clientIdleTimeoutMs?: number
}

/** The pooler's settings that the configuration says as the router wants them, with PgBouncer's meaning; times in milliseconds, 0 = no limit. */
export type PoolSettings = {
  readonly poolMode: PoolMode
  readonly defaultPoolSize: number
  readonly minPoolSize: number
  readonly reservePoolSize: number
  readonly reservePoolTimeoutMs: number
  readonly maxDbConnections: number
  readonly maxUserConnections: number
  readonly maxDbClientConnections: number
  readonly maxUserClientConnections: number
  readonly maxPreparedStatements: number
  readonly queryWaitTimeoutMs: number
  readonly queryTimeoutMs: number
  readonly transactionTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly clientIdleTimeoutMs: number
  readonly clientLoginTimeoutMs: number
  readonly serverIdleTimeoutMs: number
  readonly serverLifetimeMs: number
  readonly serverConnectTimeoutMs: number
  readonly serverResetQuery: string
  /** In transaction and statement mode too. */
  readonly serverResetQueryAlways: boolean
  /** The server connection that was idle for longest is used next, not the one used last. */
  readonly serverRoundRobin: boolean
  /** A client's `application_name` says where it comes from. */
  readonly applicationNameAddHost: boolean
  /** Startup parameters of clients that are dropped. */
  readonly ignoreStartupParameters: readonly string[]
  /** Whoever asks for a database that is not in `databases` is refused. */
  readonly onlyListedDatabases: boolean
  /** Proven reads and transactions that only read go to replicas. */
  readonly readWriteSplit: boolean
  readonly consistency: ReadConsistency
  /** A replica that is further behind is not used. */
  readonly maxReplicaLagBytes: number
  /** The same by time; 0 = no limit. */
  readonly maxReplicaLagMs: number
  /** Counts and times of statements by fingerprint are kept: SHOW STATEMENTS. */
  readonly trackStatements: boolean
  /** A statement that takes as long gets a line in the log; 0 = none. */
  readonly logMinDurationMs: number
  /** What an operator says of functions, before the catalog is asked. */
  readonly readFunctions: readonly string[]
  readonly writeFunctions: readonly string[]
  /** Who may do everything in the console, and who may look. */
  readonly adminUsers: readonly string[]
  readonly statsUsers: readonly string[]
  readonly databases: readonly DatabaseOverrides[]
  readonly users: readonly UserOverrides[]
  /** Absent: no file of PgBouncer's was read. */
  readonly pgbouncer?: PgBouncerImport
}
