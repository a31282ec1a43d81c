import { messageOf } from '../std/fault.ts'
import type { WatchdogPlan, WatchdogState } from '../model/watchdog.ts'
import { fitWatchdog, mayKick, type WatchdogReading } from './watchdog-rule.ts'

/** A device is looked at so often while nobody needs it: a driver may be loaded, or unloaded. */
const READ_EVERY_MS = 5000
/** One that could not be opened is tried again after this. */
const OPEN_EVERY_MS = 500
/** The device ends up to this much earlier than it could; for one of them a kick is a message to another processor. */
const KICK_EVERY_MS = 50

/** The device of a host: a file and what the kernel tells of it; another one in the simulator. */
export interface WatchdogDevice {
  /** `undefined`: there is none. Throws where it may not be used, or nothing is known about it. */
  read(device: string): WatchdogReading | undefined
  /** Resolves once the device has this timeout. */
  changeTimeout(device: string, seconds: number): Promise<void>
  /** From here on the host is reset unless it is kicked. Throws where it cannot be had. */
  open(device: string): void
  kick(): void
  /** It runs no more (the magic close). */
  close(): void
}

/**
 * The guard's hand on the watchdog. It holds the device only while a deadline is ahead that the guard was given, that is while this
 * node's PostgreSQL may write, and kicks it only as long as the host would end before the lease does. Whoever kills or stops the
 * guard, or starves it, resets the host with that; an orderly end, and a fence that is complete, close it.
 */
export class Watchdog {
  readonly #device: WatchdogDevice
  readonly #onState: (state: WatchdogState) => void
  #plan: WatchdogPlan | undefined
  #state: WatchdogState = { state: 'absent', why: 'it was not looked at yet' }
  #fit: { readonly timeoutS: number } | undefined
  #isOpen = false
  #isSetting = false
  #actedAt = Number.NEGATIVE_INFINITY

  constructor(device: WatchdogDevice, onState: (state: WatchdogState) => void) {
    this.#device = device
    this.#onState = onState
  }

  get state(): WatchdogState {
    return this.#state
  }

  /** What is to be used from now on; `undefined`: nothing. */
  use(plan: WatchdogPlan | undefined, now: number): void {
    if (JSON.stringify(plan) === JSON.stringify(this.#plan)) return
    this.letGo()
    this.#plan = plan
    this.#fit = undefined
    this.#actedAt = Number.NEGATIVE_INFINITY
    if (plan) this.#read(plan, now)
  }

  /** Does what is due. `until`: the deadline that the guard holds. */
  look(now: number, until: number | undefined): void {
    const plan = this.#plan
    if (!plan || this.#isSetting) return
    if (until === undefined) this.letGo()
    const { timeoutS } = this.#fit ?? {}
    const { afterDeadlineMs } = plan
    const isAllowed = timeoutS !== undefined && mayKick(now, until, { timeoutS, afterDeadlineMs })
    if (this.#isOpen) {
      if (isAllowed && now - this.#actedAt >= KICK_EVERY_MS) this.#kick(now)
    } else if (until !== undefined && isAllowed) {
      if (this.#state.state === 'usable' || now - this.#actedAt >= OPEN_EVERY_MS) this.#open(plan, now)
    } else if (now - this.#actedAt >= READ_EVERY_MS) this.#read(plan, now)
  }

  /** Nothing of this node writes any more, or nobody may: the host need not end. */
  letGo(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.#try('close', () => this.#device.close())) this.#become({ state: 'usable' })
  }

  /** Nobody may write here now, and a guard that was killed left the device running: it is stopped. */
  stopLeftover(): void {
    const plan = this.#plan
    if (!plan || this.#isOpen || this.#isSetting) return
    try {
      if (this.#device.read(plan.device)?.isRunning !== true) return
      this.#device.open(plan.device)
      this.#device.close()
    } catch {
      // It is another program's, or gone: the next look tells.
    }
  }

  #read(plan: WatchdogPlan, now: number): void {
    this.#actedAt = now
    this.#fit = undefined
    let reading: WatchdogReading | undefined
    try {
      reading = this.#device.read(plan.device)
    } catch (error) {
      return this.#become({ state: 'unfit', why: messageOf(error) })
    }
    if (!reading) {
      const why = `there is no "${plan.device}"; load the driver of this host's watchdog, or softdog`
      return this.#become({ state: 'absent', why })
    }
    const fit = fitWatchdog(reading, plan)
    if (fit.kind === 'unfit') return this.#become({ state: 'unfit', why: fit.why })
    if (fit.kind === 'set') return void this.#changeTimeout(plan, fit.timeoutS, reading.timeoutS)
    this.#fit = fit
    this.#become({ state: 'usable' })
  }

  async #changeTimeout(plan: WatchdogPlan, timeoutS: number, wasS: number): Promise<void> {
    this.#isSetting = true
    const numbers = `its timeout is ${wasS} s, and at most ${plan.timeoutMaxS} s end before the lease`
    try {
      await this.#device.changeTimeout(plan.device, timeoutS)
      if (this.#plan !== plan) return
      const reading = this.#device.read(plan.device)
      const fit = reading && fitWatchdog(reading, plan)
      this.#fit = fit?.kind === 'fits' ? fit : undefined
      this.#become(
        this.#fit
          ? { state: 'usable' }
          : {
              state: 'unfit',
              why: `${numbers}; it did not take ${timeoutS} s: it is ${reading?.timeoutS} s`,
            },
      )
    } catch (error) {
      this.#become({ state: 'unfit', why: `${numbers}; cannot set ${timeoutS} s: ${messageOf(error)}` })
    } finally {
      this.#isSetting = false
    }
  }

  #open(plan: WatchdogPlan, now: number): void {
    this.#actedAt = now
    try {
      this.#device.open(plan.device)
    } catch (error) {
      return this.#become({ state: 'unfit', why: messageOf(error) })
    }
    this.#isOpen = true
    this.#kick(now)
  }

  #kick(now: number): void {
    this.#actedAt = now
    if (this.#try('kick', () => this.#device.kick())) this.#become({ state: 'armed' })
  }

  #try(what: string, task: () => void): boolean {
    try {
      task()
      return true
    } catch (error) {
      this.#become({ state: 'unfit', why: `cannot ${what} it: ${messageOf(error)}` })
      return false
    }
  }

  #become(state: WatchdogState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return
    this.#state = state
    this.#onState(state)
  }
}
