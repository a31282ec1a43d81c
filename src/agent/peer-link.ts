import { messageOf } from '../std/fault.ts'
import { hmacSha256, secretsEqual } from '../platform/hash.ts'
import type { Logger } from '../platform/log.ts'
import { httpRequest, httpsRequest, type Duplex } from '../platform/net.ts'
import { randomHex } from '../platform/random.ts'
import { after } from '../platform/timers.ts'
import type { FrameKind, PeerWire } from './host-ports.ts'

/** The token of the HTTP upgrade that begins a peer connection. */
export const PEER_PROTOCOL = 'pg-metako-peer'

export type PeerAddress = { readonly name: string; readonly host: string; readonly port: number }

export type PeerLinkOptions = {
  readonly self: string
  readonly peers: readonly PeerAddress[]
  /** Shared by all agents of the cluster; proven in both directions, never sent. */
  readonly secret: string
  /** Part of every proof: two clusters with one secret and the same names stay apart. */
  readonly scope: string
  readonly tls?: { readonly ca?: string; readonly cert: string; readonly key: string }
}

type FrameListener = (peer: string, payload: Buffer) => void
type UpgradeHeaders = Readonly<Record<string, string | string[] | undefined>>

const PROOF = 0
const CODES: Readonly<Record<FrameKind, number>> = { raft: 1, heartbeat: 2 }
const KINDS: Readonly<Record<number, FrameKind>> = { 1: 'raft', 2: 'heartbeat' }
const HEADER_BYTES = 5
/** Larger than the largest snapshot message that consensus sends. */
const FRAME_MAX_BYTES = 16 * 1024 * 1024
/** What may wait in a socket's buffer: behind a slow peer the rest is dropped, and consensus sends again. */
const BACKLOG_MAX_BYTES = 8 * 1024 * 1024
/** A proof is 64 hex digits: who has not proven itself gets no more memory than that. */
const PROOF_BYTES = 64
/** Longer than a pause that the profiles tolerate. */
const DEAF_MS = 5000
const DIAL_TIMEOUT_MS = 1000
/** A refused dial costs nothing, and after a restart of several agents the election waits for the last one. */
const REDIAL_MS = 50
const COMPLAIN_EVERY_MS = 30_000

/**
 * Messages between agents: one outgoing connection to each peer over the API port, kept open, dialled again when it
 * breaks. Best effort: what cannot be sent now is dropped, since every sender repeats itself.
 */
export class PeerLink implements PeerWire {
  readonly #log: Logger
  readonly #options: PeerLinkOptions
  readonly #outgoing = new Map<string, Duplex>()
  /** With the peer's name, once it has proven that it knows the secret. */
  readonly #incoming = new Map<Duplex, string | undefined>()
  readonly #listeners: Record<FrameKind, Set<FrameListener>> = { raft: new Set(), heartbeat: new Set() }
  readonly #connected = new Set<(peer: string) => void>()
  readonly #lost = new Set<(peer: string) => void>()
  readonly #heardAt = new Map<string, number>()
  readonly #connectedAt = new Map<string, number>()
  readonly #complainedAt = new Map<string, number>()
  readonly #now: () => number
  #isStopped = false

  constructor(deps: { log: Logger; now: () => number }, options: PeerLinkOptions) {
    this.#log = deps.log
    this.#now = deps.now
    this.#options = options
  }

