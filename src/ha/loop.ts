import { messageOf } from '../std/fault.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { Logger } from '../platform/log.ts'
import type { Executor } from './act/executor.ts'
import { decide } from './decide/decide.ts'
import { judgeLapse } from './decide/lapse.ts'
import type { Decision } from './decision.ts'
import type { Observer } from './observe/observer.ts'
import type { Clock } from './ports.ts'
import type { Snapshot } from './snapshot.ts'

/** The loop runs at least so often; everything urgent wakes it earlier. */
const PERIOD_MS = 500
/** A tick that begins right after another would see the same facts: one breath between them. */
const BREATH_MS = 2

/** What they change is in the record when they return: the next decision is another one. */
const EPOCH_ACTIONS: readonly string[] = ['take-over', 'open-epoch', 'resume-epoch']

/*
 * observe → decide → act, over and over. Events wake it; it never polls for what could have been announced, and it
 * never waits for a job.
 */
export class HaLoop {
  readonly #deps: { clock: Clock; log: Logger; observer: Observer; executor: Executor }
  readonly #onDecision: (decision: Decision, seen: Snapshot) => void
  #decision: Decision | undefined
  #decidedAt = 0 as MonotonicMs
  #cancel: (() => void) | undefined
  #isTicking = false
  #isWoken = false
  #isStopped = false
  #lastSentence = ''

  constructor(
    deps: { clock: Clock; log: Logger; observer: Observer; executor: Executor },
    onDecision: (decision: Decision, seen: Snapshot) => void,
  ) {
    this.#deps = deps
    this.#onDecision = onDecision
  }

  get decision(): Decision | undefined {
    return this.#decision
  }

  get decidedAt(): MonotonicMs {
    return this.#decidedAt
  }

  start(): void {
    this.wake()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel?.()
  }

  /** Something happened: look and decide now, or right after the tick that is running. */
  wake(): void {
    this.#isWoken = true
    if (!this.#isTicking) this.#schedule(0)
  }

  #schedule(ms: number): void {
    this.#cancel?.()
    if (this.#isStopped) return
    this.#cancel = this.#deps.clock.after(ms, () => void this.#run())
  }

  async #run(): Promise<void> {
    if (this.#isTicking || this.#isStopped) return
    this.#isTicking = true
    this.#isWoken = false
    let wait = PERIOD_MS
    try {
      wait = await this.#tick()
    } catch (error) {
      this.#deps.log.error('The HA loop failed in one tick', { error })
    } finally {
      this.#isTicking = false
      this.#schedule(this.#isWoken ? BREATH_MS : wait)
    }
  }

  /** Returns how long the loop may sleep when nothing wakes it. */
  async #tick(): Promise<number> {
    const { clock, log, observer, executor } = this.#deps
    const seen = await observer.observe()
    const decision = decide(seen)
    this.#decision = decision
    this.#decidedAt = clock.monotonic()
    this.#say(decision)
    this.#tell(decision, seen)
    for (const action of decision.actions) {
      try {
        await executor.run(action)
      } catch (error) {
        log.error(`Cannot carry out: ${action.kind}`, { error: messageOf(error) })
      }
    }
    if (decision.actions.some(({ kind }) => EPOCH_ACTIONS.includes(kind))) this.wake()
    return sleepMs(seen)
  }

  /** Whoever listens to decisions must not be able to keep them from being carried out. */
  #tell(decision: Decision, seen: Snapshot): void {
    try {
      this.#onDecision(decision, seen)
    } catch (error) {
      this.#deps.log.error('A listener to decisions failed', { error })
    }
  }

  #say(decision: Decision): void {
    const { sentence, reason, kind } = decision.stance
    if (sentence === this.#lastSentence) return
    this.#lastSentence = sentence
    this.#deps.log.info(sentence, { stance: kind, reason })
  }
}

/** Until the next moment at which time alone changes the decision. */
function sleepMs(seen: Snapshot): number {
  const record = seen.store.record
  if (!record) return PERIOD_MS
  if (record.state === 'pledging') return PERIOD_MS / 10
  // Whether enough standbys stream is seen only by asking PostgreSQL.
  if (record.holder === seen.self) return record.state === 'authorised' ? PERIOD_MS / 10 : PERIOD_MS
  const lapse = judgeLapse(seen, record)
  if (lapse.kind !== 'held' && lapse.kind !== 'reserved') return PERIOD_MS / 10
  const until = Math.min(
    lapse.until - seen.takenAt,
    record.acks ? untilSuspectMs(seen, record.holder) : PERIOD_MS,
  )
  return Math.max(BREATH_MS, Math.min(PERIOD_MS, until))
}

/** A holder that was not heard for half the limit is asked about, and judged when the rest is over. */
function untilSuspectMs({ peers, takenAt, policy }: Snapshot, holder: string): number {
  const heardAt = peers.find(({ name }) => name === holder)?.heardAt ?? 0
  const silentMs = takenAt - heardAt
  if (silentMs > policy.silenceLimitMs / 2) return PERIOD_MS / 10
  return policy.silenceLimitMs / 2 - silentMs + BREATH_MS
}
