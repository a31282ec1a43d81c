import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { knock } from './net.ts'

const GREETING = Buffer.from('hello')
const servers: Server[] = []

afterEach(() => {
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
