import type { StatementError } from './lost-transaction.ts'
import { databaseEntry, type PoolOptions } from './pool-options.ts'

/** Who is there, or about to be. */
type CountedClient = { readonly user: string; readonly database: string }

/** Why one more client of this user and database is refused, if it is. `others` are looked at only where there is a limit. */
export function clientRefusal(
  options: PoolOptions,
  wanted: CountedClient,
  others: () => Iterable<CountedClient>,
): StatementError | undefined {
  const { user, database } = wanted
  const entry = databaseEntry(options, database)
  if (options.onlyListedDatabases && !entry)
    return { sqlState: '3D000', message: `no such database: ${database}` }
  const ofDatabase = entry?.maxClientConnections ?? options.maxDbClientConnections
  const ofUser =
    options.users.find(({ name }) => name === user)?.maxClientConnections ?? options.maxUserClientConnections
  if (ofDatabase === 0 && ofUser === 0) return undefined
  let [inDatabase, byUser] = [0, 0]
  for (const other of others()) {
    if (other.database === database) inDatabase += 1
    if (other.user === user) byUser += 1
  }
  if (ofDatabase > 0 && inDatabase >= ofDatabase) return tooMany('max_db_client_connections')
  return ofUser > 0 && byUser >= ofUser ? tooMany('max_user_client_connections') : undefined
}

function tooMany(setting: string): StatementError {
  return { sqlState: '53300', message: `no more connections allowed (${setting})` }
}
