/**
 * `GET /v1/cluster`: the cluster as one agent sees it. Durations are milliseconds, sizes bytes, instants RFC 3339,
 * WAL positions in PostgreSQL's text form. An absent field is unknown, not zero. Fields may be added, never renamed.
 */
export type ClusterView = {
  readonly scope: string
  /** The agent that drew this picture. */
  readonly self: string
  readonly takenAt: string
  readonly members: readonly MemberView[]
  /** Who streams from whom, as the senders say. */
  readonly streams: readonly StreamView[]
  /** Who has the right to be primary; absent before the first bootstrap. */
  readonly record?: EpochRecord
  /** How long the lease is still proven for, seen from this agent; 0 when it is not. */
  readonly leaseRemainingMs: number
  readonly consensus: ConsensusView
  /** One sentence on what this agent is doing. */
  readonly stance: string
  readonly findings: readonly Finding[]
  /** Nobody acts by itself: an operator paused the cluster, as far as this agent has heard. */
  readonly paused?: true
  /** Orders for later; absent where there is none. */
  readonly scheduled?: Schedule
  /** Epochs that began a timeline, oldest first. */
  readonly history: readonly EpochLink[]
  readonly losses: readonly LossReport[]
  /** Counters of this node's router, one entry for each port. */
  readonly queries: readonly PortTotals[]
  readonly pids: {
    readonly agent: number
    readonly postmaster?: number
    readonly guard?: number
    readonly router?: number
  }
  /** Who runs the PostgreSQL of that agent's node: the agent, somebody else, or nobody, since it has none. */
  readonly mode: 'managed' | 'attached' | 'witness'
}

/** Times are ISO 8601 with a zone. */
export type Schedule = {
  readonly switchover?: { readonly at: string; readonly from: string; readonly to?: string }
  /** Of each member that has one. */
  readonly restarts: Readonly<
    Record<
      string,
      {
        readonly at: string
        readonly life?: string
        readonly role?: 'primary' | 'standby'
        readonly onlyPending?: boolean
        readonly version?: number
      }
    >
  >
}

export type ConsensusView = {
  readonly backend: 'raft' | 'memory' | 'etcd'
  readonly hasQuorum: boolean
  readonly leader?: string
  readonly term: number
  readonly voters: readonly string[]
}

export type MemberView = {
  readonly facts: MemberFacts
  /** Time since the last heartbeat; 0 for the agent itself, absent when it was never heard. */
  readonly heardMsAgo?: number
  readonly reachable: boolean
  /** Bytes behind the primary's last published position. */
  readonly lagBytes?: number
}

/** One standby at its sender. Of a sender that is not heard any more nothing is said. */
export type StreamView = {
  readonly from: string
  /** The member; where none of its name and incarnation is known, the name that it gave. */
  readonly to: string
  readonly state: string
  /** Commits can wait for it: `synchronous_standby_names` has it. */
  readonly isSync: boolean
  /** Bytes of the sender's WAL that are not on its disk yet, and not replayed there; absent when unknown. */
  readonly flushLagBytes?: number
  readonly replayLagBytes?: number
}

/** What a member's own agent says about it. */
export type MemberFacts = {
  readonly name: string
  readonly incarnation?: string
  /** Where others reach its PostgreSQL. */
  readonly host: string
  readonly port: number
  readonly apiUrl: string
  readonly routerPorts?: { readonly primary: number; readonly replica: number; readonly pooled: number }
  readonly agentUptimeMs: number
  readonly guard: 'armed' | 'idle' | 'absent'
  /** The device that resets the host when its guard does not act; absent where the config wants none. */
  readonly watchdog?: {
    readonly mode: 'automatic' | 'required'
    readonly state: 'armed' | 'usable' | 'absent' | 'unfit'
    /** Why it is absent or unfit. */
    readonly why?: string
  }
  /** What its operator said of it; absent where that is nothing. */
  readonly tags?: MemberTags
  /** An operator holds it out of service: it takes over from nobody and gets no reads. `since`: RFC 3339. */
  readonly held?: { readonly since: string; readonly reason?: string }
  /** It votes and has no database. */
  readonly witness?: true
  readonly instance: InstanceFacts
  /** Whether writing works there, by its agent's own tries; absent where PostgreSQL is attached. */
  readonly writePath?: {
    readonly state: 'unknown' | 'good' | 'slow' | 'stalled' | 'full' | 'no-slot'
    /** Of the last try that came back, rounded up to a power of two. */
    readonly latencyMs?: number
  }
  /** It has not taken in yet which parameters are set for the whole cluster. */
  readonly unconfigured?: true
  /** Parameters that are set for the whole cluster and that its own file sets otherwise: there the file decides. */
  readonly keptParameters?: readonly string[]
  /** It has heard that the cluster is paused. */
  readonly paused?: true
  /** What PostgreSQL counts of its work; absent while it does not answer. Two of them give rates. */
  readonly activity?: ActivityFacts
  readonly version: string
}

/** Patroni's words. */
export type MemberTags = {
  readonly nofailover?: true
  readonly failover_priority?: number
  readonly noloadbalance?: true
  readonly nosync?: true
}

/** Transactions and the time in statements are those of the databases of applications; sessions all that `max_connections` counts. */
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

