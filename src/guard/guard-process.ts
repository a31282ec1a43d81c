import { Fault, messageOf } from '../std/fault.ts'
import { bootMs, monotonicMs } from '../platform/clock.ts'
import { rmSync } from '../platform/disk.ts'
import { createLogger, type Logger } from '../platform/log.ts'
import { connectWithin, createServer, type Server, type Socket } from '../platform/net.ts'
import { onSignal, pid } from '../platform/process.ts'
import { every } from '../platform/timers.ts'
import { LinuxWatchdog } from '../platform/watchdog-device.ts'
import { killInstance } from '../postgres/process-tree.ts'
import type { GuardOptions, GuardOrder, GuardReport } from './guard-orders.ts'
import { GuardRule, type GuardTimes } from './guard-rule.ts'
import { Watchdog } from './watchdog.ts'

/*
 * The dead-man's switch of one PostgreSQL instance: a process of its own, detached from the agent. It knows one thing,
 * the time until which the instance may run as a primary, and when that passes it leaves no process of it alive
 * (safety.md 7). It never decides, never starts anything, and never prolongs a deadline by itself. Keeps G1.
 */

/** How often the deadline is looked at: the reaction time that `killMarginMs` has to cover. */
const LOOK_EVERY_MS = 20
const KILL_DEADLINE_MS = 2000
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
  readonly #rule: GuardRule
  readonly #watchdog: Watchdog
  #cancelLook: () => void = () => undefined

  constructor(options: GuardOptions) {
    this.#options = options
    this.#log = createLogger({ level: 'info', destination: options.logFile }).with({ guard: pid })
    this.#rule = new GuardRule(times(), (suspendedMs) =>
      this.#log.warn('The host was suspended', { suspendedMs }),
    )
    this.#watchdog = new Watchdog(new LinuxWatchdog(options.watchdogFolders), (state) => {
      this.#log.info('Watchdog', { ...state })
      for (const agent of this.#agents) tell(agent, { kind: 'watchdog', state })
    })
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
        if (this.#rule.held === undefined) this.stop()
        else this.#log.warn('Ignored a signal: the instance is guarded', { signal })
      })
    }
    this.#log.info('Guard started', { dataDir: this.#options.dataDir })
  }

  stop(): void {
    this.#cancelLook()
    this.#watchdog.letGo()
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
      ...this.#held(),
      ...(this.#rule.fencedAt === undefined ? {} : { fencedAt: this.#rule.fencedAt }),
      watchdog: this.#watchdog.state,
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
      if (this.#rule.held === undefined) this.stop()
      return
    }
    if (order.kind === 'use-watchdog') {
      this.#watchdog.use(order.plan, monotonicMs())
      return
    }
    if (order.kind === 'arm') this.#rule.arm(order.until)
    else if (order.kind === 'disarm') this.#rule.disarm()
    else return this.#log.error('Ignored an order that this guard does not know')
    // Order: who was told that the deadline is held has heard before what became of the watchdog.
    this.#watchdog.look(monotonicMs(), this.#rule.held)
    if (order.kind === 'disarm') this.#watchdog.stopLeftover()
    tell(socket, { kind: 'holds', id: order.id, ...this.#held() })
  }

  #held(): { readonly until?: number } {
    return this.#rule.held === undefined ? {} : { until: this.#rule.held }
  }

  #look(): void {
    const verdict = this.#rule.look(times(), this.#agents.size > 0)
    if (verdict.kind === 'end') return this.stop()
    // Order: after the rule has counted what the host slept, which the device may not have.
    this.#watchdog.look(monotonicMs(), this.#rule.held)
    if (verdict.kind === 'fence') void this.#fence()
  }

  async #fence(): Promise<void> {
    const at = monotonicMs()
    try {
      const outcome = await killInstance(this.#options.dataDir, {
        deadlineMs: KILL_DEADLINE_MS,
        log: this.#log,
      })
      const processes = outcome.kind === 'dead' ? outcome.killed : outcome.pids.length
      if (!this.#rule.fenced(at, { isDead: outcome.kind === 'dead', processes })) return
      this.#log.warn('The lease ran out: fenced', {
        outcome: outcome.kind,
        processes,
        tookMs: monotonicMs() - at,
      })
      for (const agent of this.#agents) tell(agent, { kind: 'fenced', at, outcome: outcome.kind, processes })
    } catch (error) {
      this.#rule.fenceFailed()
      this.#log.error('Cannot fence', { error: messageOf(error) })
    }
  }
}

function times(): GuardTimes {
  return { monotonic: monotonicMs(), boot: bootMs() }
}

function tell(socket: Socket, report: GuardReport): void {
  socket.write(`${JSON.stringify(report)}\n`)
}
