import { codeOf, messageOf } from '../std/fault.ts'
import { isHeld, type EpochRecord } from '../model/epoch-record.ts'
import type { Compare, KeyValue, Operation } from '../model/key-value.ts'
import { plus, type MonotonicMs } from '../model/time.ts'
import type { Logger } from '../platform/log.ts'
import type { Keys } from './keys.ts'
import type { Policy } from './policy.ts'
import type { Clock, Store } from './ports.ts'

const NEVER = 0 as MonotonicMs

/** What a change of the record came to. */
export type WriteOutcome =
  | { readonly kind: 'committed' }
  /** Somebody else changed it first, or the change did not apply to what is there now. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'unknown'; readonly why: string }

/**
 * This node's copy of the epoch record, and the only writer of it here.
 * Invariant: `provenUntil` is counted from before the renewal was sent, so a slow commit shortens it (safety.md 15).
 * Order: changes are made one after the other, each on the revision that the one before left.
 */
export class RecordKeeper {
  readonly #store: Store
  readonly #clock: Clock
  readonly #log: Logger
  readonly #keys: Keys
  readonly #policy: Policy
  readonly #self: string
  readonly #listeners = new Set<() => void>()
  #record: EpochRecord | undefined
  #revision = 0
  #firstSeenAt = NEVER
  #provenUntil = NEVER
  #hasProved = false
  #distrusts = 0
  #isRead = false
  #witnessedEpoch = -1
  #queue: Promise<unknown> = Promise.resolve()
  #unwatch: (() => void) | undefined

  constructor(
    deps: { store: Store; clock: Clock; log: Logger },
    options: { keys: Keys; policy: Policy; self: string },
  ) {
    this.#store = deps.store
    this.#clock = deps.clock
    this.#log = deps.log
    this.#keys = options.keys
    this.#policy = options.policy
    this.#self = options.self
  }

  get record(): EpochRecord | undefined {
    return this.#record
  }

  get revision(): number {
    return this.#revision
  }

  get firstSeenAt(): MonotonicMs {
    return this.#firstSeenAt
  }

  get provenUntil(): MonotonicMs {
    return this.#provenUntil
  }

  /** A renewal has succeeded in this life of the agent, and since the host last slept. */
  get hasProved(): boolean {
    return this.#hasProved
  }

  /** The record was read with a quorum since the agent started: an absent record is then really absent. */
  get isRead(): boolean {
    return this.#isRead
  }

  /** This agent saw the present holder renew, after its own first read. */
  get witnessed(): boolean {
    return this.#record !== undefined && this.#witnessedEpoch === this.#record.epoch
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    this.#unwatch = this.#store.watch(this.#keys.epoch, 0, (events) => {
      for (const event of events) {
        if (event.kind === 'put' && event.entry.key === this.#keys.epoch) this.#learn(event.entry)
      }
    })
  }

  stop(): void {
    this.#unwatch?.()
  }

  /** Reads the record with a quorum: needed once after start, and after an unknown outcome. */
  async refresh(deadlineMs: number): Promise<boolean> {
    try {
      const { entries } = await this.#store.read(this.#keys.epoch, { deadlineMs })
      const entry = entries.find(({ key }) => key === this.#keys.epoch)
      if (entry) this.#learn(entry)
      this.#isRead = true
      return true
    } catch (error) {
      this.#log.debug('Cannot read the epoch record', { error: messageOf(error), code: codeOf(error) })
      return false
    }
  }

  /**
   * A lease that cannot be trusted any more (the clock stood still): not proven until a renewal that is sent from now on.
   * Until then it is as after a restart: the guard counts the same sleep, and kills if it was too long.
   */
  distrustClock(): void {
    this.#provenUntil = NEVER
    this.#hasProved = false
    this.#distrusts += 1
    this.#announce()
  }

  /**
   * Changes the record by compare-and-swap on the revision known here. `change` returns `undefined` when it does not
   * apply to what is there now: then nothing is written.
   */
  write(
    change: (record: EpochRecord | undefined) => EpochRecord | undefined,
    options: { deadlineMs: number; also?: readonly Operation[]; onlyIf?: readonly Compare[] },
  ): Promise<WriteOutcome> {
    const turn = this.#queue.then(() => this.#writeNow(change, options))
    this.#queue = turn.catch(() => undefined)
    return turn
  }

  async #writeNow(
    change: (record: EpochRecord | undefined) => EpochRecord | undefined,
    options: { deadlineMs: number; also?: readonly Operation[]; onlyIf?: readonly Compare[] },
  ): Promise<WriteOutcome> {
    const next = change(this.#record)
    if (next === undefined) return { kind: 'conflict' }
    const sentAt = this.#clock.monotonic()
    const distrusts = this.#distrusts
    const key = this.#keys.epoch
    // Order: before it is sent. If its outcome stays unknown it may be applied at any later time, until a renewal on the
    // same revision shuts it out; a lease that counted as proven meanwhile would let the instance start again beside its heir.
    if (next.holder !== this.#self || !isHeld(next)) this.#provenUntil = NEVER
    try {
      const result = await this.#store.transact(
        {
          compares: [{ kind: 'mod', key, revision: this.#revision }, ...(options.onlyIf ?? [])],
          operations: [{ kind: 'put', key, value: JSON.stringify(next) }, ...(options.also ?? [])],
        },
        { deadlineMs: options.deadlineMs },
      )
      if (!result.succeeded) {
        await this.refresh(options.deadlineMs)
        return { kind: 'conflict' }
      }
      this.#adopt(next, result.revision)
      const isNewest = this.#revision === result.revision && distrusts === this.#distrusts
      if (isNewest && next.holder === this.#self && isHeld(next)) this.#prove(sentAt, next.ttlMs)
      this.#announce()
      return { kind: 'committed' }
    } catch (error) {
      this.#log.warn('Cannot change the epoch record', { error: messageOf(error), code: codeOf(error) })
      await this.refresh(options.deadlineMs)
      return { kind: 'unknown', why: messageOf(error) }
    }
  }

  #prove(sentAt: MonotonicMs, ttlMs: number): void {
    const until = plus(sentAt, ttlMs - this.#policy.killMarginMs)
    if (until > this.#provenUntil) this.#provenUntil = until
    this.#hasProved = true
  }

  #learn(entry: KeyValue): void {
    if (entry.modRevision <= this.#revision) return
    const record = JSON.parse(entry.value) as EpochRecord
    const before = this.#record
    if (this.#isRead && before?.epoch === record.epoch && record.seq > before.seq) {
      this.#witnessedEpoch = record.epoch
    }
    this.#adopt(record, entry.modRevision)
    this.#announce()
  }

  #adopt(record: EpochRecord, revision: number): void {
    if (revision < this.#revision) return
    const before = this.#record
    const isNews =
      before?.epoch !== record.epoch || before.seq !== record.seq || before.state !== record.state
    this.#record = record
    this.#revision = revision
    if (isNews) this.#firstSeenAt = this.#clock.monotonic()
    if (record.holder !== this.#self || !isHeld(record)) this.#provenUntil = NEVER
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }
}
