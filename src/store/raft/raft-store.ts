import type { KeyValue, Transaction, TransactionResult } from '../../model/key-value.ts'
import { monotonicMs } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import { randomBetween, randomHex } from '../../platform/random.ts'
import { after as realAfter, soon as realSoon } from '../../platform/timers.ts'
import { memberNamed } from '../../raft/configuration.ts'
import { nameOf } from '../../raft/member-id.ts'
import type { MembershipChange } from '../../raft/membership-change.ts'
import type { Entry, Snapshot } from '../../raft/message.ts'
import { startRaft } from '../../raft/raft.ts'
import type { RaftState } from '../../raft/state.ts'
import { SNAPSHOT_CHUNK_LENGTH } from '../../raft/limits.ts'
import { RAFT_TIMINGS, type RaftTiming } from '../../raft/timing.ts'
import { Fault } from '../../std/fault.ts'
import { COMPACT_ENTRIES, KEEP_ENTRIES, SEGMENT_BYTES } from '../limits.ts'
import type { Store, StoreRead, StoreStatus, WatchListener } from '../store.ts'
import { checkTransaction } from '../transaction-rules.ts'
import { Watchers } from '../watchers.ts'
import type { RaftDisk } from './disk.ts'
import { RaftDriver, type CompactionSizes, type DriverListener } from './driver.ts'
import { bestSuccessor, membershipOf, type Membership } from './membership.ts'
import { PendingChanges, type MembershipOutcome } from './pending-changes.ts'
import { PendingReads } from './pending-reads.ts'
import { PendingTransactions } from './pending-transactions.ts'
import { StateMachine } from './state-machine.ts'
import { RaftStorage } from './storage.ts'
import { Transfers, type TransferOutcome } from './transfers.ts'
import type { RaftTransport } from './transport.ts'

export type RaftStore = Store & {
  /** Moves leadership to another voter. Only the leader can; bounded by an election timeout. */
  transferLeadership(to: string): Promise<TransferOutcome>
  /**
   * One change of members, decided by the leader wherever it is asked for. `done` when it is committed; a refusal has
   * changed nothing. To replace a member: add the new one as a learner, promote it, remove the old one.
   */
  changeMembership(
    change: MembershipChange,
    options: { readonly deadlineMs: number },
  ): Promise<MembershipOutcome>
  /** Who takes part, as this node's log says: on a member that hears no leader it may be old. */
  membership(): Membership
  /** Called once this member learns that it was removed; soon where it knows already. Returns the cancel function. */
  onRemoved(listener: () => void): () => void
}

/** Everything impure. What is left out is the real thing. */
export type RaftStoreDeps = {
  readonly transport: RaftTransport
  readonly log: Logger
  /** The disk failed or an invariant broke: this member is silent from now on, and its process has to end. */
  readonly onFatal: (thrown: unknown) => void
  /** Monotonic milliseconds. */
  readonly now?: () => number
  readonly after?: (ms: number, task: () => void) => () => void
  readonly soon?: (task: () => void) => void
  readonly disk?: RaftDisk
  /** 32 bits for election delays. */
  readonly seed?: number
  /** Unique texts over all starts of all members. */
  readonly newNonce?: () => string
}

export type RaftStoreOptions = {
  readonly self: string
  /** Where `foundRaftGroup` began the group. */
  readonly folder: string
  readonly timing?: RaftTiming
  /** Tests choose smaller ones, so that what is rare happens often. */
  readonly sizes?: RaftStoreSizes
}

export type RaftStoreSizes = CompactionSizes & {
  /** Length at which a segment of the log is closed. */
  readonly segmentBytes: number
  /** Length of the pieces in which a snapshot is sent. */
  readonly chunkLength: number
}

const SIZES: RaftStoreSizes = {
  segmentBytes: SEGMENT_BYTES,
  chunkLength: SNAPSHOT_CHUNK_LENGTH,
  compactEntries: COMPACT_ENTRIES,
  keepEntries: KEEP_ENTRIES,
}

/**
 * Opens this member's log and takes part from now on. Throws `RAFT_LOG_ABSENT`, `RAFT_LOG_CORRUPT`, `RAFT_OTHER_MEMBER`.
 * One store at a time for a folder.
 */
export function createRaftStore(deps: RaftStoreDeps, options: RaftStoreOptions): RaftStore {
  return new ReplicatedStore(deps, options)
}

class ReplicatedStore implements RaftStore {
  readonly #driver: RaftDriver
  readonly #machine = new StateMachine()
  readonly #watchers: Watchers
  readonly #transactions: PendingTransactions
  readonly #reads: PendingReads
  readonly #transfers: Transfers
  readonly #changes: PendingChanges
  readonly #removedListeners = new Set<() => void>()
  readonly #statusListeners = new Set<() => void>()
  readonly #deps: RaftStoreDeps
  readonly #after: (ms: number, task: () => void) => () => void
  readonly #timing: RaftTiming
  readonly #soon: (task: () => void) => void
  #cancelRetry: (() => void) | undefined
  #stopping: Promise<void> | undefined
  #endReason: string | undefined

