import type { RandomStream } from '../random-stream.ts'
import type { VirtualTime } from '../virtual-time.ts'

export type NetworkShape = {
  /** Mean one-way delay in milliseconds. */
  readonly delayMs: number
  /** Share of packets that are lost: the kernel sends them again, so their connection waits. */
  readonly loss: number
}

/** The kernel's first retransmission of a lost packet; doubled each time. */
const RETRANSMIT_MS = 200
const LOCAL_MS = 0.05

/** Links between hosts, each direction for itself: open with a delay, or silent. Names are those of hosts. */
export class SimNetwork {
  readonly #time: VirtualTime
  readonly #chance: RandomStream
  readonly #cut = new Set<string>()
  readonly #onHeal: (() => void)[] = []
  readonly #onChange: (() => void)[] = []
  #shape: NetworkShape

  constructor(time: VirtualTime, chance: RandomStream, shape: NetworkShape) {
    this.#time = time
    this.#chance = chance
    this.#shape = shape
  }

  setShape(shape: NetworkShape): void {
    this.#shape = shape
  }

  isOpen(from: string, to: string): boolean {
    // Every packet asks, and nearly always nothing is cut.
    return this.#cut.size === 0 || from === to || !this.#cut.has(`${from}>${to}`)
  }

  /** Packets from one host to another vanish from now on. */
  cut(from: string, to: string): void {
    if (from === to) return
    this.#cut.add(`${from}>${to}`)
    for (const task of this.#onChange) task()
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`)
    this.#tellHealed()
  }

  mendAll(): void {
    this.#cut.clear()
    this.#tellHealed()
  }

  /** Called after a link was opened again. */
  onHeal(task: () => void): void {
    this.#onHeal.push(task)
  }

  /** Called after a link was cut or opened. */
  onChange(task: () => void): void {
    this.#onChange.push(task)
  }

  /** How long a packet takes now. */
  delay(from: string, to: string): number {
    if (from === to) return LOCAL_MS
    const { delayMs, loss } = this.#shape
    let delay = delayMs * (0.5 + this.#chance.next() * 0.5) + this.#chance.exponential(delayMs * 0.25)
    for (let wait = RETRANSMIT_MS; loss > 0 && this.#chance.chance(loss); wait *= 2) delay += wait
    return delay
  }

  /** How long after a link was mended the kernels find out. */
  retransmitDelay(): number {
    return this.#chance.exponential(RETRANSMIT_MS)
  }

  after(ms: number, task: () => void): void {
    this.#time.after(ms, task)
  }

  #tellHealed(): void {
    for (const task of this.#onHeal) task()
    for (const task of this.#onChange) task()
  }
}

/**
 * One direction of a connection: bytes arrive in order or not at all. While its link is silent they wait in the kernel, and go
 * on some time after it was mended.
 */
export class SimChannel<Packet> {
  readonly #network: SimNetwork
  readonly #from: string
  readonly #to: string
  readonly #deliver: (packet: Packet) => void
  #stalled: Packet[] | undefined
  #lastAt = 0
  #isClosed = false

  constructor(
    network: SimNetwork,
    ends: { readonly from: string; readonly to: string },
    deliver: (packet: Packet) => void,
  ) {
    this.#network = network
    this.#from = ends.from
    this.#to = ends.to
    this.#deliver = deliver
  }

  get isStalled(): boolean {
    return this.#stalled !== undefined
  }

  send(packet: Packet, now: number): void {
    if (this.#isClosed) return
    const at = Math.max(this.#lastAt, now + this.#network.delay(this.#from, this.#to))
    this.#lastAt = at
    this.#network.after(at - now, () => this.#arrive(packet))
  }

  close(): void {
    this.#isClosed = true
    this.#stalled = undefined
  }

  /** The link was mended: what waited goes on, in order. */
  flush(): void {
    const stalled = this.#stalled
    if (stalled === undefined || this.#isClosed) return
    this.#network.after(this.#network.retransmitDelay(), () => {
      if (this.#stalled !== stalled || !this.#network.isOpen(this.#from, this.#to)) return
      this.#stalled = undefined
      for (const packet of stalled) if (!this.#isClosed) this.#deliver(packet)
    })
  }

  #arrive(packet: Packet): void {
    if (this.#isClosed) return
    if (this.#stalled !== undefined) this.#stalled.push(packet)
    else if (this.#network.isOpen(this.#from, this.#to)) this.#deliver(packet)
    else this.#stalled = [packet]
  }
}
