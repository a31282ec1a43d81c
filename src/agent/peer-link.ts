import { messageOf } from '../std/fault.ts'
import { hmacSha256, secretsEqual } from '../platform/hash.ts'
import type { Logger } from '../platform/log.ts'
import { httpRequest, httpsRequest, type Duplex } from '../platform/net.ts'
import { randomHex } from '../platform/random.ts'
import { after } from '../platform/timers.ts'
import type { FrameKind, PeerAddress, PeerList, PeerWire, RemovedPeer } from './host-ports.ts'

/** The token of the HTTP upgrade that begins a peer connection. */
export const PEER_PROTOCOL = 'pg-metako-peer'

export type PeerLinkOptions = {
  readonly self: string
  /** Shared by all agents of the cluster; proven in both directions, never sent. */
  readonly secret: string
  /** Part of every proof: two clusters with one secret and the same names stay apart. */
  readonly scope: string
  readonly tls?: { readonly ca?: string; readonly cert: string; readonly key: string }
}

/** Who speaks on a connection: a name, and which of those that ever had it. */
type Speaker = { readonly name: string; readonly incarnation: string }

/** The tries to reach one peer at one address; over when the peer is another or somewhere else. */
type Dial = { readonly peer: PeerAddress; isOver: boolean }

type Refusal = { readonly why: string; readonly removed?: RemovedPeer }

type FrameListener = (peer: string, payload: Buffer) => void
type UpgradeHeaders = Readonly<Record<string, string | string[] | undefined>>

