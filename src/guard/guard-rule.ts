/*
 * What the guard knows and when it acts, without clock, socket or process: the cluster simulator runs it as it is. Times
 * are milliseconds of the host's monotonic clock, and of its boot clock, which goes on while the host is suspended.
 */

/** The steps of the boot clock are 10 ms: a smaller difference says nothing. */
const SUSPEND_NOTICED_MS = 100
/** An agent is back long before; a guard that holds nothing may go, since the next agent starts one. */
const NEEDED_BY_NOBODY_MS = 60_000
/** After it has fenced: how often it looks for an instance that was being started meanwhile. */
const LOOK_AFTER_FENCE_MS = 100

export type GuardTimes = { readonly monotonic: number; readonly boot: number }

export type GuardVerdict =
  | { readonly kind: 'nothing' }
  /** Leave no process of the instance alive, then say so with `fenced`. */
  | { readonly kind: 'fence' }
  /** Nobody needs this guard: its process may end. */
  | { readonly kind: 'end' }

export class GuardRule {
  #until: number | undefined
  #fencedAt: number | undefined
  #isFencing = false
  #lookedAt = Number.NEGATIVE_INFINITY
  #neededAt: number
  #clockOffset: number
  readonly #onSuspend: (ms: number) => void

  constructor(now: GuardTimes, onSuspend: (ms: number) => void = () => undefined) {
    this.#neededAt = now.monotonic
    this.#clockOffset = now.boot - now.monotonic
    this.#onSuspend = onSuspend
  }

  /** The deadline, unless it has passed and the instance is dead: then the guard has done what it is for. */
  get held(): number | undefined {
    const isDone = this.#until !== undefined && this.#fencedAt !== undefined && this.#fencedAt >= this.#until
    return isDone ? undefined : this.#until
  }

  get fencedAt(): number | undefined {
    return this.#fencedAt
  }

  /** Invariant: a deadline never moves back while armed, so an order that was delayed cannot shorten a newer one. */
  arm(until: number): void {
    this.#until = Math.max(until, this.#until ?? 0)
  }

  disarm(): void {
    this.#until = undefined
  }

  look(now: GuardTimes, hasAgent: boolean): GuardVerdict {
    this.#countSuspend(now)
    const time = now.monotonic
    if (hasAgent || this.#until !== undefined) this.#neededAt = time
    // Started for an agent that ended before it came: nobody would ever tell this guard to stop.
    if (time - this.#neededAt > NEEDED_BY_NOBODY_MS) return { kind: 'end' }
    if (this.#until === undefined || this.#isFencing || time < this.#until) return { kind: 'nothing' }
    // Invariant: a passed deadline stays until it is taken away or prolonged. A postmaster that was being started when
    // the time passed appears only after the first look, and would else run without anybody to stop it.
    if (this.held === undefined && time - this.#lookedAt < LOOK_AFTER_FENCE_MS) return { kind: 'nothing' }
    this.#lookedAt = time
    this.#isFencing = true
    return { kind: 'fence' }
  }

  /** How a fence that began at `at` ended; true when others should hear of it. Alive: the next look tries again. */
  fenced(at: number, outcome: { readonly isDead: boolean; readonly processes: number }): boolean {
    const isNews = this.held !== undefined || outcome.processes > 0
    if (outcome.isDead) this.#fencedAt = at
    this.#isFencing = false
    return isNews
  }

  /** A fence could not even be tried. */
  fenceFailed(): void {
    this.#isFencing = false
  }

  /** The monotonic clock stands still while the host is suspended; the lease does not. */
  #countSuspend({ monotonic, boot }: GuardTimes): void {
    const offset = boot - monotonic
    const suspendedMs = offset - this.#clockOffset
    if (suspendedMs < SUSPEND_NOTICED_MS) return
    this.#clockOffset = offset
    if (this.#until !== undefined) this.#until -= suspendedMs
    this.#onSuspend(suspendedMs)
  }
}
