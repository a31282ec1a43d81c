import type { Pledge } from './ack-rule.ts'
import type { EpochRecord } from './epoch-record.ts'
import type { HeldSince, MemberTags } from './member-tags.ts'
import type { WatchdogFacts } from './watchdog.ts'

/** What PostgreSQL says it is. Other words for these two exist only at the borders. */
export type Role = 'primary' | 'standby'

/** The life of a member's PostgreSQL, in the order in which it usually goes. */
export type InstanceState =
  | 'absent'
  | 'initialising'
  | 'cloning'
  | 'rewinding'
  | 'stopped'
  | 'starting'
  | 'running'
  | 'stopping'
  | 'crashed'
  | 'unknown'

/** What a member knows about its own PostgreSQL. Absent fields are unknown, not zero. LSNs in PostgreSQL's text form. */
export type InstanceFacts = {
  readonly state: InstanceState
  readonly role?: Role
  readonly systemId?: string
  readonly timeline?: number
  /** Primary: end of flushed WAL. Standby: the furthest WAL that is safely here (received and flushed, or replayed). */
  readonly flushLsn?: string
  readonly replayLsn?: string
  /** Where the oldest WAL begins that is still in its directory: the start of a segment. */
  readonly oldestWal?: string
  /** Standby: a walreceiver is streaming now; and from whom. */
  readonly streaming?: boolean
  readonly upstreamHost?: string
  readonly upstreamPort?: number
  /** e.g. `180004`. */
  readonly serverVersion?: number
  readonly postmasterPid?: number
  /** Postmaster start on the wall clock, RFC 3339. */
  readonly startedAt?: string
  /** Parameters that wait for a restart. */
  readonly pendingRestart?: readonly string[]
  readonly walReplayPaused?: boolean
  /** A running clone or rewind. */
  readonly clone?: {
    readonly bytesDone: number
    readonly bytesTotal?: number
    readonly bytesPerSecond: number
  }
  /** Primary: who streams from here. */
  readonly walSenders?: readonly {
    /** As it calls itself: see `walNameOf`. */
    readonly name: string
    readonly pid: number
    readonly state: string
    readonly flushLsn?: string
    readonly replayLsn?: string
    /** It works by a setting that names it; 0 when it does not. */
    readonly syncPriority: number
  }[]
  /** `synchronous_standby_names` as a new session sees it. */
  readonly synchronousNames?: string
  /** Why the last start, clone or promotion failed: one line for people. */
  readonly trouble?: string
}

/**
 * Whether writing works here, by the agent's own tries (docs/adr/0021). Of a primary: small commits that wait for no standby. Of a
 * standby: a file that is made durable on the disk of its WAL. `slow`: it works, but such a member takes over from nobody. `full`: a
 * primary has no room left, a standby too little to take over. `no-slot`: PostgreSQL lets nobody in any more. `unknown`: not tried,
 * or in a state in which trying proves nothing.
 */
export type WritePathFacts = {
  readonly state: 'unknown' | 'good' | 'slow' | 'stalled' | 'full' | 'no-slot'
  /** Of the last try that came back, rounded up to a power of two. */
  readonly latencyMs?: number
}

/** Tells one life of an instance from the next: an order that names it is carried out once. `undefined`: it cannot be told now. */
export function lifeOf({ state, startedAt, postmasterPid }: InstanceFacts): string | undefined {
  if (state === 'stopped' || state === 'crashed') return 'down'
  return state === 'running' && startedAt !== undefined ? `${startedAt} ${postmasterPid}` : undefined
}

/**
 * What PostgreSQL counts of its work, as its agent asked last: for people. Two of them give rates. Transactions and the time in
 * statements are those of the databases of applications; sessions are all that `max_connections` counts.
 */
export type ActivityFacts = {
  /** When it was asked, on the monotonic clock of its agent. */
  readonly atMs: number
  /** Committed and rolled back, since PostgreSQL's statistics begin. */
  readonly transactions: number
  /** Time that sessions spent in statements since then. */
  readonly busyMs: number
  readonly connections: number
  /** Of these, how many are in a statement now. */
  readonly active: number
  readonly connectionsMax: number
  /** Primary: end of flushed WAL. Standby: what it received. */
  readonly walLsn?: string
}

/** What one agent tells all others about its node, in every heartbeat. */
export type MemberFacts = {
  readonly name: string
  /** Random id of the data directory (see `EpochRecord.incarnation`); absent while there is none. */
  readonly incarnation?: string
  /** Where others reach its PostgreSQL and its API. */
  readonly host: string
  readonly port: number
  readonly apiUrl: string
  readonly routerPorts?: { readonly primary: number; readonly replica: number; readonly pooled: number }
  readonly agentUptimeMs: number
  readonly guard: 'armed' | 'idle' | 'absent'
  /** Absent where `watchdog.mode` is off. */
  readonly watchdog?: WatchdogFacts
  /** Absent where there is none. */
  readonly tags?: MemberTags
  /** An operator holds it out of service, which is why it has two of its tags. */
  readonly held?: HeldSince
  /** It votes and has no database. */
  readonly witness?: true
  readonly instance: InstanceFacts
  /** Absent in releases that do not try, and where PostgreSQL is attached. */
  readonly writePath?: WritePathFacts
  /** Absent while PostgreSQL does not answer, and of releases that do not ask. */
  readonly activity?: ActivityFacts
  /** It has not taken in yet what is set for PostgreSQL of the whole cluster. */
  readonly unconfigured?: true
  /** Parameters of the whole cluster that its own file sets otherwise; absent where there are none. */
  readonly keptParameters?: readonly string[]
  /** It has heard that the cluster is paused. */
  readonly paused?: true
  /** The node is being shut down on purpose: no candidate. */
  readonly stopping: boolean
  readonly seen: SeenByMember
  /** As primary of this epoch it takes clients, open or not: its commits wait for others, and the record knows where it forked. */
  readonly admits?: { readonly epoch: number }
  /** It is primary, and about to hand over: no transaction begins here any more (docs/adr/0024). */
  readonly handsOver?: true
  /** The newest promise of this member not to help an older epoch to acknowledge. */
  readonly pledge?: Pledge
  /** This agent would say that the holder of this epoch is gone. */
  readonly suspects?: { readonly epoch: number }
  /** A primary that came up again: what it recovered may be nowhere else, so nobody is led there before enough members have it. */
  readonly closed?: true
  /** Its data is going to be rewritten: it must not be counted on any more (safety.md 8). */
  readonly leavesAckRule?: boolean
  /** Whom this agent takes out of the cluster just now: commits must not wait for them any more (safety.md 8, 30). */
  readonly removing?: readonly string[]
  readonly version: string
}

/** The newest epoch record that an agent had seen when it measured its instance. */
export type SeenByMember = {
  readonly epoch: number
  readonly seq: number
  readonly state: 'none' | EpochRecord['state']
  /** By this agent's own clock the lease has run out. */
  readonly expired: boolean
  /** This agent, in its present life, saw the holder renew: the cluster was alive while the holder was. */
  readonly witnessed: boolean
}

/** Of an agent that has seen no record yet. */
export const SAW_NONE: SeenByMember = { epoch: 0, seq: 0, state: 'none', expired: false, witnessed: false }
