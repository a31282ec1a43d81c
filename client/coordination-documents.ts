import type { PatroniMember } from './patroni-documents.ts'

/** `GET /status`: one node in the words of the coordination API that agents of the first generation spoke. */
export type NodeStatus = {
  readonly node_name: string
  /** Its agent answers and its PostgreSQL runs. */
  readonly is_healthy: boolean
  readonly role: 'master' | 'slave'
  /** RFC 3339; null when it was never heard. */
  readonly last_heartbeat: string | null
  readonly local_db_healthy: boolean
  readonly api_version: string
}

/** `GET /cluster`: Patroni's object and the coordination API's in one. */
export type ClusterDocument = {
  readonly scope: string
  /** Absent unless the cluster is paused. */
  readonly pause?: true
  /** To be carried out when the time has come. */
  readonly scheduled_switchover?: { readonly at: string; readonly from: string; readonly to?: string }
  /** Sorted by name. */
  readonly members: readonly PatroniMember[]
  readonly nodes: Readonly<Record<string, NodeStatus>>
  /** Holder of the lease; empty while there is none. */
  readonly current_master: string
  /** RFC 3339. */
  readonly last_update: string
}
