import type { DurableChange, Effect, HardState } from '../../src/raft/effect.ts'
import type { Input } from '../../src/raft/input.ts'
import {
  EMPTY_LOG,
  entriesBetween,
  lastIndex,
  lastTerm,
  withEntries,
  type RaftLog,
} from '../../src/raft/log.ts'
import type { Configuration, Entry, Message, Snapshot } from '../../src/raft/message.ts'
import { startRaft, step as realStep } from '../../src/raft/raft.ts'
import type { RaftState } from '../../src/raft/state.ts'
import type { RaftTiming } from '../../src/raft/timing.ts'

/** What survives a crash. */
export type DurableState = {
  readonly hardState: HardState
  readonly snapshot: Snapshot
  readonly log: RaftLog
}

/** What the shell around the core would do. Bodies of a snapshot are the applied bodies, one a line. */
export type NodeEvents = {
  send(to: string, message: Message): void
  applied(entry: Entry): void
  restored(snapshot: Snapshot): void
  effect(effect: Exclude<Effect, { kind: 'persist' | 'send' | 'commit' | 'restore' }>): void
}

type Held = { readonly needs: number; readonly run: () => void }

/**
 * One member with an honest, slow disk: what is not synced is lost by a crash, and nothing that depends on it happens
 * before. The order of effects is that of `store/raft/driver.ts`. The step is an argument so that a test can plant a bug.
 */
export class RaftNode {
  readonly name: string
  state: RaftState
  durable: DurableState
  applied: number
  /** Changes that are not durable yet. */
  unsynced: DurableChange[] = []
  #syncedCount = 0
  #positions: { readonly term: number; readonly lastIndex: number; readonly lastTerm: number }[] = []
  #held: Held[] = []
  #inbox: { readonly input: Input; readonly now: number }[] = []
  #isBusy = false
  readonly #events: NodeEvents
  readonly #step: typeof realStep
  readonly #group: string
  readonly #timing: RaftTiming

  constructor(
    options: {
      readonly name: string
      readonly group: string
      readonly timing: RaftTiming
      readonly durable: DurableState
      readonly seed: number
      readonly now: number
      readonly step?: typeof realStep
      readonly chunkLength?: number
    },
    events: NodeEvents,
  ) {
    this.name = options.name
    this.#group = options.group
    this.#timing = options.timing
    this.#events = events
    this.#step = options.step ?? realStep
    this.durable = options.durable
    this.applied = options.durable.snapshot.index
    this.state = this.#start(options)
  }

  /** Takes an input and everything that follows from it without the disk. */
  input(input: Input, now: number): void {
    this.#inbox.push({ input, now })
    if (this.#isBusy) return
    this.#isBusy = true
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      const { state, effects } = this.#step(this.state, next.input, next.now)
      this.state = state
      for (const effect of effects) this.#carryOut(effect)
      this.#release()
    }
    this.#isBusy = false
  }

  /** Number of changes that one sync would make durable now. */
  get changeCount(): number {
    return this.unsynced.length
  }

  /** The first `count` changes have become durable. */
  sync(count: number, now: number): void {
    for (const change of this.unsynced.splice(0, count)) this.durable = withChange(this.durable, change)
    this.#syncedCount += count
    const position = this.#positions.splice(0, count).at(-1)
    if (position !== undefined) this.input({ kind: 'persisted', ...position }, now)
  }

  /** Ends this life. The first `kept` unsynced changes happened to reach the disk all the same. */
  crash(kept: number): DurableState {
    for (const change of this.unsynced.slice(0, kept)) this.durable = withChange(this.durable, change)
    return this.durable
  }

  #start(options: { seed: number; now: number; chunkLength?: number }): RaftState {
    const { hardState, snapshot, log } = this.durable
    const identity = { self: this.name, group: this.#group, timing: this.#timing, seed: options.seed }
    const { chunkLength = 1024 } = options
    return startRaft({ ...identity, hardState, snapshot, log, chunkLength }, options.now)
  }

  #carryOut(effect: Effect): void {
    const needs = this.#syncedCount + this.unsynced.length
    switch (effect.kind) {
      case 'persist': {
        const { term, log } = this.state
        this.unsynced.push(effect.change)
        this.#positions.push({ term, lastIndex: lastIndex(log), lastTerm: lastTerm(log) })
        break
      }
      case 'send':
        if (effect.after === 'nothing') this.#events.send(effect.to, effect.message)
        else this.#held.push({ needs, run: () => this.#events.send(effect.to, effect.message) })
        break
      case 'commit':
        this.#held.push({ needs, run: () => this.#apply(effect.index) })
        break
      case 'restore':
        this.#held.push({ needs, run: () => this.#restore(effect.snapshot) })
        break
      case 'message-refused':
      case 'entries-withheld':
      case 'proposal-refused':
      case 'read-confirmed':
      case 'read-refused':
      case 'transfer-refused':
      case 'change-answered':
      case 'removed':
        this.#events.effect(effect)
    }
  }

  #release(): void {
    while (this.#held[0] !== undefined && this.#held[0].needs <= this.#syncedCount) this.#held.shift()?.run()
  }

  #apply(index: number): void {
    if (index <= this.applied) return
    // A leader's snapshot has taken their place before the disk was ready; it follows.
    if (this.applied < this.state.log.baseIndex) return
    const entries = entriesBetween(this.state.log, this.applied, index)
    for (const entry of entries) {
      this.applied = entry.index
      this.#events.applied(entry)
    }
  }

  #restore(snapshot: Snapshot): void {
    this.applied = snapshot.index
    this.#events.restored(snapshot)
  }
}

export function genesis(voters: readonly string[], learners: readonly string[] = []): DurableState {
  const configuration: Configuration = { voters, learners }
  return { hardState: { term: 0 }, snapshot: { index: 0, term: 0, configuration, body: '' }, log: EMPTY_LOG }
}

function withChange(durable: DurableState, change: DurableChange): DurableState {
  switch (change.kind) {
    case 'hard-state':
      return { ...durable, hardState: change.hardState }
    case 'entries':
      return { ...durable, log: withEntries(durable.log, change.entries) }
    case 'snapshot':
      return { hardState: change.hardState, snapshot: change.snapshot, log: change.log }
  }
}
