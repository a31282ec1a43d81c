import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import { KiB, MINUTE } from '../../std/units.ts'
import { buildAuthentication, parseAuthentication } from '../../wire/authentication.ts'
import { buildErrorResponse, buildFatalResponse } from '../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../wire/frame.ts'
import { loginImpossible, ServerProof } from '../backend/server-proof.ts'
import { askForProof, type ProofBasis, type ProofOutcome } from '../pool/client-proof.ts'
import { findOffer } from './channel-offer.ts'

/** What a client's proof is judged by, asked of PostgreSQL or of a list; nothing where that is not known. */
export type FindBasis = (user: string, answer: (basis: ProofBasis | undefined) => void) => void

export type BehalfOutcome =
  /** PostgreSQL let it in: what both sides have said since. */
  | { readonly kind: 'in'; readonly fromBackend: Buffer; readonly fromClient: Buffer }
  /** Nothing was said to the client yet, and nothing can be judged here. */
  | { readonly kind: 'unknown' }
  /** The client's last words. */
  | { readonly kind: 'refused'; readonly response: Buffer }
  | { readonly kind: 'lost'; readonly side: 'client' | 'backend' | 'time' }

/** As long as PostgreSQL waits (authentication_timeout). */
const LOGIN_MS = MINUTE
const MESSAGE_BYTES_MAX = 64 * KiB
const AUTHENTICATION = messageType('R')
const ERROR = messageType('E')

/**
 * Logs a client of a session in where TLS ends at the router on both sides: the client proves to us who it is, bound to our certificate,
 * and we prove it to PostgreSQL with what that gave away, bound to PostgreSQL's. It asks what PostgreSQL asked for, and PostgreSQL still
 * judges; whatever follows is between the two.
 */
export class LoginOnBehalf {
  readonly #client: Socket
  readonly #backend: Socket
  readonly #first: Buffer
  readonly #user: string
  readonly #done: (outcome: BehalfOutcome) => void
  readonly #reader = new MessageReader({ limitBytes: MESSAGE_BYTES_MAX })
  readonly #stopTimer: () => void
  #stopAsking: () => void = () => {}
  #proof: ServerProof | undefined
  #fromClient: Buffer = Buffer.alloc(0)
  #over = false

  constructor(
    parts: {
      readonly client: Socket
      readonly backend: Socket
      readonly first: Buffer
      readonly user: string
    },
    done: (outcome: BehalfOutcome) => void,
  ) {
    this.#client = parts.client
    this.#backend = parts.backend
    this.#first = parts.first
    this.#user = parts.user
    this.#done = done
    this.#stopTimer = after(LOGIN_MS, () => this.#finish({ kind: 'lost', side: 'time' }))
    this.#backend.on('close', this.#onLost)
  }

  /** `takeClient`: from then on nobody else listens or speaks to the client; what it has sent already. */
  begin(findBasis: FindBasis, takeClient: () => Buffer): void {
    findBasis(this.#user, (basis) => {
      if (this.#over) return
      if (basis?.kind !== 'scram') return this.#finish({ kind: 'unknown' })
      const early = takeClient()
      const offer = findOffer(this.#first)
      if (offer && offer.at > 0) this.#client.write(this.#first.subarray(0, offer.at))
      this.#stopAsking = askForProof(this.#client, { basis, early }, (outcome) => this.#proved(outcome))
    })
  }

  /** Ends it silently; both sockets are the caller's. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.#stopTimer()
    this.#stopAsking()
    this.#backend.off('close', this.#onLost)
    this.#backend.off('data', this.#onData)
    this.#backend.off('end', this.#onLost)
    this.#backend.pause()
  }

  #finish(outcome: BehalfOutcome): void {
    if (this.#over) return
    this.cancel()
    this.#done(outcome)
  }

  readonly #onLost = (): void => {
    this.#finish({ kind: 'lost', side: 'backend' })
  }

  #proved(outcome: ProofOutcome): void {
    this.#stopAsking = () => {}
    switch (outcome.kind) {
      case 'left':
        return this.#finish({ kind: 'lost', side: 'client' })
      case 'failed': {
        const text = `password authentication failed for user "${this.#user}"`
        return this.#finish({
          kind: 'refused',
          response: buildFatalResponse({ sqlState: '28P01', message: text }),
        })
      }
      case 'proved':
        this.#fromClient = outcome.rest
        this.#proof = new ServerProof(this.#backend, { user: this.#user, secret: outcome.secret })
        this.#backend.on('data', this.#onData)
        this.#backend.on('end', this.#onLost)
        this.#onData(this.#first)
        if (!this.#over) this.#backend.resume()
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk)
    try {
      for (let next = this.#reader.next(); next; next = this.#over ? undefined : this.#reader.next()) {
        this.#take(next.type, next.body)
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#onLost()
    }
  }

  #take(type: number, body: Buffer): void {
    if (type === ERROR) return this.#finish({ kind: 'refused', response: message('E', body) })
    const request = type === AUTHENTICATION ? parseAuthentication(body) : undefined
    if (!request) return
    if (request.kind === 'ok') {
      const fromBackend = Buffer.concat([buildAuthentication(request), this.#reader.takeRest()])
      return this.#finish({ kind: 'in', fromBackend, fromClient: this.#fromClient })
    }
    const step = this.#proof?.answer(request)
    if (step?.kind === 'send') this.#backend.write(message('p', step.body))
    if (step?.kind === 'missing') {
      const response = buildErrorResponse(loginImpossible(this.#user, step.what))
      this.#finish({ kind: 'refused', response })
    }
  }
}
