import type { FrameKind, PeerList, PeerWire } from '../../../src/agent/host-ports.ts'
import { understoodBy, wordsOf, type Release } from './release.ts'
import type { SimProcess } from './sim-host.ts'
import { SimChannel, type SimNetwork } from './sim-network.ts'

/** As `PeerLink`: a peer that says nothing for so long is dialled anew. */
const DEAF_MS = 5000
const DIAL_TIMEOUT_MS = 1000
const REDIAL_MS = 50

type Frame = { readonly kind: FrameKind; readonly payload: Uint8Array }
type FrameListener = (peer: string, payload: Uint8Array) => void

type Outgoing = {
  readonly target: SimPeerLink
  readonly channel: SimChannel<Frame>
  readonly connectedAt: number
}

/** Where agents find each other: the API ports of all hosts. */
export class PeerSwitch {
  readonly network: SimNetwork
  readonly #ends = new Map<string, SimPeerLink>()
  readonly #waiting = new Map<string, (() => void)[]>()

  constructor(network: SimNetwork) {
    this.network = network
    network.onHeal(() => {
      for (const end of this.#ends.values()) end.flush()
    })
  }

  end(name: string): SimPeerLink | undefined {
    const end = this.#ends.get(name)
    return end?.process.isAlive === true ? end : undefined
  }

  place(name: string, end: SimPeerLink): void {
    this.#ends.set(name, end)
    const waiting = this.#waiting.get(name) ?? []
    this.#waiting.delete(name)
    for (const task of waiting) task()
  }

  /** Calls once somebody listens there: what would come between are refusals that change nothing. */
  whenPlaced(name: string, task: () => void): void {
    const waiting = this.#waiting.get(name)
    if (waiting === undefined) this.#waiting.set(name, [task])
    else waiting.push(task)
  }
}

/** One agent's connections to the others, with what `PeerLink` makes of TCP: one way each, dialled again when broken. */
export class SimPeerLink implements PeerWire {
  readonly process: SimProcess
  readonly #switch: PeerSwitch
  readonly #self: string
  readonly #release: Release
  readonly #removed: ((at: string) => void)[] = []
  readonly #dialled = new Set<string>()
  #list: PeerList = { ownIncarnation: '', peers: [], removed: [] }
  #isStarted = false
  readonly #outgoing = new Map<string, Outgoing>()
  readonly #incoming = new Map<string, SimPeerLink>()
  readonly #listeners: Record<FrameKind, FrameListener[]> = {
    raft: [],
    heartbeat: [],
    registry: [],
    cancel: [],
  }
  readonly #connected: ((peer: string) => void)[] = []
  readonly #lost: ((peer: string) => void)[] = []
  readonly #heardAt = new Map<string, number>()

