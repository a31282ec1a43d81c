/**
 * The proxy room: application bytes between clients and PostgreSQL. It never decides who is primary: it goes by the
 * routing table that agents hand out, and by its validity. `frontend/` faces clients, `backend/` PostgreSQL, `router/`
 * chooses between backends. It must never send to, or report from, a primary whose right is not proven (G7).
 */
import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import type { Logger } from '../../platform/log.ts'
import type { Socket } from '../../platform/net.ts'
import { after, every, pause } from '../../platform/timers.ts'
import { keyOf } from '../backend/cancel-elsewhere.ts'
import { CancelDesk } from '../backend/cancel-desk.ts'
import { CancelRegistry } from '../backend/cancel-registry.ts'
import { PROBE_EVERY_MS, TargetHealth } from '../backend/target-health.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import { endClient, ignoreError } from '../frontend/end-client.ts'
import { readStartup, type StartupOutcome } from '../frontend/startup-reader.ts'
import { WaitingClient, type Join, type WaitingPlace } from '../frontend/waiting-client.ts'
import { findBasis } from '../pool/client-proof.ts'
import type { PoolOptions } from '../pool/pool-options.ts'
import { Pooler, type PoolerDeps } from '../pool/pooler.ts'
import type { PoolerBoard } from '../pool/pooler-board.ts'
import type { PortCounters, PortName } from '../port-counters.ts'
import { Relay, type RelayPlace } from '../relay.ts'
import type { FindBasis } from '../tls/login-on-behalf.ts'
import { RouterTls } from '../tls/router-tls.ts'
import type { CancelKey } from '../../wire/startup.ts'
import type { Recall } from '../workers/connection-lender.ts'
import type { Crew, CrewMember, CrewRequest } from '../workers/crew.ts'
import { enterUntilClosed } from '../workers/seats.ts'
import { chooseTarget, judgeBinding, type Binding, type Choice } from './choose-target.ts'
import { TableHolder, type RouterClock, type TableChange } from './table-holder.ts'

export type PoolParts = Pick<PoolerDeps, 'secrets' | 'reload' | 'askAgent'> & {
  readonly options: PoolOptions
}

export type SwitchboardOptions = {
  /** How long a client waits for a backend, and a held session for a proof. */
  readonly holdTimeoutMs: number
  readonly maxClientConnections: number
  readonly startupTimeoutMs?: number
  /** Absent: none on either side. */
  readonly tls?: RouterTls
  /** Absent: the pooled port is one more port of sessions with the primary. */
  readonly pool?: PoolParts
  /** Absent: this process is all of the router. */
  readonly crew?: Crew | undefined
  /** Somebody who may know a key that nobody here does. */
  readonly cancelElsewhere?: ((key: CancelKey, done: () => void) => void) | undefined
}

const STARTUP_TIMEOUT_MS = 10_000
/** Connections that have not said yet what they want: cancel requests must get in even when the router is full. */
const STARTING_MAX = 1024
const STOP_MS = 1000
const STOP_STEP_MS = 20
const RETIRED_IDLE_MS = 500
/** A session that says nothing for so long while the primary is about to move is between two transactions, and ends. */
const QUIET_MS = 20

/** All clients of one router process, and what each table means for them. */
export class Switchboard implements RelayPlace, WaitingPlace, CrewMember {
  readonly tls: RouterTls
  readonly cancels: CancelRegistry
  readonly holder: TableHolder
  readonly holdTimeoutMs: number
  readonly #log: Logger
  readonly #clock: RouterClock
  readonly #maxClients: number
  readonly #crew: Crew | undefined
  readonly #cancelDesk: CancelDesk
  readonly #startupTimeoutMs: number
  readonly #onClockJump: () => void
  readonly #health = new TargetHealth()
  readonly #pooler: Pooler | undefined
  readonly #starting = new Map<Socket, () => void>()
  readonly #waiting = new Set<WaitingClient>()
  readonly #relays = new Set<Relay>()
  readonly #closed = new Map<CloseReason, number>()
  #turn = 0
  #heldSince: number | undefined
  #stopDeadline: () => void = () => {}
  #stopTick: (() => void) | undefined
  #stopSweep: (() => void) | undefined
  #stopping = false
  #lastLogged = ''

