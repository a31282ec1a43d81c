import {
  createHttpServer,
  createHttpsServer,
  type AddressInfo,
  type HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from '../platform/net.ts'
import { after } from '../platform/timers.ts'
import { codeOf, Fault } from '../std/fault.ts'
import { KiB, SECOND } from '../std/units.ts'

/** PEM texts. */
export type TlsFiles = {
  readonly cert: string
  readonly key: string
  /** Signs the certificates of others. */
  readonly ca?: string | undefined
  /** Certificates of clients are asked for: who shows none is served nothing (`required`), or no change; absent: they are not. */
  readonly clients?: 'optional' | 'required' | undefined
}

/** Who is slower than this with a request is cut: a slow sender must not cost us a connection for long. */
const REQUEST_TIMEOUT_MS = 10 * SECOND
const HEADERS_TIMEOUT_MS = 5 * SECOND
/** Longer than the interval of any usual health check would only keep sockets. */
const KEEP_ALIVE_MS = 15 * SECOND
const HEADER_BYTES_MAX = 16 * KiB
/** Far above what members, routers, scrapers and people need; far below a usual limit of file descriptors. */
const CONNECTIONS_MAX = 1_000
/** How long answers under way may still take once the server stops. */
const STOP_GRACE_MS = 2 * SECOND

export type ListenerLimits = {
  readonly requestTimeoutMs?: number
  readonly headersTimeoutMs?: number
  /** How often slow senders are looked for: they are cut so much later at the most. */
  readonly checkEveryMs?: number
  readonly stopGraceMs?: number
}

/** The HTTP server under the API, with a bound on everything that a client can make us wait for or hold. */
export function createHttpListener(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  options: { readonly tls?: TlsFiles | undefined; readonly limits?: ListenerLimits | undefined },
): HttpServer {
  const bounds = {
    requestTimeout: options.limits?.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    headersTimeout: options.limits?.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: options.limits?.checkEveryMs ?? SECOND,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    noDelay: true,
  }
  const server = options.tls
    ? createHttpsServer({ ...bounds, ...tlsContext(options.tls), handshakeTimeout: 5 * SECOND }, handler)
    : createHttpServer(bounds, handler)
  server.maxConnections = CONNECTIONS_MAX
  return server
}

function tlsContext(tls: TlsFiles): Record<string, unknown> {
  return {
    cert: tls.cert,
    key: tls.key,
    minVersion: 'TLSv1.2',
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.clients === undefined
      ? {}
      : { requestCert: true, rejectUnauthorized: tls.clients === 'required' }),
  }
}

/** Starts to listen; a port or address that cannot be had is a `Fault` that says why. */
export function listenOn(server: HttpServer, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) => reject(listenFault(error, `${host}:${port}`))
    server.once('error', refuse)
    server.listen({ host, port }, () => {
      server.off('error', refuse)
      resolve(server.address() as AddressInfo)
    })
  })
}

function listenFault(cause: Error, where: string): Fault {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process listens there',
    EADDRNOTAVAIL: 'this host does not have the address',
    EACCES: 'the operating system does not allow it',
    ENOTFOUND: 'the name does not resolve',
  }
  const reason = why[codeOf(cause) ?? ''] ?? cause.message
  return new Fault('API_CANNOT_LISTEN', `Cannot listen for the API on ${where}: ${reason}`, {
    details: { where, errno: codeOf(cause) },
    cause,
  })
}

/** Takes no new connection, lets answers under way end within a grace, then cuts what is left. */
export function closeListener(server: HttpServer, limits: ListenerLimits = {}): Promise<void> {
  if (!server.listening) return Promise.resolve()
  return new Promise((resolve) => {
    const cancel = after(limits.stopGraceMs ?? STOP_GRACE_MS, () => server.closeAllConnections())
    server.close(() => {
      cancel()
      resolve()
    })
    server.closeIdleConnections()
  })
}
