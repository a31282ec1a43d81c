import { Fault } from '../std/fault.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { GuardOrder, GuardReport } from '../guard/guard-orders.ts'
import type { Clock, Guard } from '../ha/ports.ts'
import type { Logger } from '../platform/log.ts'
import {
  watchdogObstacle,
  type WatchdogFacts,
  type WatchdogPlan,
  type WatchdogState,
} from '../model/watchdog.ts'
import type { GuardConversation, GuardDoor } from './guard-door.ts'

const RECONNECT_MS = 50
/** A guard that cannot be reached so often in a row is started anew. */
const TRIES_BEFORE_START = 2
const START_EVERY_MS = 2000
const CONFIRM_MS = 2000
/** A guard that leaves a deadline unanswered for so long hangs: it counts as absent … */
const HANGS_MS = 1500
/** … and is replaced after this. */
const REPLACE_MS = 3000
const STOP_MS = 500

export type GuardClientDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly door: GuardDoor
  readonly onFenced: () => void
  readonly onState: () => void
  /** The watchdog that this node is to use; absent: none. */
  readonly watchdog?: { readonly mode: WatchdogFacts['mode']; readonly plan: WatchdogPlan } | undefined
}

/** The agent's end of its guard: adopts a running one, starts one when there is none, and starts it again when it dies. */
export class GuardClient implements Guard {
  readonly #deps: GuardClientDeps
  /** Orders that wait for their confirmation, in order; a guard that comes is told them (again). */
  readonly #waiting = new Map<number, { order: GuardOrder; confirm: () => void }>()
  #conversation: GuardConversation | undefined
  #onEnd: () => void = () => undefined
  #pid: number | undefined
  #until: number | undefined
  #nextId = 1
  #failures = 0
  #startedAt: number | undefined
  #isStopped = false
  #unansweredSince: number | undefined
  /** As a guard said it last, also one that is gone: a device that it left running ends this host. */
  #watchdog: WatchdogState = { state: 'absent', why: 'its guard has said nothing yet' }
  #wanted: { kind: 'arm'; until: MonotonicMs } | { kind: 'disarm' } | undefined

  constructor(deps: GuardClientDeps) {
    this.#deps = deps
  }

  get pid(): number | undefined {
    return this.#pid
  }

  start(): void {
    this.#connect()
  }

  /** Leaves the guard running: it guards whatever it was told to. */
  detach(): void {
    this.#isStopped = true
    this.#conversation?.close()
  }

