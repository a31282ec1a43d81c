import type { PoolOptions } from './pool-options.ts'

/**
 * The next settings, but for those that clients and pools were begun with: they wait for another router. Which keys these are is said
 * to people by `src/agent/compare-configs.ts`.
 */
export function liveOptions(current: PoolOptions, next: PoolOptions): PoolOptions {
  return {
    ...next,
    listenAddr: current.listenAddr,
    auth: current.auth,
    poolMode: current.poolMode,
    // Whether named statements are followed at all is a matter of the whole connection, and so is the number.
    maxPreparedStatements: current.maxPreparedStatements,
    readWriteSplit: current.readWriteSplit,
    readFunctions: current.readFunctions,
    writeFunctions: current.writeFunctions,
    databases: withModes(next.databases, current.databases),
    users: withModes(next.users, current.users),
  }
}

type Entry = PoolOptions['databases'][number] | PoolOptions['users'][number]

function withModes<Each extends Entry>(entries: readonly Each[], before: readonly Each[]): readonly Each[] {
  return entries.map((entry) => {
    const poolMode = before.find(({ name }) => name === entry.name)?.poolMode
    if (poolMode === entry.poolMode) return entry
    const { poolMode: _, ...others } = entry
    return { ...others, ...(poolMode === undefined ? {} : { poolMode }) } as Each
  })
}
