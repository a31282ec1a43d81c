import { watchdogTimeoutMaxS } from '../model/watchdog.ts'
import { PROFILES } from './derive-defaults.ts'
import type { Key } from './key.ts'
import { clusterKeys } from './keys/cluster-keys.ts'
import { runtimeKeys, WATCHDOG_MARGIN_MS } from './keys/runtime-keys.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'
import { showDuration } from './value-kinds.ts'

/** Which durations go together: none may cost the primary its lease, none may pile up. */
export function checkTimes(settings: Settings, problems: Problems): void {
  const interval = settings.need(clusterKeys.healthInterval)
  const timeout = settings.need(clusterKeys.healthTimeout)
  if (timeout > interval) {
    problems.error(settings.placeOf(clusterKeys.healthTimeout), clusterKeys.healthTimeout.name, {
      value: showDuration(timeout),
      rule: `one check may take longer than the interval of ${showDuration(interval)}: checks would pile up`,
      remedy: `write at most ${showDuration(interval)}, or a longer health_check.interval`,
    })
  }
  const lease = settings.need(runtimeKeys.leaseTtl)
  const profile = PROFILES[settings.need(runtimeKeys.profile)]
  checkAgainstLease(settings, problems, {
    key: clusterKeys.heartbeat,
    longest: Math.floor(lease / 3),
    instead: profile.heartbeatMs,
    rule: 'the lease must outlive three heartbeats',
  })
  checkAgainstLease(settings, problems, {
    key: clusterKeys.communicationTimeout,
    longest: lease,
    instead: Math.floor(profile.leaseMs / 3),
    rule: 'a request that waits longer than the lease lives would cost the primary its lease',
  })
  checkWatchdog(settings, problems, lease)
  const failover = settings.need(clusterKeys.failoverTimeout)
  if (failover < lease) {
    problems.error(settings.placeOf(clusterKeys.failoverTimeout), clusterKeys.failoverTimeout.name, {
      value: showDuration(failover),
      rule: `a failover waits until the lease of ${showDuration(lease)} has run out and cannot be done in less`,
      remedy: `write at least ${showDuration(lease * 2)}, or a shorter ha.lease_ttl`,
    })
  }
}

/** A watchdog counts whole seconds, and has to end before the lease. */
function checkWatchdog(settings: Settings, problems: Problems, leaseMs: number): void {
  const { watchdogMode, watchdogMargin, leaseTtl } = runtimeKeys
  if (settings.need(watchdogMode) === 'off') return
  const marginMs = settings.need(watchdogMargin)
  if (watchdogTimeoutMaxS(leaseMs, marginMs) >= 1) return
  const isTheMargin = watchdogTimeoutMaxS(leaseMs, WATCHDOG_MARGIN_MS) >= 1
  const key = isTheMargin ? watchdogMargin : leaseTtl
  problems.error(settings.placeOf(key), key.name, {
    value: showDuration(isTheMargin ? marginMs : leaseMs),
    rule: `no watchdog fits: it counts whole seconds, and has to end ${showDuration(marginMs)} before a lease of ${showDuration(leaseMs)}, of which a fifth is for renewals that come late`,
    remedy: isTheMargin
      ? 'write a shorter time, or remove the key; or set a longer ha.lease_ttl on all nodes'
      : 'set ha.lease_ttl to at least 1500ms on all nodes, or "mode: off" under watchdog:',
  })
}

/**
 * Files written for slower systems ask for times that this lease does not allow. Where the lease is the profile's,
 * the profile's time is used and told; where the file sets the lease itself, the file contradicts itself.
 */
function checkAgainstLease(
  settings: Settings,
  problems: Problems,
  limit: { key: Key<number>; longest: number; instead: number; rule: string },
): void {
  const { key, longest } = limit
  const asked = settings.need(key)
  if (asked <= longest) return
  const lease = showDuration(settings.need(runtimeKeys.leaseTtl))
  const place = settings.placeOf(key)
  const value = showDuration(asked)
  if (settings.isGiven(runtimeKeys.leaseTtl)) {
    const rule = `${limit.rule}: with ha.lease_ttl ${lease} it may be ${showDuration(longest)} at most`
    problems.error(place, key.name, {
      value,
      rule,
      remedy: 'write a shorter time, a longer ha.lease_ttl, or remove the key',
    })
    return
  }
  const from = `ha.profile ${settings.need(runtimeKeys.profile)}`
  settings.derive(key, limit.instead, from)
  problems.warning(place, key.name, {
    value,
    rule: `${limit.rule} (${lease} in ${from}), so ${showDuration(limit.instead)} is used`,
    remedy: `remove the key; or set ha.lease_ttl if the cluster should be that patient`,
  })
}
