import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import { isIP, type Socket } from 'node:net'
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  createServer,
  TLSSocket,
  type SecureContext,
  type SecureContextOptions,
  type Server,
} from 'node:tls'

/** What a side of TLS is made from: PEM texts, not paths. */
export type TlsTexts = {
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly ca?: string | undefined
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly ciphers?: string | undefined
}

/** PostgreSQL's name in ALPN. */
const ALPN = 'postgresql'

/** Throws what OpenSSL says, for instance of a key that belongs to another certificate. */
function contextOptions(texts: TlsTexts): SecureContextOptions {
  return {
    ...texts,
    // As PostgreSQL: every connection proves itself anew, a certificate that was withdrawn meanwhile included.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

export type HandshakeOutcome =
  | {
      readonly kind: 'secure'
      readonly stream: Socket
      /** The client named PostgreSQL's protocol in ALPN. */
      readonly isNamed: boolean
      /** Why the client's certificate is not believed, where one is wanted. */
      readonly distrust?: string
    }
  | { readonly kind: 'failed'; readonly reason: string }

/** The server's side of TLS, on connections that were accepted and read from already. */
export class TlsAcceptor {
  readonly #server: Server
  readonly #underWay = new Map<string, (outcome: HandshakeOutcome) => void>()
  readonly #wantsCertificate: boolean

  constructor(texts: TlsTexts, options: { readonly wantsCertificate: boolean }) {
    this.#wantsCertificate = options.wantsCertificate
    // It never listens: connections are handed to it.
    this.#server = createServer({
      ...contextOptions(texts),
      ALPNProtocols: [ALPN],
      requestCert: options.wantsCertificate,
      // Who is not believed is told so, in PostgreSQL's words, instead of being cut off.
      rejectUnauthorized: false,
    })
    this.#server.on('secureConnection', (stream) => this.#finish(stream, this.#judge(stream)))
    this.#server.on('tlsClientError', (error, stream) => {
      const { code } = error as NodeJS.ErrnoException
      this.#finish(stream, { kind: 'failed', reason: code ?? error.message })
    })
  }

  /** For the handshakes that begin from now on. Throws and changes nothing when the texts cannot be used. */
  replace(texts: TlsTexts): void {
    createSecureContext(contextOptions(texts))
    this.#server.setSecureContext(contextOptions(texts))
  }

  /**
   * Speaks TLS on a paused connection; `first` is what of the handshake has been read. `done` is called once, unless the returned
   * function is called before. The plain socket lives on below: who destroys it ends the stream as well.
   */
  accept(raw: Socket, first: Buffer, done: (outcome: HandshakeOutcome) => void): () => void {
    const name = nameOf(raw)
    const { allowHalfOpen } = raw
    // A handshake with a side that is closed already would wait for nothing.
    raw.allowHalfOpen = false
    const onClose = (): void => finish({ kind: 'failed', reason: 'the client left' })
    const finish = (outcome: HandshakeOutcome): void => {
      release()
      if (outcome.kind === 'secure') {
        outcome.stream.allowHalfOpen = allowHalfOpen
        resetBelow(outcome.stream, raw)
      }
      done(outcome)
    }
    const release = (): void => {
      this.#underWay.delete(name)
      raw.off('close', onClose)
    }
    raw.on('close', onClose)
    this.#underWay.set(name, finish)
    if (first.length > 0) raw.unshift(first)
    this.#server.emit('connection', raw)
    return release
  }

  #judge(stream: TLSSocket): HandshakeOutcome {
    const secure = { kind: 'secure', stream, isNamed: stream.alpnProtocol === ALPN } as const
    if (!this.#wantsCertificate || trustedCertificate(stream)) return secure
    const isShown = stream.getPeerX509Certificate() !== undefined
    return { ...secure, distrust: isShown ? String(stream.authorizationError) : 'NO_CERTIFICATE' }
  }

  #finish(stream: TLSSocket, outcome: HandshakeOutcome): void {
    stream.on('error', () => {})
    const finish = this.#underWay.get(nameOf(stream))
    if (finish) finish(outcome)
    else stream.destroy()
  }
}

