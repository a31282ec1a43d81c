import type { Socket } from '../../platform/net.ts'
import { describeTls } from '../../platform/tls.ts'
import { KiB } from '../../std/units.ts'
import { isWaitCancelled, parseErrorResponse, type ErrorFields } from '../../wire/error-response.ts'
import { message, messageType } from '../../wire/frame.ts'
import { buildQuery, parseParameterStatus } from '../../wire/session-state.ts'
import type { CancelKey } from '../../wire/startup.ts'
import { ignoreError } from '../frontend/end-client.ts'
import type { Binding } from '../router/choose-target.ts'
import { ExpectedResponses } from './expected-responses.ts'
import { ServerStatements, type StatementRegistry } from './prepared-statements.ts'
import { ReadSwitch } from './read-switch.ts'
import type { SessionSettings } from './tracked-settings.ts'

/** The client that a server connection works for. */
export interface ServerUser {
  /** Bytes for the client; false when it should not get more for now. */
  forward(bytes: Buffer): boolean
  /** A statement (or batch) has ended; `status` is PostgreSQL's letter for the state of the transaction. */
  statementEnded(status: number): void
  settingChanged(name: string, value: string): void
  /** A statement has failed; what the client gets in place of PostgreSQL's words, if anything. */
  failed(fields: ErrorFields): Buffer | undefined
  /** DISCARD ALL or DEALLOCATE ALL was carried out. */
  statementsDiscarded(): void
  /** A whole chunk was passed on and nothing is owed any more. */
  serverAtRest(): void
  serverDrained(): void
  /** `fatal`: PostgreSQL's own last words, kept back. */
  serverLost(reason: ServerLoss, fatal?: ErrorFields): void
  /** Whether it wants to see FATAL errors itself, since its session ends with the server's. */
  readonly endsWithServer: boolean
}

export type ServerLoss =
  | 'BACKEND_LOST'
  | 'COMMIT_UNCONFIRMED'
  | 'PRIMARY_CHANGED'
  | 'TARGET_REMOVED'
  | 'VALIDITY_TIMEOUT'
  | 'ENDED_BY_ROUTER'

/** What it needs from the pool around it. */
export interface ServerOwner {
  /** Whether bytes may pass to and from whom it is bound to at this moment. */
  mayPass(binding: Binding): boolean
  serverEnded(server: ServerConnection): void
}

export type ServerParts = {
  readonly id: number
  readonly socket: Socket
  readonly binding: Binding
  readonly key: CancelKey | undefined
  readonly parameters: SessionSettings
  readonly now: number
}

type Verdict = 'PASS' | 'DROP' | 'AS_PARSED' | 'REPLACED' | 'UNCONFIRMED'

const READY = messageType('Z')
const ERROR = messageType('E')
const PARAMETER = messageType('S')
const COMPLETE = messageType('C')
const PARSE_COMPLETE = messageType('1')
const CLOSE_COMPLETE = messageType('3')
const COPY_IN = messageType('G')
const NOTICE = messageType('N')
/** The types whose meaning matters here; all others pass unread. */
const INTERESTING = new Uint8Array(256)
for (const type of [READY, ERROR, PARAMETER, COMPLETE, PARSE_COMPLETE, CLOSE_COMPLETE, COPY_IN, NOTICE])
  INTERESTING[type] = 1

/** A message of an interesting type that is longer passes unread: it is none that we would have to act on. */
const CAPTURE_BYTES_MAX = 64 * KiB
/** Pieces of this size in all are copied into one: handing them over one by one costs more. */
const JOINED_BYTES_MAX = 16 * KiB
const HEADER_BYTES = 5
const PARSED = message('1', Buffer.alloc(0))
const DISCARD_ALL = Buffer.from('DISCARD ALL\0')
const DEALLOCATE_ALL = Buffer.from('DEALLOCATE ALL\0')
const IDLE = messageType('I')

/**
 * A connection to PostgreSQL that has logged in. It works for one client at a time; between clients it runs what the
 * router itself has to say. Only headers are read, and bytes go on as the pieces that they came in.
 */
export class ServerConnection {
  readonly id: number
  /** Changes only where a replica lives on in a newer epoch. */
  binding: Binding
  readonly key: CancelKey | undefined
  readonly parameters: SessionSettings
  readonly statements: ServerStatements
  readonly expected = new ExpectedResponses()
  readonly connectedAt: number
  /** When it was given back last. */
  idleSince: number
  /** It goes as soon as nobody works with it. */
  isDoomed = false
  /** Its primary is about to move: the same, unless that is taken back. */
  isDraining = false
  /** PostgreSQL reads a COPY; until CopyDone it ignores Syncs. */
  copiesIn = false
  bytesReceived = 0
  readonly #socket: Socket
  readonly #reading: ReadSwitch
  readonly #owner: ServerOwner
  #user: ServerUser | undefined
  #internal: ((error?: ErrorFields) => void) | undefined
  #internalError: ErrorFields | undefined
  #status = IDLE
  #bodyLeft = 0
  #dropsChunk = false
  #partial: Buffer | undefined
  #held: Buffer | undefined
  #gathered: Buffer[] | undefined
  #isHeld = false
  #fatal: ErrorFields | undefined
  #replacement: Buffer | undefined
  #endSeen = false
  #ended = false

