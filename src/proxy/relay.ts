import type { Socket } from '../platform/net.ts'
import type { CancelKey } from '../wire/startup.ts'
import type { CancelRegistry } from './backend/cancel-registry.ts'
import { closeResponse, type CloseReason } from './close-reason.ts'
import { endClient } from './frontend/end-client.ts'
import type { PortCounters } from './port-counters.ts'
import type { Binding } from './router/choose-target.ts'
import { SessionProgress } from './session-progress.ts'

/** What a relay needs from the router around it. */
export interface RelayPlace {
  /** Whether bytes may pass to and from the primary at this moment. */
  primaryOpen(): boolean
  relayEnded(relay: Relay, reason: CloseReason): void
  readonly cancels: CancelRegistry
}

export type RelayParts = {
  readonly client: Socket
  readonly backend: Socket
  readonly binding: Binding
  readonly counters: PortCounters
}

/**
 * One client joined to one backend: bytes pass in both directions as they are, each direction slowed to the speed of
 * its receiver. While the primary's right is not proven, nothing passes in either direction; what was read meanwhile
 * (at most one chunk each way) is kept and passes first afterwards.
 */
export class Relay {
  readonly counters: PortCounters
  readonly #client: Socket
  readonly #backend: Socket
  readonly #place: RelayPlace
  readonly #progress: SessionProgress
  #binding: Binding
  #key: CancelKey | undefined
  #held = false
  #draining = false
  /** Bytes passed since the last look of a drain. */
  #touched = true
  #heldToBackend: Buffer | undefined
  #heldToClient: Buffer | undefined
  #clientEnded = false
  #backendEnded = false
  #ended = false

  constructor(parts: RelayParts, place: RelayPlace) {
    this.#client = parts.client
    this.#backend = parts.backend
    this.#binding = parts.binding
    this.counters = parts.counters
    this.#place = place
    this.#progress = new SessionProgress(parts.counters, (key) => this.#learnKey(key))
  }

  get binding(): Binding {
    return this.#binding
  }

  /** Whether it waits for the primary's right to be proven again. */
  get isHeld(): boolean {
    return this.#held
  }

  /** No statement in flight and no transaction open. */
  get isIdle(): boolean {
    return this.#progress.isIdle
  }

  /** Whether it ends as soon as nothing is in flight. */
  get isDraining(): boolean {
    return this.#draining && !this.#ended
  }

  rebind(binding: Binding): void {
    this.#binding = binding
  }