const PROOF = 0
const CODES: Readonly<Record<FrameKind, number>> = { raft: 1, heartbeat: 2, registry: 3, cancel: 4 }
const KINDS: Readonly<Record<number, FrameKind>> = {
  1: 'raft',
  2: 'heartbeat',
  3: 'registry',
  4: 'cancel',
}
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
  readonly #dials = new Map<string, Dial>()
  /** With the peer's name, once it has proven that it knows the secret. */
  readonly #incoming = new Map<Duplex, Speaker | undefined>()
  readonly #listeners: Record<FrameKind, Set<FrameListener>> = {
    raft: new Set(),
    heartbeat: new Set(),
    registry: new Set(),
    cancel: new Set(),
  }
  readonly #connected = new Set<(peer: string) => void>()
  readonly #lost = new Set<(peer: string) => void>()
  readonly #heardAt = new Map<string, number>()
  readonly #connectedAt = new Map<string, number>()
  readonly #complainedAt = new Map<string, number>()
  readonly #removedListeners = new Set<(at: string) => void>()
  readonly #now: () => number
  #list: PeerList = { ownIncarnation: '', peers: [], removed: [] }
  #isStarted = false
  #isStopped = false

  constructor(deps: { log: Logger; now: () => number }, options: PeerLinkOptions) {
    this.#log = deps.log
    this.#now = deps.now
    this.#options = options
  }

  start(): void {
    this.#isStarted = true
    this.#dialNew()
  }

  stop(): void {
    this.#isStopped = true
    for (const socket of [...this.#outgoing.values(), ...this.#incoming.keys()]) socket.destroy()
  }

  setPeers(list: PeerList): void {
    this.#list = list
    for (const [name, dial] of this.#dials) {
      if (list.peers.some((peer) => isSameAddress(peer, dial.peer))) continue
      dial.isOver = true
      this.#dials.delete(name)
      this.#outgoing.get(name)?.destroy()
      this.#outgoing.delete(name)
    }
    for (const [socket, speaker] of this.#incoming) {
      if (speaker && this.#refusalOf(speaker)) socket.destroy()
    }
    this.#dialNew()
  }

  onRemoved(listener: (at: string) => void): void {
    this.#removedListeners.add(listener)
  }

  #dialNew(): void {
    if (!this.#isStarted || this.#isStopped) return
    for (const peer of this.#list.peers) {
      if (this.#dials.has(peer.name)) continue
      const dial = { peer, isOver: false }
      this.#dials.set(peer.name, dial)
      this.#dial(dial)
    }
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
    const speaker = { name: from, incarnation: text(headers['x-metako-incarnation']) }
    const names = `${nameIn(speaker)}>${to}`
    const refusal =
      to === this.#options.self ? this.#refusalOf(speaker) : { why: `this node is ${this.#options.self}` }
    if (refusal) {
      // Order: nothing that a stranger sends may grow here, so all strangers share one complaint.
      this.#complain('accept a stranger', `Refused a peer: ${refusal.why}`, { from, to })
      socket.end(this.#refusalAnswer(refusal, names, theirs))
      return
    }
    const ours = randomHex(16)
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
      if (!proven || [...this.#incoming.values()].some((other) => other?.name === proven.name)) return
      for (const listener of this.#lost) listener(proven.name)
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
        for (const [other, known] of this.#incoming) if (known?.name === from) other.destroy()
        this.#incoming.set(socket, speaker)
        return
      }
      this.#heardAt.set(from, this.#now())
      const kind = KINDS[code]
      if (kind) for (const listener of this.#listeners[kind]) listener(from, payload)
    })
  }

  /** Why this speaker is not talked to; `undefined` for a peer. */
  #refusalOf(speaker: Speaker): Refusal | undefined {
    const { peers, removed } = this.#list
    const peer = peers.find(({ name }) => name === speaker.name)
    if (peer && (peer.incarnation ?? speaker.incarnation) === speaker.incarnation) return undefined
    const gone = removed.find(
      ({ name, incarnation }) => name === speaker.name && incarnation === speaker.incarnation,
    )
    if (gone) return { why: `${gone.name} was removed from the cluster on ${gone.at}`, removed: gone }
    if (!peer) {
      return {
        why: `${speaker.name} is no member of this cluster: see "pg-metako member add ${speaker.name}"`,
      }
    }
    return {
      why: `the member ${speaker.name} had another consensus log: this node lost its state folder; see "pg-metako member remove ${speaker.name}" and "pg-metako member add ${speaker.name}"`,
    }
  }

  /** A removal is proven like everything between peers: nobody else can talk a node out of its cluster. */
  #refusalAnswer({ why, removed }: Refusal, names: string, theirs: string): string {
    const proof = removed && this.#proof('removed', names, theirs + removed.at)
    const lines = removed
      ? ['HTTP/1.1 410 Gone', `x-metako-removed: ${removed.at}`, `x-metako-proof: ${proof}`]
      : ['HTTP/1.1 421 Misdirected Request']
    return [...lines, `x-metako-why: ${why}`, 'connection: close', '', ''].join('\r\n')
  }

  #dial(dial: Dial): void {
    const { peer } = dial
    if (this.#isStopped || dial.isOver) return
    const { self, tls } = this.#options
    const { ownIncarnation } = this.#list
    const names = `${nameIn({ name: self, incarnation: ownIncarnation })}>${peer.name}`
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
        ...(ownIncarnation === '' ? {} : { 'x-metako-incarnation': ownIncarnation }),
      },
    })
    let isDone = false
    const redial = () => {
      if (isDone) return
      isDone = true
      // Another dial to the same name may have a connection by now.
      if (!dial.isOver) this.#outgoing.delete(peer.name)
      after(REDIAL_MS, () => this.#dial(dial))
    }
    request.on('upgrade', (response, socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('close', redial)
      if (this.#isStopped || dial.isOver) return void socket.destroy()
      this.#opened(socket, response.headers, { peer, names, nonce })
    })
    request.on('response', (response) => {
      response.resume()
      this.#refused(response.headers, { peer, names, nonce, status: response.statusCode })
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

  /** The peer took the connection: it proves itself, and this node proves itself to it. */
  #opened(
    socket: Duplex & { setTimeout(ms: number): unknown; setNoDelay(isOn: boolean): unknown },
    headers: UpgradeHeaders,
    { peer, names, nonce }: { peer: PeerAddress; names: string; nonce: string },
  ): void {
    const theirs = text(headers['x-metako-nonce'])
    socket.setTimeout(0)
    socket.setNoDelay(true)
    const proof = text(headers['x-metako-proof'])
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
  }

  #refused(
    headers: UpgradeHeaders,
    about: { peer: PeerAddress; names: string; nonce: string; status: number | undefined },
  ): void {
    const { peer, names, nonce, status } = about
    this.#hearRemoval(headers, names, nonce)
    const why = text(headers['x-metako-why']) || `HTTP ${status}`
    this.#complain(`dial ${peer.name}`, `${peer.name} refuses this node: ${why}`, {
      host: peer.host,
      port: peer.port,
    })
  }

  #hearRemoval(headers: UpgradeHeaders, names: string, nonce: string): void {
    const at = text(headers['x-metako-removed'])
    if (at === '') return
    const expected = this.#proof('removed', names, nonce + at)
    if (!secretsEqual(text(headers['x-metako-proof']), expected)) return
    for (const listener of this.#removedListeners) listener(at)
  }

  #proof(side: 'client' | 'server' | 'removed', names: string, nonces: string): string {
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

function nameIn({ name, incarnation }: Speaker): string {
  return incarnation === '' ? name : `${name}#${incarnation}`
}

function isSameAddress(one: PeerAddress, other: PeerAddress): boolean {
  return one.name === other.name && one.host === other.host && one.port === other.port
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