  constructor(
    deps: { readonly log: Logger; readonly clock: RouterClock; readonly onClockJump: () => void },
    options: SwitchboardOptions,
  ) {
    this.#log = deps.log
    this.#clock = deps.clock
    this.#onClockJump = deps.onClockJump
    this.holdTimeoutMs = options.holdTimeoutMs
    this.tls = options.tls ?? new RouterTls()
    this.cancels = new CancelRegistry(() => this.tls.forServers)
    this.#maxClients = options.maxClientConnections
    this.#startupTimeoutMs = options.startupTimeoutMs ?? STARTUP_TIMEOUT_MS
    this.holder = new TableHolder(deps.clock, {
      tableChanged: (change) => this.#tableChanged(change),
      clockJumped: (byMs) => this.#clockJumped(byMs),
    })
    const { pool, crew } = options
    this.#crew = crew
    this.#pooler = pool && new Pooler({ log: deps.log, board: this.#board(), crew, ...pool }, pool.options)
    this.#cancelDesk = new CancelDesk({
      log: deps.log,
      pooler: this.#pooler,
      registry: this.cancels,
      primaryOpen: () => this.holder.primaryOpen(),
      crew,
      elsewhere: options.cancelElsewhere,
    })
  }

  /** Takes a new client connection. */
  accept(socket: Socket, counters: PortCounters): void {
    socket.on('error', ignoreError)
    if (this.#stopping) {
      socket.destroy()
      return
    }
    if (this.#starting.size >= STARTING_MAX) this.#dropOldestStarting()
    const options = { timeoutMs: this.#startupTimeoutMs, door: this.tls }
    const release = readStartup(socket, options, (outcome) => {
      this.#starting.delete(socket)
      this.#started(socket, counters, outcome)
    })
    this.#starting.set(socket, release)
  }

  answer(request: CrewRequest, reply: (answer: unknown) => void): void {
    if (request.kind !== 'cancel') return reply(this.#pooler?.answer(request))
    this.#cancelDesk.here(keyOf(request), reply)
  }

  get pooler(): Pick<Pooler, 'configure' | 'latencies'> | undefined {
    return this.#pooler
  }

  recall(recall: Recall): void {
    this.#pooler?.recall(recall)
  }

  /** For another router, which has this one's ports now. */
  cancel(key: CancelKey, done: (isKnown: boolean) => void): void {
    this.#cancelDesk.here(key, done)
  }

  /** Goes on for those that are here; resolves when they have left, or when the time is over. */
  async retire(withinMs: number): Promise<void> {
    const until = this.#clock.monotonicMs() + withinMs
    while (!this.#stopping && this.#clientCount() > 0 && this.#clock.monotonicMs() < until) {
      // The next router has the same limits: what is not used here is left to it.
      this.#pooler?.endIdleServers(RETIRED_IDLE_MS)
      await pause(STOP_STEP_MS)
    }
  }

  #clientCount(): number {
    return this.#starting.size + this.#waiting.size + this.#relays.size + (this.#pooler?.clientCount ?? 0)
  }

  primaryOpen(): boolean {
    return this.holder.primaryOpen()
  }

  /** Clients of the pooled port whose statements wait for a server connection. */
  get waitingForServers(): number {
    return this.#pooler?.waitingCount ?? 0
  }

  readonly findBasis: FindBasis = (user, answer) => {
    if (this.#pooler) findBasis(this.#pooler, user, answer)
    else answer(undefined)
  }

  choose(counters: PortCounters): Choice {
    return this.#choose(counters.port)
  }

  #choose(port: PortName): Choice {
    const now = this.#clock.monotonicMs()
    if (port === 'replica') this.#turn = (this.#turn + 1) % Number.MAX_SAFE_INTEGER
    const choice = chooseTarget({
      port,
      table: this.holder.table,
      primaryOpen: this.holder.primaryOpen(),
      turn: this.#turn,
      mayDial: (target) => this.#health.mayDial(target, now),
    })
    if (choice.kind === 'dial') this.#health.begin(choice.binding.target)
    return choice
  }

  #chooseReplica(target: RouteTarget): Choice {
    const { table } = this.holder
    if (!table || !this.#health.mayDial(target, this.#clock.monotonicMs())) {
      return { kind: 'wait', reason: 'BACKEND_UNAVAILABLE' }
    }
    this.#health.begin(target)
    return { kind: 'dial', binding: { target, role: 'replica', epoch: table.epoch } }
  }

  dialFailed(binding: Binding): void {
    this.#health.failed(binding.target, this.#clock.monotonicMs())
  }

  dialAbandoned(binding: Binding): void {
    this.#health.abandoned(binding.target)
  }

  joined(client: WaitingClient, join: Join): void {
    this.#forget(client)
    const relay = new Relay({ ...join, counters: client.counters }, this)
    this.#relays.add(relay)
    const { table } = this.holder
    if (table) this.#applyTo(relay, table)
    relay.start(join.fromBackend, join.fromClient)
    if (relay.isHeld) this.#noteHeld()
    if (this.#health.answered(join.binding.target)) this.#kick()
  }

  waitingEnded(client: WaitingClient, reason: CloseReason): void {
    this.#forget(client)
    client.counters.clients -= 1
    this.#count(reason)
  }

  relayEnded(relay: Relay, reason: CloseReason): void {
    this.#relays.delete(relay)
    relay.counters.clients -= 1
    this.#count(reason)
  }

  /** Logs how many clients ended abnormally since the last call: one line, however many they were. */
  logClosed(): void {
    if (this.#closed.size === 0) return
    this.#log.info('Client connections ended', { reasons: Object.fromEntries(this.#closed) })
    this.#closed.clear()
  }

  /** Refuses what has no backend, ends idle sessions, gives the others a second to become idle, then cuts them. */
  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    for (const [socket, release] of this.#starting) {
      release()
      socket.destroy()
    }
    this.#starting.clear()
    for (const client of this.#waiting) client.refuse('ROUTER_STOPPING')
    const until = this.#clock.monotonicMs() + STOP_MS
    for (let left = 1; left > 0;) {
      const isOver = this.#clock.monotonicMs() >= until
      for (const relay of this.#relays) if (isOver || relay.isIdle) relay.cut('ROUTER_STOPPING')
      left = this.#relays.size + (this.#pooler?.drain(isOver) ?? 0)
      if (left > 0) await pause(STOP_STEP_MS)
    }
    this.#pooler?.stop()
    this.cancels.close()
    this.#stopDeadline()
    this.#stopTick?.()
    this.#stopSweep?.()
    this.logClosed()
  }

  /** Who has said nothing for longest makes room, so that silent connections cannot lock others out. */
  #dropOldestStarting(): void {
    for (const [socket, release] of this.#starting) {
      release()
      socket.destroy()
      this.#starting.delete(socket)
      this.#count('STARTUP_TIMEOUT')
      return
    }
  }

  #started(socket: Socket, counters: PortCounters, outcome: StartupOutcome): void {
    switch (outcome.kind) {
      case 'lost':
        if (outcome.reason === 'TLS_FAILED')
          this.#log.debug('No TLS with a client', { port: counters.port, reason: outcome.detail })
        socket.destroy()
        this.#count(outcome.reason)
        return
      case 'refused':
        this.#refuse(outcome.stream, counters, outcome)
        return
      case 'cancel': {
        const { key, stream } = outcome
        return this.#cancelDesk.anywhere(key, () => endClient(stream))
      }
      case 'startup':
        this.#admit(outcome.stream, counters, outcome)
    }
  }

  #admit(socket: Socket, counters: PortCounters, startup: { packet: Buffer; rest: Buffer }): void {
    const pooler = this.#pooler
    const max = this.#maxClients
    if (!this.#crew) {
      const count = this.#waiting.size + this.#relays.size + (pooler?.clientCount ?? 0)
      if (count >= max) this.#refuse(socket, counters, { reason: 'TOO_MANY_CLIENTS' })
      else this.#begin(socket, counters, startup)
      return
    }
    // What it sends meanwhile is to be kept, and its end to be noticed.
    socket.pause()
    const pooled = counters.port === 'pooled' && pooler ? pooler.options.maxClientConn : 0
    const limits = [
      { name: 'clients', max },
      { name: 'pooled clients', max: pooled },
    ]
    enterUntilClosed(this.#crew, { socket, limits }, (full) => {
      if (this.#stopping || socket.destroyed) return void socket.destroy()
      socket.resume()
      if (full) this.#refuse(socket, counters, { reason: 'TOO_MANY_CLIENTS' })
      else this.#begin(socket, counters, startup)
    })
  }

  #begin(socket: Socket, counters: PortCounters, startup: { packet: Buffer; rest: Buffer }): void {
    const pooler = this.#pooler
    if (pooler && counters.port === 'pooled') pooler.admit({ socket, counters, ...startup })
    else this.#await(socket, counters, startup)
  }

  #await(socket: Socket, counters: PortCounters, startup: { packet: Buffer; rest: Buffer }): void {
    const client = new WaitingClient({ socket, packet: startup.packet, early: startup.rest, counters }, this)
    this.#waiting.add(client)
    counters.clients += 1
    counters.waiting += 1
    this.#startTick()
    client.attempt()
  }

  #refuse(
    socket: Socket,
    counters: PortCounters,
    { reason, detail }: { readonly reason: CloseReason; readonly detail?: string },
  ): void {
    counters.errors += 1
    this.#count(reason)
    endClient(socket, closeResponse(reason, detail === undefined ? {} : { detail }))
  }

  #forget(client: WaitingClient): void {
    if (this.#waiting.delete(client)) client.counters.waiting -= 1
  }

  #count(reason: CloseReason): void {
    if (reason === 'CLIENT_LEFT' || reason === 'BACKEND_CLOSED') return
    this.#closed.set(reason, (this.#closed.get(reason) ?? 0) + 1)
  }

  #tableChanged({ table, epochRose, source }: TableChange): void {
    // Order: the old epoch's connections go before anything new is dialled or released.
    if (epochRose) this.#health.forgetAll()
    for (const relay of this.#relays) this.#applyTo(relay, table)
    this.#pooler?.tableChanged(table)
    this.#armDeadline()
    if (this.holder.primaryOpen()) this.#releaseHeld()
    else this.#holdExpired()
    this.#logTable(table, source)
    for (const client of this.#waiting) client.tableChanged(table)
  }

  #applyTo(relay: Relay, table: RoutingTable): void {
    const verdict = judgeBinding(relay.binding, table)
    if (verdict.kind === 'rebind') relay.rebind(verdict.binding)
    if (verdict.kind === 'cut') relay.cut(verdict.reason)
    const isDraining = verdict.kind === 'drain'
    if (relay.isDraining !== isDraining) relay.drain(isDraining)
    if (isDraining) this.#stopSweep ??= every(QUIET_MS, () => this.#sweep())
  }

  /** Ends the sessions that have nothing to do; those that have, end themselves. */
  #sweep(): void {
    let left = 0
    for (const relay of this.#relays) {
      if (relay.isDraining) relay.endIfQuiet()
      if (relay.isDraining) left += 1
    }
    if (left > 0) return
    this.#stopSweep?.()
    this.#stopSweep = undefined
  }

  #clockJumped(byMs: number): void {
    this.#log.warn('Clock jump: the routing table is void until it is proven again', {
      byMs: Math.round(byMs),
    })
    this.#holdExpired()
    this.#onClockJump()
  }

  #armDeadline(): void {
    this.#stopDeadline()
    const left = this.holder.validUntil - this.#clock.monotonicMs()
    if (left <= 0) return
    this.#stopDeadline = after(Math.ceil(left), () => {
      if (this.holder.primaryOpen()) this.#armDeadline()
      else this.#holdExpired()
    })
  }

  #holdExpired(): void {
    let count = this.#pooler?.hold() ?? 0
    for (const relay of this.#relays) {
      if (relay.binding.role !== 'primary') continue
      relay.hold()
      count += 1
    }
    if (count === 0 || this.#heldSince !== undefined) return
    this.#log.warn('The routing table ran out: sessions of the primary are held', {
      count,
      epoch: this.holder.epoch,
    })
    this.#noteHeld()
  }

  #noteHeld(): void {
    this.#heldSince ??= this.#clock.monotonicMs()
    this.#startTick()
  }

  #releaseHeld(): void {
    this.#heldSince = undefined
    for (const relay of this.#relays) if (relay.isHeld) relay.release()
    this.#pooler?.release()
  }

  /** Runs only while somebody waits or is held. */
  #startTick(): void {
    this.#stopTick ??= every(PROBE_EVERY_MS, () => this.#tick())
  }

  #tick(): void {
    this.#kick()
    const heldSince = this.#heldSince
    if (heldSince !== undefined && this.#clock.monotonicMs() - heldSince > this.holdTimeoutMs) {
      for (const relay of this.#relays) if (relay.isHeld) relay.cut('VALIDITY_TIMEOUT')
      this.#pooler?.cutHeld()
      this.#heldSince = undefined
    }
    if (this.#waiting.size > 0 || this.#heldSince !== undefined) return
    this.#stopTick?.()
    this.#stopTick = undefined
  }

  #kick(): void {
    for (const client of this.#waiting) client.attempt()
  }

  /** What the pooled port sees of this. */
  #board(): PoolerBoard {
    return {
      holdTimeoutMs: this.holdTimeoutMs,
      tls: this.tls,
      primaryOpen: () => this.holder.primaryOpen(),
      hasPrimary: () => this.holder.table?.primary !== undefined,
      primary: () => this.holder.table?.primary,
      table: () => this.holder.table,
      choosePrimary: () => this.#choose('pooled'),
      mayDial: (target) => this.#health.mayDial(target, this.#clock.monotonicMs()),
      chooseReplica: (target) => this.#chooseReplica(target),
      dialFailed: (binding) => this.dialFailed(binding),
      dialAbandoned: (binding) => this.dialAbandoned(binding),
      dialAnswered: (binding) => {
        if (this.#health.answered(binding.target)) this.#kick()
      },
      passThrough: ({ socket, counters, packet, rest }) => {
        this.#await(socket, counters, { packet, rest })
        // Its end is to be noticed while it waits.
        socket.resume()
      },
      sendCancel: (cancel, done) =>
        this.cancels.send({ ...cancel, primaryOpen: this.holder.primaryOpen() }, done),
      countClosed: (reason) => this.#count(reason),
    }
  }

  #logTable(table: RoutingTable, source: string): void {
    const primary = table.primary && describe(table.primary)
    const replicas = table.replicas.map(describe).toSorted()
    const shape = JSON.stringify([table.epoch, primary, replicas, table.holding])
    if (shape === this.#lastLogged) return
    this.#lastLogged = shape
    this.#log.info('Routing table', { epoch: table.epoch, primary, replicas, holding: table.holding, source })
  }
}

function describe(target: RouteTarget): string {
  return `${target.name} ${target.host}:${target.port}`
}
