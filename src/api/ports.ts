import type {
  ConfigDocument,
  DoctorDocument,
  EstimateDocument,
  LogDocument,
  MembersDocument,
  RecentDocument,
  WhyDocument,
} from '#client'
import type { ClusterView } from '../model/cluster-view.ts'
import type { JsonObject } from '../model/dynamic-config.ts'
import type { FailoverRecord } from '../model/failover-record.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import type { StatementLatency } from '../model/statement-latency.ts'

/**
 * What the REST API needs from the node that it speaks for. `agent` builds it. Every method may be called before the
 * cluster exists and on any member: what only the holder of the lease can do is passed on to it by the implementation.
 */
export interface ClusterOperations {
  /**
   * The cluster as seen now. Asked on every health check, so it must be cheap.
   * `leaseRemainingMs` is measured at this call, not when the view was drawn: a load balancer trusts it.
   */
  view(): ClusterView
  /** Milliseconds since the HA loop last began a turn: what `/liveness` judges. */
  loopAgeMs(): number
  routing(): RoutingTableMessage
  /** How the newest epochs came about, oldest first. */
  failovers(): readonly FailoverRecord[]
  /** Answers when the new primary takes writes, or by `deadlineMs` at the latest. Throws only a `Fault`. */
  switchover(request: SwitchoverOrder, options: { readonly deadlineMs: number }): Promise<SwitchoverOutcome>
  /** Reads the configuration again. A bad file changes nothing. */
  reload(): Promise<ReloadOutcome>
  /** How long statements on this node's pooled port took. */
  latencies(): readonly StatementLatency[]
  /** Has another process take the place of this node's router; answers when it has the ports. */
  restartRouter(): Promise<RouterRestartOutcome>
  members(): MembersDocument
  /** Samples and events behind this number. */
  recent(after: number): RecentDocument
  estimate(): EstimateDocument
  /** By this node's own decision. */
  why(): WhyDocument
  /** Holds no secret, and more than strangers need to know. */
  config(): ConfigDocument
  log(after: number): LogDocument
  /** Looks now; bounded by itself, and one look serves all who ask meanwhile. */
  doctor(): Promise<DoctorDocument>
  /** Throws only a `Fault`, like the two below. */
  invite(order: InviteOrder): Promise<InviteOutcome>
  removeMember(order: { readonly name: string; readonly requestedBy: string }): Promise<RemoveOutcome>
  join(order: JoinOrder): Promise<JoinOutcome>
  /** Has the data of a member cloned anew; it may wait until nothing hangs on it. Throws only a `Fault`. */
  reinit(name: string): Promise<ReinitOutcome>
  /** Takes a standby out of service, or back. Throws only a `Fault`. */
  hold(wish: HoldWish): Promise<HoldOutcome>
  /** Starts the PostgreSQL of a member anew: answers when it runs again. Throws only a `Fault`. */
  restart(wish: RestartWish, options: { readonly deadlineMs: number }): Promise<RestartOutcome>
  /** Keeps an order for later: a switchover, or a restart of this member. Throws only a `Fault`. */
  schedule(wish: ScheduleWish): Promise<ScheduleOutcome>
  /** Calls it off. */
  unschedule(what: ScheduleWish['kind']): Promise<UnscheduleOutcome>
  /** What is set for the whole cluster while it runs. */
  dynamicConfig(): JsonObject
  /** Throws only a `Fault`. */
  changeConfig(change: ConfigChange): Promise<ConfigOutcome>
  /** Takes an operator's word that the PostgreSQL of a silent primary does not run. Throws only a `Fault`. */
  confirmDown(name: string): Promise<ConfirmDownOutcome>
}

export type ConfigChange =
  /** JSON merge patch: what it does not name stays. */
  | { readonly kind: 'patch'; readonly patch: JsonObject }
  | { readonly kind: 'replace'; readonly config: JsonObject }

export type ConfigOutcome =
  | { readonly kind: 'done'; readonly config: JsonObject }
  /** `INVALID`: the message names each setting and its rule. */
  | Refused<'NO_QUORUM' | 'INVALID' | 'BUSY'>

export type SwitchoverOrder = {
  /** Must be the primary, or nothing happens. */
  readonly from?: string
  /** Absent: the best standby. */
  readonly to?: string
  /** Who asked, for the log: an address. */
  readonly requestedBy: string
}

/** Nothing was done. `message` gives actual and wanted, in one sentence. */
export type Refused<Reason extends string> = {
  readonly kind: 'refused'
  readonly reason: Reason
  readonly message: string
  readonly remedy?: string
}

export type SwitchoverOutcome =
  | {
      readonly kind: 'done'
      readonly from: string
      readonly to: string
      readonly epoch: number
      readonly tookMs: number
    }
  | Refused<SwitchoverRefusal>
  /** It began and did not end as wanted. `message` says who is the primary now. */
  | { readonly kind: 'failed'; readonly message: string }
  /** The deadline passed; it may still happen. */
  | { readonly kind: 'unknown'; readonly message: string }

type SwitchoverRefusal =
  | 'NO_PRIMARY'
  /** Another member than `from` is the primary. */
  | 'PRIMARY_IS_ANOTHER'
  | 'CANDIDATE_UNKNOWN'
  | 'CANDIDATE_IS_PRIMARY'
  /** The message says why: it lags, it does not stream, it is down. */
  | 'CANDIDATE_NOT_ELIGIBLE'
  | 'NO_ELIGIBLE_CANDIDATE'
  | 'IN_PROGRESS'
  | 'NO_QUORUM'
  /** PostgreSQL is run by somebody else: this agent only watches. */
  | 'ATTACHED'

