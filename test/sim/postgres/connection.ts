import type { PostgresHost } from './host.ts'
import type { Chance, ModelClock, PostgresNetwork } from './ports.ts'

/** What a world does with a connection, whatever flows on it. */
export type Transport = {
  pathsChanged(): void
  reviewSilence(): void
  vanish(host: string): void
  reset(host: string): void
}

/** One end of a connection, as its owner sees it. */
export type Receiver<Message> = {
  readonly received: (message: Message) => void
  /** FIN or RST arrived: the other end is gone. */
  readonly closed: () => void
  /** From now on nothing can be heard of the other end: a cut path, a dead or paused host, a frozen process. */
  readonly quiet?: () => void
  readonly heard?: () => void
}

export type ConnectionWorld = {
  readonly clock: ModelClock
  readonly chance: Chance
  readonly network: PostgresNetwork
  /** `undefined` for a client, which is never paused by the model. */
  hostNamed(name: string): PostgresHost | undefined
  forget(connection: Transport): void
}

const LOOPBACK_MS = 0.03
/** TCP doubles its waits up to this. */
const RETRANSMIT_MS_MAX = 60_000

/** Closed and vanished ends say no more; the peer of a vanished one is not told. */
type EndState = 'open' | 'closed' | 'vanished'

const FIN = Symbol('FIN')

/** One direction: in order, held while the path is cut. */
class Pipe<Message> {
  readonly #world: ConnectionWorld
  readonly #from: string
  readonly #to: string
  /** Sent and not arrived; the first `#flying` of them have an arrival time. */
  #queue: (Message | typeof FIN)[] = []
  #arrivals: number[] = []
  #heldSince = -1
  #cancel: (() => void) | undefined
  #lastArrival = 0
  receiver: Receiver<Message> | undefined
  state: EndState = 'open'
  isQuiet = false
  /** The process behind the sending end can run. */
  readonly isSenderAwake: () => boolean
  readonly #onReset: () => void
  readonly #onFin: () => void

  constructor(
    world: ConnectionWorld,
    options: {
      from: string
      to: string
      isSenderAwake: () => boolean
      onReset: () => void
      onFin: () => void
    },
  ) {
    this.#world = world
    this.#from = options.from
    this.#to = options.to
    this.isSenderAwake = options.isSenderAwake
    this.#onReset = options.onReset
    this.#onFin = options.onFin
  }

  #delay(): number | undefined {
    if (this.#from === this.#to) return LOOPBACK_MS
    return this.#world.network.delayMs(this.#from, this.#to)
  }

