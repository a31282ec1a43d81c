import type { EffectiveSetting } from '../config/effective-settings.ts'

export type ConfigDifference = {
  /** Takes effect while the node runs. */
  readonly live: readonly string[]
  /** Waits for another router: `pg-metako router restart`. */
  readonly needsRouterRestart: readonly string[]
  readonly needsRestart: readonly string[]
  /** Counts no more: the cluster has a registry of its members (ADR 0015). */
  readonly ignored: readonly string[]
}

/** The members of the first start, and the majority that follows from their number. */
const OF_THE_FIRST_START = /^(cluster_members\b|coordination\.cluster_mode\.min_consensus_nodes$)/

/** Keys with another value than before, or that only one of the two has. */
export function compareConfigs(
  before: readonly EffectiveSetting[],
  after: readonly EffectiveSetting[],
  options: { readonly isRegistered: boolean },
): ConfigDifference {
  const [old, next] = [before, after].map(
    (settings) => new Map(settings.map(({ key, shown }) => [key, shown])),
  )
  const keys = [...new Set([...(next?.keys() ?? []), ...(old?.keys() ?? [])])]
  const kinds = keys
    .filter((key) => old?.get(key) !== next?.get(key))
    .map((key) => ({ key, kind: kindOf(key, options) }))
  const of = (wanted: keyof ConfigDifference) =>
    kinds.flatMap(({ key, kind }) => (kind === wanted ? [key] : []))
  return {
    live: of('live'),
    needsRouterRestart: of('needsRouterRestart'),
    needsRestart: of('needsRestart'),
    ignored: of('ignored'),
  }
}

/** What clients, pools and the router's process were begun with (`src/proxy/pool/live-options.ts`). */
const OF_THE_ROUTERS_START =
  /^pool\.(?:pool_mode|max_prepared_statements|auth_\w+|read_write_split|(?:read|write)_functions.*|(?:databases|users)\[\d+\]\.pool_mode)$|^router\.(?:workers|hold_timeout|max_client_connections|(?:client|server)_tls_\w+)$/
/** The router gets its settings from its agent whenever they change. */
const LIVE =
  /^(?:logging\.level|router\.drain_timeout|pool\.(?!listen_addr$).*|postgresql\.(?:callbacks\b.*|callback_timeout))$/

function kindOf(key: string, options: { readonly isRegistered: boolean }): keyof ConfigDifference {
  if (OF_THE_ROUTERS_START.test(key)) return 'needsRouterRestart'
  if (LIVE.test(key)) return 'live'
  return options.isRegistered && OF_THE_FIRST_START.test(key) ? 'ignored' : 'needsRestart'
}
