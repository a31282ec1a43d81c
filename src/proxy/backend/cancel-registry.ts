import { after } from '../../platform/timers.ts'
import { buildCancelRequest, type CancelKey } from '../../wire/startup.ts'
import { ignoreError } from '../frontend/end-client.ts'
import type { Binding } from '../router/choose-target.ts'
import type { ServerTls } from '../tls/router-tls.ts'
import { openBackend } from './open-backend.ts'

/** Cancel requests that may be under way at once: each is a connection, and anybody can send one. */
const CANCELS_MAX = 256
const CANCEL_TIMEOUT_MS = 5000

/** Something that runs on a backend; its binding may change while it lives. */
export interface CancelTarget {
  readonly binding: Binding
}

export type CancelOutcome = 'FORWARDED' | 'UNKNOWN_KEY' | 'PRIMARY_CLOSED' | 'TOO_MANY' | 'UNREACHABLE'

type Attempt = { end: () => void }

/** Which backend a secret key belongs to, for all ports: a cancel request comes on a connection of its own. */
export class CancelRegistry {
  readonly #sessions = new Map<string, CancelTarget>()
  readonly #underWay = new Set<Attempt>()
  readonly #tls: () => ServerTls | undefined

  constructor(tls: () => ServerTls | undefined) {
    this.#tls = tls
  }

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
    let outcome: CancelOutcome = 'UNREACHABLE'
    const finish = (): void => {
      stopTimer()
      if (this.#underWay.delete(attempt)) done(outcome)
    }
    const stopTimer = after(CANCEL_TIMEOUT_MS, () => attempt.end())
    const stopOpening = openBackend(binding.target, this.#tls(), (opened) => {
      if (opened.kind === 'failed') return finish()
      const { socket } = opened
      outcome = 'FORWARDED'
      attempt.end = () => socket.destroy()
      socket.on('error', ignoreError)
      socket.on('end', () => socket.end())
      socket.on('close', finish)
      socket.write(buildCancelRequest(key))
      socket.resume()
    })
    const attempt: Attempt = {
      end: () => {
        stopOpening()
        finish()
      },
    }
    this.#underWay.add(attempt)
  }

  close(): void {
    for (const attempt of this.#underWay) attempt.end()
  }
}

function nameOf(key: CancelKey): string {
  return `${key.processId} ${key.secret.toString('latin1')}`
}
