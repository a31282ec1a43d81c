import { md5Answer, md5Password } from '../../auth/md5-password.ts'
import {
  SCRAM_SHA_256,
  scramClientFinal,
  scramClientFirst,
  scramVerifyServer,
  type ScramFinal,
  type ScramFirst,
  type ScramSecret,
} from '../../auth/scram.ts'
import { hmacSha256, md5Hex, pbkdf2Sha256, sha256 } from '../../platform/hash.ts'
import type { Socket } from '../../platform/net.ts'
import { randomBytes } from '../../platform/random.ts'
import { after } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import {
  parseAuthentication,
  passwordBody,
  saslInitialBody,
  saslResponseBody,
  type AuthenticationRequest,
} from '../../wire/authentication.ts'
import { parseErrorResponse, type ErrorFields } from '../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../wire/frame.ts'
import { parseParameterStatus } from '../../wire/session-state.ts'
import { buildStartup, parseBackendKey, type CancelKey } from '../../wire/startup.ts'
import { dial } from '../backend/dial.ts'
import type { Binding } from '../router/choose-target.ts'
import { SessionSettings } from './tracked-settings.ts'

/** What logs in at PostgreSQL. */
export type ServerSecret =
  | ScramSecret
  | { readonly kind: 'md5'; readonly stored: string }
  | { readonly kind: 'none' }

export type LoginOptions = {
  readonly binding: Binding
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
const HASHES = { sha256, hmacSha256, pbkdf2Sha256 }
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
  const cancelDial = dial(
    { target: options.binding.target, startup, timeoutMs: options.timeoutMs, maySend: options.maySend },
    (outcome) => {
      if (outcome.kind === 'failed') return done({ kind: 'unreachable', text: outcome.text })
      conversation = new LoginConversation(outcome.socket, options, done)
      conversation.start(outcome.first)
    },
  )
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
  readonly #stopTimer: () => void
  #key: CancelKey | undefined
  #scram: { readonly first: ScramFirst; readonly final?: ScramFinal } | undefined
  #over = false

  constructor(socket: Socket, options: LoginOptions, done: (outcome: LoginOutcome) => void) {
    this.#socket = socket
    this.#options = options
    this.#done = done
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
    const { secret, user } = this.#options
    switch (request.kind) {
      case 'ok':
        return
      case 'cleartext':
        if (secret.kind !== 'password') return this.#missing('the password itself')
        return this.#send(passwordBody(secret.password))
      case 'md5': {
        const { salt } = request
        if (secret.kind === 'md5')
          return this.#send(passwordBody(md5Answer({ stored: secret.stored, salt, md5Hex })))
        if (secret.kind !== 'password') return this.#missing('a password or its md5 hash')
        return this.#send(passwordBody(md5Password({ user, password: secret.password, salt, md5Hex })))
      }
      case 'sasl': {
        if (!request.mechanisms.includes(SCRAM_SHA_256)) return this.#missing(request.mechanisms.join(', '))
        if (secret.kind === 'none' || secret.kind === 'md5') return this.#missing('a password or SCRAM keys')
        const first = scramClientFirst({ nonce: randomBytes(18).toString('base64') })
        this.#scram = { first }
        return this.#send(saslInitialBody(SCRAM_SHA_256, first.message))
      }
      case 'saslContinue':
        return this.#scramContinue(request.data)
      case 'saslFinal': {
        const final = this.#scram?.final
        const verdict = final && scramVerifyServer(final, request.data)
        if (verdict?.kind !== 'ok') this.#missing('a server that knows the password')
        return
      }
      case 'unsupported':
        return this.#missing(`authentication method ${request.code}`)
    }
  }

  #scramContinue(serverFirst: string): void {
    const { secret } = this.#options
    const first = this.#scram?.first
    if (!first || secret.kind === 'none' || secret.kind === 'md5')
      return this.#missing('a SCRAM exchange in order')
    const final = scramClientFinal(first, { serverFirst, secret, hashes: HASHES })
    if (final.kind === 'failed') return this.#missing(final.reason)
    this.#scram = { first, final }
    this.#send(saslResponseBody(final.message))
  }

  #send(body: Buffer): void {
    this.#socket.write(message('p', body))
  }

  /** The router cannot do what PostgreSQL asks for. */
  #missing(what: string): void {
    this.#refused({
      S: 'FATAL',
      V: 'FATAL',
      C: '28000',
      M: `Cannot log in to PostgreSQL as user "${this.#options.user}"`,
      D: `PostgreSQL wants what the router does not have: ${what}`,
    })
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
