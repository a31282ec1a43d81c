import type { PatroniStatus, PatroniWalSender } from '#client'
import { memberOfWalName } from '../../model/ack-rule.ts'
import type { ClusterView } from '../../model/cluster-view.ts'
import { parseLsn } from '../../model/lsn.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { ackPart, leaseHolder, ownMember } from '../lease-holder.ts'
import { scheduledRestart } from './schedule-time.ts'
import { patroniRole, patroniState, patroniTimestamp } from './words.ts'

/** `GET /patroni` and the body of every health check: this node in Patroni's words. What is unknown is left out. */
export function statusDocument(view: ClusterView): PatroniStatus {
  const facts = ownMember(view)?.facts
  const instance: InstanceFacts = facts?.instance ?? { state: 'unknown' }
  const startedAt = instance.startedAt === undefined ? undefined : patroniTimestamp(instance.startedAt)
  const xlog = walPosition(instance)
  const restart = view.scheduled?.restarts[view.self]
  const part = instance.role === 'standby' ? ackPart(view, view.self) : undefined
  return {
    state: patroniState(instance.state),
    ...(startedAt === undefined ? {} : { postmaster_start_time: startedAt }),
    role: patroniRole(instance),
    ...(instance.serverVersion === undefined ? {} : { server_version: instance.serverVersion }),
    ...(xlog === undefined ? {} : { xlog }),
    ...(instance.timeline === undefined ? {} : { timeline: instance.timeline }),
    ...(instance.streaming === true ? { replication_state: 'streaming' as const } : {}),
    ...(part === undefined ? {} : { [`${part}_standby`]: true as const }),
    ...(instance.walSenders === undefined || instance.walSenders.length === 0
      ? {}
      : {
          replication: instance.walSenders.map(({ name, state, syncPriority }) => ({
            application_name: memberOfWalName(name),
            state,
            sync_state: syncState(instance.synchronousNames, syncPriority),
            sync_priority: syncPriority,
          })),
        }),
    ...(view.paused ? { pause: true as const } : {}),
    ...(leaseHolder(view) === undefined ? { cluster_unlocked: true as const } : {}),
    ...(view.consensus.hasQuorum ? { dcs_last_seen: Math.floor(Date.parse(view.takenAt) / 1000) } : {}),
    ...(instance.systemId === undefined ? {} : { database_system_identifier: instance.systemId }),
    ...((instance.pendingRestart?.length ?? 0) > 0 ? { pending_restart: true as const } : {}),
    ...(restart ? { scheduled_restart: scheduledRestart(restart) } : {}),
    ...(facts?.tags ? { tags: facts.tags } : {}),
    patroni: { version: facts?.version ?? '0.0.0', scope: view.scope, name: view.self },
  }
}

/** As `pg_stat_replication` calls it. */
function syncState(setting: string | undefined, priority: number): PatroniWalSender['sync_state'] {
  if (priority === 0) return 'async'
  const [, method = '', k = '1'] = /^\s*(any|first)\s+(\d+)/i.exec(setting ?? '') ?? []
  if (method.toLowerCase() === 'any') return 'quorum'
  return priority <= Number(k) ? 'sync' : 'potential'
}

/** Patroni's peers take a node without `xlog` for unreachable: it is there only while PostgreSQL runs. */
function walPosition(instance: InstanceFacts): PatroniStatus['xlog'] {
  const flushed = positionNumber(instance.flushLsn)
  if (instance.state !== 'running' || flushed === undefined) return undefined
  if (instance.role === 'primary') return { location: flushed }
  return {
    received_location: flushed,
    replayed_location: positionNumber(instance.replayLsn) ?? 0,
    paused: instance.walReplayPaused ?? false,
  }
}

/** Patroni writes positions as numbers of bytes. They stay exact up to 8 PiB of WAL. */
export function positionNumber(text: string | undefined): number | undefined {
  const lsn = text === undefined ? undefined : parseLsn(text)
  return lsn === undefined ? undefined : Number(lsn)
}
