import type { Socket } from '../../platform/net.ts'
import { after } from '../../platform/timers.ts'
import { parseStartup, STARTUP_BYTES_MAX, type CancelKey, type MalformedReason } from '../../wire/startup.ts'

export type StartupOutcome =
  /** `packet` is the StartupMessage as it came; `rest` what the client had sent behind it. */
  | { readonly kind: 'startup'; readonly packet: Buffer; readonly rest: Buffer }
  | { readonly kind: 'cancel'; readonly key: CancelKey }
  | { readonly kind: 'malformed'; readonly reason: MalformedReason }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'left' }

/** One SSLRequest and one GSSENCRequest are what clients send; more is a game. */
const ENCRYPTION_REQUESTS_MAX = 2
const REFUSED = Buffer.from('N')

/**
 * Reads a client's first packet, answering requests for encryption with "no". `done` is called once, unless the
 * returned function is called before. Its listeners are off the socket by then, except the one for errors.
 */
export function readStartup(
  socket: Socket,
  timeoutMs: number,
  done: (outcome: StartupOutcome) => void,
): () => void {
  let bytes: Buffer = Buffer.alloc(0)
  let requests = 0
  const stopTimer = after(timeoutMs, () => finish({ kind: 'timeout' }))

  function release(): void {
    stopTimer()
    socket.off('data', onData)
    socket.off('end', onLeft)
    socket.off('close', onLeft)
  }
  function finish(outcome: StartupOutcome): void {
    release()
    done(outcome)
  }
  function onLeft(): void {
    finish({ kind: 'left' })
  }
  function onData(chunk: Buffer): void {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    for (;;) {
      const packet = parseStartup(bytes)
      switch (packet.kind) {
        case 'incomplete':
          return
        case 'malformed':
          return finish({ kind: 'malformed', reason: packet.reason })
        case 'cancel-request':
          return finish({ kind: 'cancel', key: packet.key })
        case 'startup':
          // A copy, so that a small packet does not keep its 64 kB read buffer alive.
          return finish({
            kind: 'startup',
            packet: Buffer.from(bytes.subarray(0, packet.bytes)),
            rest: bytes.subarray(packet.bytes),
          })
        case 'ssl-request':
        case 'gss-request':
          requests += 1
          if (requests > ENCRYPTION_REQUESTS_MAX) {
            return finish({ kind: 'malformed', reason: 'PROTOCOL_UNSUPPORTED' })
          }
          socket.write(REFUSED)
          bytes = bytes.subarray(packet.bytes)
      }
      if (bytes.length > STARTUP_BYTES_MAX + chunk.length) {
        return finish({ kind: 'malformed', reason: 'LENGTH_OUT_OF_RANGE' })
      }
    }
  }

  socket.on('data', onData)
  socket.on('end', onLeft)
  socket.on('close', onLeft)
  return release
}
