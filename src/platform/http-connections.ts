import {
  Agent as PlainAgent,
  request as requestPlain,
  type ClientRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import type { Socket } from 'node:net'
import { after } from './timers.ts'

export type HttpPost = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type HttpAnswer = { readonly status: number; readonly body: string }

/** PEM texts. `ca` takes the place of the system's authorities. */
export type HttpTls = { readonly ca?: string; readonly cert?: string; readonly key?: string }

/** An exchange that failed, with the one fact that decides whether it may be repeated. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  /** False: there never was a connection that could have carried a byte of the request. */
  readonly wasSent: boolean

  constructor(message: string, options: { readonly wasSent: boolean; readonly cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.wasSent = options.wasSent
  }
}

/** Of one server; more requests wait for one of these to be free. */
const CONNECTIONS_MAX = 32
const IDLE_CONNECTIONS_MAX = 8

/**
 * HTTP/1.1 requests over connections that are kept. Nothing is ever sent a second time: a kept connection that turns out to
 * be broken fails the request, and the caller learns whether a byte of it can have arrived.
 */
export class HttpConnections {
  readonly #plain: PlainAgent
  readonly #tls: TlsAgent
  readonly #connectMs: number
  readonly #ready = new WeakSet<Socket>()

  constructor(options: { readonly connectMs: number; readonly tls?: HttpTls | undefined }) {
    const shared = { keepAlive: true, maxSockets: CONNECTIONS_MAX, maxFreeSockets: IDLE_CONNECTIONS_MAX }
    this.#plain = new PlainAgent(shared)
    this.#tls = new TlsAgent({ ...shared, ...options.tls })
    this.#connectMs = options.connectMs
  }

  /** One request and its whole answer. Rejects with `HttpFailure`, also when `signal` ends it. */
  exchange(
    post: HttpPost,
    options: { readonly signal: AbortSignal; readonly maxBytes: number },
  ): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const { outgoing, wasSent } = this.#begin(post, options.signal)
      const fail = (cause: Error) => reject(failure(post.url, { cause, wasSent: wasSent() }))
      outgoing.on('error', fail)
      outgoing.on('response', (answer) => {
        readWhole(answer, options.maxBytes).then(
          (body) => resolve({ status: answer.statusCode ?? 0, body }),
          (cause: Error) => {
            fail(cause)
            outgoing.destroy()
          },
        )
      })
      outgoing.end(post.body)
    })
  }

  /**
   * A request whose answer goes on: `onText` gets it as it comes, `onEnd` once when it has ended for whatever reason.
   * `signal` ends it. Has a connection of its own.
   */
  stream(
    post: HttpPost,
    options: {
      readonly signal: AbortSignal
      readonly onText: (text: string) => void
      readonly onEnd: (failure: HttpFailure) => void
    },
  ): void {
    const { outgoing, wasSent } = this.#begin(post, options.signal)
    let hasEnded = false
    const end = (cause: Error) => {
      if (hasEnded) return
      hasEnded = true
      options.onEnd(failure(post.url, { cause, wasSent: wasSent() }))
      outgoing.destroy()
    }
    outgoing.on('error', end)
    outgoing.on('response', (answer) => {
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        if (!hasEnded) options.onText(text)
      })
      answer.on('error', end)
      answer.on('close', () => end(new Error('the answer ended')))
    })
    outgoing.end(post.body)
  }

  /** Ends what is idle; what runs is ended by its signal. */
  close(): void {
    this.#plain.destroy()
    this.#tls.destroy()
  }

  #begin(
    { url, headers, body }: HttpPost,
    signal: AbortSignal,
  ): { outgoing: ClientRequest; wasSent: () => boolean } {
    const isSecure = url.startsWith('https:')
    const outgoing = (isSecure ? requestTls : requestPlain)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      agent: isSecure ? this.#tls : this.#plain,
      signal,
    })
    let wasSent = false
    const cancel = after(this.#connectMs, () => {
      if (!wasSent) outgoing.destroy(new Error(`no connection within ${this.#connectMs} ms`))
    })
    outgoing.on('close', cancel)
    outgoing.on('socket', (socket) => {
      // Order: Node writes the request once the socket is ready, never before. From then on it may have arrived.
      const isReady = () => {
        this.#ready.add(socket)
        wasSent = true
        cancel()
        socket.setNoDelay(true)
      }
      if (this.#ready.has(socket)) isReady()
      else socket.once(isSecure ? 'secureConnect' : 'connect', isReady)
    })
    return { outgoing, wasSent: () => wasSent }
  }
}

function readWhole(answer: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      chunks.push(chunk)
      if (bytes > maxBytes) reject(new Error(`the answer has more than ${maxBytes} bytes`))
    })
    answer.on('error', reject)
    answer.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    answer.on('close', () => reject(new Error('the answer broke off')))
  })
}

function failure(url: string, about: { readonly cause: Error; readonly wasSent: boolean }): HttpFailure {
  const { cause, wasSent } = about
  return new HttpFailure(`Cannot get an answer of ${url}: ${cause.message}`, { wasSent, cause })
}
