import { Fault, messageOf } from '../std/fault.ts'
import { bootMs, monotonicMs } from '../platform/clock.ts'
import { rmSync } from '../platform/disk.ts'
import { createLogger, type Logger } from '../platform/log.ts'
import { connectWithin, createServer, type Server, type Socket } from '../platform/net.ts'
import { onSignal, pid } from '../platform/process.ts'
import { every } from '../platform/timers.ts'
import { killInstance } from '../postgres/process-tree.ts'
import type { GuardOptions, GuardOrder, GuardReport } from './guard-orders.ts'

/*
 * The dead-man's switch of one PostgreSQL instance: a process of its own, detached from the agent. It knows one thing,
 * the time until which the instance may run as a primary, and when that passes it leaves no process of it alive
 * (safety.md 7). It never decides, never starts anything, and never prolongs a deadline by itself. Keeps G1.
 */

/** How often the deadline is looked at: the reaction time that `killMarginMs` has to cover. */
const LOOK_EVERY_MS = 20
/** The steps of the boot clock are 10 ms: a smaller difference says nothing. */
const SUSPEND_NOTICED_MS = 100
/** An agent is back long before; a guard that holds nothing may go, since the next agent starts one. */
const NEEDED_BY_NOBODY_MS = 60_000
const KILL_DEADLINE_MS = 2000
/** After it has fenced: how often it looks for an instance that was being started meanwhile. */
const LOOK_AFTER_FENCE_MS = 100
/** Orders are short; a sender that never ends its line is no agent. */
const LINE_MAX = 4096

export type RunningGuard = { readonly stopped: Promise<void>; stop(): void }

export async function runGuard(options: GuardOptions): Promise<RunningGuard> {
  const guard = new Guard(options)
  await guard.listen()
  return { stopped: guard.stopped, stop: () => guard.stop() }
}

class Guard {
  readonly #options: GuardOptions
  readonly #log: Logger
  readonly #server: Server
  readonly #agents = new Set<Socket>()
  readonly stopped: Promise<void>
  #resolveStopped: () => void = () => undefined
  #until: number | undefined
  #fencedAt: number | undefined
  #isFencing = false
  #lookedAt = 0
  #neededAt = monotonicMs()
  #cancelLook: () => void = () => undefined
  #clockOffset = bootMs() - monotonicMs()

  constructor(options: GuardOptions) {
    this.#options = options
    this.#log = createLogger({ level: 'info', destination: options.logFile }).with({ guard: pid })
    this.#server = createServer((socket) => this.#serve(socket))
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve
    })
  }

  async listen(): Promise<void> {
    await this.#refuseSecond()
    rmSync(this.#options.socketPath, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.socketPath, resolve)
    })
    this.#cancelLook = every(LOOK_EVERY_MS, () => this.#look())
    // A supervisor that ends the whole group must not take the switch away while a primary runs.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      onSignal(signal, () => {
        if (this.#held === undefined) this.stop()
        else this.#log.warn('Ignored a signal: the instance is guarded', { signal })
      })
    }
    this.#log.info('Guard started', { dataDir: this.#options.dataDir })
  }

  stop(): void {
    this.#cancelLook()
    for (const agent of this.#agents) agent.destroy()
    this.#server.close()
    rmSync(this.#options.socketPath, { force: true })
    this.#log.info('Guard stopped')
    this.#resolveStopped()
  }

  /** Two guards of one instance: the agent would arm one, and a deadline that nobody prolongs would pass at the other. */
  async #refuseSecond(): Promise<void> {
    const { socketPath } = this.#options
    const other = await connectWithin({ path: socketPath }, 200).catch(() => undefined)
    if (!other) return
    other.destroy()
    throw new Fault('GUARD_RUNNING', `Cannot start the guard: another one answers at "${socketPath}"`)
  }

  /** The deadline, unless it has passed and the instance is dead: then the guard has done what it is for. */
  get #held(): number | undefined {
    const isDone = this.#until !== undefined && this.#fencedAt !== undefined && this.#fencedAt >= this.#until
    return isDone ? undefined : this.#until
  }

  #serve(socket: Socket): void {
    this.#agents.add(socket)
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LINE_MAX) socket.destroy()
      for (const line of lines) this.#obey(socket, line)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => this.#agents.delete(socket))
    tell(socket, {
      kind: 'hello',
      pid,
      ...(this.#held === undefined ? {} : { until: this.#held }),
      ...(this.#fencedAt === undefined ? {} : { fencedAt: this.#fencedAt }),
    })
  }

  #obey(socket: Socket, line: string): void {
    let order: GuardOrder
    try {
      order = JSON.parse(line) as GuardOrder
    } catch {
      this.#log.error('Ignored an order that is no JSON')
      return
    }
    if (order.kind === 'stop') {
      if (this.#held === undefined) this.stop()
      return
    }
    // Invariant: a deadline never moves back while armed, so an order that was delayed cannot shorten a newer one.
    if (order.kind === 'arm') this.#until = Math.max(order.until, this.#until ?? 0)
    else this.#until = undefined
    tell(socket, {
      kind: 'holds',
      id: order.id,
      ...(this.#held === undefined ? {} : { until: this.#held }),
    })
  }

  #look(): void {
    this.#countSuspend()
    const now = monotonicMs()
    if (this.#agents.size > 0 || this.#until !== undefined) this.#neededAt = now
    // Started for an agent that ended before it came: nobody would ever tell this guard to stop.
    if (now - this.#neededAt > NEEDED_BY_NOBODY_MS) return this.stop()
    if (this.#until === undefined || this.#isFencing || now < this.#until) return
    // Invariant: a passed deadline stays until it is taken away or prolonged. A postmaster that was being started when
    // the time passed appears only after the first look, and would else run without anybody to stop it.
    if (this.#held === undefined && now - this.#lookedAt < LOOK_AFTER_FENCE_MS) return
    this.#lookedAt = now
    void this.#fence()
  }

  /** The monotonic clock stands still while the host is suspended; the lease does not. */
  #countSuspend(): void {
    const offset = bootMs() - monotonicMs()
    const suspendedMs = offset - this.#clockOffset
    if (suspendedMs < SUSPEND_NOTICED_MS) return
    this.#clockOffset = offset
    if (this.#until !== undefined) this.#until -= suspendedMs
    this.#log.warn('The host was suspended', { suspendedMs })
  }

  async #fence(): Promise<void> {
    this.#isFencing = true
    const at = monotonicMs()
    try {
      const outcome = await killInstance(this.#options.dataDir, {
        deadlineMs: KILL_DEADLINE_MS,
        log: this.#log,
      })
      const processes = outcome.kind === 'dead' ? outcome.killed : outcome.pids.length
      const isNews = this.#held !== undefined || processes > 0
      // Alive: the next look tries again.
      if (outcome.kind === 'dead') this.#fencedAt = at
      if (!isNews) return
      this.#log.warn('The lease ran out: fenced', {
        outcome: outcome.kind,
        processes,
        tookMs: monotonicMs() - at,
      })
      for (const agent of this.#agents) tell(agent, { kind: 'fenced', at, outcome: outcome.kind, processes })
    } catch (error) {
      this.#log.error('Cannot fence', { error: messageOf(error) })
    } finally {
      this.#isFencing = false
    }
  }
}

function tell(socket: Socket, report: GuardReport): void {
  socket.write(`${JSON.stringify(report)}\n`)
}
