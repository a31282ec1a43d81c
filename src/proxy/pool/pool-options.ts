import type { PoolAuthType, PoolMode, PoolSettings } from '../../model/pool-settings.ts'

/** The pooler's settings. It crosses as JSON. */
export type PoolOptions = PoolSettings & {
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
