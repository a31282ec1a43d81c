import type { NodeConfig } from '../config/node-config.ts'
import { policyOf, watchdogPlan, type Policy } from '../ha/policy.ts'
import type { GuardClientDeps } from './guard-client.ts'

/** The limits that a node with this configuration keeps. */
export function nodePolicy({ ha, replication, watchdog }: NodeConfig): Policy {
  return policyOf(ha.profile, {
    ...(ha.leaseTtlMs === undefined ? {} : { leaseTtlMs: ha.leaseTtlMs }),
    maximumLagBytes: replication.maximumLagOnFailoverBytes,
    primaryStartTimeoutMs: ha.primaryStartTimeoutMs,
    storeGraceMs: ha.storeGraceMs,
    drainTimeoutMs: ha.drainTimeoutMs,
    trustsUnfenced: ha.fencing === 'none',
    ...(watchdog.mode === 'off' ? {} : { watchdogMarginMs: watchdog.safetyMarginMs }),
    ...(replication.acks ? { acks: replication.acks } : {}),
  })
}

/** What its guard is told of the watchdog. */
export function watchdogOf(config: NodeConfig): GuardClientDeps['watchdog'] {
  const { mode, device } = config.watchdog
  const plan = watchdogPlan(nodePolicy(config), device)
  return plan && mode !== 'off' ? { mode, plan } : undefined
}
