import type { ClusterView, MemberView } from '../model/cluster-view.ts'
import type { EpochLink } from '../model/epoch-record.ts'
import { LATENCY_BOUNDS_MS, type StatementLatency } from '../model/statement-latency.ts'
import type { MetricFamily, MetricSample } from '../platform/metrics.ts'
import { SECOND } from '../std/units.ts'
import { leaseHolder } from './lease-holder.ts'

type Labels = Readonly<Record<string, string>>

/** Our own metrics, read from the view on every scrape. Labels are bounded: members, ports, reasons, and pairs of database and user. */
export function clusterMetrics(
  view: ClusterView,
  latencies: readonly StatementLatency[],
): readonly MetricFamily[] {
  const own: Labels = { scope: view.scope, name: view.self }
  return [
    ...leaseMetrics(view, own),
    ...memberMetrics(view, own),
    ...historyMetrics(view, own),
    ...routerMetrics(view, own),
    ...latencyMetrics(latencies, own),
  ]
}

function leaseMetrics(view: ClusterView, own: Labels): readonly MetricFamily[] {
  const { consensus, record } = view
  const one = (name: string, help: string, value: number) => gauge(name, help, [{ labels: own, value }])
  return [
    one('pg_metako_epoch', 'Fencing number of the present holder; 0 before the first.', record?.epoch ?? 0),
    one(
      'pg_metako_lease_remaining_seconds',
      'How long the lease is still proven.',
      view.leaseRemainingMs / SECOND,
    ),
    one('pg_metako_has_primary', '1 if somebody holds the lease.', leaseHolder(view) === undefined ? 0 : 1),
    one('pg_metako_raft_term', 'Term of the consensus.', consensus.term),
    one(
      'pg_metako_has_quorum',
      '1 if consensus has a majority, seen from here.',
      consensus.hasQuorum ? 1 : 0,
    ),
    one('pg_metako_voters', 'Members with a vote.', consensus.voters.length),
  ]
}

function memberMetrics(view: ClusterView, own: Labels): readonly MetricFamily[] {
  const samples = (value: (member: MemberView) => number | undefined) =>
    view.members.flatMap((member): MetricSample[] => {
      const number = value(member)
      return number === undefined ? [] : [{ labels: { ...own, member: member.facts.name }, value: number }]
    })
  const standing = (severity: string) =>
    view.findings.filter((finding) => finding.severity === severity).length
  return [
    gauge(
      'pg_metako_member_reachable',
      '1 if the member is heard.',
      samples((member) => (member.reachable ? 1 : 0)),
    ),
    gauge(
      'pg_metako_member_lag_bytes',
      'Bytes behind the primary.',
      samples((member) => member.lagBytes),
    ),
    gauge(
      'pg_metako_findings',
      'Findings that stand now.',
      ['info', 'warning', 'critical'].map((severity) => ({
        labels: { ...own, severity },
        value: standing(severity),
      })),
    ),
  ]
}

function historyMetrics({ history, losses }: ClusterView, own: Labels): readonly MetricFamily[] {
  const changes = (reason: EpochLink['reason']) => history.filter((link) => link.reason === reason).length
  const lost = (what: 'transactions' | 'bytes') => losses.reduce((sum, loss) => sum + loss[what], 0)
  return [
    // Every reason, also those that never happened: a counter that appears with 1 is invisible to `increase()`.
    counter(
      'pg_metako_failovers_total',
      'Unplanned changes of primary, by reason.',
      FAILOVER_REASONS.map((reason) => ({ labels: { ...own, reason }, value: changes(reason) })),
    ),
    counter('pg_metako_switchovers_total', 'Planned changes of primary.', [
      { labels: own, value: changes('SWITCHOVER') },
    ]),
    counter('pg_metako_lost_transactions_total', 'Transactions that take-overs lost.', [
      { labels: own, value: lost('transactions') },
    ]),
    counter('pg_metako_lost_wal_bytes_total', 'WAL that take-overs left behind.', [
      { labels: own, value: lost('bytes') },
    ]),
  ]
}

function routerMetrics(view: ClusterView, own: Labels): readonly MetricFamily[] {
  const samples = (what: 'queries' | 'errors' | 'clients' | 'waiting') =>
    view.queries.map((totals) => ({ labels: { ...own, port: totals.port }, value: totals[what] }))
  return [
    counter('pg_metako_router_queries_total', 'Statements by port.', samples('queries')),
    counter('pg_metako_router_errors_total', 'Errors that the router itself gave.', samples('errors')),
    gauge('pg_metako_router_clients', 'Clients by port.', samples('clients')),
    gauge('pg_metako_router_waiting', 'Clients that wait for a server.', samples('waiting')),
  ]
}

/** In the form of a histogram of Prometheus: each bucket holds those before it. */
function latencyMetrics(latencies: readonly StatementLatency[], own: Labels): readonly MetricFamily[] {
  const name = 'pg_metako_statement_duration_seconds'
  const labelled = latencies.map(({ database, user, ...latency }) => ({
    labels: { ...own, database, user },
    ...latency,
  }))
  const upTo = (counts: readonly number[], length: number): number =>
    counts.slice(0, length).reduce((sum, count) => sum + count, 0)
  return [
    counter(
      `${name}_bucket`,
      'Statements of the pooled port by how long they took at most, database and user.',
      labelled.flatMap(({ labels, counts }) =>
        counts.map((_, index) => ({
          labels: { ...labels, le: boundOf(index) },
          value: upTo(counts, index + 1),
        })),
      ),
    ),
    counter(
      `${name}_sum`,
      'How long they took, all together.',
      labelled.map(({ labels, sumMs }) => ({ labels, value: sumMs / SECOND })),
    ),
    counter(
      `${name}_count`,
      'How many they were.',
      labelled.map(({ labels, counts }) => ({ labels, value: upTo(counts, counts.length) })),
    ),
  ]
}

function boundOf(index: number): string {
  const bound = LATENCY_BOUNDS_MS[index]
  return bound === undefined ? '+Inf' : String(bound / SECOND)
}

const FAILOVER_REASONS = [
  'LEASE_EXPIRED',
  'PRIMARY_SILENT',
  'PRIMARY_CRASHED',
  'PRIMARY_STOPPED',
  'WRITE_PATH_STALLED',
  'DISK_FULL',
] as const

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, kind: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, kind: 'counter', samples }
}
