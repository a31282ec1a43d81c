import { md5Password } from '../auth/md5-password.ts'
import { SCRAM_SHA_256, scramClientFinal, scramClientFirst, scramVerifyServer } from '../auth/scram.ts'
import { hmacSha256, md5Hex, pbkdf2Sha256, sha256 } from '../platform/hash.ts'
import { connectWithin, type Socket } from '../platform/net.ts'
import { randomBytes } from '../platform/random.ts'
import { afterUnheld } from '../platform/timers.ts'
import { Fault, messageOf } from '../std/fault.ts'
import {
  parseAuthentication,
  passwordBody,
  saslInitialBody,
  saslResponseBody,
  type AuthenticationRequest,
} from '../wire/authentication.ts'
import { parseErrorResponse } from '../wire/error-response.ts'
import { message, MessageReader, type Message } from '../wire/frame.ts'
import { parseDataRow, parseRowDescription } from '../wire/replication.ts'
import { buildStartup } from '../wire/startup.ts'

export type ReplicationTarget = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly applicationName: string
}

export type ReplicationRow = Readonly<Record<string, string | null>>

/** A server that says nothing for this long is given up: every command sends rows, data or progress more often. */
const SILENCE_MS = 60_000

/**
 * A physical replication connection: what the driver for SQL does not speak. One command at a time. Every read is bounded by
 * `silenceMs`; aborting `signal` ends the connection.
 */
export class ReplicationConnection {
  readonly #socket: Socket
  readonly #chunks: AsyncIterator<Buffer>
  readonly #reader = new MessageReader()
  readonly #target: ReplicationTarget
  readonly #silenceMs: number

  private constructor(socket: Socket, target: ReplicationTarget, silenceMs: number) {
    this.#socket = socket
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    this.#target = target
    this.#silenceMs = silenceMs
  }

  /** Throws `REPLICATION_CONNECT_FAILED` or `REPLICATION_REFUSED` (the server's own words). */
  static async open(
    target: ReplicationTarget,
    options: { connectTimeoutMs: number; silenceMs?: number; signal?: AbortSignal | undefined },
  ): Promise<ReplicationConnection> {
    let socket: Socket
    try {
      socket = await connectWithin({ host: target.host, port: target.port }, options.connectTimeoutMs)
    } catch (error) {
      throw new Fault(
        'REPLICATION_CONNECT_FAILED',
        `Cannot connect to ${target.host}:${target.port}: ${messageOf(error)}`,
        { cause: error, retryable: true },
      )
    }
    const connection = new ReplicationConnection(socket, target, options.silenceMs ?? SILENCE_MS)
    socket.on('error', () => {})
    const { signal } = options
    if (signal) {
      const abort = () => connection.close()
      signal.addEventListener('abort', abort, { once: true })
      socket.once('close', () => signal.removeEventListener('abort', abort))
      if (signal.aborted) connection.close()
    }
    try {
      await connection.#startUp()
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  close(): void {
    this.#socket.destroy()
  }

  /** All rows of a command that answers with one result. */
  async ask(command: string): Promise<readonly ReplicationRow[]> {
    this.send(command)
    const rows = await this.readResult()
    await this.readUntilReady()
    return rows
  }

  send(command: string): void {
    this.#socket.write(message('Q', Buffer.from(`${command}\0`, 'utf8')))
  }

  /** One result: its description, its rows, its completion. */
  async readResult(): Promise<readonly ReplicationRow[]> {
    const rows: ReplicationRow[] = []
    let names: readonly string[] = []
    for (;;) {
      const { type, body } = await this.next()
      switch (String.fromCharCode(type)) {
        case 'T':
          names = parseRowDescription(body) ?? malformed('row description')
          break
        case 'D': {
          const values = parseDataRow(body) ?? malformed('row')
          rows.push(Object.fromEntries(names.map((name, index) => [name, values[index] ?? null])))
          break
        }
        case 'C':
          return rows
        default:
          throw unexpected(type, 'a result')
      }
    }
  }

  async readUntilReady(): Promise<void> {
    for (;;) {
      const { type } = await this.next()
      if (type === READY) return
    }
  }

  /** The next message; notices and parameters are passed over, an error is thrown with the server's fields. */
  async next(): Promise<Message> {
    for (;;) {
      const found = this.#reader.next()
      if (!found) {
        this.#reader.push(await this.#chunk())
        continue
      }
      if (found.type === ERROR) throw this.#refusal(found.body)
      if (found.type !== NOTICE && found.type !== PARAMETER && found.type !== NOTIFICATION) return found
    }
  }

  async #chunk(): Promise<Buffer> {
    let silent = false
    const stop = afterUnheld(this.#silenceMs, () => {
      silent = true
      this.close()
    })
    try {
      const { value, done } = await this.#chunks.next()
      if (!done && value) return value
      throw new Error(silent ? `silent for ${this.#silenceMs} ms` : 'it closed the connection')
    } catch (error) {
      const { host, port } = this.#target
      throw new Fault('REPLICATION_LOST', `Cannot go on with ${host}:${port}: ${messageOf(error)}`, {
        cause: error,
        retryable: true,
      })
    } finally {
      stop()
    }
  }

