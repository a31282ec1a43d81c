import type { Logger } from '../../platform/log.ts'
import type { Socket } from '../../platform/net.ts'
import { pid } from '../../platform/process.ts'
import { after, every } from '../../platform/timers.ts'
import type { WorkerProcess } from '../../platform/worker-process.ts'
import { SECOND } from '../../std/units.ts'
import { cancelElsewhere, keyOf, orderOf } from '../backend/cancel-elsewhere.ts'
import { ignoreError } from '../frontend/end-client.ts'
import type { PortListener } from '../frontend/port-listener.ts'
import { openPorts, portsOf, type ListenPorts } from '../frontend/router-ports.ts'
import type { PoolOptions } from '../pool/pool-options.ts'
import type { PortName } from '../port-counters.ts'
import type { ReplaceableRouter, RouterDeps, RouterOptions } from '../router-process.ts'
import { openAgentLink, type AgentLink } from '../router/agent-link.ts'
import type { CancelKey } from '../../wire/startup.ts'
import { ConnectionLender } from './connection-lender.ts'
import { CrewQuestions } from './crew-questions.ts'
import { SharedCounts } from './shared-counts.ts'
import type { FromWorker, ToWorker } from './worker-messages.ts'

export type SupervisorDeps = Pick<RouterDeps, 'onRestart' | 'inheritance'> & {
  readonly log: Logger
  readonly clock: { readonly monotonicMs: () => number }
  /** The agent said stop. */
  readonly onStop: () => void
  /** No worker can begin: the next router may. */
  readonly onLost: () => void
  readonly startWorker: (on: {
    readonly message: (message: unknown) => void
    readonly exit: (code: number | null) => void
  }) => WorkerProcess
}

type Worker = {
  readonly place: number
  readonly process: WorkerProcess
  readonly startedAt: number
  isReady: boolean
  /** Connections that are on their way to it. */
  readonly handed: Map<number, Socket>
  /** Connections that it was handed and has not said of that they ended. */
  connections: number
  heardAt: number
  dealtAt: number
}

/** Whom nobody can serve yet: a worker is up again within a second. */
const HELD_MAX = 1024
/** A worker that says nothing for so long gets no clients while others do. */
const SILENT_MS = SECOND
/** One that ends again and again is started again and again, but not faster. */
const RESTART_MS = SECOND
const SETTLE_EVERY_MS = 50
/** Longer than a worker takes to end its clients. */
const STOP_WITHIN_MS = 3000

/** Starts workers, then listens. Throws `ROUTER_PORT_BUSY` or `ROUTER_CANNOT_LISTEN`. */
export async function startSupervisor(
  options: RouterOptions,
  deps: SupervisorDeps,
): Promise<ReplaceableRouter> {
  const { inheritance, log } = deps
  const supervisor = new Supervisor(options, deps)
  if (inheritance) {
    // Order: who has the ports serves until somebody here can.
    supervisor.begin(options.ports)
    await supervisor.someReady
  }
  const inherited = await inheritance?.ports()
  const how = { retryForMs: 2 * SECOND, isForOthers: true, ...(inherited ? { inherited } : {}) }
  const listeners = await openPorts(options, how, (port, socket) => supervisor.deal(port, socket))
  supervisor.listens(listeners)
  const ports = portsOf(listeners)
  if (!inheritance) supervisor.begin(ports)
  log.info('Router listening', { host: options.listenHost, ...ports, pid, workers: options.workers })
  inheritance?.ready()
  return {
    ports,
    listeners,
    stop: () => supervisor.stop(),
    retire: (withinMs) => supervisor.retire(withinMs),
    cancel: (key, done) => supervisor.cancel(key, done),
  }
}

/**
 * The process that has a router's ports and counts its limits. It never sees a byte of a client: it hands each connection to the worker
 * with the fewest, and keeps what all have in common. A worker that ends costs its own clients and is replaced.
 */
class Supervisor {
  readonly #options: RouterOptions
  readonly #deps: SupervisorDeps
  readonly #log: Logger
  readonly #size: number
  readonly #workers = new Map<number, Worker>()
  readonly #counts = new SharedCounts()
  readonly #lender: ConnectionLender
  readonly #questions: CrewQuestions
  readonly someReady: Promise<void>
  #listeners: readonly PortListener[] = []
  #ports: ListenPorts | undefined
  #held: { readonly port: PortName; readonly socket: Socket }[] = []
  #link: AgentLink | undefined
  #stopSettling: () => void = () => {}
  #deals = 0
  #wasReady: () => void = () => {}
  #isUp = false
  #stopped: Promise<void> | undefined
  #isRetiring = false
  readonly #gone: Promise<void>
  #onEmpty: () => void = () => {}

