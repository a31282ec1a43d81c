import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import type { HandshakeOutcome, TlsAcceptor } from '../../platform/tls.ts'
import { parseStartup, STARTUP_BYTES_MAX, type CancelKey, type MalformedReason } from '../../wire/startup.ts'
import type { CloseReason } from '../close-reason.ts'
import { ignoreError } from './end-client.ts'

/** `stream`: what the client is spoken to with from now on, the socket itself or TLS over it. */
export type StartupOutcome =
  /** `packet` is the StartupMessage as it came; `rest` what the client had sent behind it. */
  | { readonly kind: 'startup'; readonly stream: Socket; readonly packet: Buffer; readonly rest: Buffer }
  | { readonly kind: 'cancel'; readonly stream: Socket; readonly key: CancelKey }
  | {
      readonly kind: 'refused'
      readonly stream: Socket
      readonly reason: CloseReason
      readonly detail?: string
    }
  | {
      readonly kind: 'lost'
      readonly reason: 'CLIENT_LEFT' | 'STARTUP_TIMEOUT' | 'TLS_FAILED'
      readonly detail?: string
    }

/** How clients may come in. */
export interface ClientDoor {
  /** Absent: there is no TLS. */
  readonly acceptor: TlsAcceptor | undefined
  /** Nobody gets in without TLS. */
  readonly isDemanded: boolean
}

/** One SSLRequest and one GSSENCRequest are what clients send; more is a game. */
const ENCRYPTION_REQUESTS_MAX = 2
const UNWILLING = Buffer.from('N')
const WILLING = Buffer.from('S')
const NOTHING = Buffer.alloc(0)

/**
 * Reads a client's first packet, through TLS where the client asks for it and the door has it. `done` is called once, unless the
 * returned function is called before. Its listeners are off the stream by then, except the one for errors.
 */
export function readStartup(
  socket: Socket,
  options: { readonly timeoutMs: number; readonly door: ClientDoor },
  done: (outcome: StartupOutcome) => void,
): () => void {
  const reader = new StartupReader(socket, options.door, (outcome) => {
    stopTimer()
    done(outcome)
  })
  const stopTimer = after(options.timeoutMs, () => reader.finish({ kind: 'lost', reason: 'STARTUP_TIMEOUT' }))
  return () => {
    stopTimer()
    reader.release()
  }
}

class StartupReader {
  readonly #door: ClientDoor
  readonly #done: (outcome: StartupOutcome) => void
  #stream: Socket
  #bytes: Buffer = NOTHING
  #requests = 0
  #isSecure = false
  #leaveHandshake: () => void = () => {}

  constructor(socket: Socket, door: ClientDoor, done: (outcome: StartupOutcome) => void) {
    this.#stream = socket
    this.#door = door
    this.#done = done
    this.#listen()
  }

  finish(outcome: StartupOutcome): void {
    this.release()
    this.#done(outcome)
  }

  release(): void {
    this.#leaveHandshake()
    this.#unlisten()
  }

  #listen(): void {
    this.#stream.on('data', this.#onData)
    this.#stream.on('end', this.#onLeft)
    this.#stream.on('close', this.#onLeft)
  }

  #unlisten(): void {
    this.#stream.off('data', this.#onData)
    this.#stream.off('end', this.#onLeft)
    this.#stream.off('close', this.#onLeft)
  }

  readonly #onLeft = (): void => {
    this.finish({ kind: 'lost', reason: 'CLIENT_LEFT' })
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    while (this.#step()) {
      if (this.#bytes.length > STARTUP_BYTES_MAX + chunk.length) return this.#malformed('LENGTH_OUT_OF_RANGE')
    }
  }

  /** Takes one packet; false when there is nothing more to take. */
  #step(): boolean {
    const bytes = this.#bytes
    const packet = parseStartup(bytes)
    switch (packet.kind) {
      case 'incomplete':
        break
      case 'malformed':
        this.#malformed(packet.reason)
        break
      case 'cancel-request':
        // Also without TLS, as with PostgreSQL: most clients send it so whatever they are told.
        this.finish({ kind: 'cancel', stream: this.#stream, key: packet.key })
        break
      case 'startup':
        if (this.#door.isDemanded && !this.#isSecure) this.#refuse('TLS_REQUIRED')
        else this.#started(packet.bytes)
        break
      case 'ssl-request':
      case 'gss-request':
        return this.#answer(packet)
    }
    return false
  }

  #started(packetBytes: number): void {
    this.finish({
      kind: 'startup',
      stream: this.#stream,
      // A copy, so that a small packet does not keep its 64 kB read buffer alive.
      packet: Buffer.from(this.#bytes.subarray(0, packetBytes)),
      rest: this.#bytes.subarray(packetBytes),
    })
  }

  /** Answers a request for encryption; true when another packet may follow in the clear. */
  #answer(request: { readonly kind: 'ssl-request' | 'gss-request'; readonly bytes: number }): boolean {
    this.#requests += 1
    if (this.#requests > ENCRYPTION_REQUESTS_MAX || this.#isSecure) {
      this.#malformed('PROTOCOL_UNSUPPORTED')
      return false
    }
    const rest = this.#bytes.subarray(request.bytes)
    if (request.kind === 'gss-request' || !this.#door.acceptor) {
      this.#stream.write(UNWILLING)
      this.#bytes = rest
      return true
    }
    // Order: what was sent before TLS stood must never count as sent through it (CVE-2021-23222).
    if (rest.length > 0) {
      this.#refuse('BYTES_BEFORE_TLS')
      return false
    }
    this.#stream.write(WILLING)
    this.#beginTls(this.#door.acceptor, NOTHING)
    return false
  }

  #malformed(reason: MalformedReason): void {
    const { acceptor } = this.#door
    // Direct TLS: its handshake is the very first that the client says.
    if (reason === 'TLS_WITHOUT_REQUEST' && acceptor && this.#requests === 0 && !this.#isSecure) {
      return this.#beginTls(acceptor, this.#bytes)
    }
    this.#refuse(reason === 'PROTOCOL_UNSUPPORTED' ? 'PROTOCOL_UNSUPPORTED' : 'STARTUP_MALFORMED')
  }

  #beginTls(acceptor: TlsAcceptor, first: Buffer): void {
    const isDirect = first.length > 0
    this.#unlisten()
    this.#stream.pause()
    this.#bytes = NOTHING
    this.#leaveHandshake = acceptor.accept(this.#stream, first, (outcome) => this.#secured(outcome, isDirect))
  }

  #secured(outcome: HandshakeOutcome, isDirect: boolean): void {
    if (outcome.kind === 'failed') {
      return this.finish({ kind: 'lost', reason: 'TLS_FAILED', detail: outcome.reason })
    }
    this.#stream = outcome.stream
    this.#stream.on('error', ignoreError)
    this.#isSecure = true
    if (outcome.distrust !== undefined) return this.#refuse('CERTIFICATE_REFUSED', outcome.distrust)
    if (isDirect && !outcome.isNamed) return this.#refuse('TLS_WITHOUT_ALPN')
    this.#listen()
  }

  #refuse(reason: CloseReason, detail?: string): void {
    const refused = { kind: 'refused', stream: this.#stream, reason } as const
    this.finish(detail === undefined ? refused : { ...refused, detail })
  }
}
