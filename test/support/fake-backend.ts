import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { Fault } from '../../src/std/fault.ts'
import { buildErrorResponse } from '../../src/wire/error-response.ts'
import { message, MessageReader } from '../../src/wire/frame.ts'
import { parseStartup, type CancelKey } from '../../src/wire/startup.ts'

/** How a fake PostgreSQL meets a new connection. */
export type FakeMode =
  | 'ready'
  /** 57P03, as while it recovers. */
  | 'starting'
  /** Closes without a word. */
  | 'closing'
  /** Takes the connection and says nothing, as a stopped process does. */
  | 'silent'

export type FakeSession = {
  readonly socket: Socket
  readonly parameters: ReadonlyMap<string, string>
  /** The StartupMessage as it came. */
  readonly startup: Buffer
  readonly key: CancelKey
  /** All bytes that came after the startup message. */
  received: Buffer[]
}

export type FakeBackend = {
  readonly host: string
  readonly port: number
  mode: FakeMode
  readonly sessions: FakeSession[]
  readonly cancels: CancelKey[]
  /** Connection attempts, refused ones included. */
  readonly attempts: () => number
  /** Answers a message after start-up; the default echoes a query's text as one row. */
  onMessage: (type: string, body: Buffer, session: FakeSession) => void
  readonly close: () => Promise<void>
}

export const READY_IDLE = message('Z', Buffer.from('I'))

/** An in-process stand-in for PostgreSQL: real sockets, real protocol bytes, answers that the test chooses. */
export async function startFakeBackend(options: {
  name: string
  port?: number
  mode?: FakeMode
}): Promise<FakeBackend> {
  const sockets = new Set<Socket>()
  let attempts = 0
  const server: Server = createServer({ noDelay: true }, (socket) => {
    attempts += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    meet(fake, socket, options.name)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const fake: FakeBackend = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    mode: options.mode ?? 'ready',
    sessions: [],
    cancels: [],
    attempts: () => attempts,
    onMessage: echo,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
  return fake
}

/** What the default answers to a simple query. */
export function echo(type: string, body: Buffer, session: FakeSession): void {
  if (type === 'X') session.socket.end()
  if (type !== 'Q') return
  session.socket.write(
    Buffer.concat([message('D', body), message('C', Buffer.from('SELECT 1\0')), READY_IDLE]),
  )
}

function meet(fake: FakeBackend, socket: Socket, name: string): void {
  let bytes: Buffer = Buffer.alloc(0)
  let session: FakeSession | undefined
  const reader = new MessageReader()
  socket.on('data', (chunk) => {
    if (session) {
      session.received.push(chunk)
      return answer(fake, session, reader, chunk)
    }
    bytes = Buffer.concat([bytes, chunk])
    const packet = parseStartup(bytes)
    if (packet.kind === 'cancel-request') {
      fake.cancels.push(packet.key)
      socket.end()
      return
    }
    if (packet.kind !== 'startup' || fake.mode === 'silent') return
    if (fake.mode === 'closing') return void socket.end()
    if (fake.mode === 'starting') {
      socket.end(
        buildErrorResponse({ S: 'FATAL', V: 'FATAL', C: '57P03', M: 'the database system is starting up' }),
      )
      return
    }
    session = {
      socket,
      parameters: packet.parameters,
      startup: bytes.subarray(0, packet.bytes),
      key: { processId: 1000 + fake.sessions.length, secret: Buffer.from(`${name}-key`.padEnd(8, '.')) },
      received: [],
    }
    fake.sessions.push(session)
    welcome(session, name)
    const rest = bytes.subarray(packet.bytes)
    if (rest.length > 0) answer(fake, session, reader, rest)
  })
}

function welcome(session: FakeSession, name: string): void {
  const pid = Buffer.alloc(4)
  pid.writeInt32BE(session.key.processId)
  session.socket.write(
    Buffer.concat([
      message('R', Buffer.alloc(4)),
      message('S', Buffer.from(`node_name\0${name}\0`)),
      message('K', Buffer.concat([pid, session.key.secret])),
      READY_IDLE,
    ]),
  )
}

function answer(fake: FakeBackend, session: FakeSession, reader: MessageReader, chunk: Buffer): void {
  reader.push(chunk)
  try {
    for (let next = reader.next(); next; next = reader.next()) {
      fake.onMessage(String.fromCharCode(next.type), next.body, session)
    }
  } catch (error) {
    // PostgreSQL ends such a session; so that a test can still look at its bytes, this one only stops answering.
    if (!(error instanceof Fault)) throw error
  }
}
