import { SECOND } from '../std/units.ts'
import { messageOf } from '../std/fault.ts'
import type { Keys } from '../ha/keys.ts'
import type { Clock, Store } from '../ha/ports.ts'
import type { RestartOrder, Snapshot } from '../ha/snapshot.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import type { KeyValue, Operation } from '../model/key-value.ts'
import { lifeOf, type MemberFacts } from '../model/member.ts'
import type { ScheduledRestart, ScheduledSwitchover } from '../model/schedule.ts'
import type { Logger } from '../platform/log.ts'
import { whyNotMeant } from './restart.ts'
import { scheduledIn } from './schedule.ts'
import { switchoverRequest, whyNoSwitchover } from './switchover.ts'

/** Patroni drops what it could not begin within one and a half of its turns of ten seconds. */
const STALE_MS = 15 * SECOND
/** While there is an order somebody's clock may be set, a pause may end and the primary may be another. */
const LOOK_EVERY_MS = SECOND
const WRITE_MS = 3 * SECOND

export type SchedulerDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly store: Store
  readonly keys: Keys
  readonly self: string
  readonly own: () => MemberFacts
  readonly record: () => EpochRecord | undefined
  readonly seen: () => Snapshot | undefined
}

/** What becomes of an order whose time has come. */
type Judgement =
  | { readonly kind: 'give'; readonly key: string; readonly value: string; readonly isExclusive: boolean }
  | { readonly kind: 'drop'; readonly why: string }
  | { readonly kind: 'wait' }

const WAIT: Judgement = { kind: 'wait' }
const drop = (why: string): Judgement => ({ kind: 'drop', why })

/**
 * Gives the orders of this node's own business when their time has come (docs/adr/0041). It decides nothing: it does what an operator
 * would do then, and the same checks follow.
 */
export class Scheduler {
  readonly #deps: SchedulerDeps
  /** While it is at work. */
  #unwatch: (() => void) | undefined
  #timer: (() => void) | undefined
  #isGiving = false

  constructor(deps: SchedulerDeps) {
    this.#deps = deps
  }

  start(signal: AbortSignal): void {
    const { store, keys } = this.#deps
    this.#unwatch = store.watch(keys.scheduled, 0, () => this.#look())
    signal.addEventListener('abort', () => this.#stop(), { once: true })
    this.#look()
  }

  #stop(): void {
    this.#timer?.()
    this.#unwatch?.()
    this.#unwatch = undefined
  }

  #look(): void {
    const { clock, log, store, keys, self } = this.#deps
    this.#timer?.()
    this.#timer = undefined
    const entries = [keys.scheduledSwitchover, keys.scheduledRestart(self)].flatMap(
      (key) => store.peek(key) ?? [],
    )
    if (entries.length === 0 || !this.#unwatch) return
    const waits = entries.map((entry) => this.#waitMs(entry))
    const due = entries.filter((_entry, index) => (waits[index] ?? 0) <= 0)
    const nextMs = Math.min(LOOK_EVERY_MS, ...waits.filter((ms) => ms > 0))
    this.#timer = clock.after(nextMs, () => this.#look())
    if (due.length === 0 || this.#isGiving) return
    this.#isGiving = true
    void Promise.all(due.map((entry) => this.#give(entry)))
      .catch((error: unknown) => log.warn('Cannot give a scheduled order yet', { error: messageOf(error) }))
      .finally(() => (this.#isGiving = false))
  }

  /** Negative once the time is over; what cannot be read is due at once, and dropped. */
  #waitMs({ value }: KeyValue): number {
    const order = scheduledIn<ScheduledSwitchover | ScheduledRestart>(value)
    return order === undefined ? -Infinity : Date.parse(order.at) - this.#deps.clock.wall()
  }

  async #give(entry: KeyValue): Promise<void> {
    const { log, store, keys } = this.#deps
    const isSwitchover = entry.key === keys.scheduledSwitchover
    const judged = isSwitchover ? this.#judgeSwitchover(entry) : this.#judgeRestart(entry)
    const isStale = this.#waitMs(entry) < -STALE_MS
    const what = isSwitchover ? 'switchover' : 'restart'
    // Whose business it is not now may have it next: only those who could act say that it is too late.
    if (judged.kind === 'wait' && !(isStale && this.#isOurs(isSwitchover))) return
    const remove: Operation = { kind: 'delete', key: entry.key }
    const isGiven = judged.kind === 'give' && !isStale
    const { succeeded } = await store.transact(
      {
        compares: [
          { kind: 'mod', key: entry.key, revision: entry.modRevision },
          ...(isGiven && judged.isExclusive ? [{ kind: 'mod', key: judged.key, revision: 0 } as const] : []),
        ],
        operations: isGiven ? [remove, { kind: 'put', key: judged.key, value: judged.value }] : [remove],
      },
      { deadlineMs: WRITE_MS },
    )
    if (!succeeded) return
    if (isGiven) return log.info(`A scheduled ${what} begins`, { order: entry.value })
    const why = judged.kind === 'drop' ? judged.why : `its time is over for more than ${STALE_MS / SECOND} s`
    log.warn(`A scheduled ${what} is dropped`, { order: entry.value, why })
  }

  #isOurs(isSwitchover: boolean): boolean {
    return !isSwitchover || this.#deps.record()?.holder === this.#deps.self
  }

  #judgeSwitchover({ value }: KeyValue): Judgement {
    const { keys, self, record, seen } = this.#deps
    const [now, snapshot] = [record(), seen()]
    if (now?.holder !== self || !snapshot) return WAIT
    const order = scheduledIn<ScheduledSwitchover>(value)
    if (!order) return drop('it cannot be read')
    if (snapshot.store.paused) return WAIT
    const refusal = whyNoSwitchover(snapshot, order, now)
    if (refusal?.reason === 'NO_QUORUM' || refusal?.reason === 'NO_PRIMARY') return WAIT
    if (refusal) return drop(refusal.message)
    return {
      kind: 'give',
      key: keys.failover,
      value: switchoverRequest(order.from, order.to),
      isExclusive: true,
    }
  }

  #judgeRestart({ value }: KeyValue): Judgement {
    const { keys, self, record, own, seen } = this.#deps
    const snapshot = seen()
    const order = scheduledIn<ScheduledRestart>(value)
    if (!order) return drop('it cannot be read')
    if (!snapshot?.store.hasQuorum || snapshot.store.paused || record()?.state !== 'open') return WAIT
    const facts = own()
    const life = lifeOf(facts.instance)
    if (life === undefined) return WAIT
    if (order.life !== undefined && order.life !== life) return drop('PostgreSQL was started anew meanwhile')
    const why = whyNotMeant(facts, order)
    if (why !== undefined) return drop(why)
    const request: RestartOrder = { life }
    return { kind: 'give', key: keys.restart(self), value: JSON.stringify(request), isExclusive: false }
  }
}