  start(): void {
    for (const peer of this.#options.peers) this.#dial(peer)
  }

  stop(): void {
    this.#isStopped = true
    for (const socket of [...this.#outgoing.values(), ...this.#incoming.keys()]) socket.destroy()
  }

  /** Best effort; false when there is no connection or its buffer is full. */
  send(peer: string, kind: FrameKind, payload: Uint8Array): boolean {
    const socket = this.#outgoing.get(peer)
    if (!socket || payload.length > FRAME_MAX_BYTES || socket.writableLength > BACKLOG_MAX_BYTES) return false
    if (this.#isDeaf(peer)) {
      // Behind a broken cable the kernel tries again for minutes after it is mended: a new connection is there at once.
      socket.destroy()
      return false
    }
    socket.cork()
    socket.write(header(CODES[kind], payload.length))
    socket.write(payload)
    socket.uncork()
    return true
  }

  /** Peers say something all the time: who was not heard since this connection began, and for long, is not there. */
  #isDeaf(peer: string): boolean {
    const since = Math.max(this.#heardAt.get(peer) ?? 0, this.#connectedAt.get(peer) ?? 0)
    return this.#now() - since > DEAF_MS
  }

  onFrame(kind: FrameKind, listener: FrameListener): () => void {
    this.#listeners[kind].add(listener)
    return () => this.#listeners[kind].delete(listener)
  }

  onConnected(listener: (peer: string) => void): void {
    this.#connected.add(listener)
  }

  /** A peer's own connection broke: it died, restarted, or its network did. */
  onLost(listener: (peer: string) => void): () => void {
    this.#lost.add(listener)
    return () => this.#lost.delete(listener)
  }

  /** Takes a connection that a peer dialled; the handler of the API's upgrade. */
  accept(socket: Duplex, head: Buffer, headers: UpgradeHeaders): void {
    const from = text(headers['x-metako-node'])
    const to = text(headers['x-metako-to'])
    const theirs = text(headers['x-metako-nonce'])
    socket.on('error', () => socket.destroy())
    if (to !== this.#options.self || !this.#options.peers.some(({ name }) => name === from)) {
      const why =
        to === this.#options.self ? `${from} is not in cluster_members` : `this node is ${this.#options.self}`
      // Order: nothing that a stranger sends may grow here, so all strangers share one complaint.
      this.#complain('accept a stranger', `Refused a peer: ${why}`, { from, to })
      socket.end(`HTTP/1.1 421 Misdirected Request\r\nx-metako-why: ${why}\r\nconnection: close\r\n\r\n`)
      return
    }
    const ours = randomHex(16)
    const names = `${from}>${to}`
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n` +
        `x-metako-nonce: ${ours}\r\nx-metako-proof: ${this.#proof('server', names, theirs + ours)}\r\n\r\n`,
    )
    const expected = this.#proof('client', names, theirs + ours)
    this.#incoming.set(socket, undefined)
    socket.on('close', () => {
      const proven = this.#incoming.get(socket)
      this.#incoming.delete(socket)
      // Only who proved its name can be lost under it, and only with its last connection.
      if (proven === undefined || [...this.#incoming.values()].includes(proven)) return
      for (const listener of this.#lost) listener(proven)
    })
    const cancel = after(DIAL_TIMEOUT_MS, () => socket.destroy())
    let isProven = false
    const limit = () => (isProven ? FRAME_MAX_BYTES : PROOF_BYTES)
    readFrames(socket, { head, limit }, (code, payload) => {
      if (!isProven) {
        cancel()
        isProven = code === PROOF && secretsEqual(payload.toString('latin1'), expected)
        if (!isProven) {
          this.#complain(`accept ${from}`, 'Refused a peer: its cluster secret differs', { from })
          socket.destroy()
          return
        }
        // A peer has one connection: an older one is of an earlier life, or behind a broken cable.
        for (const [other, name] of this.#incoming) if (name === from) other.destroy()
        this.#incoming.set(socket, from)
        return
      }
      this.#heardAt.set(from, this.#now())
      const kind = KINDS[code]
      if (kind) for (const listener of this.#listeners[kind]) listener(from, payload)
    })
  }

  #dial(peer: PeerAddress): void {
    if (this.#isStopped) return
    const { self, tls } = this.#options
    const nonce = randomHex(16)
    const request = (tls ? httpsRequest : httpRequest)({
      host: peer.host,
      port: peer.port,
      path: '/v1/peer',
      timeout: DIAL_TIMEOUT_MS,
      ...tls,
      headers: {
        connection: 'Upgrade',
        upgrade: PEER_PROTOCOL,
        'x-metako-node': self,
        'x-metako-to': peer.name,
        'x-metako-nonce': nonce,
      },
    })
    let isDone = false
    const redial = () => {
      if (isDone) return
      isDone = true
      this.#outgoing.delete(peer.name)
      after(REDIAL_MS, () => this.#dial(peer))
    }
    request.on('upgrade', (response, socket) => {
      const theirs = text(response.headers['x-metako-nonce'])
      const names = `${self}>${peer.name}`
      socket.on('error', () => socket.destroy())
      socket.on('close', redial)
      if (this.#isStopped) return void socket.destroy()
      socket.setTimeout(0)
      socket.setNoDelay(true)
      const proof = text(response.headers['x-metako-proof'])
      if (!secretsEqual(proof, this.#proof('server', names, nonce + theirs))) {
        this.#complain(`dial ${peer.name}`, `Cannot trust ${peer.name}: its cluster secret differs`, {
          peer: peer.name,
        })
        socket.destroy()
        return
      }
      const own = Buffer.from(this.#proof('client', names, nonce + theirs), 'latin1')
      socket.write(Buffer.concat([header(PROOF, own.length), own]))
      socket.resume()
      this.#outgoing.set(peer.name, socket)
      this.#connectedAt.set(peer.name, this.#now())
      for (const listener of this.#connected) listener(peer.name)
    })
    request.on('response', (response) => {
      response.resume()
      const why = text(response.headers['x-metako-why']) || `HTTP ${response.statusCode}`
      this.#complain(`dial ${peer.name}`, `${peer.name} refuses this node: ${why}`, {
        host: peer.host,
        port: peer.port,
      })
      request.destroy()
      redial()
    })
    request.on('timeout', () => request.destroy())
    request.on('error', (error) => {
      this.#log.debug('Cannot reach a peer', { peer: peer.name, error: messageOf(error) })
      redial()
    })
    request.on('close', () => {
      if (!this.#outgoing.has(peer.name)) redial()
    })
    request.end()
  }

  #proof(side: 'client' | 'server', names: string, nonces: string): string {
    return hmacSha256(this.#options.secret, `${side} ${this.#options.scope} ${names} ${nonces}`).toString(
      'hex',
    )
  }

  #complain(about: string, message: string, fields: Record<string, unknown>): void {
    const last = this.#complainedAt.get(about)
    if (last !== undefined && this.#now() - last < COMPLAIN_EVERY_MS) return
    this.#complainedAt.set(about, this.#now())
    this.#log.warn(message, fields)
  }
}

function header(code: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES)
  bytes.writeUInt32BE(length, 0)
  bytes.writeUInt8(code, 4)
  return bytes
}

function text(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** `limit`: the largest payload that is taken now. */
function readFrames(
  socket: Duplex,
  { head, limit }: { head: Buffer; limit: () => number },
  onFrame: (code: number, payload: Buffer) => void,
): void {
  let pending: Buffer = Buffer.alloc(0)
  const take = (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    while (pending.length >= HEADER_BYTES && !socket.destroyed) {
      const length = pending.readUInt32BE(0)
      if (length > limit()) {
        socket.destroy()
        return
      }
      if (pending.length < HEADER_BYTES + length) return
      const payload = pending.subarray(HEADER_BYTES, HEADER_BYTES + length)
      const code = pending.readUInt8(4)
      pending = pending.subarray(HEADER_BYTES + length)
      onFrame(code, payload)
    }
  }
  socket.on('data', take)
  if (head.length > 0) take(head)
}
