import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import { parseAuthentication, type AuthenticationRequest } from '../../wire/authentication.ts'
import { parseErrorResponse, type ErrorFields } from '../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../wire/frame.ts'
import { parseParameterStatus } from '../../wire/session-state.ts'
import { buildStartup, parseBackendKey, type CancelKey } from '../../wire/startup.ts'
import { dial } from '../backend/dial.ts'
import { loginImpossible, ServerProof, type ServerSecret } from '../backend/server-proof.ts'
import type { Binding } from '../router/choose-target.ts'
import type { ServerTls } from '../tls/router-tls.ts'
import { SessionSettings } from './tracked-settings.ts'

export type LoginOptions = {
  readonly binding: Binding
  readonly tls: ServerTls | undefined
  readonly user: string
  readonly database: string
  readonly parameters: ReadonlyMap<string, string>
  readonly secret: ServerSecret
  readonly timeoutMs: number
  /** Asked before the first byte is sent. */
  readonly maySend: () => boolean
}

export type LoginOutcome =
  | {
      readonly kind: 'ready'
      readonly socket: Socket
      readonly key: CancelKey | undefined
      readonly parameters: SessionSettings
    }
  | { readonly kind: 'unreachable'; readonly text: string }
  /** PostgreSQL refused, or what it wants is not there. */
  | { readonly kind: 'refused'; readonly fields: ErrorFields }

/** What a server may say before it is ready. */
const LOGIN_MESSAGE_BYTES_MAX = 64 * 1024
const AUTHENTICATION = messageType('R')
const ERROR = messageType('E')
const PARAMETER = messageType('S')
const KEY = messageType('K')
const READY = messageType('Z')

/** Connects and logs in. `done` is called once, unless the returned function is called before: then it ends silently. */
export function logIn(options: LoginOptions, done: (outcome: LoginOutcome) => void): () => void {
  const startup = buildStartup(
    new Map([['user', options.user], ['database', options.database], ...options.parameters]),
  )
  let conversation: LoginConversation | undefined
  const cancelDial = dial({ ...options, target: options.binding.target, startup }, (outcome) => {
    if (outcome.kind === 'failed') return done({ kind: 'unreachable', text: outcome.text })
    conversation = new LoginConversation(outcome.socket, options, done)
    conversation.start(outcome.first)
  })
  return () => {
    if (conversation) conversation.abandon()
    else cancelDial()
  }
}

/** What is said between the first answer and ReadyForQuery. */
class LoginConversation {
  readonly #socket: Socket
  readonly #options: LoginOptions
  readonly #done: (outcome: LoginOutcome) => void
  readonly #reader = new MessageReader({ limitBytes: LOGIN_MESSAGE_BYTES_MAX })
  readonly #parameters = new SessionSettings()
  readonly #proof: ServerProof
  readonly #stopTimer: () => void
  #key: CancelKey | undefined
  #over = false

  constructor(socket: Socket, options: LoginOptions, done: (outcome: LoginOutcome) => void) {
    this.#socket = socket
    this.#options = options
    this.#done = done
    this.#proof = new ServerProof(socket, options)
    this.#stopTimer = after(options.timeoutMs, () =>
      this.#unreachable(`no login within ${options.timeoutMs} ms`),
    )
  }

  start(first: Buffer): void {
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', this.#onEnd)
    this.#socket.on('close', this.#onEnd)
    this.#onData(first)
    if (!this.#over) this.#socket.resume()
  }

  abandon(): void {
    if (this.#leave()) this.#socket.destroy()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk)
    try {
      for (let next = this.#reader.next(); next && !this.#over; next = this.#reader.next()) {
        this.#take(next.type, next.body)
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#unreachable(error.message)
    }
  }

  readonly #onEnd = (): void => {
    this.#unreachable('it closed the connection during the login')
  }

  #take(type: number, body: Buffer): void {
    switch (type) {
      case AUTHENTICATION: {
        const request = parseAuthentication(body)
        if (request) return this.#answer(request)
        return this.#unreachable('it sent a malformed authentication request')
      }
      case ERROR:
        return this.#refused(parseErrorResponse(body))
      case PARAMETER: {
        const status = parseParameterStatus(body)
        if (status) this.#parameters.set(status.name, status.value)
        return
      }
      case KEY:
        this.#key = parseBackendKey(body)
        return
      case READY:
        if (!this.#leave()) return
        this.#socket.pause()
        this.#done({ kind: 'ready', socket: this.#socket, key: this.#key, parameters: this.#parameters })
    }
  }

  #answer(request: AuthenticationRequest): void {
    const step = this.#proof.answer(request)
    if (step.kind === 'send') this.#socket.write(message('p', step.body))
    if (step.kind === 'missing') this.#missing(step.what)
  }

  #missing(what: string): void {
    this.#refused(loginImpossible(this.#options.user, what))
  }

  #refused(fields: ErrorFields): void {
    if (!this.#leave()) return
    this.#socket.destroy()
    this.#done({ kind: 'refused', fields })
  }

  #unreachable(text: string): void {
    if (!this.#leave()) return
    this.#socket.destroy()
    this.#done({ kind: 'unreachable', text })
  }

  /** False when it was over already. */
  #leave(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#stopTimer()
    this.#socket.off('data', this.#onData)
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('close', this.#onEnd)
    return true
  }
}
