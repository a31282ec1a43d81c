import type { ClusterView } from '../model/cluster-view.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'

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
  /** Answers when the new primary takes writes, or by `deadlineMs` at the latest. Throws only a `Fault`. */
  switchover(request: SwitchoverOrder, options: { readonly deadlineMs: number }): Promise<SwitchoverOutcome>
  /** Reads the configuration again. A bad file changes nothing. */
  reload(): Promise<ReloadOutcome>
}

export type SwitchoverOrder = {
  /** Must be the primary, or nothing happens. */
  readonly from?: string
  /** Absent: the best standby. */
  readonly to?: string
  /** Who asked, for the log: an address. */
  readonly requestedBy: string
}

export type SwitchoverOutcome =
  | {
      readonly kind: 'done'
      readonly from: string
      readonly to: string
      readonly epoch: number
      readonly tookMs: number
    }
  /** Nothing was done. `message` gives actual and wanted, in one sentence. */
  | {
      readonly kind: 'refused'
      readonly reason: SwitchoverRefusal
      readonly message: string
      readonly remedy?: string
    }
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
      readonly needsRestart: readonly string[]
    }
  /** The file has problems; `message` is all of them, each with its line. */
  | { readonly kind: 'refused'; readonly message: string }
