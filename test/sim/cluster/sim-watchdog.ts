import type { WatchdogDevice } from '../../../src/guard/watchdog.ts'
import type { WatchdogReading } from '../../../src/guard/watchdog-rule.ts'
import type { SimHost } from './sim-host.ts'

/** As drivers come: softdog's minute, or what somebody set. */
const TIMEOUTS_S = [60, 30, 2, 1]
const LOOK_WHILE_ASLEEP_MS = 50

/** The watchdog of one host, if it has one: its hardware counts on whatever its processes do, and knows no mercy. */
export class SimWatchdog implements WatchdogDevice {
  readonly #host: SimHost
  readonly #isThere: boolean
  readonly #onReset: () => void
  #timeoutS: number
  #isOpen = false
  #isRunning = false
  #due = 0
  #cancel: () => void = () => undefined

  constructor(host: SimHost, shape: { isThere: boolean; pick: number }, onReset: () => void) {
    this.#host = host
    this.#isThere = shape.isThere
    this.#timeoutS = TIMEOUTS_S[shape.pick % TIMEOUTS_S.length] ?? 60
    this.#onReset = onReset
  }

  /** It ends this host in time, whatever becomes of its processes. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  read(): WatchdogReading | undefined {
    if (!this.#isThere) return undefined
    return {
      timeoutS: this.#timeoutS,
      minS: 1,
      maxS: 65_535,
      isNowayout: false,
      isRunning: this.#isRunning,
    }
  }

  changeTimeout(_device: string, seconds: number): Promise<void> {
    this.#timeoutS = seconds
    return Promise.resolve()
  }

  open(): void {
    if (!this.#isThere || this.#isOpen) throw new Error('cannot open the watchdog')
    this.#isOpen = true
    this.#isRunning = true
    this.kick()
  }

  kick(): void {
    if (!this.#isOpen) throw new Error('kicked without being open')
    this.#due = this.#host.monotonic() + this.#timeoutS * 1000
    this.#arm()
  }

  close(): void {
    this.#isOpen = false
    this.powerOff()
  }

  /** The process that had it open has ended: the kernel closes the file, and the device runs on. */
  abandon(): void {
    this.#isOpen = false
  }

  powerOff(): void {
    this.#isOpen = false
    this.#isRunning = false
    this.#cancel()
  }

  #arm(): void {
    this.#cancel()
    const host = this.#host
    const leftMs = host.isAsleep ? LOOK_WHILE_ASLEEP_MS : Math.max(0, this.#due - host.monotonic())
    this.#cancel = host.time.after(host.trueMs(leftMs), () => {
      // With the host stands its watchdog: that of a virtual machine, and softdog.
      if (host.isAsleep || host.monotonic() < this.#due - 0.001) return this.#arm()
      this.#onReset()
    })
  }
}