export type ReloadOutcome =
  | {
      readonly kind: 'applied'
      readonly changed: readonly string[]
      readonly needsRouterRestart: readonly string[]
      readonly needsRestart: readonly string[]
    }
  /** The file has problems; `message` is all of them, each with its line. */
  | { readonly kind: 'refused'; readonly message: string }

export type RouterRestartOutcome =
  | {
      readonly kind: 'restarted'
      readonly router: number
      readonly retiring: number
      readonly drainTimeoutMs: number
    }
  | Refused<'NO_ROUTER' | 'BUSY' | 'FAILED' | 'SILENT'>

export type InviteOrder = {
  readonly name: string
  readonly apiHost: string
  readonly apiPort: number
  readonly requestedBy: string
}

export type MemberRefused = Refused<MemberRefusal>

export type MemberRefusal =
  | 'NO_QUORUM'
  /** The registry of members was not begun yet: the cluster is being created, or the configs disagree. */
  | 'NOT_READY'
  | 'EXISTS'
  | 'UNKNOWN'
  | 'IS_PRIMARY'
  | 'IS_LAST'
  /** Without it no majority of the voters would answer. */
  | 'IS_NEEDED'
  | 'IS_ONLY_STANDBY'
  /** No member is primary and settled now: nothing is changed during a take-over. */
  | 'TAKE_OVER'
  /** Others changed the same at the same time. */
  | 'BUSY'

export type InviteOutcome =
  | {
      readonly kind: 'done'
      readonly name: string
      readonly token: string
      readonly expiresAt: string
      readonly urls: readonly string[]
    }
  | MemberRefused

export type RemoveOutcome =
  | {
      readonly kind: 'done'
      readonly name: string
      readonly removedAt: string
      readonly consensus: 'done' | 'pending'
      readonly remaining: readonly string[]
    }
  | MemberRefused

export type JoinOrder = {
  readonly invitation: string
  readonly nonce: string
  readonly incarnation: string
  readonly proof: string
}

export type JoinOutcome =
  | { readonly kind: 'done'; readonly name: string; readonly nonce: string; readonly sealed: string }
  /** No such invitation, or the proof is wrong: whoever asks learns no more than that. */
  | { readonly kind: 'not-invited' }
  /** Said only to who has proven the token. */
  | { readonly kind: 'expired' | 'used' }
  | MemberRefused

export type ReinitRefusal =
  | 'NO_QUORUM'
  | 'UNKNOWN'
  | 'IS_PRIMARY'
  | 'TAKE_OVER'
  | 'HAS_NO_DATA'
  | 'IS_ONLY_STANDBY'

export type ReinitOutcome =
  /** The member clones `from` as soon as its data is not counted on. */
  { readonly kind: 'asked'; readonly name: string; readonly from: string } | Refused<ReinitRefusal>

export type HoldWish = {
  readonly name: string
  readonly isHeld: boolean
  readonly reason?: string | undefined
}

export type HoldRefusal =
  | 'NO_QUORUM'
  | 'UNKNOWN'
  | 'IS_PRIMARY'
  | 'TAKE_OVER'
  | 'IS_ONLY_STANDBY'
  | 'HAS_NO_DATA'
  | 'NOT_HELD'
  | 'BUSY'

export type HoldOutcome = { readonly kind: 'done'; readonly name: string } | Refused<HoldRefusal>

/** Whose PostgreSQL is to be started anew, and under what conditions. */
export type RestartWish = {
  readonly name: string
  readonly role?: 'primary' | 'standby'
  /** Only where a setting waits for it. */
  readonly onlyPending?: boolean
  /** Only where it is older, as `server_version_num`. */
  readonly version?: number
}

export type RestartRefusal =
  | 'NO_QUORUM'
  | 'UNKNOWN'
  | 'TAKE_OVER'
  | 'HAS_NO_DATA'
  /** A condition of the order is not met. */
  | 'NOT_MEANT'

export type RestartOutcome =
  | { readonly kind: 'done'; readonly name: string; readonly tookMs: number }
  | Refused<RestartRefusal>
  /** The deadline passed; it may still happen. */
  | { readonly kind: 'unknown'; readonly message: string }

/** `at`: ISO 8601 with a zone, in the future. */
export type ScheduleWish =
  | { readonly kind: 'switchover'; readonly at: string; readonly from: string; readonly to?: string }
  | ({ readonly kind: 'restart'; readonly at: string } & Omit<RestartWish, 'name'>)

export type ScheduleOutcome =
  | { readonly kind: 'scheduled' }
  | Refused<
      | 'NO_QUORUM'
      | 'PAUSED'
      /** Another restart is scheduled for this member. */
      | 'EXISTS'
    >

export type UnscheduleOutcome =
  | { readonly kind: 'deleted' | 'none' }
  /** `BUSY`: it was given or changed in this moment. */
  | Refused<'NO_QUORUM' | 'BUSY'>

export type ConfirmDownRefusal =
  | 'NO_QUORUM'
  | 'UNKNOWN'
  /** Nobody waits for this word: the others take over without it, or another member is the primary. */
  | 'NOT_AWAITED'
  | 'BUSY'

export type ConfirmDownOutcome =
  /** From now on the others may take over from it. */
  { readonly kind: 'confirmed'; readonly name: string; readonly epoch: number } | Refused<ConfirmDownRefusal>