/** A stream over TLS has no reset of its own; the socket below has. */
function resetBelow(stream: Socket, raw: Socket): void {
  stream.resetAndDestroy = () => {
    raw.resetAndDestroy()
    return stream
  }
}

/** One connection among all that stand: TLS streams and the sockets below them have the same. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`
}

/** How a server's certificate is checked: not at all, whether the authority signed it, or also for whom. */
export type ServerCheck = 'nothing' | 'authority' | 'host'

export type TlsClient = { readonly context: SecureContext; readonly check: ServerCheck }

/** Throws what OpenSSL says. */
export function tlsClient(texts: TlsTexts, check: ServerCheck): TlsClient {
  return { context: createSecureContext(contextOptions(texts)), check }
}

/** Begins TLS on a connection whose server has agreed to it. `done` is called once; what a failure leaves behind is the caller's. */
export function startTls(
  raw: Socket,
  options: { readonly client: TlsClient; readonly host: string },
  done: (outcome: { kind: 'secure'; stream: Socket } | { kind: 'failed'; reason: string }) => void,
): void {
  const { client, host } = options
  const stream = connect({
    socket: raw,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    secureContext: client.context,
    ALPNProtocols: [ALPN],
    rejectUnauthorized: client.check !== 'nothing',
    checkServerIdentity: client.check === 'host' ? checkServerIdentity : () => undefined,
  })
  const onError = (error: Error): void => fail(error.message)
  const onClose = (): void => fail('the connection closed during the handshake')
  function fail(reason: string): void {
    leave()
    done({ kind: 'failed', reason })
  }
  function leave(): void {
    stream.off('close', onClose)
    stream.off('error', onError)
    stream.on('error', () => {})
  }
  stream.on('error', onError)
  stream.on('close', onClose)
  stream.once('secureConnect', () => {
    leave()
    resetBelow(stream, raw)
    done({ kind: 'secure', stream })
  })
}

export function isTls(socket: Socket): boolean {
  return socket instanceof TLSSocket
}

/** As PgBouncer's console has it: `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS. */
export function describeTls(socket: Socket): string {
  if (!(socket instanceof TLSSocket)) return ''
  const protocol = socket.getProtocol()
  const cipher = protocol === null ? undefined : socket.getCipher()
  return cipher ? `${protocol}/${cipher.standardName ?? cipher.name}` : ''
}

/** The certificate (DER) of the server's side of this connection; `undefined` without TLS. */
export function serverCertificate(socket: Socket, ownSide: 'server' | 'client'): Buffer | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const certificate = ownSide === 'server' ? socket.getX509Certificate() : socket.getPeerX509Certificate()
  return certificate?.raw
}

/** The common name of the certificate that the other side has proved to be its own and an authority signed. */
export function peerName(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const name: unknown = trustedCertificate(socket)?.toLegacyObject().subject.CN
  return typeof name === 'string' ? name : undefined
}

/** Order: the certificate is looked for as well, since a session that is resumed can count as authorized without one. */
function trustedCertificate(socket: TLSSocket): X509Certificate | undefined {
  return socket.authorized ? socket.getPeerX509Certificate() : undefined
}

export type CertificateCheck = {
  /** On the wall clock. */
  readonly validUntil: number
}

/** Looks at a certificate and its key; throws an error whose message says what is wrong with which of them. */
export function checkCertificate(cert: string, key: string): CertificateCheck {
  const certificate = told('the certificate cannot be read', () => new X509Certificate(cert))
  const privateKey = told('the key cannot be read', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) throw new Error('the key belongs to another certificate')
  return { validUntil: Date.parse(certificate.validTo) }
}

/** Throws an error whose message says what is wrong with it. */
export function checkAuthority(ca: string): void {
  told('the certificate of the authority cannot be read', () => new X509Certificate(ca))
}

function told<T>(what: string, attempt: () => T): T {
  try {
    return attempt()
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
