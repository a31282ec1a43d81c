import { assert } from '../../std/assert.ts'
import { messageOf } from '../../std/fault.ts'
import type { LogFields, Logger } from '../../platform/log.ts'
import type { DurableChange, Effect } from '../../raft/effect.ts'
import type { Input } from '../../raft/input.ts'
import { entriesBetween, lastIndex, lastTerm } from '../../raft/log.ts'
import { nameOf } from '../../raft/member-id.ts'
import type { Entry, Message, Snapshot } from '../../raft/message.ts'
import { decodeMessage, encodeMessage } from '../../raft/message-codec.ts'
import { PROTOCOL_VERSION } from '../../raft/protocol.ts'
import { wakeAt } from '../../raft/on-tick.ts'
import { step } from '../../raft/raft.ts'
import type { RaftState } from '../../raft/state.ts'
import { COMPACT_LENGTH, COMPACT_PATIENCE } from '../limits.ts'
import { decodeCommand } from './command.ts'
import type { RaftStorage } from './storage.ts'
import type { RaftTransport } from './transport.ts'

/** What the driver tells its owner. None of these is called while another one runs. */
export type DriverListener = {
  /** Apply committed entries, in order. */
  apply(entries: readonly Entry[]): void
  restore(snapshot: Snapshot): void
  /** Everything that was committed up to now is applied. */
  settled(appliedIndex: number): void
  effect(
    effect: Extract<
      Effect,
      {
        kind:
          | 'read-confirmed'
          | 'read-refused'
          | 'proposal-refused'
          | 'transfer-refused'
          | 'change-answered'
          | 'removed'
      }
    >,
  ): void
  /** Role, leader, term or configuration may have changed. */
  changed(before: RaftState, after: RaftState): void
  /** The state machine as text, for a snapshot. */
  image(): string
  /** The disk failed or an invariant broke. Nothing was or will be sent after it; the process must end. */
  failed(thrown: unknown): void
}

export type DriverDeps = {
  readonly transport: RaftTransport
  readonly storage: RaftStorage
  readonly log: Logger
  readonly now: () => number
  readonly after: (ms: number, task: () => void) => () => void
  readonly soon: (task: () => void) => void
  readonly listener: DriverListener
  readonly sizes: CompactionSizes
}

export type CompactionSizes = { readonly compactEntries: number; readonly keepEntries: number }

/**
 * Carries the effects of the pure core out. The only file that knows the order: persist, then send, then apply.
 * Inputs of one turn of the event loop share one fsync; what a leader sends leaves before it, so that the disks of leader
 * and followers work at the same time.
 */
export class RaftDriver {
  readonly #deps: DriverDeps
  #state: RaftState
  #applied: number
  #appliedLength = 0
  #inbox: Input[] = []
  #isDraining = false
  #isFlushDue = false
  #changes: DurableChange[] = []
  #held: { readonly to: string; readonly message: Message }[] = []
  #restoring: Snapshot | undefined
  #isStopped = false
  #cancelTimer: () => void = () => {}
  #timerAt = Number.POSITIVE_INFINITY
  readonly #refusals = new Map<string, number>()
  readonly #endListening: (() => void)[] = []

  constructor(deps: DriverDeps, state: RaftState) {
    this.#deps = deps
    this.#state = state
    this.#applied = state.snapshot.index
  }

  get state(): RaftState {
    return this.#state
  }

  get applied(): number {
    return this.#applied
  }

  start(): void {
    const { transport } = this.#deps
    this.#endListening.push(transport.onMessage((peer, bytes) => this.#receive(peer, bytes)))
    const endPeerLost = transport.onPeerLost?.((name) => this.#peerLost(name))
    if (endPeerLost !== undefined) this.#endListening.push(endPeerLost)
    this.#arm()
  }

  /** Takes an input; everything that follows from it and needs no disk has happened when this returns, unless it runs already. */
  submit(input: Input): void {
    if (this.#isStopped) return
    this.#inbox.push(input)
    this.#drain()
  }

  /** The transport speaks of names, and only the leader matters. */
  #peerLost(name: string): void {
    const { leader } = this.#state
    if (leader !== undefined && nameOf(leader) === name) this.submit({ kind: 'peer-lost', peer: leader })
  }

  /** Ends everything at once; what was not durable never leaves. */
  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#cancelTimer()
    for (const end of this.#endListening) end()
    this.#deps.storage.close()
  }

  #drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      while (!this.#isStopped) {
        const input = this.#inbox.shift()
        if (input !== undefined) this.#take(input)
        else if (!this.#settle()) break
      }
      if (!this.#isStopped) this.#arm()
    } catch (thrown) {
      this.#fail(thrown)
    } finally {
      this.#isDraining = false
    }
  }

