import { createServer, request, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { silentLogger } from '../platform/log.ts'
import { PEER_PROTOCOL, PeerLink } from './peer-link.ts'

type End = { readonly link: PeerLink; readonly server: Server; readonly heard: string[]; port: number }

describe('PeerLink', () => {
  const ends: End[] = []
  const sockets = new Set<Socket>()
  let now = 1_000_000

  beforeEach(() => {
    now = 1_000_000
  })

  afterEach(() => {
    for (const { link, server } of ends.splice(0)) {
      link.stop()
      server.close()
    }
    for (const socket of sockets) socket.destroy()
  })

  async function listen(): Promise<{ server: Server; port: number }> {
    const server = createServer()
    server.on('connection', (socket) => sockets.add(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { server, port: (server.address() as AddressInfo).port }
  }

  type Change = { secret?: string; scope?: string; peers?: readonly string[]; incarnation?: string }

  /** A peer of each other, unless `change` says otherwise. */
  async function pair(change: Change = {}): Promise<[End, End]> {
    const [one, two] = [await listen(), await listen()]
    const make = (self: string, own: typeof one, other: { name: string; port: number }, how: Change): End => {
      const peers = how.peers?.map((name) => ({ name, host: '127.0.0.1', port: other.port })) ?? [
        { name: other.name, host: '127.0.0.1', port: other.port },
      ]
      const { secret = 'secret', scope = 'main' } = how
      const link = new PeerLink({ log: silentLogger(), now: () => now }, { self, secret, scope })
      link.setPeers({ ownIncarnation: how.incarnation ?? '', peers, removed: [] })
      own.server.on('upgrade', (message, socket, head) => link.accept(socket, head, message.headers))
      const heard: string[] = []
      link.onFrame('heartbeat', (peer, payload) => heard.push(`${peer}: ${payload.toString()}`))
      const end = { link, server: own.server, heard, port: own.port }
      ends.push(end)
      return end
    }
    return [
      make('n1', one, { name: 'n2', port: two.port }, {}),
      make('n2', two, { name: 'n1', port: one.port }, change),
    ]
  }

  const say = (end: End, peer: string, text: string) => end.link.send(peer, 'heartbeat', Buffer.from(text))
  const arrives = (from: End, peer: string, to: End, text: string) =>
    eventually(`"${text}" arrives`, () => {
      say(from, peer, text)
      return to.heard.some((line) => line.endsWith(text))
    })

  it('carries messages both ways, each under the name that its sender proved', async () => {
    const [one, two] = await pair()
    one.link.start()
    two.link.start()
    await arrives(one, 'n2', two, 'hello')
    await arrives(two, 'n1', one, 'you too')
    expect(two.heard[0]).toBe('n1: hello')
  })

  it.each([
    ['another secret', { secret: 'wrong' }],
    ['another cluster with the same secret and names', { scope: 'other' }],
  ])('carries nothing to and from %s', async (_, change) => {
    const [one, two] = await pair(change)
    const connected: string[] = []
    one.link.onConnected((peer) => connected.push(peer))
    let handshakes = 0
    two.server.on('upgrade', () => (handshakes += 1))
    one.link.start()
    await eventually('two tries', () => handshakes >= 2)
    expect(connected).toEqual([])
    expect(say(one, 'n2', 'hello')).toBe(false)
    expect(two.heard).toEqual([])
  })

  it('refuses a node that is no member, and says why', async () => {
    const [one] = await pair()
    const response = await new Promise<{ status: number | undefined; why: unknown }>((resolve) => {
      request({
        host: '127.0.0.1',
        port: one.port,
        headers: {
          connection: 'Upgrade',
          upgrade: PEER_PROTOCOL,
          'x-metako-node': 'stranger',
          'x-metako-to': 'n1',
          'x-metako-nonce': '00',
        },
      })
        .on('response', (answer) => {
          answer.resume()
          resolve({ status: answer.statusCode, why: answer.headers['x-metako-why'] })
        })
        .end()
    })
    expect(response).toEqual({
      status: 421,
      why: 'stranger is no member of this cluster: see "pg-metako member add stranger"',
    })
  })

  describe('when the members change', () => {
    const other = (end: End, name: string, incarnation?: string) => ({
      name,
      host: '127.0.0.1',
      port: end.port,
      ...(incarnation === undefined ? {} : { incarnation }),
    })
    const setPeers = (end: End, peers: ReturnType<typeof other>[], ownIncarnation = '') =>
      end.link.setPeers({ ownIncarnation, peers, removed: [] })

    it('finds a new peer without a restart, and cuts one that is none any more', async () => {
      const [one, two] = await pair()
      setPeers(one, [])
      setPeers(two, [])
      one.link.start()
      two.link.start()
      setPeers(one, [other(two, 'n2')])
      setPeers(two, [other(one, 'n1')])
      await arrives(one, 'n2', two, 'welcome')
      setPeers(two, [])
      await eventually('the cut', () => !say(one, 'n2', 'still there?'))
      const heard = two.heard.length
      setPeers(one, [other(two, 'n2')])
      expect(two.heard).toHaveLength(heard)
    })

    it('follows a peer to another address', async () => {
      const [one, two] = await pair()
      setPeers(one, [{ name: 'n2', host: '127.0.0.1', port: 1 }])
      one.link.start()
      setPeers(one, [other(two, 'n2')])
      await arrives(one, 'n2', two, 'there you are')
      expect(two.heard[0]).toBe('n1: there you are')
    })

    it('refuses the name of a member under another log than the member has', async () => {
      const [one, two] = await pair()
      setPeers(two, [other(one, 'n1', 'log-of-n1')])
      let refusals = 0
      two.server.on('upgrade', () => (refusals += 1))
      setPeers(one, [other(two, 'n2')], 'an-empty-log')
      one.link.start()
      await eventually('two refusals', () => refusals >= 2)
      expect(say(one, 'n2', 'hello')).toBe(false)
      setPeers(one, [other(two, 'n2')], 'log-of-n1')
      await arrives(one, 'n2', two, 'hello')
    })

    it('tells one that was removed since when, and nobody who comes under its name with another log', async () => {
      const [one, two] = await pair()
      two.link.setPeers({
        ownIncarnation: '',
        peers: [],
        removed: [{ name: 'n1', incarnation: 'old', at: 'yesterday' }],
      })
      const told: string[] = []
      one.link.onRemoved((at) => told.push(at))
      let refusals = 0
      two.server.on('upgrade', () => (refusals += 1))
      setPeers(one, [other(two, 'n2')], 'new')
      one.link.start()
      await eventually('two refusals', () => refusals >= 2)
      expect(told).toEqual([])
      setPeers(one, [other(two, 'n2')], 'old')
      await eventually('the word', () => told.length > 0)
      expect(told[0]).toBe('yesterday')
    })

    it('believes no removal from somebody who does not know the secret', async () => {
      const [one, two] = await pair({ secret: 'wrong' })
      two.link.setPeers({
        ownIncarnation: '',
        peers: [],
        removed: [{ name: 'n1', incarnation: 'mine', at: 'yesterday' }],
      })
      const told: string[] = []
      one.link.onRemoved((at) => told.push(at))
      let refusals = 0
      two.server.on('upgrade', () => (refusals += 1))
      setPeers(one, [other(two, 'n2')], 'mine')
      one.link.start()
      await eventually('three refusals', () => refusals >= 3)
      expect(told).toEqual([])
    })
  })

  /** Begins a connection under a member's name, as somebody who does not know the secret. */
  function impostor(port: number): Promise<{ socket: Socket; proof: string }> {
    return new Promise((resolve) => {
      request({
        host: '127.0.0.1',
        port,
        headers: {
          connection: 'Upgrade',
          upgrade: PEER_PROTOCOL,
          'x-metako-node': 'n2',
          'x-metako-to': 'n1',
          'x-metako-nonce': '00',
        },
      })
        .on('upgrade', (answer, socket) => {
          sockets.add(socket)
          socket.on('error', () => undefined)
          resolve({ socket: socket, proof: String(answer.headers['x-metako-proof']) })
        })
        .end()
    })
  }

  const frame = (code: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(5)
    head.writeUInt32BE(payload.length, 0)
    head.writeUInt8(code, 4)
    return Buffer.concat([head, payload])
  }

  it('does not take its own proof back for the other side’s', async () => {
    const [one] = await pair()
    const { socket, proof } = await impostor(one.port)
    socket.write(Buffer.concat([frame(0, Buffer.from(proof)), frame(2, Buffer.from('reflected'))]))
    await eventually('it is cut', () => socket.destroyed || socket.readableEnded || !socket.writable)
    expect(one.heard).toEqual([])
  })

  it('announces no loss of a peer whose name somebody only claimed', async () => {
    const [one] = await pair()
    const lost: string[] = []
    one.link.onLost((peer) => lost.push(peer))
    const { socket } = await impostor(one.port)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(frame(0, Buffer.from('guess')))
    await closed
    expect(lost).toEqual([])
  })

  it('buffers nothing for who has proven nothing', async () => {
    const [one] = await pair()
    const { socket } = await impostor(one.port)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const head = Buffer.alloc(5)
    head.writeUInt32BE(8 * 1024 * 1024, 0)
    socket.write(head)
    await closed
    expect(one.heard).toEqual([])
  })

  it('announces a peer that is gone, and finds it again when it is back', async () => {
    const [one, two] = await pair()
    const lost: string[] = []
    one.link.onLost((peer) => lost.push(peer))
    one.link.start()
    two.link.start()
    await arrives(two, 'n1', one, 'first')
    await arrives(one, 'n2', two, 'first')
    for (const socket of sockets) socket.destroy()
    await eventually('the loss', () => lost.includes('n2'))
    await arrives(two, 'n1', one, 'second')
    await arrives(one, 'n2', two, 'second')
    expect(two.heard.at(-1)).toBe('n1: second')
  })

  it('gives a connection up behind which nobody has been heard for long', async () => {
    const [one, two] = await pair()
    let handshakes = 0
    two.server.on('upgrade', () => (handshakes += 1))
    one.link.start()
    await arrives(one, 'n2', two, 'hello')
    expect(handshakes).toBe(1)
    now += 6000
    expect(say(one, 'n2', 'are you there')).toBe(false)
    await eventually('another connection', () => handshakes === 2)
  })

  it('drops what a peer does not take, instead of keeping it', async () => {
    const [one, two] = await pair()
    one.link.start()
    await arrives(one, 'n2', two, 'hello')
    for (const socket of sockets) socket.pause()
    const large = Buffer.alloc(4 * 1024 * 1024)
    const isDropped = await eventually('it is refused', () => !one.link.send('n2', 'raft', large))
    expect(isDropped).toBe(true)
  })

  it('refuses a message that the other side would cut the connection for', async () => {
    const [one, two] = await pair()
    one.link.start()
    await arrives(one, 'n2', two, 'hello')
    expect(one.link.send('n2', 'raft', Buffer.alloc(17 * 1024 * 1024))).toBe(false)
  })
})
