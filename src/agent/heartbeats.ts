import { messageOf } from '../std/fault.ts'
import { plus, type MonotonicMs } from '../model/time.ts'
import type { MemberFacts } from '../model/member.ts'
import type { Clock, Peers } from '../ha/ports.ts'
import type { PeerFacts } from '../ha/snapshot.ts'
import type { Logger } from '../platform/log.ts'
import type { GenesisHello } from './genesis.ts'
import type { PeerWire } from './host-ports.ts'

/** Who was not heard for so many heartbeats does not answer. */
const HELLO_AGE_MAX_BEATS = 10

/** One message of an agent to all others: what it knows about its node, and what its lease still proves. */
export type Heartbeat = {
  readonly sentAt: number
  /** Random id of the sending agent's life: its clock may begin anew with its host. */
  readonly life: string
  /** Of the newest heartbeat that the sender had from the receiver: the receiver's own clock comes back to it. */
  readonly echo?: { readonly life: string; readonly sentAt: number }
  /** The sender's lease, when it holds a proven one. */
  readonly lease?: { readonly epoch: number; readonly remainingMs: number }
  readonly facts: MemberFacts
  readonly genesis: GenesisHello
}

type HeartbeatHead = Omit<Heartbeat, 'facts' | 'genesis'>

/** Text inside of a message is quoted and its quotes are escaped, so this can stand nowhere else. */
const TOLD = ',"facts":'

/** The end of a message, the same for all receivers. */
function toldOf(told: Pick<Heartbeat, 'facts' | 'genesis'>): string {
  return `,${JSON.stringify(told).slice(1)}`
}

/** A lease as another host may rely on it: counted on our clock from before its holder stated it. */
export type RemoteLease = { readonly epoch: number; readonly validUntil: MonotonicMs }

type PeerState = PeerFacts & {
  readonly genesis: GenesisHello
  /** The part of the message that says facts and genesis: the next one mostly says them in the same words. */
  readonly told: string
  readonly lease?: RemoteLease
  readonly theirs: { readonly life: string; readonly sentAt: number }
}

export class Heartbeats implements Peers {
  readonly #deps: { clock: Clock; log: Logger; link: PeerWire }
  readonly #options: HeartbeatOptions
  readonly #peers = new Map<string, PeerState>()
  readonly #listeners = new Set<() => void>()
  #members: ReadonlySet<string>
  #cancel: (() => void) | undefined
  #isQueued = false