  /** Ends the guard: only after it was disarmed. */
  async stop(): Promise<void> {
    // Order: from now on its end is wanted, and no reason to start another.
    this.#isStopped = true
    this.#tell({ kind: 'stop' })
    await new Promise<void>((resolve) => {
      if (!this.#conversation) return resolve()
      this.#onEnd = resolve
      this.#deps.clock.after(STOP_MS, resolve)
    })
    this.detach()
  }

  state(): 'armed' | 'idle' | 'absent' {
    if (!this.#pid || this.#unansweredMs() > HANGS_MS) return 'absent'
    return this.#until === undefined ? 'idle' : 'armed'
  }

  watchdog(): WatchdogFacts | undefined {
    const { watchdog } = this.#deps
    return watchdog && { mode: watchdog.mode, ...this.#watchdog }
  }

  isUnfenced(): boolean {
    return this.state() === 'absent' && this.watchdog()?.state !== 'armed'
  }

  /**
   * Prolongs what is armed, or was when its guard died. Never arms a guard that was told to let go: an order on its way
   * to a primary that ended meanwhile would kill the standby that follows it.
   */
  arm(until: MonotonicMs): void {
    if (this.#wanted?.kind === 'disarm') return
    if (!this.#wanted && this.#until === undefined) return
    if (this.#pid !== undefined && this.#unansweredMs() > REPLACE_MS) {
      this.#deps.log.error('The guard hangs: it is replaced', { guard: this.#pid })
      this.#deps.door.kill(this.#pid)
    }
    this.#wanted = { kind: 'arm', until }
    this.#tell({ kind: 'arm', until, id: this.#nextId++ })
  }

  async armAndConfirm(until: MonotonicMs): Promise<void> {
    this.#wanted = { kind: 'arm', until }
    await this.#confirm((id) => ({ kind: 'arm', until, id }), 'arm')
    const watchdog = this.watchdog()
    if (watchdog?.mode !== 'required' || watchdog.state === 'armed') return
    const why = watchdogObstacle(watchdog) ?? 'its watchdog, which is required, does not run yet'
    throw new Fault('WATCHDOG_UNUSABLE', `Cannot be primary: ${why}`, { retryable: true })
  }

  disarmAndConfirm(): Promise<void> {
    this.#wanted = { kind: 'disarm' }
    return this.#confirm((id) => ({ kind: 'disarm', id }), 'disarm')
  }

  #confirm(order: (id: number) => GuardOrder, what: string): Promise<void> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const cancel = this.#deps.clock.after(CONFIRM_MS, () => {
        this.#waiting.delete(id)
        reject(new Fault('GUARD_ABSENT', `Cannot ${what} the guard: it does not answer`, { retryable: true }))
      })
      const told = order(id)
      this.#waiting.set(id, {
        order: told,
        confirm: () => {
          cancel()
          resolve()
        },
      })
      this.#tell(told)
    })
  }

  #unansweredMs(): number {
    return this.#unansweredSince === undefined ? 0 : this.#deps.clock.monotonic() - this.#unansweredSince
  }

  #tell(order: GuardOrder): void {
    if (!this.#conversation) return
    if (order.kind === 'arm') this.#unansweredSince ??= this.#deps.clock.monotonic()
    this.#conversation.tell(order)
  }

  #connect(): void {
    if (this.#isStopped) return
    this.#deps.door.visit({
      opened: (conversation) => {
        this.#conversation = conversation
        this.#failures = 0
        if (this.#isStopped) conversation.close()
      },
      heard: (report) => this.#hear(report),
      closed: () => this.#closed(),
    })
  }

  #closed(): void {
    const wasThere = this.#pid !== undefined
    this.#conversation = undefined
    this.#pid = undefined
    this.#until = undefined
    this.#unansweredSince = undefined
    this.#onEnd()
    if (this.#isStopped) return
    if (wasThere) {
      this.#deps.log.warn('The guard is gone: it is started again')
      this.#deps.onState()
    }
    this.#failures += 1
    if (this.#failures >= TRIES_BEFORE_START || wasThere) this.#startGuard()
    this.#deps.clock.after(RECONNECT_MS, () => this.#connect())
  }

  #startGuard(): void {
    const now = this.#deps.clock.monotonic()
    if (this.#startedAt !== undefined && now - this.#startedAt < START_EVERY_MS) return
    this.#startedAt = now
    this.#deps.door.start()
  }

  #hear(report: GuardReport): void {
    switch (report.kind) {
      case 'hello':
        this.#pid = report.pid
        this.#until = report.until
        this.#deps.log.info('Guard found', { guard: report.pid, armed: report.until !== undefined })
        this.#useWatchdog(report.watchdog)
        this.#repeatWanted()
        this.#deps.onState()
        return
      case 'holds': {
        const before = this.state()
        this.#unansweredSince = undefined
        this.#until = report.until
        this.#waiting.get(report.id)?.confirm()
        this.#waiting.delete(report.id)
        if (before !== this.state()) this.#deps.onState()
        return
      }
      case 'watchdog':
        this.#watchdog = report.state
        this.#tellOfWatchdog()
        this.#deps.onState()
        return
      case 'fenced':
        this.#until = undefined
        this.#deps.log.error('The guard fenced PostgreSQL', { ...report })
        this.#deps.onFenced()
        return
    }
  }

  /** Order: before it is told a deadline. A guard without a plan does not touch the device. */
  #useWatchdog(known: WatchdogState | undefined): void {
    const { watchdog } = this.#deps
    const why =
      'the guard that runs is of an older release; it ends with the node: restart the node as a whole'
    this.#watchdog = known ?? { state: 'unfit', why }
    if (known)
      this.#conversation?.tell({ kind: 'use-watchdog', ...(watchdog ? { plan: watchdog.plan } : {}) })
    else this.#tellOfWatchdog()
  }

  #tellOfWatchdog(): void {
    const { watchdog, log } = this.#deps
    if (!watchdog) return
    const { state, why } = this.#watchdog
    const fields = { state, ...(why === undefined ? {} : { why }) }
    if (state === 'armed' || state === 'usable') log.info('Watchdog', fields)
    else if (watchdog.mode === 'required')
      log.error('The watchdog cannot be used: this node becomes no primary', fields)
    else log.warn('The watchdog cannot be used: the guard alone fences', fields)
  }

  /** A guard that was started anew holds nothing: it is told again what its predecessor was told. */
  #repeatWanted(): void {
    if (this.#waiting.size === 0 && this.#wanted?.kind === 'arm') this.arm(this.#wanted.until)
    for (const { order } of this.#waiting.values()) this.#tell(order)
  }
}
