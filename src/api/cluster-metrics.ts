import type { ClusterView } from '../model/cluster-view.ts'
import type { EpochLink } from '../model/epoch-record.ts'
import type { MetricFamily, MetricSample } from '../platform/metrics.ts'
import { leaseHolder } from './leadership.ts'

type Labels = Readonly<Record<string, string>>

/** Our own metrics, read from the view on every scrape. Labels are bounded: members, ports and reasons. */
export function clusterMetrics(view: ClusterView): readonly MetricFamily[] {
  const own: Labels = { scope: view.scope, name: view.self }
  const one = (name: string, help: string, value: number): MetricFamily =>
    gauge(name, help, [{ labels: own, value }])
  const each = <Item>(
    items: readonly Item[],
    label: (item: Item) => Labels,
    value: (item: Item) => number | undefined,
  ) =>
    items.flatMap((item): MetricSample[] => {
      const number = value(item)
      return number === undefined ? [] : [{ labels: { ...own, ...label(item) }, value: number }]
    })
  const byMember = (value: (member: ClusterView['members'][number]) => number | undefined) =>
    each(view.members, (member) => ({ member: member.facts.name }), value)
  const byPort = (value: (totals: ClusterView['queries'][number]) => number) =>
    each(view.queries, (totals) => ({ port: totals.port }), value)

  return [
    one(
      'pg_metako_epoch',
      'Fencing number of the present holder; 0 before the first.',
      view.record?.epoch ?? 0,
    ),
    one(
      'pg_metako_lease_remaining_seconds',
      'How long the lease is still proven.',
      view.leaseRemainingMs / 1000,
    ),
    one('pg_metako_has_primary', '1 if somebody holds the lease.', leaseHolder(view) === undefined ? 0 : 1),
    one('pg_metako_raft_term', 'Term of the consensus.', view.consensus.term),
    one(
      'pg_metako_has_quorum',
      '1 if consensus has a majority, seen from here.',
      view.consensus.hasQuorum ? 1 : 0,
    ),
    one('pg_metako_voters', 'Members with a vote.', view.consensus.voters.length),
    gauge(
      'pg_metako_member_reachable',
      '1 if the member is heard.',
      byMember((member) => (member.reachable ? 1 : 0)),
    ),
    gauge(
      'pg_metako_member_lag_bytes',
      'Bytes behind the primary.',
      byMember((member) => member.lagBytes),
    ),
    gauge(
      'pg_metako_findings',
      'Findings that stand now.',
      (['info', 'warning', 'critical'] as const).map((severity) => ({
        labels: { ...own, severity },
        value: view.findings.filter((finding) => finding.severity === severity).length,
      })),
    ),
    counter(
      'pg_metako_failovers_total',
      'Unplanned changes of primary, by reason.',
      byReason(view, own, isFailover),
    ),
    counter('pg_metako_switchovers_total', 'Planned changes of primary.', [
      { labels: own, value: view.history.filter((link) => link.reason === 'SWITCHOVER').length },
    ]),
    counter('pg_metako_lost_transactions_total', 'Transactions that take-overs lost.', [
      { labels: own, value: view.losses.reduce((sum, loss) => sum + loss.transactions, 0) },
    ]),
    counter('pg_metako_lost_wal_bytes_total', 'WAL that take-overs left behind.', [
      { labels: own, value: view.losses.reduce((sum, loss) => sum + loss.bytes, 0) },
    ]),
    counter(
      'pg_metako_router_queries_total',
      'Statements by port.',
      byPort((totals) => totals.queries),
    ),
    counter(
      'pg_metako_router_errors_total',
      'Errors that the router itself gave.',
      byPort((totals) => totals.errors),
    ),
    gauge(
      'pg_metako_router_clients',
      'Clients by port.',
      byPort((totals) => totals.clients),
    ),
    gauge(
      'pg_metako_router_waiting',
      'Clients that wait for a server.',
      byPort((totals) => totals.waiting),
    ),
  ]
}

const FAILOVER_REASONS = ['LEASE_EXPIRED', 'PRIMARY_CRASHED', 'PRIMARY_STOPPED'] as const

function isFailover(link: EpochLink): boolean {
  return (FAILOVER_REASONS as readonly string[]).includes(link.reason)
}

/** All reasons, also those that never happened: a counter that appears with 1 is invisible to `increase()`. */
function byReason(
  view: ClusterView,
  own: Labels,
  counts: (link: EpochLink) => boolean,
): readonly MetricSample[] {
  return FAILOVER_REASONS.map((reason) => ({
    labels: { ...own, reason },
    value: view.history.filter((link) => counts(link) && link.reason === reason).length,
  }))
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, kind: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, help, kind: 'counter', samples }
}
