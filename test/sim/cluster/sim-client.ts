import type { RandomStream } from '../random-stream.ts'
import type { SimProcess } from './sim-host.ts'
import type { ClientEvents } from './sim-router.ts'

/** A connection that takes one insert at a time. */
export type ClientConnection = { insert(token: number): void; close(): void }

export type SimClientDeps = {
  readonly process: SimProcess
  readonly chance: RandomStream
  /** Opens a connection somewhere, through a router or past all of them; undefined when nobody takes it. */
  readonly connect: (events: ClientEvents) => ClientConnection | undefined
  readonly nextToken: () => number
  readonly thinkMs: number
  readonly told: (token: number, outcome: 'committed' | 'failed' | 'unknown') => void
}

const RECONNECT_MS = 150
const PATIENCE_MS = 15_000
/** Share of answers after which a client comes back on a new connection. */
const RENEWS = 0.03

/** An application: inserts numbered rows one after another, never twice, and comes back when its connection breaks. */
export class SimClient {
  readonly #deps: SimClientDeps
  #connection: ClientConnection | undefined
  #inFlight: number | undefined
  #cancelPatience: () => void = () => undefined
  #isStopped = false
  #life = 0

  constructor(deps: SimClientDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#connect()
  }

  stop(): void {
    this.#isStopped = true
  }

  #connect(): void {
    if (this.#isStopped) return
    this.#life += 1
    const life = this.#life
    const ifCurrent =
      <Args extends readonly unknown[]>(task: (...args: Args) => void) =>
      (...args: Args): void => {
        if (life === this.#life) this.#deps.process.run(() => life === this.#life && task(...args))
      }
    const events: ClientEvents = {
      opened: ifCurrent(() => this.#insertLater()),
      committed: ifCurrent((token) => this.#answered(token, 'committed')),
      failed: ifCurrent((token) => this.#answered(token, 'failed')),
      closed: ifCurrent(() => this.#broken()),
    }
    this.#cancelPatience = this.#deps.process.after(PATIENCE_MS, () => this.#broken())
    this.#connection = this.#deps.connect(events)
    if (this.#connection === undefined) this.#broken()
  }

  #insertLater(): void {
    const { process, chance, thinkMs } = this.#deps
    this.#cancelPatience()
    const life = this.#life
    process.after(chance.exponential(thinkMs), () => {
      if (life === this.#life && !this.#isStopped) this.#insert()
    })
  }

  #insert(): void {
    const token = this.#deps.nextToken()
    this.#inFlight = token
    this.#cancelPatience = this.#deps.process.after(PATIENCE_MS, () => this.#broken())
    this.#connection?.insert(token)
  }

  #answered(token: number, outcome: 'committed' | 'failed'): void {
    if (this.#inFlight !== token) return
    this.#inFlight = undefined
    this.#deps.told(token, outcome)
    // Pools close sessions now and then: those that come anew meet those that stayed.
    if (this.#deps.chance.chance(RENEWS)) this.#broken()
    else this.#insertLater()
  }

  /** What was in flight may have happened: it is never sent again. */
  #broken(): void {
    this.#cancelPatience()
    this.#life += 1
    if (this.#inFlight !== undefined) this.#deps.told(this.#inFlight, 'unknown')
    this.#inFlight = undefined
    this.#connection?.close()
    this.#connection = undefined
    if (this.#isStopped) return
    this.#deps.process.after(RECONNECT_MS + this.#deps.chance.exponential(RECONNECT_MS), () =>
      this.#connect(),
    )
  }
}
