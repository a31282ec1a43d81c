import type {
  DatabaseOverrides,
  PoolAuthType,
  PoolMode,
  PoolSettings,
  ReadConsistency,
} from '../../model/pool-settings.ts'

/** The pooler's settings. It crosses as JSON. */
export type PoolOptions = PoolSettings & {
  /** Where it listens, for people. */
  readonly listenAddr: string
  readonly maxClientConn: number
  readonly auth: PoolAuth
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

/** What applies to one pool; times in milliseconds, 0 = no limit. */
export type PoolLimits = {
  readonly mode: PoolMode
  readonly consistency: ReadConsistency
  readonly size: number
  readonly minSize: number
  readonly reserveSize: number
  readonly maxDbConnections: number
  readonly maxUserConnections: number
  readonly queryWaitTimeoutMs: number
  readonly queryTimeoutMs: number
  readonly transactionTimeoutMs: number
  readonly idleTransactionTimeoutMs: number
  readonly clientIdleTimeoutMs: number
  readonly serverLifetimeMs: number
  /** What its server connections begin with. */
  readonly startup: Readonly<Record<string, string>>
  readonly dbname: string
  readonly connectQuery: string | undefined
}

/** What is said of one database by name, else of all that are not listed. */
export function databaseEntry(
  { databases }: Pick<PoolOptions, 'databases'>,
  database: string,
): DatabaseOverrides | undefined {
  return (
    databases.find(({ name }) => name === database) ?? databases.find(({ name }) => name === EVERY_DATABASE)
  )
}

const EVERY_DATABASE = '*'

/** As in PgBouncer: what is said of the user counts before what is said of the database. */
export function limitsOf(options: PoolOptions, database: string, user: string): PoolLimits {
  const ofDatabase = databaseEntry(options, database)
  const ofUser = options.users.find(({ name }) => name === user)
  return {
    mode: ofUser?.poolMode ?? ofDatabase?.poolMode ?? options.poolMode,
    consistency: ofUser?.consistency ?? ofDatabase?.consistency ?? options.consistency,
    size: ofUser?.poolSize ?? ofDatabase?.poolSize ?? options.defaultPoolSize,
    minSize: ofDatabase?.minPoolSize ?? options.minPoolSize,
    reserveSize: ofUser?.reservePoolSize ?? ofDatabase?.reservePoolSize ?? options.reservePoolSize,
    maxDbConnections: ofDatabase?.maxConnections ?? options.maxDbConnections,
    maxUserConnections: ofUser?.maxConnections ?? options.maxUserConnections,
    queryWaitTimeoutMs:
      ofUser?.queryWaitTimeoutMs ?? ofDatabase?.queryWaitTimeoutMs ?? options.queryWaitTimeoutMs,
    queryTimeoutMs: ofUser?.queryTimeoutMs ?? options.queryTimeoutMs,
    transactionTimeoutMs: ofUser?.transactionTimeoutMs ?? options.transactionTimeoutMs,
    idleTransactionTimeoutMs: ofUser?.idleTransactionTimeoutMs ?? options.idleTransactionTimeoutMs,
    clientIdleTimeoutMs: ofUser?.clientIdleTimeoutMs ?? options.clientIdleTimeoutMs,
    serverLifetimeMs: ofDatabase?.serverLifetimeMs ?? options.serverLifetimeMs,
    startup: ofDatabase?.startup ?? {},
    dbname: ofDatabase?.dbname ?? database,
    connectQuery: ofDatabase?.connectQuery,
  }
}
