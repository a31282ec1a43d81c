import type { Clock } from '../../../src/ha/ports.ts'
import type { MonotonicMs } from '../../../src/model/time.ts'
import type { VirtualTime } from '../virtual-time.ts'

/** 2026-01-01, where the wall clocks of all hosts would stand if they were right. */
const WALL_START_MS = 1_767_225_600_000
/** What rounding leaves between two clocks. */
const EPSILON_MS = 1e-6

export type ClockShape = {
  /** Local milliseconds for each true one: within 1 % of 1, as docs/guarantees.md assumes. */
  readonly rate: number
  readonly offset: number
}

/** One machine: its clocks, its power, and the processes on it. */
export class SimHost {
  readonly name: string
  readonly address: string
  readonly time: VirtualTime
  readonly #clock: ClockShape
  readonly #processes = new Set<SimProcess>()
  #asleepSince: number | undefined
  #sleptMs = 0
  #wallStepMs = 0
  #isUp = true

  constructor(time: VirtualTime, identity: { name: string; address: string }, clock: ClockShape) {
    this.time = time
    this.name = identity.name
    this.address = identity.address
    this.#clock = clock
  }

  get isUp(): boolean {
    return this.#isUp
  }

  get isAsleep(): boolean {
    return this.#asleepSince !== undefined
  }

  /** CLOCK_MONOTONIC: stands still while the host is suspended. */
  monotonic(): number {
    const awake = (this.#asleepSince ?? this.time.now) - this.#sleptMs
    return awake * this.#clock.rate + this.#clock.offset
  }

  /** CLOCK_BOOTTIME: goes on. */
  boot(): number {
    return this.time.now * this.#clock.rate + this.#clock.offset
  }

  wall(): number {
    return WALL_START_MS + this.boot() + this.#wallStepMs
  }

  stepWallClock(byMs: number): void {
    this.#wallStepMs += byMs
  }

  trueMs(localMs: number): number {
    return localMs / this.#clock.rate
  }

  /** A process begins; its life ends with `end`, or with the host's power. */
  spawn(label: string): SimProcess {
    const process = new SimProcess(this, label, () => this.#processes.delete(process))
    this.#processes.add(process)
    if (this.isAsleep) process.pause()
    return process
  }

  /** The machine stops: no process runs, timers do not come nearer. */
  suspend(): void {
    if (this.#asleepSince !== undefined || !this.#isUp) return
    this.#asleepSince = this.time.now
    for (const process of this.#processes) process.pause()
  }

  wake(): void {
    if (this.#asleepSince === undefined) return
    this.#sleptMs += this.time.now - this.#asleepSince
    this.#asleepSince = undefined
    for (const process of this.#processes) process.resume()
  }

  losePower(): void {
    this.#isUp = false
    this.#asleepSince = undefined
    for (const process of [...this.#processes]) process.end()
  }

  powerOn(): void {
    this.#isUp = true
  }
}

/** One process: its timers and tasks happen while it lives, and wait while it is stopped (SIGSTOP, suspension). */
export class SimProcess {
  readonly host: SimHost
  readonly label: string
  readonly clock: Clock
  readonly #onEnd: () => void
  readonly #waiting: (() => void)[] = []
  #isAlive = true
  #pauses = 0

  constructor(host: SimHost, label: string, onEnd: () => void) {
    this.host = host
    this.label = label
    this.#onEnd = onEnd
    this.clock = {
      monotonic: () => host.monotonic() as MonotonicMs,
      wall: () => host.wall(),
      after: (ms, task) => this.after(ms, task),
    }
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isPaused(): boolean {
    return this.#pauses > 0
  }

  /** Runs `task` once after `ms` of the host's monotonic clock. */
  after(ms: number, task: () => void): () => void {
    const { host } = this
    const due = host.monotonic() + Math.max(0, ms)
    const plan = (): { isCancelled: boolean } =>
      host.time.plan(host.time.now + host.trueMs(due - host.monotonic()), fire)
    const fire = (): void => {
      if (event.isCancelled || !this.#isAlive) return
      if (this.#pauses > 0) this.#waiting.push(fire)
      else if (host.monotonic() < due - EPSILON_MS) event = plan()
      else task()
    }
    let event = plan()
    return () => {
      event.isCancelled = true
    }
  }

  /** Runs `task` now, or when the process goes on; never after its end. */
  run(task: () => void): void {
    if (!this.#isAlive) return
    if (this.#pauses > 0) this.#waiting.push(task)
    else task()
  }

  pause(): void {
    this.#pauses += 1
  }

  resume(): void {
    if (this.#pauses === 0) return
    this.#pauses -= 1
    if (this.#pauses > 0) return
    // What came meanwhile is dealt with one after the other, as a process that wakes up finds it.
    for (const task of this.#waiting.splice(0)) this.host.time.after(0, () => this.run(task))
  }

  end(): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.#waiting.length = 0
    this.#onEnd()
  }
}
