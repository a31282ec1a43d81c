export type PoolMode = 'session' | 'transaction' | 'statement'

/** How clients of the pooled port prove who they are; `server`: PostgreSQL asks them itself, session by session. */
export type PoolAuthType = 'md5' | 'scram-sha-256' | 'trust' | 'server'

/** Limits that may differ by database or user. */
export type PoolOverrides = {
  readonly name: string
  readonly poolMode?: PoolMode
  readonly poolSize?: number
  readonly maxConnections?: number
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
  /** Proven reads outside of transactions go to replicas. */
  readonly readWriteSplit: boolean
  /** What an operator says of functions, before the catalog is asked. */
  readonly readFunctions: readonly string[]
  readonly writeFunctions: readonly string[]
  /** Who may do everything in the console, and who may look. */
  readonly adminUsers: readonly string[]
  readonly statsUsers: readonly string[]
  readonly databases: readonly PoolOverrides[]
  readonly users: readonly PoolOverrides[]
}
