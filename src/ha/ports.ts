import type { Pledge } from '../model/ack-rule.ts'
import type { LossReport } from '../model/cluster-view.ts'
import type { KeyValue, Transaction, TransactionResult, WatchEvent } from '../model/key-value.ts'
import type { InstanceFacts } from '../model/member.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { WatchdogFacts } from '../model/watchdog.ts'
import type { DirectoryState, KnockAnswer, PeerFacts } from './snapshot.ts'

/*
 * What the brain needs from the world. The consumer owns these shapes; `agent/` fits the real parts to them, and a
 * simulator fits others.
 */

export interface Clock {
  monotonic(): MonotonicMs
  /** Milliseconds since 1970, for people. */
  wall(): number
  /** Runs once; the result cancels. */
  after(ms: number, task: () => void): () => void
}

export interface Store {
  /** Linearizable. Rejects with STORE_NO_QUORUM or STORE_TIMEOUT. */
  read(
    prefix: string,
    options: { deadlineMs: number },
  ): Promise<{ revision: number; entries: readonly KeyValue[] }>
  /** What this node has applied: may be old, never waits. */
  peek(key: string): KeyValue | undefined
  peekPrefix(prefix: string): readonly KeyValue[]
  /** Rejects with STORE_NO_QUORUM, STORE_TIMEOUT or STORE_OUTCOME_UNKNOWN. */
  transact(transaction: Transaction, options: { deadlineMs: number }): Promise<TransactionResult>
  watch(
    prefix: string,
    after: number,
    listener: (events: readonly WatchEvent[], revision: number) => void,
  ): () => void
  status(): {
    readonly backend: 'raft' | 'memory' | 'etcd'
    readonly hasQuorum: boolean
    readonly leader?: string
    readonly term: number
    readonly voters: readonly string[]
    readonly appliedRevision: number
  }
  onStatusChange(listener: () => void): () => void
}

/** The node's own PostgreSQL. Every call is bounded by itself; failures are thrown faults unless said otherwise. */
export interface LocalInstance {
  inspect(): Promise<{
    directory: DirectoryState
    incarnation?: string
    systemId?: string
    timeline?: number
    /** Why what lies there cannot be rewound; absent: it can, if its source allows. */
    rewindObstacle?: string
  }>
  /** Never throws: what cannot be learnt is absent. */
  facts(): Promise<InstanceFacts>
  /** `before` is called with the new directory's id when all is made, and done before it lies in its place. */
  initialise(before: (incarnation: string) => Promise<void>): Promise<void>
  start(as: 'primary' | 'standby', follow?: { host: string; port: number }): Promise<void>
  /**
   * Returns when the instance takes writes on the timeline with this id, which nobody else ever has. Throws `TIMELINE_REUSED`
   * when PostgreSQL chose another one: then the instance must be ended.
   */
  promote(timeline: number): Promise<void>
  /** The timeline that it writes, and where each of its ancestors ended, oldest first. */
  timelineOrigin(): Promise<{
    timeline: number
    forks: readonly { readonly timeline: number; readonly endLsn: string }[]
  }>
  /** Commits one transaction of its own: flushed here, or `acknowledged` by whoever `synchronous_standby_names` asks for. */
  probeWrite(until: 'flushed' | 'acknowledged'): Promise<void>
  /**
   * One small commit that waits for no standby, on a connection that is kept for it; `anew` gives that up first. Never throws, and comes
   * back when PostgreSQL does: whoever asks judges the time. One at a time.
   */
  tryCommit(how: { anew: boolean }): Promise<CommitTry>
  /** Makes a small file durable on the disk of its WAL. Throws what the disk says; comes back when that does. */
  syncDisk(): Promise<void>
  /** What is left on the disks of its data and its WAL, the smaller of both. */
  roomBytes(): Promise<number>
  /** What a pledge promises: no WAL reaches this instance any more, also after a restart. Resolves with the end of its WAL then. */
  stopReceiving(): Promise<{ timeline: number; flushLsn: string }>
  /**
   * Sets `synchronous_standby_names`, durably. Resolves once every process of a running server has been told, and commits wait
   * where the value is not empty (safety.md 5, M7).
   */
  setSynchronousNames(names: string): Promise<void>
  /** Ends the processes that serve these standbys: they come back with the newest settings. */
  restartWalSenders(pids: readonly number[]): Promise<void>
  /** Which of them PostgreSQL would not take, and why. Throws where it cannot be asked. */
  judgeParameters(
    parameters: Readonly<Record<string, string>>,
  ): Promise<readonly { readonly name: string; readonly rule: string }[]>
  /**
   * What PostgreSQL is set to for the whole cluster; what this node's config sets counts before it. Durable where there is a directory; a
   * running server reads it again.
   */
  configure(parameters: Readonly<Record<string, string>>): Promise<void>
  follow(upstream: { host: string; port: number }): Promise<void>
  following(): { host: string; port: number } | undefined
  checkpoint(): Promise<void>
  /** Sessions of applications on a primary, and how many of them are in a statement or a transaction. */
  clients(): Promise<{ readonly connected: number; readonly busy: number }>
  /** Fast shutdown; then no process is left. `unclean` when it had to be killed. */
  stop(deadlineMs: number): Promise<'clean' | 'unclean'>
  /** No process of the instance is left when this returns; throws when that cannot be proven: also of one that sleeps in the kernel. */
  kill(): Promise<void>
  /** For an instance that is down. */
  endOfWal(): Promise<{ timeline: number; endLsn: string }>
  ensureSlots(members: readonly string[]): Promise<void>
  /** Refuses a source of another cluster. */
  clone(
    from: { host: string; port: number; systemId: string },
    onProgress: (progress: NonNullable<InstanceFacts['clone']>) => void,
  ): Promise<void>
  /**
   * Brings the directory onto the history of the primary there. Throws `REWIND_REFUSED` when it was left as it is; after any other fault
   * nothing lies there any more, and it has to be cloned.
   */
  rewind(
    from: { host: string; port: number },
    onProgress: (progress: NonNullable<InstanceFacts['clone']>) => void,
  ): Promise<void>
  /** Keeps the WAL behind the fork and says which transactions are in it; for an instance that is down. */
  keepDiverged(divergence: { timeline: number; forkLsn: string; epoch: number }): Promise<LossReport>
  countSetAside(): Promise<number>
  removeSetAside(): Promise<void>
  /** Called at once when the postmaster has gone without being asked to. */
  onCrash(listener: () => void): () => void
}

