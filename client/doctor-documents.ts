import type { MemberFacts } from './cluster-view.ts'

/** `GET /v1/doctor`: what one node is like, and what is wrong with it. Looks at disks, PostgreSQL and the other nodes now. Needs the token. */
export type DoctorDocument = {
  readonly facts: NodeFacts
  /** What the checks that need one node alone say of it. */
  readonly diagnoses: readonly Diagnosis[]
}

export type Diagnosis = {
  /** The check that says so. */
  readonly check: string
  /** Stable, for programs. */
  readonly code: string
  /** `ok`: looked at, and well. `note`: worth knowing. `warning`: will hurt. `error`: hurts, or will when it is needed. */
  readonly severity: 'ok' | 'note' | 'warning' | 'error'
  /** Absent: about the cluster. */
  readonly member?: string
  /** What is, with numbers. */
  readonly evidence: string
  /** Of each warning and error: what to do, as it is typed where it can be. */
  readonly fix?: string
}

/** What cannot be learnt is absent. */
export type NodeFacts = {
  readonly node: string
  readonly takenAt: string
  readonly software: { readonly agent: string; readonly runtime: string }
  readonly host: HostFacts
  /** What its agent says in its heartbeats; absent before there is an agent. */
  readonly member?: MemberFacts
  readonly setup: SetupFacts
  readonly database?: DatabaseFacts
  /** Why there is no `database`, where one should be. */
  readonly databaseTrouble?: string
  readonly peers: readonly PeerReach[]
}

/** Of the configuration, as far as checks hang on it. */
export type SetupFacts = {
  readonly members: number
  readonly useSlots: boolean
  readonly mode: 'managed' | 'attached' | 'witness'
  /** `security.tls_enabled`: of the API. */
  readonly isApiTls: boolean
  readonly isSecretDerived: boolean
  readonly clientConnectionsMax: number
}

export type HostFacts = {
  readonly disks: readonly DiskFacts[]
  /** Small durable writes in the state folder, where each vote and each renewal of a lease is one. */
  readonly flush?: { readonly medianMs: number; readonly worstMs: number; readonly times: number }
  /** Why there is no `flush`. */
  readonly flushTrouble?: string
  /** Open files of a process, and how many it may have. */
  readonly files: readonly { readonly process: string; readonly open: number; readonly max: number }[]
  readonly certificates: readonly CertificateFacts[]
}

export type DiskFacts = {
  readonly holds: readonly ('data' | 'WAL' | 'state')[]
  readonly folder: string
  readonly freeBytes: number
  readonly totalBytes: number
}

export type CertificateFacts = {
  readonly for: string
  readonly file: string
  readonly expiresAt?: string
  /** Below zero: it has expired. */
  readonly expiresInMs?: number
  /** Why it cannot be used. */
  readonly trouble?: string
}

export type DatabaseFacts = {
  readonly role: 'primary' | 'standby'
  /** e.g. `180004`. */
  readonly version: number
  readonly settings: Readonly<Record<string, string>>
  /** Whose new value waits for a restart. */
  readonly pendingRestart: readonly string[]
  /** Lines of pg_hba.conf that PostgreSQL does not understand. */
  readonly accessErrors: readonly string[]
  readonly slots: readonly SlotFacts[]
  /** Of `archive_command`: absent where nothing was archived yet, nor failed. */
  readonly archiving?: { readonly failed: number; readonly isFailing: boolean; readonly lastWal?: string }
  /** Transactions since the oldest freeze; at two thousand million PostgreSQL stops. */
  readonly oldestXidAge: number
  /** Since when the oldest transaction is open. */
  readonly oldestTransactionMs?: number
  readonly preparedTransactions: number
}

export type SlotFacts = {
  readonly name: string
  readonly isActive: boolean
  /** Made by pg-metako. */
  readonly isOwn: boolean
  /** PostgreSQL's word: `reserved`, `extended`, `unreserved`, `lost`. */
  readonly walStatus?: string
  /** WAL that it keeps. */
  readonly keepsBytes?: number
}

/** How another node is reached from here. */
export type PeerReach = {
  readonly name: string
  readonly api: string
  /** Of a TCP connection to its agent, the best of a few. */
  readonly roundTripMs?: number
  readonly apiTrouble?: string
  /** A connection for replication, as this node would open one if that member were its primary. */
  readonly replication?: 'accepted' | 'refused'
  readonly replicationTrouble?: string
}