  constructor(options: RouterOptions, deps: SupervisorDeps) {
    this.#options = options
    this.#deps = deps
    this.#log = deps.log
    this.#size = options.workers ?? 1
    this.#lender = new ConnectionLender(this.#counts, {
      lend: (worker, id) => this.#say(worker, { kind: 'lent', id }),
      recall: (place, recall) => {
        // One that stands still would find them all, and they would all be of the past.
        const worker = this.#workers.get(place)
        if (worker && this.#isAwake(worker)) this.#say(place, { kind: 'recall', recall })
      },
    })
    this.#gone = new Promise((resolve) => (this.#onEmpty = resolve))
    this.someReady = new Promise((resolve) => (this.#wasReady = resolve))
    this.#questions = new CrewQuestions((worker, message) => this.#say(worker, message))
  }

  listens(listeners: readonly PortListener[]): void {
    this.#listeners = listeners
  }

  begin(ports: ListenPorts): void {
    this.#ports = ports
    for (let place = 0; place < this.#size; place += 1) this.#start(place)
    this.#stopSettling = every(SETTLE_EVERY_MS, () => {
      if (this.#lender.isWanted) this.#lender.settle(this.#now())
    })
    this.#link = openAgentLink(
      {
        log: this.#log,
        // Each worker hears tables and members from the agent itself.
        onTable: () => {},
        onMembers: () => {},
        onStop: this.#deps.onStop,
        onSettings: (pool, { reload }) => this.#settings(pool, reload),
        onRestart: (order, failed) => this.#deps.onRestart?.(order, failed),
        onCancel: (order, done) => this.cancel(keyOf(order), done),
        totals: () => [],
        latencies: () => [],
      },
      { role: 'router', socketPath: this.#options.agentSocket, pid, totalsEveryMs: SECOND },
    )
  }

  /** Hands a new connection to the worker that has fewest. */
  deal(port: PortName, socket: Socket): void {
    socket.on('error', ignoreError)
    const worker = this.#choose()
    if (worker) return this.#hand(worker, port, socket)
    if (this.#stopped || this.#held.length >= HELD_MAX) socket.destroy()
    else this.#held.push({ port, socket })
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  /** Other workers have the ports: these end behind their clients. */
  async retire(withinMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.close()
    this.#link?.retire()
    this.#isRetiring = true
    for (const place of this.#workers.keys()) this.#say(place, { kind: 'retire', withinMs })
    if (this.#workers.size > 0) await this.#gone
    await this.stop()
  }

  /** For the router that has the ports now. */
  cancel(key: CancelKey, done: (isKnown: boolean) => void): void {
    this.#questions.ask({ kind: 'cancel', ...orderOf(key) }, this.#readyPlaces(), (answers) =>
      done(answers.includes(true)),
    )
  }

  async #stop(): Promise<void> {
    for (const listener of this.#listeners) listener.close()
    for (const { socket } of this.#held.splice(0)) socket.destroy()
    this.#stopSettling()
    for (const place of this.#workers.keys()) this.#say(place, { kind: 'stop' })
    const stopTimer = after(STOP_WITHIN_MS, () => {
      for (const worker of this.#workers.values()) worker.process.kill('SIGKILL')
    })
    if (this.#workers.size > 0) await this.#gone
    stopTimer()
    // Order: the agent takes the end of this line for the end of the router.
    this.#link?.close()
  }

  #choose(): Worker | undefined {
    const ready = [...this.#workers.values()].filter(({ isReady }) => isReady)
    const awake = ready.filter((worker) => this.#isAwake(worker))
    const [best] = (awake.length > 0 ? awake : ready).toSorted(
      (one, other) => one.connections - other.connections || one.dealtAt - other.dealtAt,
    )
    return best
  }

  #hand(worker: Worker, port: PortName, socket: Socket): void {
    this.#deals += 1
    worker.dealtAt = this.#deals
    worker.connections += 1
    worker.handed.set(this.#deals, socket)
    const message: ToWorker = { kind: 'client', port, id: this.#deals }
    worker.process.send(message, socket)
  }

  #start(place: number): void {
    const startedAt = this.#now()
    const process = this.#deps.startWorker({
      message: (message) => this.#hear(worker, message as FromWorker),
      exit: (code) => this.#ended(worker, code),
    })
    const worker: Worker = {
      place,
      process,
      startedAt,
      handed: new Map(),
      isReady: false,
      connections: 0,
      heardAt: startedAt,
      dealtAt: 0,
    }
    this.#workers.set(place, worker)
    const ports = this.#ports ?? this.#options.ports
    this.#say(place, { kind: 'begin', place, size: this.#size, ports })
  }

  #ended(worker: Worker, code: number | null): void {
    const { place } = worker
    this.#workers.delete(place)
    this.#counts.forget(place)
    this.#lender.forget(place, this.#now())
    this.#questions.forget(place)
    for (const socket of worker.handed.values()) socket.destroy()
    worker.handed.clear()
    if (this.#stopped || this.#isRetiring) {
      if (this.#workers.size === 0) this.#onEmpty()
      return
    }
    this.#log.warn('A worker has ended: its clients are lost, another is started', {
      worker: place,
      workerPid: worker.process.pid,
      code,
      clients: worker.connections,
    })
    if (!this.#isUp && this.#workers.size === 0) return this.#deps.onLost()
    const livedMs = this.#now() - worker.startedAt
    after(livedMs < RESTART_MS ? RESTART_MS : 0, () => {
      if (!this.#stopped && !this.#isRetiring) this.#start(place)
    })
  }

  #hear(worker: Worker, message: FromWorker): void {
    const { place } = worker
    worker.heardAt = this.#now()
    switch (message.kind) {
      case 'ready':
        return this.#ready(worker)
      case 'received':
        worker.handed.get(message.id)?.destroy()
        worker.handed.delete(message.id)
        return
      case 'alive':
        worker.connections -= message.ended
        return
      case 'enter': {
        const { id, limits } = message
        const full = this.#counts.take(place, limits)
        return this.#say(place, { kind: 'entered', id, ...(full ? { full } : {}) })
      }
      case 'leave':
        return this.#counts.give(place, message.limits)
      case 'wish': {
        const { id, limits } = message
        return this.#lender.wish({ worker: place, id, limits, since: worker.heardAt }, worker.heardAt)
      }
      case 'withdraw':
        if (!this.#lender.withdraw(place, message.id))
          this.#lender.giveBack(place, message.limits, worker.heardAt)
        return
      case 'give-back':
        return this.#lender.giveBack(place, message.limits, worker.heardAt)
      case 'ask': {
        const { id, request } = message
        return this.#questions.ask(request, this.#readyPlaces(), (answers, missing) => {
          const answer = (): void => this.#say(place, { kind: 'answers', id, answers, missing })
          if (request.kind !== 'cancel' || answers.includes(true)) return answer()
          cancelElsewhere(keyOf(request), { inheritance: this.#deps.inheritance, tables: this.#link }, answer)
        })
      }
      case 'answer':
        return this.#questions.answered(place, message.id, message.answer)
    }
  }

  #ready(worker: Worker): void {
    worker.isReady = true
    this.#isUp = true
    this.#wasReady()
    this.#log.info('A worker is ready', {
      worker: worker.place,
      workerPid: worker.process.pid,
    })
    // Order: what people said by the console counts before the first client comes.
    this.#questions.catchUp(worker.place)
    for (const { port, socket } of this.#held.splice(0)) this.deal(port, socket)
  }

  /** Workers that begin later are told as well. */
  #settings(pool: PoolOptions | undefined, reload: boolean): void {
    const request = { kind: 'reload', ...(pool ? { pool } : {}) } as const
    if (!reload && this.#questions.isStanding(request)) return
    this.#questions.ask(request, this.#readyPlaces(), (_answers, missing) => {
      if (missing > 0) this.#log.warn('Not every worker has read its settings and files again', { missing })
    })
  }

  #isAwake({ heardAt }: Worker): boolean {
    return this.#now() - heardAt < SILENT_MS
  }

  #readyPlaces(): readonly number[] {
    return [...this.#workers.values()].filter(({ isReady }) => isReady).map(({ place }) => place)
  }

  #say(place: number, message: ToWorker): void {
    this.#workers.get(place)?.process.send(message)
  }

  #now(): number {
    return this.#deps.clock.monotonicMs()
  }
}
