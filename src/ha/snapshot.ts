import type { Pledge } from '../model/ack-rule.ts'
import type { EpochRecord, StepDownReason } from '../model/epoch-record.ts'
import type { InstanceFacts, MemberFacts, WritePathFacts } from '../model/member.ts'
import type { MemberTags } from '../model/member-tags.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { WatchdogFacts } from '../model/watchdog.ts'
import type { Policy } from './policy.ts'

/**
 * Everything that one decision may look at: facts and their age, frozen. A failed read is a fact too (absent, unknown).
 * `decide` never asks again.
 */
export type Snapshot = {
  readonly takenAt: MonotonicMs
  readonly self: string
  /** All members, this one included while it is one. */
  readonly members: readonly string[]
  /** Those of them that somebody is taking out of the cluster just now. */
  readonly leaving: readonly string[]
  readonly policy: Policy
  readonly agentUptimeMs: number
  /** Since when this agent has been looking without a long break: what happened in a break of its own proves nothing about others. */
  readonly attentiveSince: MonotonicMs
  /** What was found when the holder's PostgreSQL was knocked at, at its port; absent while there is no reason to ask. */
  readonly holderAnswers?: { readonly answer: KnockAnswer; readonly at: MonotonicMs }
  /** The member that may create the cluster, when there is none. */
  readonly initialiser: string
  /** The node is being shut down on purpose. */
  readonly stopping: boolean
  readonly stoppingForMs: number
  readonly store: StoreFacts
  readonly local: LocalFacts
  readonly peers: readonly PeerFacts[]
}

export type StoreFacts = {
  /** Consensus answers: what is read here is current, and changes can be committed. */
  readonly hasQuorum: boolean
  /** Since when it does, or does not. */
  readonly quorumChangedAt: MonotonicMs
  readonly record?: EpochRecord
  /** Revision to compare with when the record is changed; 0 while there is none. */
  readonly recordRevision: number
  /** When this agent first saw the record's present (epoch, seq). */
  readonly firstSeenAt: MonotonicMs
  /** Until when this node's own renewals prove its lease; in the past when they do not. */
  readonly provenUntil: MonotonicMs
  readonly request?: SwitchoverRequest
  readonly confirmedDown?: ConfirmedDown
  /** An operator keeps everybody from acting by themselves (docs/adr/0034). */
  readonly paused: boolean
  /** Where each member said its PostgreSQL is, for when its agent cannot be heard. */
  readonly addresses: Readonly<Record<string, { readonly host: string; readonly port: number }>>
}

/** A switchover that somebody asked for; lies in the store until the holder has dealt with it. */
export type SwitchoverRequest = {
  readonly from?: string
  readonly to?: string
  readonly revision: number
  /** Somebody wrote what is no request: it is removed. */
  readonly isUnreadable?: boolean
}

/**
 * An operator has made sure that the PostgreSQL of the holder of this epoch does not run. Holds for the very renewal that was the last
 * one then: a holder that came back since is to be asked about anew.
 */
export type ConfirmedDown = { readonly epoch: number; readonly seq: number }

export type LocalFacts = {
  /** We own the data directory; otherwise this agent watches and reports. */
  readonly managed: boolean
  /** This node has no database at all. */
  readonly isWitness?: true
  readonly directory: DirectoryState
  readonly incarnation?: string
  readonly instance: InstanceFacts
  /** Long work that is running: nothing else is begun meanwhile. */
  readonly job?: JobKind
  /** For an instance that is not running: where its WAL ends. */
  readonly stoppedWal?: { readonly timeline: number; readonly endLsn: string }
  /** The last epoch that this data directory was promoted in, as written down before the promotion. */
  readonly promotedInEpoch?: number
  /** The instance died without being asked to, and has not run since. */
  readonly crashedAt?: MonotonicMs
  readonly startFailures: number
  /** Since the instance was last brought up. */
  readonly cloneFailures: number
  /** Why the data directory cannot be rewound, whatever its source; absent: it can. */
  readonly rewindObstacle?: string
  /** Rewinds that failed since the instance was last brought up. */
  readonly rewindFailure?: RewindFailure
  /** An operator asked for the data here to be cloned anew. */
  readonly reinitAsked?: boolean
  /** What is set for the whole cluster is not what the instance here was configured with. */
  readonly unconfigured?: true
  /** An operator asked for the PostgreSQL that runs here now, or lies here stopped, to be started anew. */
  readonly restartAsked?: true
  /** Its guard was let go since the cluster was paused, and holds no deadline again since. */
  readonly guardReleased?: true
  /** It came up again as primary, and what it recovered may be nowhere else: nobody is led there yet. */
  readonly isClosed?: true
  /** Not before this time may a failed job be tried again. */
  readonly retryAt: MonotonicMs
  /** Where its `primary_conninfo` points to. */
  readonly following?: { readonly host: string; readonly port: number }
  /** Absent where this agent does not try. */
  readonly writePath?: WritePathFacts & { readonly stalledSince?: MonotonicMs }
  /** This node ended its PostgreSQL itself, in this epoch, since writing did not work on it; it has not run since. */
  readonly convicted?: {
    readonly epoch: number
    readonly reason: StepDownReason
    readonly at: MonotonicMs
  }
  /** A standby that runs and does not stream: since when. */
  readonly unstreamedSince?: MonotonicMs
  /** How often it was stopped because it did not stream, since it last did. */
  readonly unstreamedStops: number
  readonly guard: 'armed' | 'idle' | 'absent'
  readonly watchdog?: WatchdogFacts
  readonly tags?: MemberTags
  /** The newest promise of this node, made with whichever data directory. */
  readonly pledge?: Pledge
  /** When a standby last streamed from here, by the name that it calls itself. */
  readonly streamedAt: Readonly<Record<string, MonotonicMs>>
  /** Since when this agent sees its PostgreSQL as a primary; absent while it is none. */
  readonly primarySince?: MonotonicMs
  /** In this life of the agent a renewal has succeeded. */
  readonly provedLease: boolean
  /** Old data directories that lie aside. */
  readonly setAside: number
}

/** How an order to clone a member anew lies in the store. */
export type ReinitOrder = { readonly incarnation: string; readonly epoch: number }

/** How an order to start a member's PostgreSQL anew lies in the store; `life`: see `lifeOf`. */
export type RestartOrder = { readonly life: string }

export type RewindFailure = { readonly times: number; readonly why: string }

/** `unknown`: could not be looked at yet. */
export type DirectoryState = 'unknown' | 'absent' | 'incomplete' | 'foreign' | 'instance'

export type JobKind =
  | 'initialise'
  | 'start'
  | 'restart'
  | 'promote'
  | 'mark-open'
  | 'clone'
  | 'rewind'
  | 'hand-over'
  | 'release'
  | 'stop'
  | 'fence'
  | 'pledge'
  | 'change-acks'
  | 'configure'

/**
 * `answers`: PostgreSQL itself. `accepts`: its kernel, which does so for one that stands still too. `refuses`: the host lives, nobody
 * listens.
 */
export type KnockAnswer = 'answers' | 'accepts' | 'refuses' | 'silent'

export type PeerFacts = {
  readonly name: string
  readonly facts: MemberFacts
  readonly heardAt: MonotonicMs
}
