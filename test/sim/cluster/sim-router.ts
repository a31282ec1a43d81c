import type { RoutingTable, RoutingTableMessage } from '../../../src/model/routing-table.ts'
import { chooseTarget, judgeBinding, type Binding } from '../../../src/proxy/router/choose-target.ts'
import { TableHolder } from '../../../src/proxy/router/table-holder.ts'
import { answeredTable, pushedTable } from '../../../src/proxy/router/table-message.ts'
import type { SimHost, SimProcess } from './sim-host.ts'

/** As `router-process.ts` and `peer-poll.ts`. */
const CLOCK_CHECK_EVERY_MS = 50
const AGENT_SILENT_MS = 500
const POLL_EVERY_MS = 300
const HOLD_MS = 10_000
/** As `switchboard.ts`. */
const QUIET_MS = 20

/** A session of a client with a backend, on whichever member. Answers come in the order of the requests. */
export type BackendSession = {
  insert(token: number): void
  close(): void
}

export type BackendEvents = {
  readonly committed: (token: number) => void
  readonly failed: (token: number, reason: string) => void
  readonly closed: () => void
}

export type RouterDeps = {
  /** Opens a session with a member's PostgreSQL; `closed` where it cannot. */
  readonly dial: (from: SimProcess, target: string, events: BackendEvents) => BackendSession
  /** Asks a member's agent for its table over the network. */
  readonly ask: (from: SimProcess, member: string, answer: (table: RoutingTableMessage) => void) => void
  /** Whom it may ask for a table: the other members now. */
  readonly members: () => readonly string[]
  readonly bootId: string
  /** An acknowledgement passed this router: the moment that G1 and G7 speak of. */
  readonly passed: (session: RoutedSession, token: number) => void
}

export type ClientEvents = {
  readonly opened: () => void
  readonly committed: (token: number) => void
  readonly failed: (token: number, reason: string) => void
  readonly closed: () => void
}

/** The router of one host: the real table holder, choice of targets and judgement of bindings; its relay carries tokens instead of bytes. */
export class SimRouter {
  readonly process: SimProcess
  readonly holder: TableHolder
  readonly #deps: RouterDeps
  readonly #sessions = new Set<RoutedSession>()
  #agentGoodAt = Number.NEGATIVE_INFINITY
  #turn = 0
  #favourite = 0
  #cancelPoll: () => void = () => undefined

