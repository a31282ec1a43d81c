import type { Socket } from '../../platform/net.ts'
import { afterUnheld } from '../../platform/timers.ts'

/** How long a client may take to close its side once it has our last words. */
const LINGER_MS = 1000
/** How long a client may take to read what is queued for it. */
const FLUSH_MS = 10_000

/**
 * Sends the last bytes, closes our side and, when the client has closed its own or the time is over, the socket.
 * Reads and drops what still comes: closing with unread bytes would be a reset, which can eat our last words.
 */
export function endClient(socket: Socket, lastBytes?: Buffer): void {
  if (socket.destroyed) return
  let stopTimer = afterUnheld(FLUSH_MS, () => socket.destroy())
  socket.once('close', () => stopTimer())
  socket.once('finish', () => {
    stopTimer()
    stopTimer = afterUnheld(LINGER_MS, () => socket.destroy())
  })
  socket.resume()
  if (lastBytes) socket.end(lastBytes)
  else socket.end()
}

/** Keeps a socket's error from ending the process; its `close` follows and is what we act on. */
export function ignoreError(): void {}
