import type { GuardDoor, GuardVisitor } from '../../../src/agent/guard-door.ts'
import type { GuardOrder, GuardReport } from '../../../src/guard/guard-orders.ts'
import { GuardRule } from '../../../src/guard/guard-rule.ts'
import { Watchdog } from '../../../src/guard/watchdog.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimHost, SimProcess } from './sim-host.ts'
import type { SimWatchdog } from './sim-watchdog.ts'

/** As `guard-process.ts`: how often a guard looks at its deadline. */
const LOOK_EVERY_MS = 20
/** As `watchdog.ts`. */
const KICK_EVERY_MS = 50
const START_MS = { min: 40, max: 150 }
const SOCKET_MS = { min: 0.05, max: 0.5 }

/** What a guard can do to the instance of its host. */
export type Fence = {
  /** Begins to end every process of the instance; tells how many there were once none is left. */
  (process: SimProcess, done: (outcome: { isDead: boolean; processes: number }) => void): void
}

type Visit = { readonly visitor: GuardVisitor; readonly agent: SimProcess; isOpen: boolean }

/** The guard of one host: a process with the real rule, behind a door that the real client of the agent goes through. */
export class SimGuard {
  readonly #host: SimHost
  readonly #chance: RandomStream
  readonly #fence: Fence
  readonly #onFence: () => void
  #process: SimProcess | undefined
  #lastAt = 0
  readonly #device: SimWatchdog
  #rule: GuardRule | undefined
  #watchdog: Watchdog | undefined
  #visits: Visit[] = []
  #cancelLook: () => void = () => undefined
  #lookDue: number | undefined
  #lives = 0
  #usesWatchdog = false

  constructor(
    host: SimHost,
    chance: RandomStream,
    deps: { fence: Fence; onFence: () => void; device: SimWatchdog },
  ) {
    this.#host = host
    this.#chance = chance
    this.#fence = deps.fence
    this.#onFence = deps.onFence
    this.#device = deps.device
  }

  get process(): SimProcess | undefined {
    return this.#process?.isAlive === true ? this.#process : undefined
  }

