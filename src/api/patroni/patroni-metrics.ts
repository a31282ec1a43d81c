import type { ClusterView } from '../../model/cluster-view.ts'
import type { MetricFamily } from '../../platform/metrics.ts'
import { ackPart, holdsLease, leaseHolder, ownMember } from '../lease-holder.ts'
import { positionNumber } from './status-document.ts'
import { patroniState, patroniVersionNumber, STATE_NUMBERS } from './words.ts'

type Row = readonly [
  name: string,
  help: string,
  kind: 'gauge' | 'counter',
  value: number | boolean | undefined,
]

/** The metrics of Patroni that we have a value for, under Patroni's names: its dashboards and alerts go on working. */
export function patroniMetrics(view: ClusterView): readonly MetricFamily[] {
  const facts = ownMember(view)?.facts
  const instance = facts?.instance ?? { state: 'unknown' as const }
  const runs = instance.state === 'running'
  const isPrimary = runs && instance.role === 'primary'
  const isReplica = runs && instance.role === 'standby'
  const part = isReplica ? ackPart(view, view.self) : undefined
  const flushed = positionNumber(instance.flushLsn)
  const startedMs = instance.startedAt === undefined ? Number.NaN : Date.parse(instance.startedAt)
  const rows: readonly Row[] = [
    ...clusterRows(view),
    [
      'patroni_version',
      'Version, two digits for each part.',
      'gauge',
      patroniVersionNumber(facts?.version ?? '0'),
    ],
    ['patroni_postgres_running', '1 if PostgreSQL runs.', 'gauge', runs],
    ['patroni_postgres_state', STATE_HELP, 'gauge', STATE_NUMBERS.indexOf(patroniState(instance.state))],
    ['patroni_postmaster_start_time', 'Start of PostgreSQL, seconds since 1970.', 'gauge', startedMs / 1000],
    ['patroni_primary', '1 if this node holds the lease.', 'gauge', holdsLease(view)],
    [
      'patroni_xlog_location',
      'Position of the primary, bytes; 0 on others.',
      'counter',
      isPrimary ? flushed : 0,
    ],
    ['patroni_standby_leader', '1 if this node leads a standby cluster; there is none.', 'gauge', false],
    ['patroni_sync_standby', '1 if commits wait for this replica first.', 'gauge', part === 'sync'],
    [
      'patroni_quorum_standby',
      '1 if commits wait for any of some, and this one is among them.',
      'gauge',
      part === 'quorum',
    ],
    ['patroni_replica', '1 if PostgreSQL is a replica.', 'gauge', isReplica],
    ['patroni_xlog_received_location', 'Position received, bytes.', 'counter', isReplica ? flushed : 0],
    [
      'patroni_xlog_replayed_location',
      'Position replayed, bytes.',
      'counter',
      isReplica ? positionNumber(instance.replayLsn) : 0,
    ],
    [
      'patroni_xlog_paused',
      '1 if replay is paused.',
      'gauge',
      isReplica && instance.walReplayPaused === true,
    ],
    ['patroni_postgres_streaming', '1 if it streams.', 'gauge', isReplica && instance.streaming === true],
    [
      'patroni_postgres_in_archive_recovery',
      '1 if it replays from an archive; there is none.',
      'gauge',
      false,
    ],
    ['patroni_postgres_server_version', 'Version of PostgreSQL.', 'gauge', instance.serverVersion],
    ['patroni_postgres_timeline', 'Timeline of PostgreSQL.', 'gauge', instance.timeline],
    [
      'patroni_pending_restart',
      '1 if PostgreSQL waits for a restart.',
      'gauge',
      (instance.pendingRestart?.length ?? 0) > 0,
    ],
  ]
  return rows.flatMap((row) => familyOf(row, view))
}

/** What is the same on all members, or said by an operator. */
function clusterRows(view: ClusterView): readonly Row[] {
  const { tags } = ownMember(view)?.facts ?? {}
  return [
    [
      'patroni_failover_priority',
      'Who of those with the same WAL becomes primary; 0: never.',
      'gauge',
      tags?.nofailover ? 0 : (tags?.failover_priority ?? 1),
    ],
    ['patroni_cluster_unlocked', '1 if nobody holds the lease.', 'gauge', leaseHolder(view) === undefined],
    [
      'patroni_dcs_last_seen',
      'When consensus last answered, seconds since 1970.',
      'gauge',
      view.consensus.hasQuorum ? Math.floor(Date.parse(view.takenAt) / 1000) : undefined,
    ],
    ['patroni_is_paused', '1 if the cluster is paused.', 'gauge', view.paused === true],
    ['patroni_failsafe_mode_enabled', '1 with failsafe mode; there is none.', 'gauge', false],
    ['patroni_failsafe_mode_is_active', '1 while failsafe mode is used; there is none.', 'gauge', false],
  ]
}

const STATE_HELP = `State of PostgreSQL; values: ${STATE_NUMBERS.map((state, number) => `${number} ${state}`).join(', ')}, -1 unknown.`

/** A value that is not known gives no sample: a zero would be a statement. */
function familyOf([name, help, kind, value]: Row, view: ClusterView): MetricFamily[] {
  const number = typeof value === 'boolean' ? Number(value) : value
  if (number === undefined || Number.isNaN(number)) return []
  return [{ name, help, kind, samples: [{ labels: { scope: view.scope, name: view.self }, value: number }] }]
}