  constructor(host: SimHost, label: string, deps: RouterDeps) {
    this.process = host.spawn(label)
    this.#deps = deps
    this.holder = new TableHolder(
      { monotonicMs: () => host.monotonic(), bootMs: () => host.boot() },
      { tableChanged: ({ table }) => this.#tableChanged(table), clockJumped: () => this.#holdAll() },
    )
    this.#pollLater(AGENT_SILENT_MS)
  }

  /** The agent of this host pushes its table. */
  push(message: RoutingTableMessage): void {
    const verdict = this.holder.offer(pushedTable(message, this.#deps.bootId), 'agent')
    if (verdict === 'accepted' && this.holder.primaryOpen()) this.#agentGoodAt = this.process.host.monotonic()
  }

  /** The process stood still: the clocks are compared before long. */
  resumed(): void {
    this.process.after(CLOCK_CHECK_EVERY_MS, () => this.holder.checkClock())
  }

  accept(events: ClientEvents): RoutedSession {
    const session = new RoutedSession(this, events)
    this.#sessions.add(session)
    session.attempt()
    return session
  }

  end(): void {
    this.process.end()
    for (const session of [...this.#sessions]) session.cut()
  }

  get deps(): RouterDeps {
    return this.#deps
  }

  choose(): Binding | undefined {
    this.#turn += 1
    const choice = chooseTarget({
      port: 'primary',
      table: this.holder.table,
      primaryOpen: this.holder.primaryOpen(),
      turn: this.#turn,
      mayDial: () => true,
    })
    return choice.kind === 'dial' ? choice.binding : undefined
  }

  forget(session: RoutedSession): void {
    this.#sessions.delete(session)
  }

  #tableChanged(table: RoutingTable): void {
    for (const session of [...this.#sessions]) session.tableChanged(table)
  }

  #holdAll(): void {
    for (const session of this.#sessions) session.holdIfBound()
  }

  #pollLater(ms: number): void {
    this.#cancelPoll()
    this.#cancelPoll = this.process.after(ms, () => this.#poll())
  }

  #poll(): void {
    const silentMs = this.process.host.monotonic() - this.#agentGoodAt
    if (silentMs <= AGENT_SILENT_MS) return this.#pollLater(AGENT_SILENT_MS - silentMs + POLL_EVERY_MS)
    const { ask } = this.#deps
    const members = this.#deps.members()
    const member = members[this.#favourite % members.length]
    // Order: the time is taken before the question leaves.
    const askedAt = this.process.host.monotonic()
    let isGood = false
    if (member !== undefined) {
      ask(this.process, member, (message) => {
        const table = answeredTable(message, askedAt)
        isGood = this.holder.offer(table, member) === 'accepted' && table.validUntil > askedAt
      })
    }
    this.process.after(POLL_EVERY_MS, () => {
      if (!isGood) this.#favourite += 1
      this.#poll()
    })
  }
}

/** One client on one backend. While the primary's right is not proven nothing passes in either direction. */
export class RoutedSession {
  readonly #router: SimRouter
  readonly #events: ClientEvents
  #binding: Binding | undefined
  #backend: BackendSession | undefined
  #heldRequests: number[] = []
  #heldAnswers: (() => void)[] = []
  #isHeld = false
  #isDraining = false
  #isEnded = false
  #inFlight = 0
  #cancelLimit: () => void = () => undefined

  constructor(router: SimRouter, events: ClientEvents) {
    this.#router = router
    this.#events = events
    this.#cancelLimit = router.process.after(HOLD_MS, () => this.cut())
  }

  get epoch(): number {
    return this.#binding?.epoch ?? 0
  }

  get target(): string {
    return this.#binding?.target.name ?? ''
  }

  /** Joins a backend, now or as soon as there is one. */
  attempt(): void {
    if (this.#isEnded || this.#backend !== undefined) return
    const { process } = this.#router
    const binding = this.#router.choose()
    // The next table may have one.
    if (binding === undefined) return
    this.#cancelLimit()
    this.#binding = binding
    this.#backend = this.#router.deps.dial(process, binding.target.name, {
      committed: (token) => this.#answer(() => this.#answered(() => this.#committed(token))),
      failed: (token, reason) => this.#answer(() => this.#answered(() => this.#events.failed(token, reason))),
      closed: () => this.#answer(() => this.cut()),
    })
    this.#events.opened()
  }

  insert(token: number): void {
    if (this.#isEnded) return
    this.#inFlight += 1
    this.#ask(token)
  }

  #ask(token: number): void {
    if (this.#isEnded) return
    if (this.#mustHold()) this.#heldRequests.push(token)
    else this.#backend?.insert(token)
  }

  close(): void {
    this.#end()
  }

  /** Ends it from the router's side: what was in flight is unknown to the client. */
  cut(): void {
    if (this.#isEnded) return
    this.#end()
    this.#events.closed()
  }

  tableChanged(table: RoutingTable): void {
    if (this.#binding !== undefined) {
      const verdict = judgeBinding(this.#binding, table)
      if (verdict.kind === 'cut') return this.cut()
      if (verdict.kind === 'rebind') this.#binding = verdict.binding
      this.#isDraining = verdict.kind === 'drain'
      this.#drainLater()
    } else this.attempt()
    if (this.#isHeld && this.#router.holder.primaryOpen()) this.#release()
  }

  /** What says nothing for a while is between two transactions. */
  #drainLater(): void {
    if (!this.#isDraining || this.#inFlight > 0) return
    this.#router.process.after(QUIET_MS, () => {
      if (this.#isDraining && this.#inFlight === 0 && !this.#isHeld) this.cut()
    })
  }

  holdIfBound(): void {
    if (this.#binding !== undefined && !this.#isHeld) this.#hold()
  }

  #hold(): void {
    this.#isHeld = true
    this.#cancelLimit = this.#router.process.after(HOLD_MS, () => {
      if (this.#isHeld) this.cut()
    })
  }

  #release(): void {
    this.#isHeld = false
    this.#cancelLimit()
    for (const answer of this.#heldAnswers.splice(0)) answer()
    for (const token of this.#heldRequests.splice(0)) this.#ask(token)
  }

  #answer(pass: () => void): void {
    if (this.#isEnded) return
    // Order: the right is judged when an answer is passed on, not when the statement was sent (safety.md 18).
    if (this.#mustHold()) this.#heldAnswers.push(pass)
    else pass()
  }

  /** Passes the answer on; a session that drains ends right behind it. */
  #answered(pass: () => void): void {
    this.#inFlight -= 1
    pass()
    if (this.#isDraining && this.#inFlight === 0) this.cut()
  }

  #committed(token: number): void {
    this.#router.deps.passed(this, token)
    this.#events.committed(token)
  }

  #mustHold(): boolean {
    if (this.#isHeld) return true
    if (this.#router.holder.primaryOpen()) return false
    this.#hold()
    return true
  }

  #end(): void {
    this.#isEnded = true
    this.#cancelLimit()
    this.#backend?.close()
    this.#router.forget(this)
  }
}