  constructor(deps: { clock: Clock; log: Logger; link: PeerWire }, options: HeartbeatOptions) {
    this.#deps = deps
    this.#options = options
    this.#members = new Set(options.peers)
    deps.link.onFrame('heartbeat', (peer, payload) => this.#hear(peer, payload))
    deps.link.onConnected(() => this.push())
  }

  start(): void {
    const beat = () => {
      this.#send()
      this.#cancel = this.#deps.clock.after(this.#options.periodMs, beat)
    }
    beat()
  }

  stop(): void {
    this.#cancel?.()
  }

  /** The other members from now on: what was heard of anybody else is forgotten. */
  setPeers(names: readonly string[]): void {
    const before = this.#members
    this.#members = new Set(names)
    for (const name of [...this.#peers.keys()]) if (!this.#members.has(name)) this.#peers.delete(name)
    if (names.some((name) => !before.has(name))) this.push()
  }

  /** Something changed that others should know now: one heartbeat outside the rhythm. */
  push(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    queueMicrotask(() => {
      this.#isQueued = false
      this.#send()
    })
  }

  facts(): readonly PeerFacts[] {
    return [...this.#peers.values()]
  }

  /** Only of those that answer now: what somebody said before its disk was replaced must not found anything. */
  genesisHellos(): ReadonlyMap<string, GenesisHello> {
    const now = this.#deps.clock.monotonic()
    const present = [...this.#peers].filter(
      ([, { heardAt }]) => now - heardAt <= HELLO_AGE_MAX_BEATS * this.#options.periodMs,
    )
    return new Map(present.map(([name, { genesis }]) => [name, genesis]))
  }

  lease(peer: string): RemoteLease | undefined {
    return this.#peers.get(peer)?.lease
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #send(): void {
    const { clock, link } = this.#deps
    const now = clock.monotonic()
    const { facts, genesis, lease } = this.#options.describe()
    const told = toldOf({ facts, genesis })
    for (const peer of this.#members) {
      const echo = this.#peers.get(peer)?.theirs
      const head: HeartbeatHead = {
        sentAt: now,
        life: this.#options.life,
        ...(echo === undefined ? {} : { echo }),
        ...(lease ? { lease } : {}),
      }
      link.send(peer, 'heartbeat', Buffer.from(JSON.stringify(head).slice(0, -1) + told))
    }
  }

  #hear(peer: string, payload: Uint8Array): void {
    if (!this.#members.has(peer)) return
    const before = this.#peers.get(peer)
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8')
    const toldAt = Math.max(0, text.indexOf(TOLD))
    let beat: Heartbeat
    try {
      if (before !== undefined && text.length === toldAt + before.told.length && text.endsWith(before.told)) {
        const { facts, genesis } = before
        beat = Object.assign(JSON.parse(`${text.slice(0, toldAt)}}`) as HeartbeatHead, { facts, genesis })
      } else beat = JSON.parse(text) as Heartbeat
      if (beat.facts.name !== peer) throw new Error(`it speaks for ${beat.facts.name}`)
    } catch (error) {
      this.#deps.log.warn('Ignored a heartbeat', { peer, error: messageOf(error) })
      return
    }
    const { lease, echo } = beat
    // Order: the remaining time counts from the moment that *we* sent what the holder had heard when it stated it.
    // An echo of an earlier life is a time of a clock that may have begun anew since.
    const isUsable = lease !== undefined && echo !== undefined && echo.life === this.#options.life
    this.#peers.set(peer, {
      name: peer,
      facts: beat.facts,
      genesis: beat.genesis,
      told: beat.facts === before?.facts ? before.told : text.slice(toldAt),
      heardAt: this.#deps.clock.monotonic(),
      theirs: { life: beat.life, sentAt: beat.sentAt },
      ...(isUsable
        ? { lease: { epoch: lease.epoch, validUntil: plus(echo.sentAt as MonotonicMs, lease.remainingMs) } }
        : {}),
    })
    if (!before || isNews(before.facts, beat.facts)) {
      for (const listener of this.#listeners) listener()
    }
  }
}

type HeartbeatOptions = {
  /** Random id of this life of the agent. */
  readonly life: string
  /** At the start; see `setPeers`. */
  readonly peers: readonly string[]
  readonly periodMs: number
  readonly describe: () => {
    facts: MemberFacts
    genesis: GenesisHello
    lease?: Heartbeat['lease'] | undefined
  }
}

/** A change that a decision may hang on; positions move all the time and are none. */
function isNews(before: MemberFacts, after: MemberFacts): boolean {
  return (
    before.instance.state !== after.instance.state ||
    before.instance.role !== after.instance.role ||
    before.instance.timeline !== after.instance.timeline ||
    before.instance.streaming !== after.instance.streaming ||
    before.seen.epoch !== after.seen.epoch ||
    before.seen.state !== after.seen.state ||
    before.pledge?.epoch !== after.pledge?.epoch ||
    before.suspects?.epoch !== after.suspects?.epoch ||
    before.leavesAckRule !== after.leavesAckRule ||
    before.removing?.join() !== after.removing?.join() ||
    before.seen.expired !== after.seen.expired ||
    before.stopping !== after.stopping ||
    before.paused !== after.paused ||
    before.handsOver !== after.handsOver ||
    before.closed !== after.closed ||
    before.admits?.epoch !== after.admits?.epoch
  )
}
