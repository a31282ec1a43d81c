import { messageOf } from '../../std/fault.ts'
import { MiB } from '../../std/units.ts'
import type { Endpoint } from './endpoints.ts'
import type { Gateway } from './gateway.ts'
import { readWatchLine, watchBody, type WatchMessage } from './messages.ts'

/** One message with all events of a revision; more than any transaction of ours makes. */
const LINE_LENGTH_MAX = 16 * MiB

export type WatchEnd =
  | { readonly kind: 'broken'; readonly reason: string }
  /** Events between the start and now are gone. */
  | { readonly kind: 'compacted' }

/**
 * One watch at one endpoint, from `startRevision` until it ends, which it always does: the connection breaks, etcd ends it
 * (no leader, no token any more), or `signal` does. Nothing is queued: each message is taken before the next one is read.
 */
export function followWatch(
  gateway: Gateway,
  about: {
    readonly endpoint: Endpoint
    readonly prefix: string
    readonly startRevision: number
    readonly signal: AbortSignal
    readonly onMessage: (message: Extract<WatchMessage, { kind: 'created' | 'events' }>) => void
  },
): Promise<WatchEnd> {
  return new Promise((resolve) => {
    const abort = new AbortController()
    const signal = AbortSignal.any([about.signal, abort.signal])
    const end = (how: WatchEnd): void => {
      resolve(how)
      abort.abort()
    }
    let rest = ''
    const onText = (text: string): void => {
      if (signal.aborted) return
      rest += text
      if (rest.length > LINE_LENGTH_MAX) return end({ kind: 'broken', reason: 'a message without an end' })
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '' && !signal.aborted) take(line)
    }
    const take = (line: string): void => {
      const message = tryRead(line)
      switch (message.kind) {
        case 'created':
        case 'events':
          return about.onMessage(message)
        case 'compacted':
          return end(message)
        case 'ended':
          return end({ kind: 'broken', reason: message.reason })
      }
    }
    gateway
      .stream(
        about.endpoint,
        { path: '/v3/watch', body: watchBody(about.prefix, about.startRevision) },
        { signal, onText, onEnd: (failure) => end({ kind: 'broken', reason: failure.message }) },
      )
      .catch((error: unknown) => end({ kind: 'broken', reason: messageOf(error) }))
  })
}

function tryRead(line: string): WatchMessage {
  try {
    return readWatchLine(line)
  } catch (error) {
    return { kind: 'ended', reason: `cannot be read: ${messageOf(error)}` }
  }
}