/** `refused`: for a reason that says nothing about its disk; it starts, it ends, it restarts, somebody cut the connection. */
export type CommitTry = 'committed' | 'no-slot' | 'no-room' | 'refused'

/** The dead-man's switch: kills the instance when the deadline passes without a later one. */
export interface Guard {
  state(): 'armed' | 'idle' | 'absent'
  /** What would end the host if the guard did not act; absent where the config wants none. */
  watchdog(): WatchdogFacts | undefined
  /** Whoever kills agent and guard now leaves nothing on this host that ends a primary in time (safety.md 20). */
  isUnfenced(): boolean
  /** Prolongs an armed deadline. Fire and forget: a guard that does not hear it fences earlier, never later. */
  arm(until: MonotonicMs): void
  /** Returns once the guard has said that it holds this deadline; throws `WATCHDOG_UNUSABLE` where a required watchdog does not run. */
  armAndConfirm(until: MonotonicMs): Promise<void>
  disarmAndConfirm(): Promise<void>
}

/** Another host's kernel, and its PostgreSQL, as witnesses. */
export interface Knocker {
  /** Whether PostgreSQL at this address lives; within 400 ms. */
  knock(at: { host: string; port: number }): Promise<KnockAnswer>
}

export interface Peers {
  facts(): readonly PeerFacts[]
  onChange(listener: () => void): () => void
}

/** Small facts that must survive the agent: fsynced before the call returns. */
export interface Notebook {
  promotedIn(): { epoch: number; incarnation: string } | undefined
  writePromotion(promotion: { epoch: number; incarnation: string } | undefined): Promise<void>
  /** What the instance here was configured with last. */
  parameters(): Readonly<Record<string, string>>
  writeParameters(parameters: Readonly<Record<string, string>>): Promise<void>
  /** The guard was let go in a pause: the next life of the agent must not take its absence for an accident. */
  isGuardReleased(): boolean
  writeGuardReleased(isReleased: boolean): Promise<void>
  pledge(): Pledge | undefined
  writePledge(pledge: Pledge): Promise<void>
}
