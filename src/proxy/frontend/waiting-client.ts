import type { RoutingTable } from '../../model/routing-table.ts'
import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { KiB } from '../../std/units.ts'
import { dial, type DialOutcome } from '../backend/dial.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import type { PortCounters } from '../port-counters.ts'
import { judgeBinding, type Binding, type Choice, type WaitReason } from '../router/choose-target.ts'
import { fateOfOffer, withoutOffer } from '../tls/channel-offer.ts'
import { LoginOnBehalf, type BehalfOutcome, type FindBasis } from '../tls/login-on-behalf.ts'
import type { RouterTls } from '../tls/router-tls.ts'
import { parseStartup } from '../../wire/startup.ts'
import { endClient } from './end-client.ts'

/** What a waiting client needs from the router around it. */
export interface WaitingPlace {
  readonly holdTimeoutMs: number
  readonly tls: RouterTls
  /** What a user's proof is judged by. */
  readonly findBasis: FindBasis
  primaryOpen(): boolean
  /** Picks a target and counts the attempt as begun. */
  choose(counters: PortCounters): Choice
  dialFailed(binding: Binding): void
  dialAbandoned(binding: Binding): void
  /** The client has a backend; it is no longer waiting. */
  joined(client: WaitingClient, join: Join): void
  waitingEnded(client: WaitingClient, reason: CloseReason): void
}

export type Join = {
  readonly client: Socket
  readonly backend: Socket
  readonly binding: Binding
  readonly fromBackend: Buffer
  readonly fromClient: Buffer
}

/** A replica that does not answer is left for the next one; for the primary one waits, since there is no other. */
const REPLICA_DIAL_TIMEOUT_MS = 2000
/** What a client may send before it was answered: a password at most. */
const EARLY_BYTES_MAX = 64 * KiB
const NOTHING = Buffer.alloc(0)

/**
 * A client that has said what it wants and has no backend yet. It tries, and waits while there is nobody to try; it has
 * not seen a byte of any backend, so it may be sent to another one at any time.
 */
export class WaitingClient {
  readonly counters: PortCounters
  readonly #socket: Socket
  readonly #packet: Buffer
  readonly #place: WaitingPlace
  readonly #stopTimer: () => void
  #early: Buffer
  #cancelDial: (() => void) | undefined
  /** The client has been asked for its proof in the name of one backend: it can have no other one. */
  #isAsked = false
  #binding: Binding | undefined
  #waitsFor: WaitReason = 'NO_TABLE'
  #trouble: string | undefined
  #over = false

  constructor(
    parts: {
      readonly socket: Socket
      readonly packet: Buffer
      readonly early: Buffer
      readonly counters: PortCounters
    },
    place: WaitingPlace,
  ) {
    this.counters = parts.counters
    this.#socket = parts.socket
    this.#packet = parts.packet
    this.#early = parts.early
    this.#place = place
    this.#stopTimer = after(place.holdTimeoutMs, () => this.refuse('HOLD_TIMEOUT', this.#whyItWaited()))
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', this.#onLeft)
    this.#socket.on('close', this.#onLeft)
  }

  /** Tries to get a backend, unless it is trying already. */
  attempt(): void {
    if (this.#over || this.#cancelDial) return
    const choice = this.#place.choose(this.counters)
    if (choice.kind === 'wait') {
      this.#waitsFor = choice.reason
      return
    }
    const { binding } = choice
    this.#binding = binding
    this.#cancelDial = dial(
      {
        target: binding.target,
        tls: this.#place.tls.forServers,
        startup: this.#packet,
        timeoutMs: binding.role === 'replica' ? REPLICA_DIAL_TIMEOUT_MS : this.#place.holdTimeoutMs,
        maySend: () => binding.role === 'replica' || this.#place.primaryOpen(),
      },
      (outcome) => this.#dialled(outcome),
    )
  }

