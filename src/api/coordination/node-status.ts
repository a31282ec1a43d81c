import type { ClusterDocument, NodeStatus } from '#client'
import type { ClusterView, MemberView } from '../../model/cluster-view.ts'
import { leaseHolder } from '../lease-holder.ts'
import { patroniMembers } from '../patroni/cluster-members.ts'

/** The version that agents of the first generation announce and compare. */
const COORDINATION_API_VERSION = '1.0.0'

/** `GET /status`: this node in the words of the first generation's coordination API, roles included. */
export function nodeStatus(view: ClusterView, member: MemberView): NodeStatus {
  const runs = member.facts.instance.state === 'running'
  const heardAt =
    member.heardMsAgo === undefined ? undefined : Date.parse(view.takenAt) - Math.round(member.heardMsAgo)
  return {
    node_name: member.facts.name,
    is_healthy: member.reachable && runs,
    role: leaseHolder(view) === member.facts.name ? 'master' : 'slave',
    last_heartbeat: heardAt === undefined ? null : new Date(heardAt).toISOString(),
    local_db_healthy: member.reachable && runs,
    api_version: COORDINATION_API_VERSION,
  }
}

/** `GET /cluster`: Patroni's object, with the coordination API's `nodes`, `current_master` and `last_update` in it. */
export function clusterDocument(view: ClusterView): ClusterDocument {
  return {
    members: patroniMembers(view),
    scope: view.scope,
    ...(view.paused ? { pause: true } : {}),
    ...(view.scheduled?.switchover ? { scheduled_switchover: view.scheduled.switchover } : {}),
    nodes: Object.fromEntries(view.members.map((member) => [member.facts.name, nodeStatus(view, member)])),
    current_master: leaseHolder(view) ?? '',
    last_update: view.takenAt,
  }
}
