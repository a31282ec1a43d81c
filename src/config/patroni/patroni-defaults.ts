import { MINUTE, SECOND } from '../../std/units.ts'
import { clusterKeys } from '../keys/cluster-keys.ts'
import { postgresKeys } from '../keys/postgres-keys.ts'
import { runtimeKeys } from '../keys/runtime-keys.ts'
import type { Key } from '../key.ts'
import type { Settings } from '../settings.ts'

const FROM = "Patroni's default"
const TTL_MS = 30 * SECOND
const MARGIN_MS = 5 * SECOND

/** What Patroni does where its file says nothing, and what it does not have. */
export function derivePatroniDefaults(settings: Settings): void {
  const derive = <T>(key: Key<T>, value: T, from = FROM): void => {
    if (!settings.isGiven(key) && !settings.isWrong(key)) settings.derive(key, value, from)
  }
  derive(runtimeKeys.leaseTtl, TTL_MS)
  derive(runtimeKeys.primaryStartTimeout, 5 * MINUTE)
  derive(runtimeKeys.watchdogMode, 'automatic')
  // Where the lease leaves room for it.
  if (settings.need(runtimeKeys.leaseTtl) >= 2 * MARGIN_MS) derive(runtimeKeys.watchdogMargin, MARGIN_MS)
  derive(postgresKeys.replicationMode, 'async')
  derive(postgresKeys.synchronousNodeCount, 1)
  derive(runtimeKeys.routerEnabled, false, 'Patroni has no router')
  // A failover waits until the lease has run out: no limit for it may be shorter.
  derive(clusterKeys.failoverTimeout, 2 * settings.need(runtimeKeys.leaseTtl), 'ha.lease_ttl')
}