  /** Begins with what both sides had already said. */
  start(fromBackend: Buffer, fromClient: Buffer): void {
    const client = this.#client
    const backend = this.#backend
    client.on('data', this.#onClientData)
    client.on('drain', this.#onClientDrain)
    client.on('end', this.#onClientEnd)
    client.on('close', this.#onClientClose)
    backend.on('data', this.#onBackendData)
    backend.on('drain', this.#onBackendDrain)
    backend.on('end', this.#onBackendEnd)
    backend.on('close', this.#onBackendEnd)
    client.resume()
    backend.resume()
    this.#onBackendData(fromBackend)
    if (fromClient.length > 0) this.#onClientData(fromClient)
  }

  /** Stops both directions until `release`. */
  hold(): void {
    if (this.#held || this.#ended) return
    this.#held = true
    this.#client.pause()
    this.#backend.pause()
  }

  /** Lets both directions go on, what was kept first. */
  release(): void {
    if (!this.#held || this.#ended) return
    this.#held = false
    const toBackend = this.#heldToBackend
    const toClient = this.#heldToClient
    this.#heldToBackend = undefined
    this.#heldToClient = undefined
    // Order: what was kept goes before anything that is still in the sockets.
    if (!this.#client.writableNeedDrain) this.#backend.resume()
    if (!this.#backend.writableNeedDrain) this.#client.resume()
    if (toClient) this.#onBackendData(toClient)
    if (toBackend && !this.#ended) this.#onClientData(toBackend)
    if (this.#held || this.#ended) return
    if (this.#clientEnded) this.#backend.end()
    if (this.#backendEnded) this.#onBackendEnd()
  }

  /**
   * Ends the session between two transactions, right behind the answer that ended one: whoever reads that answer reads this as well
   * before it asks anything. One that is told `false` goes on.
   */
  drain(draining: boolean): void {
    this.#draining = draining
    this.#touched = true
  }

  /** A look at a session that drains: ends it when nothing passed since the last look and nothing is in flight. */
  endIfQuiet(): void {
    if (!this.#draining || this.#held) return
    if (!this.#touched && this.#progress.isIdle) this.#finish('PRIMARY_MOVES')
    this.#touched = false
  }

  /** Ends the session from our side. */
  cut(reason: CloseReason): void {
    this.#finish(reason)
  }

  readonly #onClientData = (chunk: Buffer): void => {
    if (this.#ended) return
    if (this.#mustHold()) {
      this.#heldToBackend = this.#heldToBackend ? Buffer.concat([this.#heldToBackend, chunk]) : chunk
      return
    }
    this.#touched = true
    this.#progress.scanToBackend(chunk)
    if (!this.#backend.write(chunk)) this.#client.pause()
  }

  readonly #onBackendData = (chunk: Buffer): void => {
    if (this.#ended) return
    // Order: the right is judged when an answer is passed on, not when the statement was sent (safety.md 18).
    if (this.#mustHold()) {
      this.#heldToClient = this.#heldToClient ? Buffer.concat([this.#heldToClient, chunk]) : chunk
      return
    }
    this.#touched = true
    const mayTell = this.#progress.clientAtBorder
    this.#progress.scanToClient(chunk)
    if (this.#progress.isUnconfirmed) return this.#finish('COMMIT_UNCONFIRMED', mayTell)
    // A session that has only just begun has not been used yet: closed now, its client's first statement would fail.
    const isOver = this.#draining && this.#progress.isIdle && this.#progress.hasAnswered
    // In one piece: between the two the client could ask the next thing.
    if (isOver) this.#client.cork()
    if (!this.#client.write(chunk)) this.#backend.pause()
    if (isOver) this.#finish('PRIMARY_MOVES')
  }

  #mustHold(): boolean {
    if (this.#held) return true
    if (this.#binding.role !== 'primary' || this.#place.primaryOpen()) return false
    this.hold()
    return true
  }

  readonly #onClientDrain = (): void => {
    if (!this.#held && !this.#ended) this.#backend.resume()
  }

  readonly #onBackendDrain = (): void => {
    if (!this.#held && !this.#ended) this.#client.resume()
  }

  readonly #onClientEnd = (): void => {
    this.#clientEnded = true
    if (!this.#held && !this.#ended) this.#backend.end()
  }

  readonly #onClientClose = (): void => {
    this.#finish('CLIENT_LEFT')
  }

  readonly #onBackendEnd = (): void => {
    this.#backendEnded = true
    // Order: an end is reported only after the answers before it, and those wait for a proof.
    if (this.#held) return
    const explained = this.#clientEnded || this.#progress.endIsExplained
    this.#finish(explained ? 'BACKEND_CLOSED' : 'BACKEND_LOST')
  }

  #learnKey(key: CancelKey): void {
    if (this.#key) this.#place.cancels.remove(this.#key, this)
    this.#key = key
    this.#place.cancels.add(key, this)
  }

  /** `mayTell`: whether the client has whole messages only, so that one of ours can follow. */
  #finish(reason: CloseReason, mayTell = this.#progress.clientAtBorder): void {
    if (this.#ended) return
    this.#ended = true
    this.#heldToBackend = undefined
    this.#heldToClient = undefined
    if (this.#key) this.#place.cancels.remove(this.#key, this)
    this.#backend.destroy()
    this.#endClient(reason, mayTell)
    this.#place.relayEnded(this, reason)
  }

  #endClient(reason: CloseReason, mayTell: boolean): void {
    const client = this.#client
    // What an old primary said and a slow client has not taken yet is not to be said any more: reset drops it.
    if (reason === 'PRIMARY_CHANGED' && client.writableLength > 0 && !client.destroyed) {
      client.resetAndDestroy()
      return
    }
    const response = closeResponse(reason, { idle: this.#progress.isIdle })
    const told = mayTell ? response : undefined
    if (told) this.counters.errors += 1
    client.off('data', this.#onClientData)
    endClient(client, told)
  }
}