  constructor(parts: ServerParts, owner: ServerOwner, registry: StatementRegistry) {
    this.#socket = parts.socket
    this.#reading = new ReadSwitch(parts.socket)
    this.id = parts.id
    this.binding = parts.binding
    this.key = parts.key
    this.parameters = parts.parameters
    this.connectedAt = parts.now
    this.idleSince = parts.now
    this.#owner = owner
    this.statements = new ServerStatements(registry)
    const socket = parts.socket
    socket.on('error', ignoreError)
    socket.on('data', this.#onData)
    socket.on('drain', () => this.#user?.serverDrained())
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onEnd)
    this.resume()
  }

  get user(): ServerUser | undefined {
    return this.#user
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** What was passed on so far ends with a whole message: one of ours can follow. */
  get passedWholeMessages(): boolean {
    return this.#bodyLeft === 0
  }

  /** Between statements and outside of a transaction, with nothing of anybody under way. */
  get isClean(): boolean {
    return (
      !this.#ended &&
      this.#status === IDLE &&
      this.expected.isEmpty &&
      !this.copiesIn &&
      this.#bodyLeft === 0 &&
      this.#partial === undefined
    )
  }

  /** Empty without TLS. */
  get tls(): string {
    return describeTls(this.#socket)
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  get localAddress(): string {
    return this.#socket.localAddress ?? ''
  }

  /** It ends as soon as nobody works with it. */
  doom(): void {
    this.isDoomed = true
    if (!this.#user && this.isClean) this.end('ENDED_BY_ROUTER')
  }

  attach(user: ServerUser): void {
    this.#user = user
  }

  detach(): void {
    this.sendGathered()
    this.#user = undefined
    this.copiesIn = false
    this.resume()
  }

  /** False when PostgreSQL should not get more for now: `serverDrained` follows. */
  write(bytes: Buffer): boolean {
    if (this.#gathered === undefined) return this.#socket.write(bytes)
    this.#gathered.push(bytes)
    return true
  }

  /** Several pieces are to go out as one, with `sendGathered`. */
  gather(): void {
    this.#gathered ??= []
  }

  /** As `write`, of everything since `gather`. */
  sendGathered(): boolean {
    const pieces = this.#gathered
    if (pieces === undefined) return true
    this.#gathered = undefined
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    if (bytes <= JOINED_BYTES_MAX) return this.#socket.write(Buffer.concat(pieces, bytes))
    this.#socket.cork()
    for (const piece of pieces) this.#socket.write(piece)
    this.#socket.uncork()
    return !this.#socket.writableNeedDrain
  }

  pause(): void {
    this.#reading.off()
  }

  resume(): void {
    if (!this.#isHeld) this.#reading.on()
  }

  /** Runs a statement of the router's own; the client sees nothing of it. */
  run(text: string, done: (error?: ErrorFields) => void): void {
    this.#internal = done
    this.#internalError = undefined
    this.expected.push('READY')
    this.expected.executed()
    this.#socket.write(buildQuery(text))
  }

  /** Nothing that it says is passed on until `release`. */
  hold(): void {
    if (this.#ended) return
    this.#isHeld = true
    this.pause()
  }

  release(): void {
    if (!this.#isHeld || this.#ended) return
    this.#isHeld = false
    const held = this.#held
    this.#held = undefined
    this.resume()
    if (held) this.#onData(held)
    if (this.#endSeen) this.#onEnd()
  }

  /** Ends it; whoever works with it is told. `isPolite`: with a farewell, when it has nothing to do. */
  end(loss: ServerLoss): void {
    if (this.#ended) return
    if (this.#user === undefined && this.isClean) this.#socket.end(TERMINATE)
    this.#finish(loss)
  }

  readonly #onData = (input: Buffer): void => {
    if (this.#ended) return
    // Order: the right is judged when an answer is passed on, not when the statement was sent (safety.md 18).
    if (this.#isHeld || !this.#owner.mayPass(this.binding)) {
      this.#held = this.#held ? Buffer.concat([this.#held, input]) : input
      this.hold()
      return
    }
    this.bytesReceived += input.length
    const chunk = this.#partial ? Buffer.concat([this.#partial, input]) : input
    this.#partial = undefined
    // What comes in one piece with the end of our own statement is about that statement.
    this.#dropsChunk = this.#internal !== undefined || this.#user === undefined
    this.#scan(chunk)
    if (this.#user && !this.#internal && this.isClean) this.#user.serverAtRest()
  }

  #scan(chunk: Buffer): void {
    const end = chunk.length
    let from = 0
    let at = this.#bodyLeft
    if (at >= end) {
      this.#bodyLeft -= end
      return this.#pass(chunk)
    }
    this.#bodyLeft = 0
    while (end - at >= HEADER_BYTES) {
      const type = chunk[at] as number
      const length = chunk.readInt32BE(at + 1)
      if (length < 4) return this.#finish('BACKEND_LOST')
      const next = at + 1 + length
      if (INTERESTING[type] === 1 && length <= CAPTURE_BYTES_MAX) {
        if (next > end) break
        const verdict = this.#understand(type, chunk, at)
        if (verdict !== 'PASS') {
          if (at > from) this.#pass(chunk.subarray(from, at))
          if (verdict === 'AS_PARSED') this.#pass(PARSED)
          if (verdict === 'REPLACED' && this.#replacement) this.#pass(this.#replacement)
          from = next
          // The success that follows is none: nobody else may have this commit.
          if (verdict === 'UNCONFIRMED') return this.#finish('COMMIT_UNCONFIRMED')
        }
        if (this.#ended) return
      }
      if (next > end) {
        this.#bodyLeft = next - end
        at = end
        break
      }
      at = next
    }
    // A copy, so that a few bytes do not keep their whole chunk.
    if (at < end) this.#partial = Buffer.from(chunk.subarray(at))
    if (at > from) this.#pass(from === 0 && at === end ? chunk : chunk.subarray(from, at))
  }

  #pass(bytes: Buffer): void {
    if (this.#dropsChunk || !this.#user) return
    if (!this.#user.forward(bytes)) this.pause()
  }

  /** Acts on a message and says what becomes of it. */
  #understand(type: number, chunk: Buffer, at: number): Verdict {
    switch (type) {
      case READY:
        return this.#ready(chunk[at + HEADER_BYTES] ?? 0)
      case PARSE_COMPLETE:
      case CLOSE_COMPLETE:
        return this.#completed()
      case NOTICE:
        return isWaitCancelled(bodyAt(chunk, at)) ? 'UNCONFIRMED' : 'PASS'
      case COPY_IN:
        this.copiesIn = true
        this.expected.copyInBegan()
        return 'PASS'
      case COMPLETE:
        this.#commandComplete(chunk, at + HEADER_BYTES)
        return 'PASS'
      case PARAMETER: {
        const status = parseParameterStatus(bodyAt(chunk, at))
        if (!status) return 'PASS'
        this.parameters.set(status.name, status.value)
        if (!this.#internal) this.#user?.settingChanged(status.name, status.value)
        return 'PASS'
      }
      default:
        return this.#error(bodyAt(chunk, at))
    }
  }

  #ready(status: number): Verdict {
    this.#status = status
    this.copiesIn = false
    if (!this.expected.takeReady()) {
      this.#finish('BACKEND_LOST')
      return 'DROP'
    }
    const internal = this.#internal
    if (!internal) {
      this.#user?.statementEnded(status)
      return 'PASS'
    }
    this.#internal = undefined
    internal(this.#internalError)
    return 'DROP'
  }

  #completed(): Verdict {
    const kind = this.expected.takeComplete()
    return kind === 'DROP' || kind === 'AS_PARSED' ? kind : 'PASS'
  }

  #commandComplete(chunk: Buffer, at: number): void {
    // Both begin with a D; nearly no other tag does.
    if (chunk[at] !== 0x44) return
    if (!startsWith(chunk, at, DISCARD_ALL) && !startsWith(chunk, at, DEALLOCATE_ALL)) return
    this.statements.clear()
    if (!this.#internal) this.#user?.statementsDiscarded()
  }

  #error(body: Buffer): Verdict {
    this.copiesIn = false
    const fields = parseErrorResponse(body)
    const severity = fields['V'] ?? fields['S']
    if (severity === 'FATAL' || severity === 'PANIC') {
      this.#fatal = fields
      // It will close: nobody is to begin something on it meanwhile, which would be lost.
      if (!this.#user && !this.#internal) this.#finish('BACKEND_LOST')
      return this.#user?.endsWithServer === true ? 'PASS' : 'DROP'
    }
    if (this.#internal) {
      this.#internalError = fields
      return 'PASS'
    }
    this.expected.failBatch()
    this.#replacement = this.#user?.failed(fields)
    return this.#replacement ? 'REPLACED' : 'PASS'
  }

  readonly #onEnd = (): void => {
    this.#endSeen = true
    // Order: an end is reported only after the answers before it, and those wait for a proof.
    if (this.#held) return
    this.#finish('BACKEND_LOST')
  }

  #finish(loss: ServerLoss): void {
    if (this.#ended) return
    this.#ended = true
    this.#held = undefined
    this.statements.clear()
    if (this.#socket.writableEnded) this.#socket.destroySoon()
    else this.#socket.destroy()
    const user = this.#user
    this.#user = undefined
    this.#owner.serverEnded(this)
    user?.serverLost(loss, this.#fatal)
  }
}

const TERMINATE = message('X', Buffer.alloc(0))

function bodyAt(chunk: Buffer, at: number): Buffer {
  return chunk.subarray(at + HEADER_BYTES, at + 1 + chunk.readInt32BE(at + 1))
}

function startsWith(chunk: Buffer, at: number, text: Buffer): boolean {
  return chunk.length >= at + text.length && chunk.compare(text, 0, text.length, at, at + text.length) === 0
}
