import type { AckPolicy } from '../model/ack-rule.ts'
import type { Callbacks } from '../model/callback.ts'
import type { MemberTags } from '../model/member-tags.ts'
import type { PoolAuthType, PoolSettings } from '../model/pool-settings.ts'
import type { TlsSettings } from '../model/tls-settings.ts'

/**
 * `primary` and `standby` are only hints for the first bootstrap: the member initialises that alone says `primary`. A `witness` votes and
 * has no database.
 */
export type RoleHint = 'primary' | 'standby' | 'witness'

/**
 * The effective configuration of one node: validated, complete (every key has a value), in our words and units
 * (durations in milliseconds, sizes in bytes). Made by `loadConfig`; everything after it may trust it.
 */
export type NodeConfig = {
  readonly scope: string
  readonly namespace: string
  readonly identity: {
    readonly nodeName: string
    /** Where the API listens. */
    readonly apiHost: string
    readonly apiPort: number
    /** Address that others reach this node at; absent: derived at start (see the fixed readings in docs/reference/config.md). */
    readonly advertiseHost?: string
  }
  /** How the agent reaches its own PostgreSQL, as superuser. */
  readonly localDb: {
    readonly name: string
    readonly host: string
    readonly port: number
    readonly roleHint: RoleHint
    readonly username: string
    readonly password: string
    readonly database: string
  }
  /** The others, without this node. */
  readonly members: readonly {
    readonly nodeName: string
    readonly apiHost: string
    readonly apiPort: number
    readonly roleHint: RoleHint
  }[]
  /** An etcd that runs already takes the place of the built-in consensus. */
  readonly etcd?: {
    /** URLs without a path; never empty. */
    readonly endpoints: readonly string[]
    readonly username?: string
    readonly password?: string
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
  }
  readonly coordination: {
    readonly heartbeatIntervalMs: number
    readonly communicationTimeoutMs: number
    readonly failoverTimeoutMs: number
    readonly minConsensusNodes: number
    readonly localNodePreference: number
  }
  readonly pairMode: {
    readonly enable: boolean
    readonly failoverDelayMs: number
    readonly failureThreshold: number
  }
  readonly healthCheck: {
    readonly intervalMs: number
    readonly timeoutMs: number
    readonly failureThreshold: number
  }
  readonly loadBalancer: {
    readonly algorithm: 'round_robin' | 'least_connected'
    readonly readTimeoutMs: number
    readonly writeTimeoutMs: number
  }
  readonly security: {
    readonly tlsEnabled: boolean
    readonly certFile?: string
    readonly keyFile?: string
    readonly caFile?: string
    /** Absent: derived from the database password, with a warning. */
    readonly clusterSecret?: string
    /** Absent: generated at first start into a file of mode 0600 in the state folder. */
    readonly apiToken?: string
    /** Addresses, networks and host names that changes are taken from. */
    readonly allowlist: readonly string[]
    readonly allowlistIncludeMembers: boolean
    readonly verifyClient: 'none' | 'optional' | 'required'
    /** Of every answer of the API. */
    readonly extraHeaders: Readonly<Record<string, string>>
  }
  /** How others' APIs are asked; what is absent is taken from `security`. */
  readonly ctl: {
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
    readonly isInsecure: boolean
  }
  readonly postgresql: {
    /** Given: managed. Absent: attached, or a witness. */
    readonly dataDir?: string
    readonly binDir?: string
    readonly listenAddresses: readonly string[]
    /** Operating system user that owns the instance; absent: owner of the data directory, else postgres, else nobody. */
    readonly osUser?: string
    readonly parameters: Readonly<Record<string, string>>
    readonly pgHba: readonly string[]
    readonly startTimeoutMs: number
    readonly stopTimeoutMs: number
    readonly callbacks: { readonly commands: Callbacks; readonly timeoutMs: number }
  }
  readonly replication: {
    /** How commits wait for standbys; absent: they do not. */
    readonly acks?: AckPolicy
    readonly username: string
    /** Absent: derived from the cluster secret. */
    readonly password?: string
    readonly maximumLagOnFailoverBytes: number
    readonly useSlots: boolean
  }
  readonly bootstrap: {
    readonly users: readonly {
      readonly name: string
      readonly password: string
      readonly options: readonly string[]
    }[]
    readonly databases: readonly { readonly name: string; readonly owner: string }[]
    /** Extra arguments for initdb. */
    readonly initdb: readonly string[]
  }
  readonly ha: {
    readonly profile: 'lan' | 'noisy' | 'wan'
    /** Absent: the profile's (lan 3 s). */
    readonly leaseTtlMs?: number
    /** How long a crashed primary is restarted in place before another takes over; 0 = fail over at once. */
    readonly primaryStartTimeoutMs: number
    /** How long a primary whose commits wait for standbys runs on without a lease. */
    readonly storeGraceMs: number
    readonly drainTimeoutMs: number
    /** `none`: a silent primary that nothing could have stopped is taken over from all the same. */
    readonly fencing: 'required' | 'none'
  }
  /** Absent where there is none. */
  readonly tags?: MemberTags
  readonly watchdog: {
    readonly mode: 'off' | 'automatic' | 'required'
    readonly device: string
    /** The host has been reset so long before the lease ends. */
    readonly safetyMarginMs: number
  }
  readonly router: {
    readonly enabled: boolean
    readonly listenHost: string
    readonly primaryPort: number
    readonly replicaPort: number
    readonly pooledPort: number
    /** How long a new connection waits for a primary before it fails. */
    readonly holdTimeoutMs: number
    readonly maxClientConnections: number
    readonly workers: number
    /** How long clients may stay whose router was replaced. */
    readonly drainTimeoutMs: number
    readonly tls: TlsSettings
  }
  /** The pooled port; the names are PgBouncer's. */
  readonly pool: PoolSettings & {
    /** Absent: `router.listenHost`. */
    readonly listenAddr?: string
    /** Absent: `router.maxClientConnections`. */
    readonly maxClientConn?: number
    readonly authType: PoolAuthType
    readonly authFile?: string
    /** Absent: the superuser of `localDb`. */
    readonly authUser?: string
    readonly authDbname?: string
    readonly authQuery: string
  }
  readonly logging: {
    readonly level: 'debug' | 'info' | 'warn' | 'error'
    /** Absent: standard error. */
    readonly file?: string
    readonly statusIntervalMs: number
  }
  readonly paths: {
    /** Consensus log, token, incarnation, reports. Absent from the file: beside the data directory, `<data_dir>.metako`. */
    readonly stateDir: string
    /** Unix sockets of agent, guard and router. Short: a socket path may have 107 bytes. */
    readonly runDir: string
  }
}
