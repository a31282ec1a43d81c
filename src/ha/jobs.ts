import { messageOf } from '../std/fault.ts'
import { plus, type MonotonicMs } from '../model/time.ts'
import type { Logger } from '../platform/log.ts'
import type { Clock } from './ports.ts'
import type { JobKind, RewindFailure } from './snapshot.ts'

/** Waits between tries of a job that fails: doubled each time, up to a bound that a person can wait for. */
const RETRY_FIRST_MS = 500
const RETRY_MAX_MS = 10_000

type JobsDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly onChange: () => void
  /** A running job did something that others should hear of before the next look at the instance. */
  readonly onStep?: () => void
}

/**
 * The one long piece of work that runs on the instance: the next snapshot sees it as a fact, the loop never waits.
 * Fencing is the exception: it runs beside whatever else does.
 */
export class Jobs {
  readonly #deps: JobsDeps
  #running: JobKind | undefined
  #isFencing = false
  #failures = 0
  #startFailures = 0
  #cloneFailures = 0
  #rewindFailure: RewindFailure | undefined
  #retryAt = 0 as MonotonicMs
  #trouble: string | undefined

  constructor(deps: JobsDeps) {
    this.#deps = deps
  }

  get running(): JobKind | undefined {
    return this.#isFencing ? 'fence' : this.#running
  }

  get retryAt(): MonotonicMs {
    return this.#retryAt
  }

  get startFailures(): number {
    return this.#startFailures
  }

  /** Since the instance was last brought up, by a clone or without one. */
  get cloneFailures(): number {
    return this.#cloneFailures
  }

  /** Since the instance was last brought up, by a rewind or without one. */
  get rewindFailure(): RewindFailure | undefined {
    return this.#rewindFailure
  }

  /** Why the last job failed; gone after the next one that succeeds. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** A running job reached a step that others should see now. */
  changed(): void {
    this.#deps.onChange()
  }

  /** The same, and routers and the other members hear of it before anybody looks. */
  announce(): void {
    this.#deps.onStep?.()
    this.changed()
  }

  begin(kind: JobKind, work: () => Promise<void>): void {
    const isFence = kind === 'fence'
    if (isFence ? this.#isFencing : this.#running !== undefined) return
    if (isFence) this.#isFencing = true
    else this.#running = kind
    void this.#run(kind, work)
  }

  #noteRewindFailure(why: string): void {
    this.#rewindFailure = { times: (this.#rewindFailure?.times ?? 0) + 1, why }
  }

  async #run(kind: JobKind, work: () => Promise<void>): Promise<void> {
    const { clock, log, onChange } = this.#deps
    const startedAt = clock.monotonic()
    try {
      await work()
      this.#failures = 0
      this.#trouble = undefined
      if (kind === 'start' || kind === 'clone' || kind === 'rewind') {
        this.#startFailures = 0
        this.#cloneFailures = 0
        this.#rewindFailure = undefined
      }
      log.info(`Finished: ${kind}`, { tookMs: Math.round(clock.monotonic() - startedAt) })
    } catch (error) {
      this.#failures += 1
      if (kind === 'start') this.#startFailures += 1
      if (kind === 'clone') this.#cloneFailures += 1
      if (kind === 'rewind') this.#noteRewindFailure(messageOf(error))
      const wait = Math.min(RETRY_FIRST_MS * 2 ** (this.#failures - 1), RETRY_MAX_MS)
      this.#retryAt = plus(clock.monotonic(), wait)
      this.#trouble = messageOf(error)
      log.error(`Failed: ${kind}`, { error, retryInMs: wait })
    } finally {
      if (kind === 'fence') this.#isFencing = false
      else this.#running = undefined
      onChange()
    }
  }
}
