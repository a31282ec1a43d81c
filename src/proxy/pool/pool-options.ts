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

/** The pooler's settings, with PgBouncer's meaning; times in milliseconds, 0 = no limit. It crosses as JSON. */
export type PoolOptions = {
  readonly poolMode: PoolMode
  readonly defaultPoolSize: number
  readonly minPoolSize: number
  readonly reservePoolSize: number
  readonly reservePoolTimeoutMs: number
  readonly maxClientConn: number
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
  readonly databases: readonly PoolOverrides[]
  readonly users: readonly PoolOverrides[]
  readonly auth: PoolAuth
  /** Who may do everything in the console, and who may look. */
  readonly adminUsers: readonly string[]
  readonly statsUsers: readonly string[]
}

export type PoolAuth = {
  readonly type: PoolAuthType
  /** PgBouncer's `userlist.txt`. */
  readonly file?: string
  /** Who asks PostgreSQL for the secrets of users that the file does not have; holds a secret. */
  readonly lookup?: {
    readonly user: string
    /** Absent: it stands in the file. */
    readonly password?: string
    readonly database: string
    /** Has one parameter, the user's name; answers with name and secret. */
    readonly query: string
  }
}

/** What applies to one pool. */
export type PoolLimits = {
  readonly mode: PoolMode
  readonly size: number
  readonly maxDbConnections: number
  readonly maxUserConnections: number
}

/** As in PgBouncer: what is said of the user counts before what is said of the database. */
export function limitsOf(options: PoolOptions, database: string, user: string): PoolLimits {
  const ofDatabase = options.databases.find(({ name }) => name === database)
  const ofUser = options.users.find(({ name }) => name === user)
  return {
    mode: ofUser?.poolMode ?? ofDatabase?.poolMode ?? options.poolMode,
    size: ofUser?.poolSize ?? ofDatabase?.poolSize ?? options.defaultPoolSize,
    maxDbConnections: ofDatabase?.maxConnections ?? options.maxDbConnections,
    maxUserConnections: ofUser?.maxConnections ?? options.maxUserConnections,
  }
}
