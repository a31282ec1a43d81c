import type { Duplex, HttpServer } from '../platform/net.ts'

/** Takes over a connection after its request; nothing has been answered yet. Must authenticate the peer by itself. */
export type UpgradeHandler = (
  socket: Duplex,
  head: Buffer,
  headers: Readonly<Record<string, string | string[] | undefined>>,
) => void

export type Upgrades = {
  /** One handler for each protocol; the name is compared without case. */
  on(protocol: string, handler: UpgradeHandler): void
  /** Closes all connections that were handed over. */
  stop(): void
}

/** HTTP Upgrade on the API's port: the peer link comes in here. What nobody has asked for gets a 400 and is closed. */
export function serveUpgrades(server: HttpServer): Upgrades {
  const handlers = new Map<string, UpgradeHandler>()
  const open = new Set<Duplex>()
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    // From here on nobody else listens: an error without a listener would end the process.
    socket.on('error', () => socket.destroy())
    const asked = (request.headers.upgrade ?? '').split(',').map((name) => name.trim().toLowerCase())
    const handler = asked.map((name) => handlers.get(name)).find((found) => found !== undefined)
    if (!handler) return refuse(socket, [...handlers.keys()])
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    handler(socket, head, request.headers)
  })
  return {
    on: (protocol, handler) => {
      handlers.set(protocol.toLowerCase(), handler)
    },
    stop: () => {
      for (const socket of open) socket.destroy()
    },
  }
}

function refuse(socket: Duplex, known: readonly string[]): void {
  const body = JSON.stringify({
    type: 'urn:pg-metako:problem:api-request-malformed',
    title: 'Bad request',
    status: 400,
    code: 'API_REQUEST_MALFORMED',
    detail: `Cannot upgrade this connection: wanted ${known.join(' or ') || 'no upgrade at all'}`,
  })
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
