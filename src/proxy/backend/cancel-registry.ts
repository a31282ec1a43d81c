import { connect, type Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { buildCancelRequest, type CancelKey } from '../../wire/startup.ts'
import type { Binding } from '../router/choose-target.ts'

/** Cancel requests that may be under way at once: each is a connection, and anybody can send one. */
const CANCELS_MAX = 256
const CANCEL_TIMEOUT_MS = 5000

/** Something that runs on a backend; its binding may change while it lives. */
export interface CancelTarget {
  readonly binding: Binding
}

export type CancelOutcome = 'FORWARDED' | 'UNKNOWN_KEY' | 'PRIMARY_CLOSED' | 'TOO_MANY' | 'UNREACHABLE'

/** Which backend a secret key belongs to, for all ports: a cancel request comes on a connection of its own. */
export class CancelRegistry {
  readonly #sessions = new Map<string, CancelTarget>()
  readonly #underWay = new Set<Socket>()

  add(key: CancelKey, session: CancelTarget): void {
    this.#sessions.set(nameOf(key), session)
  }

  /** Does nothing when the key has gone to another session meanwhile. */
  remove(key: CancelKey, session: CancelTarget): void {
    const name = nameOf(key)
    if (this.#sessions.get(name) === session) this.#sessions.delete(name)
  }

  /**
   * Sends the request to the backend that owns the key; `done` follows when PostgreSQL has closed, as it does once the
   * signal was sent: libpq's caller relies on that order.
   */
  forward(key: CancelKey, primaryOpen: boolean, done: (outcome: CancelOutcome) => void): void {
    const session = this.#sessions.get(nameOf(key))
    if (!session) return done('UNKNOWN_KEY')
    this.send({ binding: session.binding, key, primaryOpen }, done)
  }

  /** Sends a request to a backend; `done` as with `forward`. */
  send(
    cancel: { readonly binding: Binding; readonly key: CancelKey; readonly primaryOpen: boolean },
    done: (outcome: CancelOutcome) => void,
  ): void {
    const { binding, key, primaryOpen } = cancel
    if (binding.role === 'primary' && !primaryOpen) return done('PRIMARY_CLOSED')
    if (this.#underWay.size >= CANCELS_MAX) return done('TOO_MANY')
    const { host, port } = binding.target
    const socket = connect({ host, port, noDelay: true })
    this.#underWay.add(socket)
    let outcome: CancelOutcome = 'UNREACHABLE'
    const stopTimer = after(CANCEL_TIMEOUT_MS, () => socket.destroy())
    socket.on('connect', () => {
      outcome = 'FORWARDED'
      socket.write(buildCancelRequest(key))
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      stopTimer()
      this.#underWay.delete(socket)
      done(outcome)
    })
    socket.resume()
  }

  close(): void {
    for (const socket of this.#underWay) socket.destroy()
  }
}

function nameOf(key: CancelKey): string {
  return `${key.processId} ${key.secret.toString('latin1')}`
}
