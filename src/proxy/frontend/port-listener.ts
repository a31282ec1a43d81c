import {
  adoptLean,
  createLeanServer,
  createServer,
  type AddressInfo,
  type ListenOptions,
  type Server,
  type Socket,
} from '../../platform/net.ts'
import { pause } from '../../platform/timers.ts'
import { codeOf, Fault, messageOf } from '../../std/fault.ts'

export type PortListener = {
  /** The port that it listens on; differs from the wanted one only when that was 0. */
  readonly port: number
  /** Takes no more connections; those that stand are left alone. */
  readonly close: () => void
  /** The listening socket, for another process. */
  readonly server: Server
}

const KEEP_ALIVE_MS = 30_000
/** A predecessor may just be closing. */
const BUSY_RETRY_EVERY_MS = 100
const BACKLOG = 511

type Listening = {
  /** Another process is to have the connections: not a byte of theirs is read here. */
  readonly isForOthers: boolean
}

const ALONE: Listening = { isForOthers: false }

/**
 * Listens, trying again while the port is busy until `retryForMs` is over.
 * Throws `ROUTER_PORT_BUSY` or `ROUTER_CANNOT_LISTEN`.
 */
export async function listenOn(
  address: { readonly host: string; readonly port: number; readonly retryForMs: number },
  onClient: (socket: Socket) => void,
  how: Listening = ALONE,
): Promise<PortListener> {
  const { host, port, retryForMs } = address
  for (let waited = 0; ; waited += BUSY_RETRY_EVERY_MS) {
    try {
      return listenerOf(await listenOnce({ host, port, backlog: BACKLOG }, how, onClient))
    } catch (error) {
      const busy = codeOf(error) === 'EADDRINUSE'
      if (busy && waited < retryForMs) {
        await pause(BUSY_RETRY_EVERY_MS)
        continue
      }
      throw new Fault(
        busy ? 'ROUTER_PORT_BUSY' : 'ROUTER_CANNOT_LISTEN',
        `Cannot listen on ${host}:${port}: ${busy ? 'another process has the port (EADDRINUSE)' : messageOf(error)}`,
        { details: { host, port }, cause: error, retryable: busy },
      )
    }
  }
}

/** A listening socket that another process has sent: what comes waits for `attach`. */
export type InheritedListener = PortListener & {
  readonly attach: (onClient: (socket: Socket) => void) => void
}

/**
 * Takes a listening socket over that another process listens on as well. Nobody reads from who comes before `attach`: what is read and
 * not listened for is lost, and its sender would wait for an answer for ever.
 */
export function inheritListener(handle: unknown, { isForOthers }: Listening): InheritedListener {
  const early: Socket[] = []
  let take = (socket: Socket): void => void early.push(socket)
  const server = newServer({ isForOthers: true }, (socket) => take(socket))
  server.on('error', () => {})
  // Node makes a server of its own around what was sent; the socket is this one's from here on.
  server.listen(handle as Server)
  return {
    ...listenerOf(server),
    attach: (onClient) => {
      take = isForOthers ? onClient : (socket) => onClient(adoptLean(socket))
      for (const socket of early.splice(0)) take(socket)
    },
  }
}

function listenerOf(server: Server): PortListener {
  return { server, port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

function listenOnce(at: ListenOptions, how: Listening, onClient: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = newServer(how, onClient)
    server.once('error', reject)
    server.listen(at, () => {
      server.off('error', reject)
      // A failed accept (no file descriptors left) loses that connection, not the listener.
      server.on('error', () => {})
      resolve(server)
    })
  })
}

function newServer({ isForOthers }: Listening, onClient: (socket: Socket) => void): Server {
  const options = {
    // A client that has closed its side may still be owed an answer, as with PostgreSQL itself.
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  }
  return isForOthers
    ? createServer({ ...options, pauseOnConnect: true }, onClient)
    : createLeanServer(options, onClient)
}
