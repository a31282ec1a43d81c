import { connect as connectPlain, type Socket } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { buildSslRequest } from '../../src/wire/startup.ts'

const TIMEOUT_MS = 10_000

/** TLS from the first byte on, as `sslnegotiation=direct` of PostgreSQL 17. Resolves when the handshake is through. */
export function directTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return secured(connect({ host: '127.0.0.1', port, ALPNProtocols: ['postgresql'], ...options }))
}

/** Asks for TLS first, as every client does. */
export async function negotiatedTls(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectPlain({ host: '127.0.0.1', port, noDelay: true })
  socket.write(buildSslRequest())
  const answer = await new Promise<string>((resolve, reject) => {
    socket.once('data', (bytes) => resolve(String(bytes)))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed before an answer')))
  })
  if (answer !== 'S') throw new Error(`no TLS: it answered ${answer}`)
  return secured(connect({ socket, host: '127.0.0.1', ...options }))
}

function secured(socket: TLSSocket): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('no handshake')))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed during the handshake')))
    socket.once('secureConnect', () => {
      socket.setTimeout(0)
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

/** Resolves when the other side has ended the connection. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.resume()
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
}