  send(message: Message | typeof FIN, extraMs: number): void {
    this.#queue.push(message)
    const delay = this.#heldSince >= 0 ? undefined : this.#delay()
    if (delay === undefined) {
      if (this.#heldSince < 0) this.#heldSince = this.#world.clock.now
      return
    }
    this.#fly(delay + extraMs)
  }

  #fly(delayMs: number): void {
    const at = Math.max(this.#lastArrival, this.#world.clock.now + delayMs)
    this.#lastArrival = at
    this.#arrivals.push(at)
    if (this.#arrivals.length === 1) this.#arm(at)
  }

  #arm(at: number): void {
    this.#cancel = this.#world.clock.at(at, this.#arrive)
  }

  readonly #arrive = (): void => {
    const { clock } = this.#world
    this.#cancel = undefined
    const host = this.#world.hostNamed(this.#to)
    if (host?.holds(this.#arrive)) return
    while (this.#arrivals.length > 0 && (this.#arrivals[0] as number) <= clock.now) {
      this.#arrivals.shift()
      const message = this.#queue.shift() as Message | typeof FIN
      this.#deliver(message, host)
    }
    const next = this.#arrivals[0]
    if (next !== undefined && this.#cancel === undefined) this.#arm(next)
  }

  #deliver(message: Message | typeof FIN, host: PostgresHost | undefined): void {
    if (this.state === 'open' && this.receiver !== undefined) {
      if (message === FIN) {
        this.state = 'closed'
        this.receiver.closed()
        this.#onFin()
      } else this.receiver.received(message)
      return
    }
    // Nobody is there any more. A kernel that runs says so; a host without power says nothing.
    if (message !== FIN && (host === undefined || host.isPowered)) this.#onReset()
  }

  /** The simulator changed the paths: what flies over one that is cut comes again when it is open. */
  recheck(): void {
    if (this.#from === this.#to) return
    const delay = this.#delay()
    const { clock, chance } = this.#world
    if (delay === undefined) {
      if (this.#heldSince < 0) this.#heldSince = clock.now
      this.#cancel?.()
      this.#cancel = undefined
      this.#arrivals.length = 0
      return
    }
    if (this.#heldSince < 0) return
    const heldMs = Math.min(RETRANSMIT_MS_MAX, clock.now - this.#heldSince)
    this.#heldSince = -1
    const wait = chance.next() * heldMs
    for (let waiting = this.#queue.length; waiting > 0; waiting -= 1) this.#fly(delay + wait)
  }

  /** Tells the receiver when the other end can no longer be heard, and when it can again. */
  reviewSilence(): void {
    if (this.state !== 'open' || this.receiver === undefined) return
    const sender = this.#world.hostNamed(this.#from)
    const canRun = (sender === undefined || sender.isAwake) && this.isSenderAwake()
    const isQuiet =
      !canRun || this.#heldSince >= 0 || (this.#from !== this.#to && this.#delay() === undefined)
    if (isQuiet === this.isQuiet) return
    this.isQuiet = isQuiet
    if (isQuiet) this.receiver.quiet?.()
    else this.receiver.heard?.()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#arrivals.length = 0
    this.#queue.length = 0
  }
}

export type ConnectionOwner = { readonly host: string; readonly isAwake: () => boolean }

/** A TCP connection that is up. `Up` flows from who opened it to the server, `Down` back. */
export class Connection<Up, Down> {
  readonly #world: ConnectionWorld
  readonly #up: Pipe<Up>
  readonly #down: Pipe<Down>
  readonly opener: string
  readonly server: string

  constructor(world: ConnectionWorld, options: { opener: ConnectionOwner; server: ConnectionOwner }) {
    const { opener, server } = options
    this.#world = world
    this.opener = opener.host
    this.server = server.host
    this.#up = new Pipe<Up>(world, {
      from: opener.host,
      to: server.host,
      isSenderAwake: opener.isAwake,
      onReset: () => this.#down.send(FIN, 0),
      onFin: () => this.#settle(),
    })
    this.#down = new Pipe<Down>(world, {
      from: server.host,
      to: opener.host,
      isSenderAwake: server.isAwake,
      onReset: () => this.#up.send(FIN, 0),
      onFin: () => this.#settle(),
    })
  }

  attachServer(receiver: Receiver<Up>): void {
    this.#up.receiver = receiver
    this.#up.reviewSilence()
  }

  attachOpener(receiver: Receiver<Down>): void {
    this.#down.receiver = receiver
    this.#down.reviewSilence()
  }

  sendUp(message: Up, extraMs = 0): void {
    if (this.#down.state === 'open') this.#up.send(message, extraMs)
  }

  sendDown(message: Down, extraMs = 0): void {
    if (this.#up.state === 'open') this.#down.send(message, extraMs)
  }

  /** The server's process is gone or done: its kernel says FIN behind what was sent. */
  closeServer(): void {
    if (this.#up.state !== 'open') return
    this.#up.state = 'closed'
    this.#down.send(FIN, 0)
    this.#settle()
  }

  closeOpener(): void {
    if (this.#down.state !== 'open') return
    this.#down.state = 'closed'
    this.#up.send(FIN, 0)
    this.#settle()
  }

  /** A host lost its power: its ends are gone and nobody is told. */
  vanish(host: string): void {
    if (this.opener === host) this.#down.state = 'vanished'
    if (this.server === host) this.#up.state = 'vanished'
    if (this.opener === host) this.#up.stop()
    if (this.server === host) this.#down.stop()
    this.#settle()
  }

  /** A host came back and knows nothing of the connection: the next packet of the other side is answered by a reset. */
  reset(host: string): void {
    if (this.opener === host && this.#down.state === 'vanished') this.#up.send(FIN, 0)
    if (this.server === host && this.#up.state === 'vanished') this.#down.send(FIN, 0)
  }

  pathsChanged(): void {
    this.#up.recheck()
    this.#down.recheck()
    this.reviewSilence()
  }

  reviewSilence(): void {
    this.#up.reviewSilence()
    this.#down.reviewSilence()
  }

  get isOver(): boolean {
    return this.#up.state !== 'open' && this.#down.state !== 'open'
  }

  #settle(): void {
    if (this.isOver) this.#world.forget(this)
  }
}
