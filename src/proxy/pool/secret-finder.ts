import { secretOf } from './login-flow.ts'
import type { Pool, PoolIdentity } from './pool.ts'
import type { PoolOptions } from './pool-options.ts'
import { SecretLookup, type FindSecret } from './secret-lookup.ts'
import type { UserSecrets } from './user-secrets.ts'

/** Makes the pool that asks for secrets another one than those of clients, who cannot begin with this. */
const LOOKUP_NAME = 'pg-metako auth_query'

/** Asks PostgreSQL for secrets, from the first question on; nothing where nobody is to be asked. */
export function secretFinder(
  options: PoolOptions,
  place: {
    readonly secrets: UserSecrets
    poolFor(identity: PoolIdentity): Pool
    now(): number
  },
): FindSecret | undefined {
  const { lookup } = options.auth
  if (!lookup) return undefined
  let asker: SecretLookup | undefined
  return (user, answer) => {
    if (!asker) {
      const fixed = new Map([['application_name', LOOKUP_NAME]])
      const pool = place.poolFor({ database: lookup.database, user: lookup.user, fixed })
      pool.secret = secretOf(
        lookup.password === undefined
          ? place.secrets.find(lookup.user)
          : { kind: 'plain', password: lookup.password },
      )
      pool.isPinned = true
      pool.isPaused = false
      asker = new SecretLookup(pool, lookup.query, () => place.now())
    }
    asker.find(user, answer)
  }
}