  constructor(place: PeerSwitch, process: SimProcess, release: Release) {
    this.#release = release
    this.#switch = place
    this.process = process
    this.#self = process.host.name
    place.place(this.#self, this)
  }

  start(): void {
    this.#isStarted = true
    this.#dialNew()
  }

  setPeers(list: PeerList): void {
    this.#list = list
    for (const [peer, outgoing] of this.#outgoing) {
      if (!this.#knows(peer)) this.#drop(peer, outgoing)
    }
    for (const [peer, dialler] of this.#incoming) {
      if (this.#isPeer(peer, dialler.#list.ownIncarnation)) continue
      this.#incoming.delete(peer)
      this.#tell(peer, () => dialler.#broken(this.#self, this))
    }
    this.#dialNew()
  }

  onRemoved(listener: (at: string) => void): void {
    this.#removed.push(listener)
  }

  #knows(peer: string): boolean {
    return this.#list.peers.some(({ name }) => name === peer)
  }

  /** Of those that ever had its name, only the one that this side knows. */
  #isPeer(name: string, incarnation: string): boolean {
    const peer = this.#list.peers.find((one) => one.name === name)
    return peer !== undefined && (peer.incarnation ?? incarnation) === incarnation
  }

  #dialNew(): void {
    if (!this.#isStarted) return
    for (const { name } of this.#list.peers) {
      if (this.#dialled.has(name)) continue
      this.#dialled.add(name)
      this.#dial(name)
    }
  }

  send(peer: string, kind: FrameKind, payload: Uint8Array): boolean {
    const outgoing = this.#outgoing.get(peer)
    if (outgoing === undefined) return false
    const now = this.process.host.monotonic()
    if (now - Math.max(this.#heardAt.get(peer) ?? 0, outgoing.connectedAt) > DEAF_MS) {
      this.#drop(peer, outgoing)
      return false
    }
    const said = kind === 'raft' ? wordsOf(this.#release, payload) : payload
    outgoing.channel.send({ kind, payload: said }, this.process.host.time.now)
    return true
  }

  onFrame(kind: FrameKind, listener: FrameListener): () => void {
    this.#listeners[kind].push(listener)
    return () => {
      this.#listeners[kind] = this.#listeners[kind].filter((one) => one !== listener)
    }
  }

  onConnected(listener: (peer: string) => void): void {
    this.#connected.push(listener)
  }

  onLost(listener: (peer: string) => void): () => void {
    this.#lost.push(listener)
    return () => void this.#lost.splice(this.#lost.indexOf(listener), 1)
  }

  /** The process has ended: where its kernel can still speak, the others are told at once. */
  ended(): void {
    for (const [peer, { target, channel }] of this.#outgoing) {
      channel.close()
      this.#tell(peer, () => target.#lose(this.#self, this))
    }
    for (const [peer, dialler] of this.#incoming) {
      this.#tell(peer, () => dialler.#broken(this.#self, this))
    }
  }

  flush(): void {
    for (const { channel } of this.#outgoing.values()) channel.flush()
  }

  #tell(peer: string, task: () => void): void {
    const { network } = this.#switch
    if (!this.process.host.isUp) return
    network.after(network.delay(this.#self, peer), () => {
      if (network.isOpen(this.#self, peer)) task()
    })
  }

  #dial(peer: string): void {
    if (!this.#knows(peer)) return void this.#dialled.delete(peer)
    const { network } = this.#switch
    const back = network.delay(peer, this.#self)
    let isDone = false
    let cancelTimeout = (): void => undefined
    const finish = (task: () => void) => (): void => {
      if (isDone) return
      isDone = true
      cancelTimeout()
      task()
    }
    const redial = (): void => void this.process.after(REDIAL_MS, () => this.#dial(peer))
    const again = finish(redial)
    cancelTimeout = this.process.after(DIAL_TIMEOUT_MS, again)
    network.after(network.delay(this.#self, peer) + back, () => {
      if (!this.process.isAlive) return
      if (!network.isOpen(this.#self, peer) || !network.isOpen(peer, this.#self)) return
      const target = this.#switch.end(peer)
      // Nobody listens: its kernel says so, again and again.
      if (target === undefined) return finish(() => this.#switch.whenPlaced(peer, redial))()
      target.process.run(() => {
        const { ownIncarnation } = this.#list
        if (!target.#isPeer(this.#self, ownIncarnation)) {
          const removed = target.#removalOf(this.#self, ownIncarnation)
          if (removed !== undefined) this.process.run(() => this.#tellRemoved(removed))
          return this.process.run(again)
        }
        this.process.run(finish(() => this.#connect(peer, target)))
      })
    })
  }

  /** When a dialler was removed, as this side knows it. */
  #removalOf(peer: string, incarnation: string): string | undefined {
    return this.#list.removed.find((one) => one.name === peer && one.incarnation === incarnation)?.at
  }

  #tellRemoved(at: string): void {
    for (const listener of this.#removed) listener(at)
  }

  #connect(peer: string, target: SimPeerLink): void {
    if (!target.process.isAlive) return void this.process.after(REDIAL_MS, () => this.#dial(peer))
    const { network } = this.#switch
    const channel = new SimChannel<Frame>(network, { from: this.#self, to: peer }, (frame) => {
      if (!target.process.isAlive) {
        // The kernel of a host that came back knows no such connection.
        if (target.process.host.isUp) this.#broken(peer, target)
        return
      }
      target.process.run(() => target.#hear(this.#self, frame))
    })
    this.#outgoing.set(peer, { target, channel, connectedAt: this.process.host.monotonic() })
    target.#incoming.set(this.#self, this)
    for (const listener of this.#connected) listener(peer)
  }

  #hear(from: string, { kind, payload }: Frame): void {
    this.#heardAt.set(from, this.process.host.monotonic())
    const heard = kind === 'raft' ? understoodBy(this.#release, payload) : payload
    if (heard === undefined) return
    for (const listener of this.#listeners[kind]) listener(from, heard)
  }

  /** The other side of an outgoing connection is gone. */
  #broken(peer: string, target: SimPeerLink): void {
    const outgoing = this.#outgoing.get(peer)
    if (outgoing?.target === target) this.process.run(() => this.#drop(peer, outgoing))
  }

  #drop(peer: string, outgoing: Outgoing): void {
    if (this.#outgoing.get(peer) !== outgoing) return
    outgoing.channel.close()
    this.#outgoing.delete(peer)
    const { target } = outgoing
    this.#tell(peer, () => target.#lose(this.#self, this))
    this.process.after(REDIAL_MS, () => this.#dial(peer))
  }

  /** A peer's own connection broke. */
  #lose(peer: string, dialler: SimPeerLink): void {
    if (this.#incoming.get(peer) !== dialler) return
    this.#incoming.delete(peer)
    this.process.run(() => {
      for (const listener of this.#lost) listener(peer)
    })
  }
}
