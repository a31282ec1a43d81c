import type { AckRule } from '../model/ack-rule.ts'
import type { Finding } from '../model/cluster-view.ts'
import type { ReleaseReason, StepDownReason, TakeoverReason } from '../model/epoch-record.ts'
import type { FailoverRecord } from '../model/failover-record.ts'
import type { JobKind } from './snapshot.ts'

/** What a node does now, as plain data: it can be logged, shown, replayed and tested without carrying it out. */
export type Decision = {
  readonly stance: Stance
  readonly actions: readonly Action[]
  readonly findings: readonly Finding[]
  /** What the other members have to hear of it. */
  readonly told: Told
}

export type Told = {
  /** The holder of this epoch seems to be gone, seen from here. */
  readonly suspects?: { readonly epoch: number }
  /** The data here has to be rewritten: nobody may count on it. */
  readonly leavesAckRule?: boolean
}

export type Stance = {
  readonly kind: StanceKind
  readonly reason: StanceReason
  /** One sentence for people. */
  readonly sentence: string
  /** Whether the lease is to be renewed. Only ever true for the record's holder. */
  readonly keepLease: boolean
}

export type StanceKind = 'primary' | 'becoming-primary' | 'standby' | 'waiting' | 'fencing' | 'stopping'

export type StanceReason =
  | 'ATTACHED'
  | 'WITNESS'
  | 'NO_QUORUM'
  | 'NO_CLUSTER_YET'
  | 'HOLDS_LEASE'
  | 'LEASE_UNPROVEN'
  | 'STORE_GRACE'
  | 'SUPERSEDED'
  | 'RELEASED'
  | 'BOOTSTRAP'
  | 'RESUMES_OWN_EPOCH'
  | 'CRASHED'
  | 'AUTHORISED'
  | 'FOLLOWS_HOLDER'
  | 'AWAITS_OPEN'
  | 'AWAITS_HOLDER'
  | 'REJOINS'
  | 'DIVERGED'
  | 'CLONES'
  | 'REINITIALISES'
  | 'FOREIGN_DATA'
  | 'OTHER_SYSTEM'
  | 'TAKES_OVER'
  | 'NOT_ELIGIBLE'
  | 'NOT_BEST'
  | 'AWAITS_PEERS'
  | 'COLD_START_WAIT'
  | 'RESERVED'
  | 'HOLDER_UNFENCED'
  | 'SUSPECTS'
  | 'PLEDGES'
  | 'AWAITS_PLEDGES'
  | 'LEAVES_ACK_RULE'
  | 'SWITCHOVER'
  | 'STOPPING'
  | 'PAUSED'
  | 'RESTARTS'
  | 'BUSY'
  | StepDownReason

export type Action =
  | { readonly kind: 'bootstrap' }
  | { readonly kind: 'initialise' }
  | { readonly kind: 'start'; readonly as: 'primary' | 'standby'; readonly follow?: Upstream }
  /** The same as after a stop, in one go; a primary drains first. */
  | { readonly kind: 'restart'; readonly as: 'primary' | 'standby'; readonly follow?: Upstream }
  | {
      readonly kind: 'take-over'
      readonly epoch: number
      readonly revision: number
      readonly reason: TakeoverReason
      /** Who has to have a commit before it is acknowledged in that epoch; absent where commits wait for nobody. */
      readonly rule?: AckRule
      /** Up to where k members of that rule have this node's WAL already; absent where fewer have it, or nobody knows. */
      readonly sharedTo?: string
      /** Who else could have, and why not: for people. */
      readonly passedOver?: FailoverRecord['passedOver']
    }
  /** Begins an epoch that is nobody's yet: what the one before acknowledges by is frozen. */
  | {
      readonly kind: 'open-epoch'
      readonly epoch: number
      readonly revision: number
      readonly reason: TakeoverReason
    }
  | { readonly kind: 'pledge'; readonly epoch: number }
  /** The primary of the epoch before goes on in this one. */
  | { readonly kind: 'resume-epoch'; readonly epoch: number; readonly revision: number }
  | { readonly kind: 'change-acks'; readonly to: AckRule }
  /** PostgreSQL is set to what is set for the whole cluster. */
  | { readonly kind: 'configure' }
  /** Commits of this standby would wait, whenever it is opened: nothing has to be switched on in that moment. */
  | { readonly kind: 'hold-commits' }
  /** Commits wait for nobody any more, and the record says so. */
  | { readonly kind: 'retire-acks' }
  | { readonly kind: 'promote'; readonly epoch: number }
  | { readonly kind: 'mark-open'; readonly epoch: number }
  | { readonly kind: 'follow'; readonly upstream: Upstream }
  | { readonly kind: 'clone'; readonly from: Upstream; readonly diverged?: Divergence }
  /** The data directory is brought back onto the history of the primary: faster than a clone, and not always possible. */
  | { readonly kind: 'rewind'; readonly from: Upstream; readonly diverged: Divergence }
  | { readonly kind: 'fence'; readonly reason: StanceReason }
  | { readonly kind: 'release'; readonly reason: ReleaseReason; readonly to?: string }
  | { readonly kind: 'hand-over'; readonly to: string; readonly reason: 'SWITCHOVER' | 'PRIMARY_STOPPED' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'clear-request'; readonly revision: number }
  | { readonly kind: 'sync-slots'; readonly members: readonly string[] }
  | { readonly kind: 'remove-set-aside' }
  /** The guard holds no deadline although the instance takes writes. */
  | { readonly kind: 'arm-guard' }
  /** In a pause nothing ends the instance, whatever becomes of its lease. */
  | { readonly kind: 'release-guard' }

export type Upstream = { readonly name: string; readonly host: string; readonly port: number }

/** Where the local WAL left the authorised history. */
export type Divergence = { readonly timeline: number; readonly forkLsn: string; readonly epoch: number }

/** Long work on the instance: one at a time, and the next snapshot sees it as a fact. */
export type JobAction = Extract<Action, { kind: JobKind }>

const JOBS: Readonly<Record<JobKind, true>> = {
  initialise: true,
  start: true,
  restart: true,
  promote: true,
  'mark-open': true,
  clone: true,
  rewind: true,
  'hand-over': true,
  release: true,
  stop: true,
  fence: true,
  pledge: true,
  'change-acks': true,
  configure: true,
}

export function isJob(action: Action): action is JobAction {
  return Object.hasOwn(JOBS, action.kind)
}