export type InstanceFacts = {
  readonly state:
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
  readonly role?: 'primary' | 'standby'
  readonly systemId?: string
  readonly timeline?: number
  readonly flushLsn?: string
  readonly replayLsn?: string
  /** Where the oldest WAL begins that is still in its directory. */
  readonly oldestWal?: string
  readonly streaming?: boolean
  readonly upstreamHost?: string
  readonly upstreamPort?: number
  /** e.g. `180004`. */
  readonly serverVersion?: number
  readonly postmasterPid?: number
  readonly startedAt?: string
  /** Parameters that wait for a restart. */
  readonly pendingRestart?: readonly string[]
  readonly walReplayPaused?: boolean
  readonly clone?: {
    readonly bytesDone: number
    readonly bytesTotal?: number
    readonly bytesPerSecond: number
  }
  readonly walSenders?: readonly {
    readonly name: string
    readonly state: string
    readonly flushLsn?: string
    readonly replayLsn?: string
  }[]
  /** Why the last start, clone or promotion failed. */
  readonly trouble?: string
}

export type EpochRecord = {
  /** Fencing number: grows by one with every new holder. */
  readonly epoch: number
  /** The member that has the right to be primary. */
  readonly holder: string
  readonly incarnation: string
  readonly seq: number
  readonly ttlMs: number
  readonly state: 'pledging' | 'authorised' | 'open' | 'released'
  readonly reason: TakeoverReason
  readonly systemId: string
  readonly timeline: number
  /** Last published flush position of the holder. */
  readonly position: string
  readonly release?: { readonly endLsn: string; readonly to?: string; readonly reason: string }
  readonly chain: readonly EpochLink[]
  /** Who has to have a commit before it is acknowledged, oldest epoch first; absent: commits wait for nobody. */
  readonly acks?: readonly AckLink[]
}

export type AckLink = {
  readonly epoch: number
  readonly rule: AckRule
  /** The rule is being changed to this one; both count. */
  readonly next?: AckRule
}

/** Any `k` of the members. */
export type AckRule = { readonly k: number; readonly members: readonly { readonly name: string }[] }

export type TakeoverReason =
  | 'BOOTSTRAP'
  | 'LEASE_EXPIRED'
  | 'PRIMARY_SILENT'
  | 'PRIMARY_CRASHED'
  | 'WRITE_PATH_STALLED'
  | 'DISK_FULL'
  | 'SWITCHOVER'
  | 'PRIMARY_STOPPED'

/** One change of primary. */
export type EpochLink = {
  readonly epoch: number
  readonly holder: string
  readonly timeline: number
  /** Where this timeline forked from the one before; `0/0` for the first. */
  readonly forkLsn: string
  readonly openedAt: string
  readonly reason: TakeoverReason
  /** By what right: the old lease had run out, or its holder could no longer acknowledge anything. */
  readonly takeover: 'bootstrap' | 'lease' | 'revocation'
  /** The epoch that went on from an older timeline than this one: WAL of this timeline is history no more. */
  readonly abandonedIn?: number
}

/** Something worth a person's attention; it stops nothing. */
export type Finding = {
  readonly code: string
  readonly message: string
  readonly severity: 'info' | 'warning' | 'critical'
}

/** Commits of an old primary that the take-over did not bring along, and where their WAL was kept. */
export type LossReport = {
  readonly epoch: number
  readonly member: string
  readonly timeline: number
  readonly forkLsn: string
  readonly endLsn: string
  readonly bytes: number
  /**
   * Its WAL at the fork is not there any more, since its directory was cloned after that: everything up to its end is lost, and which
   * transactions that was is not known.
   */
  readonly isUnreadable?: boolean
  readonly transactions: number
  /** Transaction ids, oldest first; not all of them when there are very many. */
  readonly xids: readonly number[]
  readonly keptIn: string
  readonly foundAt: string
}

/** One router port's counters since the router's start. */
export type PortTotals = {
  readonly port: 'primary' | 'replica' | 'pooled'
  readonly listen: number
  readonly queries: number
  readonly errors: number
  readonly clients: number
  readonly waiting: number
}

/** `GET /v1/history`. */
export type HistoryDocument = {
  readonly scope: string
  readonly epochs: readonly EpochLink[]
  readonly losses: readonly LossReport[]
  /** The newest, oldest first. */
  readonly failovers: readonly FailoverRecord[]
}

/** How one epoch came about, on the clock of the member that took it. */
export type FailoverRecord = Pick<EpochLink, 'epoch' | 'reason' | 'takeover'> & {
  readonly from: string
  readonly to: string
  readonly startedAt: string
  /** In the order in which they were seen; the first one is at 0. */
  readonly steps: readonly {
    readonly atMs: number
    readonly step: 'noticed' | 'begun' | 'pledged' | 'authorised' | 'promoted' | 'protected' | 'open'
    readonly detail?: string
  }[]
  /** Who was not chosen, and why. */
  readonly passedOver: readonly { readonly name: string; readonly why: string }[]
}

/** `GET /v1/routing`: what a router may do now. Needs the routing token or the API token. */
export type RoutingDocument = {
  readonly epoch: number
  readonly primary?: RouteTarget
  readonly replicas: readonly (RouteTarget & { readonly lagBytes: number })[]
  readonly validUntil?: number
  readonly validForMs: number
  readonly bootId: string
  readonly holding?: 'NO_PRIMARY' | 'SWITCHOVER'
}

export type RouteTarget = { readonly name: string; readonly host: string; readonly port: number }