  #take(input: Input): void {
    const before = this.#state
    const { state, effects } = step(before, input, this.#deps.now())
    this.#state = state
    for (const effect of effects) this.#carryOut(effect)
    const isSame =
      before.role === state.role &&
      before.leader === state.leader &&
      before.term === state.term &&
      before.configuration === state.configuration &&
      before.removedAt === state.removedAt
    if (!isSame) this.#deps.listener.changed(before, state)
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case 'persist':
        this.#changes.push(effect.change)
        break
      case 'send':
        if (effect.after === 'nothing') this.#send(effect.to, effect.message)
        else this.#held.push({ to: effect.to, message: effect.message })
        break
      case 'commit':
        break
      case 'restore':
        this.#restoring = effect.snapshot
        break
      case 'message-refused':
        this.#noteRefusal(effect.from, effect.reason)
        break
      case 'entries-withheld':
        this.#noteWithheld(nameOf(effect.to))
        break
      case 'read-confirmed':
      case 'read-refused':
      case 'proposal-refused':
      case 'transfer-refused':
      case 'change-answered':
      case 'removed':
        this.#deps.listener.effect(effect)
    }
  }

  /** Does what may follow now; true when it made new inputs or may be called again. */
  #settle(): boolean {
    if (this.#changes.length > 0) {
      this.#flushSoon()
      return false
    }
    for (const { to, message } of this.#held.splice(0)) this.#send(to, message)
    this.#apply()
    return this.#inbox.length > 0
  }

  /** One fsync for everything that this turn of the event loop brings. */
  #flushSoon(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    this.#deps.soon(() => {
      this.#isFlushDue = false
      if (this.#isStopped) return
      try {
        this.#deps.storage.write(this.#changes.splice(0))
      } catch (thrown) {
        // After a failed write or fsync nobody knows what is on disk: to try again could acknowledge what is not there.
        return this.#fail(thrown)
      }
      const { term, log } = this.#state
      this.submit({ kind: 'persisted', term, lastIndex: lastIndex(log), lastTerm: lastTerm(log) })
    })
  }

  #apply(): void {
    const { listener } = this.#deps
    if (this.#restoring !== undefined) {
      const snapshot = this.#restoring
      this.#restoring = undefined
      assert(snapshot.index > this.#applied, `Snapshot ${snapshot.index} is behind ${this.#applied}`)
      this.#applied = snapshot.index
      this.#appliedLength = 0
      listener.restore(snapshot)
      listener.settled(snapshot.index)
    }
    const { commit, log, snapshot } = this.#state
    if (commit === this.#applied) return
    const entries = entriesBetween(log, this.#applied, commit)
    this.#applied = commit
    for (const entry of entries) this.#appliedLength += entry.body.length
    listener.apply(entries)
    listener.settled(commit)
    const { compactEntries, keepEntries } = this.#deps.sizes
    const patience = this.#isSendingSnapshot() ? COMPACT_PATIENCE : 1
    const isShort = commit - snapshot.index < patience * compactEntries
    if (isShort && this.#appliedLength < patience * COMPACT_LENGTH) return
    this.#appliedLength = 0
    this.#inbox.push({ kind: 'compact', index: commit, body: listener.image(), keep: keepEntries })
  }

  #isSendingSnapshot(): boolean {
    for (const { mode } of this.#state.peers.values()) if (mode === 'snapshot') return true
    return false
  }

  #send(to: string, message: Message): void {
    const { group, self } = this.#state
    this.#deps.transport.send(nameOf(to), encodeMessage({ group, from: self, to, message }))
  }

  /** A hostile or broken packet is counted and forgotten. */
  #receive(peer: string, bytes: Uint8Array): void {
    if (this.#isStopped) return
    const decoded = decodeMessage(bytes)
    if (decoded.kind === 'refused') {
      const isNewer = decoded.reason === 'NEEDS_NEWER_PROTOCOL'
      const versions = isNewer ? { needs: decoded.needs, understood: PROTOCOL_VERSION } : {}
      return this.#noteRefusal(peer, decoded.reason, versions)
    }
    const { version } = decoded
    const { group, from, to, message } = decoded.envelope
    if (nameOf(from) !== peer || to !== this.#state.self) return this.#noteRefusal(peer, 'OTHER_ADDRESS')
    // What is in the log must be applied by everybody: a command that nobody knows may not get there.
    if (message.kind === 'propose' && decodeCommand(message.body) === undefined) {
      return this.#noteRefusal(peer, 'UNKNOWN_COMMAND')
    }
    this.submit({ kind: 'message', group, from, version, message })
  }

  #noteRefusal(peer: string, reason: string, fields: LogFields = {}): void {
    const count = this.#countOften(`${peer} ${reason}`)
    if (count === undefined) return
    this.#deps.log.warn('A consensus message was refused', { peer, reason, count, ...fields })
  }

  #noteWithheld(peer: string): void {
    const count = this.#countOften(`${peer} withheld`)
    if (count === undefined) return
    this.#deps.log.warn('A member runs an older release and gets no more of the log until it is upgraded', {
      peer,
      count,
    })
  }

  /** The count where it is 1, 10, 100 …: what repeats itself must not fill the log. */
  #countOften(key: string): number | undefined {
    const count = (this.#refusals.get(key) ?? 0) + 1
    this.#refusals.set(key, count)
    return /^10*$/.test(String(count)) ? count : undefined
  }

  /** Sets the timer for the next moment at which the core must act. Nothing polls. */
  #arm(): void {
    const now = this.#deps.now()
    const dueAt = wakeAt(this.#state, now)
    // A timer that comes too early only looks again: the deadline of a follower moves with each heartbeat.
    if (this.#timerAt <= dueAt) return
    this.#cancelTimer()
    this.#timerAt = dueAt
    this.#cancelTimer = this.#deps.after(Math.max(0, Math.ceil(dueAt - now)), () => {
      this.#timerAt = Number.POSITIVE_INFINITY
      this.submit({ kind: 'tick' })
    })
  }

  #fail(thrown: unknown): void {
    this.#deps.log.error('The consensus store stops', { error: thrown, reason: messageOf(thrown) })
    this.stop()
    this.#deps.listener.failed(thrown)
  }
}