  /** A new table: an attempt that it forbids is given up, and another one begins. */
  tableChanged(table: RoutingTable): void {
    if (this.#cancelDial && this.#binding) {
      const verdict = judgeBinding(this.#binding, table)
      if (verdict.kind === 'rebind') this.#binding = verdict.binding
      if (verdict.kind === 'cut' || verdict.kind === 'drain') {
        if (this.#isAsked) return this.refuse(verdict.kind === 'cut' ? verdict.reason : 'PRIMARY_MOVES')
        this.#abandonDial()
      }
    }
    this.attempt()
  }

  /** Ends the wait with an error for the client. */
  refuse(reason: CloseReason, detail?: string): void {
    this.#end(reason, closeResponse(reason, detail === undefined ? {} : { detail }))
  }

  #end(reason: CloseReason, response: Buffer | undefined): void {
    if (this.#over) return
    this.#leave()
    this.counters.errors += 1
    endClient(this.#socket, response)
    this.#place.waitingEnded(this, reason)
  }

  #dialled(outcome: DialOutcome): void {
    const binding = this.#binding
    this.#cancelDial = undefined
    this.#binding = undefined
    if (!binding) return
    if (outcome.kind === 'failed') {
      const { name, host, port } = binding.target
      this.#trouble = `"${name}" at ${host}:${port}: ${outcome.text}`
      this.#place.dialFailed(binding)
      this.attempt()
      return
    }
    const { socket: backend, first } = outcome
    switch (fateOfOffer({ client: this.#socket, backend }, first)) {
      case 'PASS':
        return this.#join({ binding, backend, fromBackend: first })
      case 'HIDE':
        return this.#join({ binding, backend, fromBackend: withoutOffer(first) })
      case 'ANSWER':
        // It has answered: nobody else is to wait for what this client does now.
        this.#place.dialAbandoned(binding)
        this.#binding = binding
        this.#logIn(backend, first)
    }
  }

  #join(join: Omit<Join, 'client' | 'fromClient'>, fromClient = this.#early): void {
    this.#leave()
    this.#place.joined(this, { ...join, client: this.#socket, fromClient })
  }

  #logIn(backend: Socket, first: Buffer): void {
    const startup = parseStartup(this.#packet)
    const user = startup.kind === 'startup' ? (startup.parameters.get('user') ?? '') : ''
    const login = new LoginOnBehalf({ client: this.#socket, backend, first, user }, (outcome) =>
      this.#loggedIn(outcome, backend, first),
    )
    this.#cancelDial = () => {
      login.cancel()
      backend.destroy()
    }
    login.begin(this.#place.findBasis, () => {
      this.#isAsked = true
      this.#stopTimer()
      this.#socket.off('data', this.#onData)
      return this.#early
    })
  }

  #loggedIn(outcome: BehalfOutcome, backend: Socket, first: Buffer): void {
    const binding = this.#binding
    if (!binding || this.#over) return void backend.destroy()
    switch (outcome.kind) {
      case 'in':
        this.#cancelDial = undefined
        this.#binding = undefined
        return this.#join({ binding, backend, fromBackend: outcome.fromBackend }, outcome.fromClient)
      case 'unknown':
        this.#cancelDial = undefined
        this.#binding = undefined
        return this.#join({ binding, backend, fromBackend: withoutOffer(first) })
      case 'refused':
        return this.#end('BACKEND_CLOSED', outcome.response)
      case 'lost':
        if (outcome.side === 'client') return this.#onLeft()
        return this.refuse(outcome.side === 'time' ? 'STARTUP_TIMEOUT' : 'BACKEND_LOST')
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#early = this.#early.length === 0 ? chunk : Buffer.concat([this.#early, chunk])
    if (this.#early.length > EARLY_BYTES_MAX) this.#socket.pause()
  }

  readonly #onLeft = (): void => {
    if (this.#over) return
    this.#leave()
    this.#early = NOTHING
    endClient(this.#socket)
    this.#place.waitingEnded(this, 'CLIENT_LEFT')
  }

  #abandonDial(): void {
    this.#cancelDial?.()
    this.#cancelDial = undefined
    if (this.#binding) this.#place.dialAbandoned(this.#binding)
    this.#binding = undefined
  }

  #leave(): void {
    this.#over = true
    this.#stopTimer()
    this.#abandonDial()
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onLeft)
    this.#socket.off('close', this.#onLeft)
  }

  #whyItWaited(): string {
    const waited = `Waited ${this.#place.holdTimeoutMs} ms`
    const trouble = this.#trouble === undefined ? '' : `; last attempt: ${this.#trouble}`
    if (this.#binding) {
      const { name, host, port } = this.#binding.target
      return `${waited}: "${name}" at ${host}:${port} has not answered${trouble}`
    }
    return `${waited}: ${waitText(this.#waitsFor)}${trouble}`
  }
}

function waitText(reason: WaitReason): string {
  switch (reason) {
    case 'NO_TABLE':
      return 'no member has said yet who the primary is'
    case 'NO_PRIMARY':
      return 'the cluster has no primary'
    case 'SWITCHOVER':
      return 'a switchover is under way'
    case 'TABLE_EXPIRED':
      return 'nobody could prove that the last known primary still is one'
    case 'BACKEND_UNAVAILABLE':
      return 'PostgreSQL takes no connections'
  }
}
