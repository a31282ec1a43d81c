import type { MemberTags } from './cluster-view.ts'

/**
 * The documents of Patroni's REST API, in Patroni's words, so that tools made for it go on working.
 * `GET /patroni` and every health check answer `PatroniStatus`.
 */
export type PatroniStatus = {
  readonly state: string
  readonly role: 'primary' | 'replica' | 'uninitialized'
  readonly patroni: { readonly version: string; readonly scope: string; readonly name: string }
  readonly postmaster_start_time?: string
  readonly server_version?: number
  /** Absent while PostgreSQL is down. */
  readonly xlog?: PatroniPrimaryWal | PatroniReplicaWal
  readonly timeline?: number
  readonly replication_state?: 'streaming'
  /** Commits wait for this replica: for the first of several, or for any. */
  readonly sync_standby?: true
  readonly quorum_standby?: true
  readonly replication?: readonly PatroniWalSender[]
  readonly pause?: true
  readonly cluster_unlocked?: true
  /** Seconds since 1970. */
  readonly dcs_last_seen?: number
  readonly database_system_identifier?: string
  readonly pending_restart?: true
  readonly scheduled_restart?: PatroniScheduledRestart
  readonly tags?: MemberTags
}

/** Of a member that is to be restarted later: when, and on what conditions. */
export type PatroniScheduledRestart = {
  readonly schedule: string
  readonly role?: 'primary' | 'replica'
  readonly restart_pending?: true
  readonly postgres_version?: string
}

export type PatroniPrimaryWal = { readonly location: number }
export type PatroniReplicaWal = {
  readonly received_location: number
  readonly replayed_location: number
  readonly paused: boolean
}
export type PatroniWalSender = {
  readonly application_name: string
  readonly state: string
  readonly sync_state: 'async' | 'potential' | 'sync' | 'quorum'
  readonly sync_priority: number
}

export type PatroniMember = {
  readonly name: string
  readonly role: 'leader' | 'sync_standby' | 'quorum_standby' | 'replica'
  readonly state: string
  readonly api_url: string
  readonly host: string
  readonly port: number
  readonly timeline?: number
  readonly pending_restart?: true
  readonly scheduled_restart?: PatroniScheduledRestart
  readonly tags?: MemberTags
  readonly receive_lag?: number | 'unknown'
  readonly receive_lsn?: string
  readonly replay_lag?: number | 'unknown'
  readonly replay_lsn?: string
  readonly lag?: number | 'unknown'
  readonly lsn?: string
}

/** `GET /history`: timeline that ended, where (bytes), why, when, and who went on. */
export type PatroniHistoryLine = readonly [
  timeline: number,
  endLsn: number,
  reason: string,
  at: string,
  newLeader: string,
]
