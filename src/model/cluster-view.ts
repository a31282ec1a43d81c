import type { EpochLink, EpochRecord } from './epoch-record.ts'
import type { MemberFacts } from './member.ts'
import type { Schedule } from './schedule.ts'

/** The cluster as one agent sees it: what REST, CLI and the live view are drawn from. Frozen; replaced as a whole. */
export type ClusterView = {
  readonly scope: string
  /** The agent that drew this picture. */
  readonly self: string
  /** RFC 3339. */
  readonly takenAt: string
  readonly members: readonly MemberView[]
  /** Who streams from whom, as the senders say. */
  readonly streams: readonly StreamView[]
  readonly record?: EpochRecord
  /** Milliseconds that the lease is still proven for, seen from here; 0 when it is not. */
  readonly leaseRemainingMs: number
  readonly consensus: {
    readonly backend: 'raft' | 'memory' | 'etcd'
    readonly hasQuorum: boolean
    readonly leader?: string
    readonly term: number
    readonly voters: readonly string[]
  }
  /** One sentence on what this agent is doing, from its last decision. */
  readonly stance: string
  /** Findings for people: each stands on its own and stops nothing. */
  readonly findings: readonly Finding[]
  /** An operator keeps everybody from acting by themselves. */
  readonly paused?: true
  /** Orders for later; absent where there is none. */
  readonly scheduled?: Schedule
  readonly history: readonly EpochLink[]
  readonly losses: readonly LossReport[]
  readonly queries: readonly PortTotals[]
  readonly pids: {
    readonly agent: number
    readonly postmaster?: number
    readonly guard?: number
    readonly router?: number
  }
  readonly mode: 'managed' | 'attached' | 'witness'
}

export type MemberView = {
  readonly facts: MemberFacts
  /** Milliseconds since the last heartbeat; 0 for the agent itself, absent when it was never heard. */
  readonly heardMsAgo?: number
  readonly reachable: boolean
  /** Bytes behind the primary's last published position; absent when unknown. */
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

export type Finding = {
  readonly code: string
  readonly message: string
  readonly severity: 'info' | 'warning' | 'critical'
}

/** What a take-over lost: the commits in the old primary's WAL behind the fork. Written by the member that found them. */
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
  /** The first of their transaction ids, oldest first, at most `LOSS_XIDS_MAX`. */
  readonly xids: readonly number[]
  /** Where the diverged WAL was kept. */
  readonly keptIn: string
  readonly foundAt: string
}

/** 4 000 ids are about 30 kB: a loss report must fit into the store. All of them are in the kept folder. */
export const LOSS_XIDS_MAX = 4000

/** One router port's counters since its start. */
export type PortTotals = {
  readonly port: 'primary' | 'replica' | 'pooled'
  readonly listen: number
  readonly queries: number
  readonly errors: number
  readonly clients: number
  readonly waiting: number
}
