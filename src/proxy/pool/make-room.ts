import type { Pool } from './pool.ts'

/** Whether the limits of database and user allow one more server connection; an idle one of another pool makes room. */
export function makeRoom(pools: readonly Pool[], pool: Pool): boolean {
  const { maxDbConnections, maxUserConnections } = pool.limits
  return (
    hasRoom(
      pools.filter(({ database }) => database === pool.database),
      maxDbConnections,
    ) &&
    hasRoom(
      pools.filter(({ user }) => user === pool.user),
      maxUserConnections,
    )
  )
}

function hasRoom(pools: readonly Pool[], limit: number): boolean {
  if (limit === 0) return true
  const total = pools.reduce((sum, pool) => sum + pool.total, 0)
  if (total < limit) return true
  const [oldest] = pools
    .flatMap((pool) => pool.idle)
    .toSorted((one, other) => one.idleSince - other.idleSince)
  oldest?.end('ENDED_BY_ROUTER')
  return oldest !== undefined
}
