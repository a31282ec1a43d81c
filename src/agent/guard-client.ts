import { Fault, messageOf } from '../std/fault.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { GuardOptions, GuardOrder, GuardReport } from '../guard/guard-orders.ts'
import type { Guard } from '../ha/ports.ts'
import type { Logger } from '../platform/log.ts'
import { monotonicMs } from '../platform/clock.ts'
import { connect, type Socket } from '../platform/net.ts'
import { signalProcess } from '../platform/process.ts'
import { after } from '../platform/timers.ts'
import { startDetached } from './detached-process.ts'

const RECONNECT_MS = 50
/** A guard that cannot be reached so often in a row is started anew. */
const TRIES_BEFORE_START = 2
const START_EVERY_MS = 2000
const CONFIRM_MS = 2000
/** A guard that leaves a deadline unanswered for so long hangs: it counts as absent … */
const HANGS_MS = 1500
/** … and is replaced after this. */
const REPLACE_MS = 3000
const BACKLOG_MAX_BYTES = 64 * 1024

/** The agent's end of its guard: adopts a running one, starts one when there is none, and starts it again when it dies. */
export class GuardClient implements Guard {
  readonly #log: Logger
  readonly #options: GuardOptions
  readonly #onFenced: () => void
  readonly #onState: () => void
  /** Orders that wait for their confirmation, in order; a guard that comes is told them (again). */
  readonly #waiting = new Map<number, { order: GuardOrder; confirm: () => void }>()
  #socket: Socket | undefined
  #pid: number | undefined
  #until: number | undefined
  #nextId = 1
  #failures = 0
  #startedAt = 0
  #isStopped = false
  #unansweredSince: number | undefined
  #wanted: { kind: 'arm'; until: MonotonicMs } | { kind: 'disarm' } | undefined

  constructor(deps: { log: Logger; onFenced: () => void; onState: () => void }, options: GuardOptions) {
    this.#log = deps.log
    this.#onFenced = deps.onFenced
    this.#onState = deps.onState
    this.#options = options
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
    this.#socket?.destroy()
  }

  /** Ends the guard: only after it was disarmed. */
  async stop(): Promise<void> {
    // Order: from now on its end is wanted, and no reason to start another.
    this.#isStopped = true
    this.#tell({ kind: 'stop' })
    await new Promise<void>((resolve) => {
      if (!this.#socket) return resolve()
      this.#socket.once('close', () => resolve())
      after(500, resolve)
    })
    this.detach()
  }

  state(): 'armed' | 'idle' | 'absent' {
    if (!this.#pid || this.#unansweredMs() > HANGS_MS) return 'absent'
    return this.#until === undefined ? 'idle' : 'armed'
  }

  /**
   * Prolongs what is armed, or was when its guard died. Never arms a guard that was told to let go: an order on its way
   * to a primary that ended meanwhile would kill the standby that follows it.
   */
  arm(until: MonotonicMs): void {
    if (this.#wanted?.kind === 'disarm') return
    if (!this.#wanted && this.#until === undefined) return
    if (this.#pid !== undefined && this.#unansweredMs() > REPLACE_MS) {
      this.#log.error('The guard hangs: it is replaced', { guard: this.#pid })
      signalProcess(this.#pid, 'SIGKILL')
    }
    this.#wanted = { kind: 'arm', until }
    this.#tell({ kind: 'arm', until, id: this.#nextId++ })
  }

  armAndConfirm(until: MonotonicMs): Promise<void> {
    this.#wanted = { kind: 'arm', until }
    return this.#confirm((id) => ({ kind: 'arm', until, id }), 'arm')
  }

  disarmAndConfirm(): Promise<void> {
    this.#wanted = { kind: 'disarm' }
    return this.#confirm((id) => ({ kind: 'disarm', id }), 'disarm')
  }

  #confirm(order: (id: number) => GuardOrder, what: string): Promise<void> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const cancel = after(CONFIRM_MS, () => {
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
    return this.#unansweredSince === undefined ? 0 : monotonicMs() - this.#unansweredSince
  }

  #tell(order: GuardOrder): void {
    if (this.#socket && order.kind === 'arm') this.#unansweredSince ??= monotonicMs()
    // Every order says all: a guard that does not read needs none of those that wait.
    if (this.#socket && this.#socket.writableLength > BACKLOG_MAX_BYTES) return
    this.#socket?.write(`${JSON.stringify(order)}\n`)
  }

  #connect(): void {
    if (this.#isStopped) return
    const socket = connect(this.#options.socketPath)
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => {
      this.#socket = socket
      this.#failures = 0
    })
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#hear(JSON.parse(line) as GuardReport)
    })
    socket.on('error', (error) => this.#log.debug('Guard not reached', { error: messageOf(error) }))
    socket.on('close', () => {
      const wasThere = this.#pid !== undefined
      this.#socket = undefined
      this.#pid = undefined
      this.#until = undefined
      this.#unansweredSince = undefined
      if (this.#isStopped) return
      if (wasThere) {
        this.#log.warn('The guard is gone: it is started again')
        this.#onState()
      }
      this.#failures += 1
      if (this.#failures >= TRIES_BEFORE_START || wasThere) this.#startGuard()
      after(RECONNECT_MS, () => this.#connect())
    })
  }

  #startGuard(): void {
    const now = monotonicMs()
    if (this.#startedAt !== 0 && now - this.#startedAt < START_EVERY_MS) return
    this.#startedAt = now
    startDetached('guard', { options: this.#options, logFile: this.#options.logFile })
  }

  #hear(report: GuardReport): void {
    switch (report.kind) {
      case 'hello':
        this.#pid = report.pid
        this.#until = report.until
        this.#log.info('Guard found', { guard: report.pid, armed: report.until !== undefined })
        this.#repeatWanted()
        this.#onState()
        return
      case 'holds': {
        const before = this.state()
        this.#unansweredSince = undefined
        this.#until = report.until
        this.#waiting.get(report.id)?.confirm()
        this.#waiting.delete(report.id)
        if (before !== this.state()) this.#onState()
        return
      }
      case 'fenced':
        this.#until = undefined
        this.#log.error('The guard fenced PostgreSQL', { ...report })
        this.#onFenced()
        return
    }
  }

  /** A guard that was started anew holds nothing: it is told again what its predecessor was told. */
  #repeatWanted(): void {
    if (this.#waiting.size === 0 && this.#wanted?.kind === 'arm') this.arm(this.#wanted.until)
    for (const { order } of this.#waiting.values()) this.#tell(order)
  }
}
