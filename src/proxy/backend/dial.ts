import type { RouteTarget } from '../../model/routing-table.ts'
import { connectLean, type Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { codeOf, messageOf } from '../../std/fault.ts'
import { KiB } from '../../std/units.ts'
import { parseErrorResponse } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'

/** Why a backend could not be used. In all these cases the client has not seen a byte of it. */
export type DialFailure = 'UNREACHABLE' | 'LOST_DURING_STARTUP' | 'NOT_READY' | 'TIMEOUT'

export type DialOutcome =
  /** `first` is what PostgreSQL said so far: to be forwarded as it is. The socket is paused. */
  | { readonly kind: 'answered'; readonly socket: Socket; readonly first: Buffer }
  | { readonly kind: 'failed'; readonly failure: DialFailure; readonly text: string }

export type DialOptions = {
  readonly target: RouteTarget
  /** The client's StartupMessage, byte for byte. */
  readonly startup: Buffer
  readonly timeoutMs: number
  /** Asked once more when the connection stands, before the first byte is sent; false ends the attempt. */
  readonly maySend: () => boolean
}

const ERROR_RESPONSE = messageType('E')
const CANNOT_CONNECT_NOW = '57P03'
/** PostgreSQL's first answer is below 1 kB; an error that is longer is forwarded unread. */
const FIRST_ERROR_BYTES_MAX = 16 * KiB
/** A dead peer without a reset is noticed by the kernel; the epoch cuts much sooner. */
const KEEP_ALIVE_MS = 10_000

/**
 * Connects to a backend, sends the startup message and waits for the first answer. `done` is called once, unless the
 * returned function is called before: then the attempt ends silently.
 */
export function dial(options: DialOptions, done: (outcome: DialOutcome) => void): () => void {
  const { target, startup, timeoutMs, maySend } = options
  const socket = connectLean({
    host: target.host,
    port: target.port,
    noDelay: true,
    allowHalfOpen: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  })
  let received: Buffer | undefined
  let lastError = ''
  const stopTimer = after(timeoutMs, () => fail('TIMEOUT', `no answer within ${timeoutMs} ms`))

  function settle(): void {
    stopTimer()
    socket.off('connect', onConnect)
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('close', onClose)
  }
  function fail(failure: DialFailure, text: string): void {
    settle()
    socket.destroy()
    done({ kind: 'failed', failure, text })
  }
  function onConnect(): void {
    if (maySend()) socket.write(startup)
    else fail('NOT_READY', 'the routing table ran out while connecting')
  }
  function onData(chunk: Buffer): void {
    received = received ? Buffer.concat([received, chunk]) : chunk
    const answer = firstAnswer(received)
    if (answer.kind === 'incomplete') return
    if (answer.kind === 'not-ready') return fail('NOT_READY', answer.text)
    settle()
    socket.on('error', ignoreError)
    socket.off('error', onError)
    socket.pause()
    done({ kind: 'answered', socket, first: received })
  }
  function onEnd(): void {
    fail('LOST_DURING_STARTUP', 'it closed the connection before it answered')
  }
  function onError(error: Error): void {
    lastError = `${codeOf(error) ?? 'error'}: ${messageOf(error)}`
  }
  function onClose(): void {
    fail('UNREACHABLE', lastError || 'the connection closed')
  }

  socket.on('connect', onConnect)
  socket.on('data', onData)
  socket.on('end', onEnd)
  socket.on('error', onError)
  socket.on('close', onClose)
  return () => {
    settle()
    socket.destroy()
  }
}

/** For the rest of the socket's life: an error without a listener would end the process; `close` follows it. */
function ignoreError(): void {}

type FirstAnswer =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'forward' }
  | { readonly kind: 'not-ready'; readonly text: string }

/** Looks only for "the database system is starting up" and its kin: the one answer that the client need not see. */
function firstAnswer(bytes: Buffer): FirstAnswer {
  if (bytes[0] !== ERROR_RESPONSE) return { kind: 'forward' }
  if (bytes.length < 5) return { kind: 'incomplete' }
  const length = bytes.readInt32BE(1)
  if (length < 4 || length > FIRST_ERROR_BYTES_MAX) return { kind: 'forward' }
  if (bytes.length < 1 + length) return { kind: 'incomplete' }
  const fields = parseErrorResponse(bytes.subarray(5, 1 + length))
  if (fields['C'] !== CANNOT_CONNECT_NOW) return { kind: 'forward' }
  return { kind: 'not-ready', text: fields['M'] ?? 'it cannot take connections now' }
}
