import { connect, type Socket } from 'node:net'
import { vi } from 'vitest'
import { parseErrorResponse } from '../../src/wire/error-response.ts'
import { message, MessageReader } from '../../src/wire/frame.ts'
import { buildStartup } from '../../src/wire/startup.ts'

export type RawClient = {
  readonly socket: Socket
  /** Everything that came, in order. */
  readonly bytes: () => Buffer
  /** The whole messages among it, e.g. `['R', 'S', 'K', 'Z']`. */
  readonly types: () => string
  /** The fields of the last ErrorResponse. */
  readonly error: () => Record<string, string> | undefined
  readonly query: (text: string) => void
  /** Waits until the messages end with this type, as often as `times`. */
  readonly untilReady: (times?: number) => Promise<void>
  readonly untilClosed: () => Promise<void>
  readonly isClosed: () => boolean
}

/** A client that speaks bytes: what a driver would hide is what these tests are about. */
export function connectRaw(port: number): RawClient {
  return rawOver(connect({ host: '127.0.0.1', port, noDelay: true }))
}

/** The same on a connection that stands already, for instance TLS. */
export function rawOver(socket: Socket): RawClient {
  const chunks: Buffer[] = []
  let closed = false
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  const bytes = (): Buffer => Buffer.concat(chunks)
  const messages = (): { type: string; body: Buffer }[] => {
    const reader = new MessageReader()
    reader.push(bytes())
    const found: { type: string; body: Buffer }[] = []
    for (let next = reader.next(); next; next = reader.next()) {
      found.push({ type: String.fromCharCode(next.type), body: next.body })
    }
    return found
  }
  const types = (): string =>
    messages()
      .map((each) => each.type)
      .join('')
  return {
    socket,
    bytes,
    types,
    error: () => {
      const last = messages().findLast((each) => each.type === 'E')
      return last && parseErrorResponse(last.body)
    },
    query: (text) => void socket.write(message('Q', Buffer.from(`${text}\0`))),
    untilReady: (times = 1) =>
      eventually(() => {
        const count = types().split('Z').length - 1
        if (count < times) throw new Error(`${count} of ${times} ReadyForQuery; messages: ${types()}`)
      }),
    untilClosed: () =>
      eventually(() => {
        if (!closed) throw new Error(`still open; messages: ${types()}`)
      }),
    isClosed: () => closed,
  }
}

/** Connects and says who it is. */
export function startSession(
  port: number,
  parameters: Record<string, string> = { user: 'app', database: 'app' },
): RawClient {
  const client = connectRaw(port)
  client.socket.write(buildStartup(parameters))
  return client
}

/** Waits for a condition, not for a time; fails with the condition's own error at the deadline. */
export async function eventually(check: () => void | Promise<void>, deadlineMs = 5000): Promise<void> {
  await vi.waitFor(check, { timeout: deadlineMs, interval: 3 })
}
