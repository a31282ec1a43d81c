import type { ClusterView } from '../model/cluster-view.ts'
import type { LogFields } from '../platform/log.ts'

/** The periodic report of the original: who is primary, how everybody is, what went through the routers. */
export function statusReport(view: ClusterView): LogFields {
  const healthy = view.members.filter(
    ({ reachable, facts }) => reachable && (facts.witness || facts.instance.state === 'running'),
  ).length
  return {
    cluster: view.scope,
    primary: view.record && view.record.state !== 'released' ? view.record.holder : null,
    epoch: view.record?.epoch ?? 0,
    leaseRemainingMs: view.leaseRemainingMs,
    health: `${healthy}/${view.members.length}`,
    members: view.members.map(({ facts, reachable, lagBytes }) => ({
      name: facts.name,
      role: facts.witness ? 'witness' : (facts.instance.role ?? null),
      state: facts.instance.state,
      reachable,
      timeline: facts.instance.timeline ?? null,
      lagBytes: lagBytes ?? null,
    })),
    queries: Object.fromEntries(
      view.queries.map(({ port, queries, errors, clients, waiting }) => [
        port,
        { queries, errors, clients, waiting },
      ]),
    ),
    consensus: view.consensus.hasQuorum ? (view.consensus.leader ?? 'no leader') : 'no quorum',
  }
}