  /** The door of one life of the agent. */
  doorFor(agent: SimProcess): GuardDoor {
    return {
      visit: (visitor) => this.#visit(agent, visitor),
      start: () =>
        void agent.host.time.after(this.#chance.between(START_MS.min, START_MS.max), () => this.#start()),
      kill: () => this.kill(),
    }
  }

  kill(): void {
    if (this.process) this.#device.abandon()
    this.process?.end()
    this.#cancelLook()
    this.#lookDue = undefined
    for (const visit of this.#visits.splice(0)) this.#close(visit)
  }

  /** The process stood still and goes on. */
  lookSoon(): void {
    this.#lookLater(0)
  }

  #start(): void {
    // A second guard finds the first one at the socket and ends.
    if (this.process !== undefined || !this.#host.isUp) return
    this.#lives += 1
    const process = this.#host.spawn(`guard ${this.#lives}`)
    this.#process = process
    this.#rule = new GuardRule({ monotonic: this.#host.monotonic(), boot: this.#host.boot() })
    this.#watchdog = new Watchdog(this.#device, (state) => {
      for (const visit of this.#visits) this.#report(visit, { kind: 'watchdog', state })
    })
    this.#lookLater(60_000)
  }

  #visit(agent: SimProcess, visitor: GuardVisitor): void {
    const visit: Visit = { visitor, agent, isOpen: false }
    this.#soon(() => {
      const guard = this.process
      if (guard === undefined || !agent.isAlive) return this.#close(visit)
      this.#visits.push(visit)
      guard.run(() => this.#greet(visit))
    })
  }

  #greet(visit: Visit): void {
    const rule = this.#rule
    const watchdog = this.#watchdog
    if (rule === undefined || watchdog === undefined) return
    visit.isOpen = true
    visit.agent.run(() =>
      visit.visitor.opened({
        tell: (order) => this.#soon(() => this.process?.run(() => this.#obey(visit, order))),
        close: () => this.#close(visit),
      }),
    )
    this.#report(visit, {
      kind: 'hello',
      pid: this.#lives,
      ...held(rule),
      ...(rule.fencedAt === undefined ? {} : { fencedAt: rule.fencedAt }),
      watchdog: watchdog.state,
    })
  }

  #obey(visit: Visit, order: GuardOrder): void {
    const rule = this.#rule
    const watchdog = this.#watchdog
    if (rule === undefined || watchdog === undefined || !visit.isOpen) return
    if (order.kind === 'stop') {
      if (rule.held === undefined) this.#end()
      return
    }
    if (order.kind === 'use-watchdog') {
      this.#usesWatchdog = order.plan !== undefined
      return watchdog.use(order.plan, this.#host.monotonic())
    }
    if (order.kind === 'arm') rule.arm(order.until)
    else rule.disarm()
    watchdog.look(this.#host.monotonic(), rule.held)
    if (order.kind === 'disarm') watchdog.stopLeftover()
    this.#report(visit, { kind: 'holds', id: order.id, ...held(rule) })
    this.#lookAtDeadline()
  }

  #lookAtDeadline(): void {
    const until = this.#rule?.held
    if (until === undefined) return
    const leftMs = until - this.#host.monotonic()
    this.#lookLater(this.#usesWatchdog ? Math.min(leftMs, KICK_EVERY_MS) : leftMs)
  }

  /** In order: unlike one that is killed it lets go of the device. */
  #end(): void {
    this.#watchdog?.letGo()
    this.kill()
  }

  /** A look at a moment at which nothing can be due needs no event; one that is planned is not put off. */
  #lookLater(ms: number): void {
    const process = this.process
    if (process === undefined) return
    const due = this.#host.monotonic() + Math.max(0, ms) + this.#chance.between(0, LOOK_EVERY_MS)
    if (this.#lookDue !== undefined && this.#lookDue <= due) return
    this.#cancelLook()
    this.#lookDue = due
    this.#cancelLook = process.after(due - this.#host.monotonic(), () => {
      this.#lookDue = undefined
      this.#look()
    })
  }

  #look(): void {
    const { process } = this
    const rule = this.#rule
    if (rule === undefined || process === undefined) return
    const at = this.#host.monotonic()
    const hasAgent = this.#visits.some(({ agent }) => agent.isAlive)
    const verdict = rule.look({ monotonic: at, boot: this.#host.boot() }, hasAgent)
    if (verdict.kind === 'end') return this.#end()
    this.#watchdog?.look(at, rule.held)
    if (verdict.kind === 'fence') {
      this.#onFence()
      this.#fence(process, (outcome) => {
        if (!rule.fenced(at, outcome)) return
        const { processes, isDead } = outcome
        for (const visit of this.#visits) {
          this.#report(visit, { kind: 'fenced', at, outcome: isDead ? 'dead' : 'alive', processes })
        }
      })
      this.#lookLater(LOOK_EVERY_MS * 5)
    } else if (rule.held !== undefined) this.#lookAtDeadline()
    else this.#lookLater(rule.fencedAt === undefined ? 60_000 : LOOK_EVERY_MS * 5)
  }

  #report(visit: Visit, report: GuardReport): void {
    this.#soon(() => {
      if (visit.isOpen) visit.agent.run(() => visit.visitor.heard(report))
    })
  }

  #close(visit: Visit): void {
    visit.isOpen = false
    this.#visits = this.#visits.filter((one) => one !== visit)
    this.#soon(() => visit.agent.run(() => visit.visitor.closed()))
  }

  /** What goes over a socket arrives in order. */
  #soon(task: () => void): void {
    const { time } = this.#host
    this.#lastAt = Math.max(this.#lastAt, time.now + this.#chance.between(SOCKET_MS.min, SOCKET_MS.max))
    time.at(this.#lastAt, task)
  }
}

function held(rule: GuardRule): { readonly until?: number } {
  return rule.held === undefined ? {} : { until: rule.held }
}