  constructor(deps: RaftStoreDeps, options: RaftStoreOptions) {
    const { self, folder, timing = RAFT_TIMINGS.lan, sizes = SIZES } = options
    const { now = monotonicMs, soon = realSoon, seed = randomBetween(0, 2 ** 32), log } = deps
    const newNonce = deps.newNonce ?? (() => randomHex(8))
    this.#deps = deps
    this.#after = deps.after ?? realAfter
    this.#timing = timing
    this.#soon = soon
    const { storage, content } = RaftStorage.open(folder, {
      self,
      ...(deps.disk === undefined ? {} : { disk: deps.disk }),
      segmentBytes: sizes.segmentBytes,
    })
    if (content.tornBytes > 0) {
      log.warn('The end of the consensus log was cut off: a crash had interrupted its last write', {
        bytes: content.tornBytes,
      })
    }
    this.#machine.restore(content.snapshot.body)
    const { chunkLength } = sizes
    const identity = { self: content.owner, timing, seed: seed | 0, chunkLength }
    const state = startRaft({ ...content, ...identity }, now())
    const driverDeps = { transport: deps.transport, storage, log, now, soon, after: this.#after, sizes }
    this.#driver = new RaftDriver({ ...driverDeps, listener: this.#listener() }, state)
    this.#watchers = new Watchers({
      tree: this.#machine.tree,
      soon,
      onError: (error) => log.error('A watcher of the store failed', { error }),
    })
    this.#transactions = new PendingTransactions({
      propose: (ticket, body) => this.#driver.submit({ kind: 'propose', ticket, body }),
      after: this.#after,
      newNonce,
    })
    this.#reads = new PendingReads({
      ask: (id) => this.#driver.submit({ kind: 'read', id }),
      look: (prefix) => this.#look(prefix),
      hasLeader: () => this.#driver.state.leader !== undefined,
      after: this.#after,
      nonce: newNonce(),
    })
    this.#transfers = new Transfers({
      request: (to) => this.#driver.submit({ kind: 'transfer', to }),
      state: () => this.#driver.state,
      after: this.#after,
    })
    this.#changes = new PendingChanges({
      ask: (request) => this.#driver.submit({ kind: 'change', ...request }),
      after: this.#after,
      nonce: newNonce(),
    })
    this.#driver.start()
    this.#retryLater()
  }

  async read(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead> {
    if (this.#endReason !== undefined) throw stopped(`Cannot read "${prefix}"`, this.#endReason)
    const answer = this.#reads.add(prefix, options)
    this.#retryLater()
    return answer
  }

  peek(key: string): KeyValue | undefined {
    return this.#machine.tree.get(key)
  }

  peekPrefix(prefix: string): readonly KeyValue[] {
    return this.#machine.tree.list(prefix)
  }

  async transact(
    transaction: Transaction,
    options: { readonly deadlineMs: number },
  ): Promise<TransactionResult> {
    checkTransaction(transaction)
    if (this.#endReason !== undefined) throw stopped('Cannot commit the transaction', this.#endReason)
    const answer = this.#transactions.add(transaction, options)
    this.#retryLater()
    return answer
  }

  watch(prefix: string, after: number, listener: WatchListener): () => void {
    return this.#watchers.add(prefix, after, listener)
  }

  status(): StoreStatus {
    const { term, configuration } = this.#driver.state
    const leader = this.#leaderName()
    const isUp = this.#endReason === undefined && leader !== undefined
    return {
      backend: 'raft',
      // A follower that stops hearing its leader forgets it, and so does a leader that no quorum answers.
      hasQuorum: isUp,
      ...(isUp ? { leader } : {}),
      term,
      voters: configuration.voters.map(nameOf),
      appliedRevision: this.#machine.tree.revision,
    }
  }

  onStatusChange(listener: () => void): () => void {
    this.#statusListeners.add(listener)
    return () => {
      this.#statusListeners.delete(listener)
    }
  }

  async transferLeadership(to: string): Promise<TransferOutcome> {
    const id = memberNamed(this.#driver.state.configuration, to) ?? to
    return this.#transfers.start(id, { limitMs: this.#timing.electionMaxMs })
  }

  async changeMembership(
    change: MembershipChange,
    options: { readonly deadlineMs: number },
  ): Promise<MembershipOutcome> {
    if (this.#endReason !== undefined) {
      return { kind: 'refused', reason: 'NOT_LEADER', message: this.#endReason }
    }
    const outcome = this.#changes.start(change, options)
    this.#retryLater()
    return outcome
  }

  membership(): Membership {
    return membershipOf(this.#driver.state)
  }

  onRemoved(listener: () => void): () => void {
    this.#removedListeners.add(listener)
    if (this.#driver.state.removedAt !== undefined) {
      this.#soon(() => {
        if (this.#removedListeners.has(listener)) listener()
      })
    }
    return () => {
      this.#removedListeners.delete(listener)
    }
  }

  #leaderName(): string | undefined {
    const { leader } = this.#driver.state
    return leader === undefined ? undefined : nameOf(leader)
  }

  /** A leader hands over first, so that the others need no election timeout. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const successor = bestSuccessor(this.#driver.state)
    if (this.#endReason === undefined && successor !== undefined) {
      // It takes a few milliseconds or does not succeed; the others can also elect without it.
      await this.#transfers.start(successor, { limitMs: 2 * this.#timing.heartbeatMs })
    }
    this.#driver.stop()
    this.#end('the store was stopped')
  }

  #end(reason: string): void {
    if (this.#endReason !== undefined) return
    this.#endReason = reason
    this.#cancelRetry?.()
    this.#transactions.rejectAll(reason)
    this.#reads.rejectAll(reason)
    this.#transfers.end()
    this.#changes.end()
    this.#watchers.clear()
    this.#tellStatus()
    this.#statusListeners.clear()
  }

  #listener(): DriverListener {
    return {
      apply: (entries) => this.#apply(entries),
      restore: (snapshot) => this.#restore(snapshot),
      settled: (applied) => {
        this.#reads.settled(applied)
        this.#watchers.deliver()
        if (this.#transactions.isWaiting) this.#retryLater()
      },
      effect: (effect) => this.#effect(effect),
      changed: (before, after) => this.#changed(before, after),
      image: () => this.#machine.image(),
      failed: (thrown) => {
        this.#end('the disk or an invariant failed')
        this.#deps.onFatal(thrown)
      },
    }
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.kind !== 'command') continue
      this.#transactions.applied(this.#machine.apply(entry.index, entry.body))
    }
  }

  #restore(snapshot: Snapshot): void {
    this.#machine.restore(snapshot.body)
    this.#transactions.restored(this.#machine)
  }

  #effect(effect: Parameters<DriverListener['effect']>[0]): void {
    switch (effect.kind) {
      case 'read-confirmed':
        return this.#reads.confirmed(effect.id, effect.index, this.#driver.applied)
      case 'proposal-refused':
        return this.#transactions.refused(effect.ticket, effect.reason)
      case 'transfer-refused':
        return this.#transfers.refused(effect.reason)
      case 'change-answered':
        return this.#changes.answered(effect)
      case 'removed':
        return this.#tellRemoved()
      case 'read-refused':
        // It waits for a leader until its deadline.
        return
    }
  }

  #changed(before: RaftState, after: RaftState): void {
    this.#transfers.changed(after)
    if (after.leader !== undefined && (after.leader !== before.leader || after.term !== before.term)) {
      this.#transactions.sendAll()
      this.#reads.askAll()
      this.#changes.askAll()
    }
    this.#tellStatus()
  }

  /** Requests and answers travel without acknowledgement: what was lost is sent again. */
  #retryLater(): void {
    if (this.#cancelRetry !== undefined || this.#endReason !== undefined) return
    this.#cancelRetry = this.#after(5 * this.#timing.heartbeatMs, () => {
      this.#cancelRetry = undefined
      if (!this.#transactions.isWaiting && !this.#reads.isWaiting && !this.#changes.isWaiting) return
      const { leader, self } = this.#driver.state
      if (leader !== undefined) {
        this.#transactions.sendOverdue({ isLeader: leader === self })
        this.#reads.askAll()
        this.#changes.askAll()
      }
      this.#retryLater()
    })
  }

  #look(prefix: string): StoreRead {
    const { tree } = this.#machine
    return { revision: tree.revision, entries: tree.list(prefix) }
  }

  #tellRemoved(): void {
    const { self } = this.#driver.state
    this.#deps.log.warn('This member was removed from the consensus group and takes no part in it any more', {
      member: nameOf(self),
    })
    this.#tell(this.#removedListeners)
  }

  #tellStatus(): void {
    this.#tell(this.#statusListeners)
  }

  #tell(listeners: ReadonlySet<() => void>): void {
    for (const listener of listeners) {
      try {
        listener()
      } catch (error) {
        this.#deps.log.error('A listener to the state of the store failed', { error })
      }
    }
  }
}

function stopped(action: string, reason: string): Fault {
  return new Fault('STORE_STOPPED', `${action}: ${reason}`, { details: { applied: false } })
}
