import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { connect, createServer, Socket, type Server, type ServerOpts, type TcpNetConnectOpts } from 'node:net'
import { pause } from './timers.ts'

export {
  connect,
  createServer,
  isIP,
  Socket,
  type AddressInfo,
  type ListenOptions,
  type Server,
} from 'node:net'
export {
  createServer as createHttpServer,
  request as httpRequest,
  Agent as HttpAgent,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http'
export { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
export { connect as connectTls } from 'node:tls'
export { hostname } from 'node:os'
export type { Duplex } from 'node:stream'

const READ_BYTES = 64 * 1024
/** All lean sockets read into this one: what came is copied out before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)
/** Its beginnings up to a length that most messages keep below, each made once: a part of a buffer is an object. */
const beginnings: Buffer[] = []
const BEGINNING_BYTES_MAX = 1024

/**
 * As `connect`, with `data` events whose chunks are no larger than what came. Node's own reading takes 64 kB from the allocator for every
 * read and gives most of it back, which costs more than copying the few hundred bytes of a usual answer.
 */
export function connectLean(options: Omit<TcpNetConnectOpts, 'onread'>): Socket {
  const socket: Socket = connect({ ...options, onread: readInto(() => socket) })
  return socket
}

/** As `createServer`, with sockets that read as those of `connectLean`. */
export function createLeanServer(
  options: Pick<ServerOpts, 'allowHalfOpen' | 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'>,
  onConnection: (socket: Socket) => void,
): Server {
  return createServer(options, (accepted) => onConnection(lean(accepted, options.allowHalfOpen === true)))
}

/** A connection that another process has accepted and handed over; half open, as a server's. */
export function adoptLean(received: Socket): Socket {
  return lean(received, true)
}

/**
 * Node has an option for reading into a buffer of one's own and none for saying so of a connection that was accepted: the socket is made
 * anew around the same handle, as `tls` does. Where a later Node keeps its handle elsewhere, the socket stays as it is.
 */
function lean(accepted: Socket, allowHalfOpen: boolean): Socket {
  const { _handle: handle } = accepted as Socket & { readonly _handle?: unknown }
  if (typeof handle !== 'object' || handle === null) return accepted
  const options = { handle, allowHalfOpen, onread: readInto(() => socket) }
  const socket: Socket = new Socket(options)
  return socket
}

function readInto(socket: () => Socket): NonNullable<TcpNetConnectOpts['onread']> {
  return {
    buffer: readBuffer,
    callback: (bytes) => {
      socket().emit('data', copyOf(bytes))
      // What nobody listens for is dropped, as of any socket that flows: its end is to be noticed.
      return true
    },
  }
}

function copyOf(bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes)
  copy.set(bytes > BEGINNING_BYTES_MAX ? readBuffer.subarray(0, bytes) : beginningOf(bytes))
  return copy
}

function beginningOf(bytes: number): Buffer {
  return (beginnings[bytes] ??= readBuffer.subarray(0, bytes))
}

/** Connects, or rejects with the errno error; `timeoutMs` bounds the wait (code `ETIMEDOUT`). */
export function connectWithin(
  target: { host: string; port: number } | { path: string },
  timeoutMs: number,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = 'path' in target ? connect(target.path) : connect({ ...target, noDelay: true })
    const timer = setTimeout(() => {
      const error: NodeJS.ErrnoException = new Error(`Cannot connect within ${timeoutMs} ms`)
      error.code = 'ETIMEDOUT'
      socket.destroy(error)
    }, timeoutMs)
    socket.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeAllListeners('error')
      resolve(socket)
    })
  })
}

const KNOCKS = 3
const KNOCK_MS = 100
/** A busy host needs a while to start the process that answers. */
const GREETING_MS = 300

/**
 * Whether anybody listens at an address, as that host's kernel says: it answers for a process that stands still too. `silent` after
 * three tries of 100 ms. `answers`: the process itself said something to the greeting within 300 ms.
 */
export async function knock(
  at: { host: string; port: number },
  greeting?: Uint8Array,
): Promise<'answers' | 'accepts' | 'refuses' | 'silent'> {
  for (let tries = 0; tries < KNOCKS; tries += 1) {
    try {
      const socket = await connectWithin(at, KNOCK_MS)
      if (greeting) return await greet(socket, greeting)
      socket.destroy()
      return 'accepts'
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return 'refuses'
    }
  }
  return 'silent'
}

function greet(socket: Socket, greeting: Uint8Array): Promise<'answers' | 'accepts'> {
  return new Promise((resolve) => {
    const end = (answer: 'answers' | 'accepts'): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(end, GREETING_MS, 'accepts')
    socket.once('data', () => end('answers'))
    socket.once('error', () => end('accepts'))
    socket.once('close', () => end('accepts'))
    socket.write(greeting)
  })
}

/**
 * The address of this host that the kernel would use towards `host:port`; `undefined` when it knows no way there within
 * `timeoutMs`. A datagram socket that is connected sends nothing: nobody needs to be there.
 */
export async function sourceAddressTowards(
  host: string,
  port: number,
  timeoutMs: number,
): Promise<string | undefined> {
  const found = await Promise.race([lookup(host).catch(() => undefined), pause(timeoutMs)])
  if (!found) return undefined
  return new Promise((resolve) => {
    const socket = createSocket(found.family === 6 ? 'udp6' : 'udp4')
    const finish = (address: string | undefined) => {
      socket.close()
      resolve(address)
    }
    socket.once('error', () => finish(undefined))
    socket.once('connect', () => finish(socket.address().address))
    socket.connect(port, found.address)
  })
}
