import type { HttpServer, IncomingMessage, ServerResponse } from '../platform/net.ts'
import {
  closeListener,
  createHttpListener,
  listenOn,
  type ListenerLimits,
  type TlsFiles,
} from './listener.ts'
import { serveUpgrades, type UpgradeHandler } from './upgrades.ts'

/** Requests can be sent one after another without waiting for answers: far above what members and people have under way. */
const WAITING_MAX = 1_000

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export type ApiPortOptions = {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly tls?: TlsFiles | undefined
  readonly limits?: ListenerLimits
}

/**
 * The port of the API, which can be open before there is an API: other agents come in by upgrade at once, since the lease
 * waits for them, and requests wait until something answers them.
 */
export type ApiPort = {
  readonly server: HttpServer
  /** Resolves when connections are taken; rejects with the fault `API_CANNOT_LISTEN`. */
  listen(): Promise<{ readonly address: string; readonly port: number }>
  /** From now on, and for those that wait. */
  answerWith(handler: RequestHandler): void
  /** Hands connections that ask for `protocol` over; register before `listen`. */
  onUpgrade(protocol: string, handler: UpgradeHandler): void
  /** Ends within two seconds and may be called again. */
  stop(): Promise<void>
}

export function openApiPort(options: ApiPortOptions): ApiPort {
  let answer: RequestHandler | undefined
  const waiting: Parameters<RequestHandler>[] = []
  const server = createHttpListener(
    (request, response) => {
      if (answer) answer(request, response)
      else if (waiting.length < WAITING_MAX) waiting.push([request, response])
      else request.destroy()
    },
    { tls: options.tls, limits: options.limits },
  )
  const upgrades = serveUpgrades(server)
  return {
    server,
    listen: async () => {
      const { address, port } = await listenOn(server, options.host, options.port)
      return { address, port }
    },
    answerWith: (handler) => {
      answer = handler
      for (const [request, response] of waiting.splice(0)) handler(request, response)
    },
    onUpgrade: (protocol, handler) => upgrades.on(protocol, handler),
    stop: async () => {
      upgrades.stop()
      await closeListener(server, options.limits)
    },
  }
}
