import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { testCertificate, testKey } from '../../test/support/tls-fixture.ts'
import { connectLean, createLeanServer, knock } from './net.ts'

const GREETING = Buffer.from('hello')
const servers: Server[] = []
const sockets: Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

async function listening(onConnect: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    onConnect(socket)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

it('tells a process that answers from one that stands still, and both from none', async () => {
  const awake = await listening((socket) => socket.once('data', () => socket.write('N')))
  expect(await knock(awake, GREETING)).toBe('answers')
  const still = await listening((socket) => socket.pause())
  expect(await knock(still, GREETING)).toBe('accepts')
  expect(await knock(still)).toBe('accepts')
  const none = await listening(() => undefined)
  await new Promise((resolve) => servers.pop()?.close(resolve))
  expect(await knock(none, GREETING)).toBe('refuses')
})

it('takes a connection that ends without a word for no answer', async () => {
  const rude = await listening((socket) => socket.destroy())
  expect(await knock(rude, GREETING)).toBe('accepts')
})

/** Both ends of a connection, each made to read leanly. */
async function leanPair(allowHalfOpen = true): Promise<{ client: Socket; accepted: Socket }> {
  let taken: (socket: Socket) => void
  const arrived = new Promise<Socket>((resolve) => void (taken = resolve))
  const server = createLeanServer({ allowHalfOpen, noDelay: true }, (socket) => taken(socket))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connectLean({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    allowHalfOpen,
  })
  const accepted = await arrived
  sockets.push(client, accepted)
  return { client, accepted }
}

/** Everything up to the other side's end. */
async function readToEnd(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end')
  return Buffer.concat(chunks)
}

describe('a socket that reads leanly', () => {
  it('takes no memory from the allocator for a few bytes, whichever side began the connection', async () => {
    const { client, accepted } = await leanPair()
    for (const [from, to] of [
      [client, accepted],
      [accepted, client],
    ] as const) {
      const came = once(to, 'data')
      from.write('few')
      const [chunk] = (await came) as [Buffer]
      expect(chunk.toString()).toBe('few')
      expect(chunk.buffer.byteLength).toBeGreaterThanOrEqual(Buffer.poolSize)
    }
  })

  it('gives every byte once and in order, however often it is paused', async () => {
    const { client, accepted } = await leanPair()
    const sent = Buffer.alloc(3_000_000, 'twelve bytes')
    client.end(sent)
    const chunks: Buffer[] = []
    accepted.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      accepted.pause()
      setImmediate(() => accepted.resume())
    })
    await once(accepted, 'end')
    expect(Buffer.concat(chunks).equals(sent)).toBe(true)
    const answered = readToEnd(client)
    accepted.end('and an answer')
    expect((await answered).toString()).toBe('and an answer')
  })

  it('drops what nobody listens for, and still notices the end', async () => {
    const { client, accepted } = await leanPair()
    const drop = (): void => {}
    accepted.on('data', drop)
    client.write('heard')
    await once(accepted, 'data')
    accepted.off('data', drop)
    const ended = once(accepted, 'end')
    client.end(Buffer.alloc(1_000_000))
    await ended
    expect(accepted.readableEnded).toBe(true)
  })

  it('speaks TLS', async () => {
    const { client, accepted } = await leanPair()
    const inside = new TLSSocket(accepted, { isServer: true, cert: testCertificate, key: testKey })
    const secure = connectTls({
      socket: client,
      ca: testCertificate,
      host: '127.0.0.1',
      servername: 'localhost',
    })
    sockets.push(secure, inside)
    await once(secure, 'secureConnect')
    const came = once(inside, 'data')
    secure.write('in secret')
    expect(String((await came)[0])).toBe('in secret')
  })
})
