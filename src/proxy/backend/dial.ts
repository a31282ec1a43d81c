import type { RouteTarget } from '../../model/routing-table.ts'
import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { codeOf, messageOf } from '../../std/fault.ts'
import { KiB } from '../../std/units.ts'
import { parseErrorResponse, type ErrorFields } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'
import { ignoreError } from '../frontend/end-client.ts'
import type { ServerTls } from '../tls/router-tls.ts'
import { openBackend } from './open-backend.ts'

/** Why a backend could not be used. In all these cases the client has not seen a byte of it. */
export type DialFailure = 'UNREACHABLE' | 'LOST_DURING_STARTUP' | 'NOT_READY' | 'TIMEOUT'

export type DialOutcome =
  /** `first` is what PostgreSQL said so far: to be forwarded as it is. The socket is paused. */
  | { readonly kind: 'answered'; readonly socket: Socket; readonly first: Buffer }
  | { readonly kind: 'failed'; readonly failure: DialFailure; readonly text: string }

export type DialOptions = {
  readonly target: RouteTarget
  readonly tls: ServerTls | undefined
  /** The client's StartupMessage, byte for byte. */
  readonly startup: Buffer
  readonly timeoutMs: number
  /** Asked once more when the connection stands, before the first byte is sent; false ends the attempt. */
  readonly maySend: () => boolean
}

const HEADER_BYTES = 5
const ERROR_RESPONSE = messageType('E')
const AUTHENTICATION = messageType('R')
const NEGOTIATION = messageType('v')
const EARLY: ReadonlySet<number> = new Set([ERROR_RESPONSE, AUTHENTICATION, NEGOTIATION])
const CANNOT_CONNECT_NOW = '57P03'
/** PostgreSQL's first answer is below 1 kB; one that is longer is forwarded unread. */
const FIRST_ANSWER_BYTES_MAX = 16 * KiB

/**
 * Connects to a backend, sends the startup message and waits for the first answer. `done` is called once, unless the
 * returned function is called before: then the attempt ends silently.
 */
export function dial(options: DialOptions, done: (outcome: DialOutcome) => void): () => void {
  const { target, tls, startup, timeoutMs, maySend } = options
  let socket: Socket | undefined
  let received: Buffer | undefined
  let lastError = ''
  const stopTimer = after(timeoutMs, () => fail('TIMEOUT', `no answer within ${timeoutMs} ms`))
  const stopOpening = openBackend(target, tls, (outcome) => {
    if (outcome.kind === 'failed') return fail('UNREACHABLE', outcome.text)
    socket = outcome.socket
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('error', onError)
    socket.on('close', onClose)
    if (maySend()) socket.write(startup)
    else fail('NOT_READY', 'the routing table ran out while connecting')
  })

  function settle(): void {
    stopTimer()
    socket?.off('data', onData)
    socket?.off('end', onEnd)
    socket?.off('close', onClose)
  }
  function stop(): void {
    settle()
    if (socket) socket.destroy()
    else stopOpening()
  }
  function fail(failure: DialFailure, text: string): void {
    stop()
    done({ kind: 'failed', failure, text })
  }
  function onData(chunk: Buffer): void {
    received = received ? Buffer.concat([received, chunk]) : chunk
    const answer = firstAnswer(received)
    if (answer.kind === 'incomplete' || !socket) return
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
  return stop
}

type FirstAnswer =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'forward' }
  | { readonly kind: 'not-ready'; readonly text: string }

const INCOMPLETE: FirstAnswer = { kind: 'incomplete' }
const FORWARD: FirstAnswer = { kind: 'forward' }

/**
 * Looks only for "the database system is starting up" and its kin, the one answer that the client need not see. What is forwarded holds
 * the first request for a proof as a whole, and what may stand before it.
 */
function firstAnswer(bytes: Buffer): FirstAnswer {
  let at = 0
  while (bytes.length - at >= HEADER_BYTES) {
    const type = bytes[at] as number
    const length = bytes.readInt32BE(at + 1)
    const end = at + 1 + length
    if (!EARLY.has(type) || length < 4 || length > FIRST_ANSWER_BYTES_MAX) return FORWARD
    if (bytes.length < end) return INCOMPLETE
    if (type === ERROR_RESPONSE) return judgeError(parseErrorResponse(bytes.subarray(at + HEADER_BYTES, end)))
    if (type === AUTHENTICATION) return FORWARD
    at = end
  }
  return bytes.length > at && !EARLY.has(bytes[at] as number) ? FORWARD : INCOMPLETE
}

function judgeError(fields: ErrorFields): FirstAnswer {
  if (fields['C'] !== CANNOT_CONNECT_NOW) return FORWARD
  return { kind: 'not-ready', text: fields['M'] ?? 'it cannot take connections now' }
}