  async #startUp(): Promise<void> {
    const { user, applicationName } = this.#target
    this.#socket.write(
      buildStartup({ user, replication: 'true', application_name: applicationName, client_encoding: 'UTF8' }),
    )
    await this.#authenticate()
    await this.readUntilReady()
  }

  async #authenticate(): Promise<void> {
    for (;;) {
      const request = await this.#nextRequest()
      switch (request.kind) {
        case 'ok':
          return
        case 'cleartext':
          this.#answer(passwordBody(this.#target.password))
          break
        case 'md5': {
          const { user, password } = this.#target
          this.#answer(passwordBody(md5Password({ user, password, salt: request.salt, md5Hex })))
          break
        }
        case 'sasl':
          if (!request.mechanisms.includes(SCRAM_SHA_256)) {
            throw this.#unsupported(`SASL with ${request.mechanisms.join(', ')}`)
          }
          await this.#scram()
          break
        case 'unsupported':
          throw this.#unsupported(`authentication method ${request.code}`)
        case 'saslContinue':
        case 'saslFinal':
          throw this.#unsupported(`"${request.kind}" out of turn`)
      }
    }
  }

  async #scram(): Promise<void> {
    const first = scramClientFirst({ nonce: randomBytes(18).toString('base64') })
    this.#answer(saslInitialBody(SCRAM_SHA_256, first.message))
    const challenge = await this.#nextRequest()
    if (challenge.kind !== 'saslContinue') throw this.#unsupported(`"${challenge.kind}" out of turn`)
    const hashes = { sha256, hmacSha256, pbkdf2Sha256 }
    const final = scramClientFinal(first, {
      serverFirst: challenge.data,
      secret: { kind: 'password', password: this.#target.password },
      hashes,
    })
    if (final.kind === 'failed') throw this.#unsupported(final.reason)
    this.#answer(saslResponseBody(final.message))
    const end = await this.#nextRequest()
    if (end.kind !== 'saslFinal') throw this.#unsupported(`"${end.kind}" out of turn`)
    const verdict = scramVerifyServer(final, end.data)
    if (verdict.kind === 'failed') throw this.#unsupported(verdict.reason)
  }

  async #nextRequest(): Promise<AuthenticationRequest> {
    const { type, body } = await this.next()
    if (type !== AUTHENTICATION) throw unexpected(type, 'an authentication request')
    return parseAuthentication(body) ?? malformed('authentication request')
  }

  #answer(body: Buffer): void {
    this.#socket.write(message('p', body))
  }

  #refusal(body: Buffer): Fault {
    const fields = parseErrorResponse(body)
    const { host, port } = this.#target
    return new Fault(
      'REPLICATION_REFUSED',
      `Cannot replicate from ${host}:${port}: ${fields['M'] ?? 'unknown error'}`,
      { details: { sqlState: fields['C'], detail: fields['D'], hint: fields['H'] }, retryable: true },
    )
  }

  #unsupported(what: string): Fault {
    const { host, port } = this.#target
    return new Fault('REPLICATION_REFUSED', `Cannot log in at ${host}:${port}: ${what}`)
  }
}

const READY = 0x5a
const ERROR = 0x45
const NOTICE = 0x4e
const PARAMETER = 0x53
const NOTIFICATION = 0x41
const AUTHENTICATION = 0x52

function malformed(what: string): never {
  throw new Fault('REPLICATION_PROTOCOL', `Cannot read the server's ${what}: it is malformed`)
}

function unexpected(type: number, wanted: string): Fault {
  return new Fault(
    'REPLICATION_PROTOCOL',
    `Cannot go on: the server sent message "${String.fromCharCode(type)}", ${wanted} was wanted`,
  )
}
