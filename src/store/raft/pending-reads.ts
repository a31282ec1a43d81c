import { Fault } from '../../std/fault.ts'
import { PENDING_REQUESTS_MAX } from '../limits.ts'
import type { StoreRead } from '../store.ts'

type Pending = {
  readonly prefix: string
  readonly resolve: (read: StoreRead) => void
  readonly reject: (fault: Fault) => void
  readonly cancelDeadline: () => void
  /** The index to wait for, once a quorum confirmed it. */
  index?: number
}

/** The linearizable reads of this node that have no answer yet. */
export class PendingReads {
  readonly #ask: (id: string) => void
  readonly #look: (prefix: string) => StoreRead
  readonly #hasLeader: () => boolean
  readonly #after: (ms: number, task: () => void) => () => void
  readonly #nonce: string
  readonly #pending = new Map<string, Pending>()
  #count = 0

  constructor(deps: {
    /** Asks the leader for the index; may be asked again under the same id. */
    readonly ask: (id: string) => void
    /** The tree as it is applied here. */
    readonly look: (prefix: string) => StoreRead
    readonly hasLeader: () => boolean
    readonly after: (ms: number, task: () => void) => () => void
    /** Unique to this start: a late answer to an earlier life's read must confirm nothing. */
    readonly nonce: string
  }) {
    this.#ask = deps.ask
    this.#look = deps.look
    this.#hasLeader = deps.hasLeader
    this.#after = deps.after
    this.#nonce = deps.nonce
  }

  get isWaiting(): boolean {
    return this.#pending.size > 0
  }

  add(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead> {
    if (this.#pending.size >= PENDING_REQUESTS_MAX) {
      const message = `Cannot read "${prefix}": ${this.#pending.size} other reads wait, limit is ${PENDING_REQUESTS_MAX}`
      return Promise.reject(new Fault('STORE_OVERLOADED', message, { retryable: true }))
    }
    return new Promise((resolve, reject) => {
      this.#count += 1
      const id = `${this.#nonce}.${this.#count}`
      const cancelDeadline = this.#after(options.deadlineMs, () => {
        this.#pending.delete(id)
        reject(this.#tooLate(prefix, options.deadlineMs))
      })
      this.#pending.set(id, { prefix, resolve, reject, cancelDeadline })
      this.#ask(id)
    })
  }

  askAll(): void {
    for (const [id, { index }] of this.#pending) if (index === undefined) this.#ask(id)
  }

  confirmed(id: string, index: number, applied: number): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    pending.index ??= index
    this.settled(applied)
  }

  /** Answers what waited for entries up to `applied`. */
  settled(applied: number): void {
    for (const [id, { prefix, index, resolve, cancelDeadline }] of this.#pending) {
      if (index === undefined || index > applied) continue
      this.#pending.delete(id)
      cancelDeadline()
      resolve(this.#look(prefix))
    }
  }

  rejectAll(reason: string): void {
    for (const { prefix, reject, cancelDeadline } of this.#pending.values()) {
      cancelDeadline()
      reject(new Fault('STORE_STOPPED', `Cannot read "${prefix}": ${reason}`))
    }
    this.#pending.clear()
  }

  #tooLate(prefix: string, deadlineMs: number): Fault {
    return this.#hasLeader()
      ? new Fault('STORE_TIMEOUT', `Cannot read "${prefix}": no answer of a quorum within ${deadlineMs} ms`, {
          retryable: true,
        })
      : new Fault('STORE_NO_QUORUM', `Cannot read "${prefix}": no leader within ${deadlineMs} ms`, {
          retryable: true,
        })
  }
}
