import type { StatementError } from './lost-transaction.ts'
import { databaseEntry, type PoolOptions } from './pool-options.ts'

/** Who is there, or about to be. */
type CountedClient = { readonly user: string; readonly database: string }

type ClientLimit = {
  readonly setting: 'max_db_client_connections' | 'max_user_client_connections'
  readonly of: 'database' | 'user'
  readonly name: string
  readonly max: number
}

/** Where only what is listed is served, and this is not. */
export function unlistedDatabase(options: PoolOptions, database: string): StatementError | undefined {
  if (!options.onlyListedDatabases || databaseEntry(options, database)) return undefined
  return { sqlState: '3D000', message: `no such database: ${database}` }
}

/** The limits that one more client of this user and database counts to. */
export function clientLimits(
  options: PoolOptions,
  { user, database }: CountedClient,
): readonly ClientLimit[] {
  const ofDatabase = databaseEntry(options, database)?.maxClientConnections ?? options.maxDbClientConnections
  const ofUser =
    options.users.find(({ name }) => name === user)?.maxClientConnections ?? options.maxUserClientConnections
  return [
    ...(ofDatabase > 0
      ? [{ setting: 'max_db_client_connections', of: 'database', name: database, max: ofDatabase } as const]
      : []),
    ...(ofUser > 0
      ? [{ setting: 'max_user_client_connections', of: 'user', name: user, max: ofUser } as const]
      : []),
  ]
}

/** The limit that is reached, if one is. `others` are looked at only where there is a limit. */
export function fullLimit(
  limits: readonly ClientLimit[],
  others: () => Iterable<CountedClient>,
): ClientLimit | undefined {
  if (limits.length === 0) return undefined
  const counts = limits.map(() => 0)
  for (const other of others()) {
    for (const [index, limit] of limits.entries())
      if (other[limit.of] === limit.name) counts[index] = (counts[index] ?? 0) + 1
  }
  return limits.find(({ max }, index) => (counts[index] ?? 0) >= max)
}

export function tooMany({ setting }: Pick<ClientLimit, 'setting'>): StatementError {
  return { sqlState: '53300', message: `no more connections allowed (${setting})` }
}
