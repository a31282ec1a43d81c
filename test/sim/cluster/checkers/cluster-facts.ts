import type { EpochRecord } from '../../../../src/model/epoch-record.ts'
import type { LossReport } from '../../../../src/model/cluster-view.ts'
import type { InstanceFacts } from '../../../../src/model/member.ts'

/** What a checker may see of a member at this moment, in true time. */
export type MemberGlimpse = {
  readonly name: string
  /** Absent while its agent does not run or consensus has not begun. */
  readonly record: EpochRecord | undefined
  /** Milliseconds for which its own lease is still proven, on its own clock; not above 0 when it is not. */
  readonly provenForMs: number
  /** The host sleeps, or has not looked at its clocks since it slept. */
  readonly isClockInDoubt: boolean
  readonly instance: InstanceFacts
  readonly isAgentAlive: boolean
}

/** One acknowledgement that reached a router's client. */
export type PassedAcknowledgement = {
  readonly at: number
  readonly router: string
  readonly epoch: number
  readonly token: number
  readonly isKept: boolean
}

/** One acknowledgement as it left a backend. */
export type BackendAcknowledgement = {
  readonly at: number
  readonly host: string
  readonly epoch: number
  readonly timeline: number
  readonly lsn: number
  readonly xid: number
  readonly token: number
  /** Commits wait for others in this cluster, and this one was not given up waiting for. */
  readonly isAwaited: boolean
  /** Where commits wait for others: whoever acknowledged in the newest epoch has it too. */
  readonly isKept: boolean
  /** The guard of this host stands still, is gone, or did until just now: nobody here could have fenced; and no watchdog runs. */
  readonly isUnguarded: boolean
}

export type FinalFacts = {
  readonly members: readonly MemberGlimpse[]
  /** Rows of each member's PostgreSQL; undefined where it does not answer. */
  readonly rows: ReadonlyMap<string, readonly number[] | undefined>
  readonly losses: readonly LossReport[]
  /** Tokens that some client was told are committed, through a router. */
  readonly acknowledged: readonly PassedAcknowledgement[]
  readonly acks: readonly BackendAcknowledgement[]
  /** What this backend had was taken away afterwards, disk and all: nobody can say any more what was on it. */
  readonly isBeyondReport: (ack: BackendAcknowledgement) => boolean
}
