import { Connection, type ConnectionOwner, type ConnectionWorld, type Transport } from './connection.ts'
import { PostgresHost, type HostOptions } from './host.ts'
import type { Startup } from './messages.ts'
import {
  between,
  type Acknowledgement,
  type Address,
  type Chance,
  type ModelClock,
  type PostgresNetwork,
} from './ports.ts'
import type { PostgresServer } from './server.ts'

export type Refusal =
  /** RST: nobody listens. */
  | 'no-listener'
  /** 57P03 */
  | 'starting'
  | 'stopping'

export type Opening<Up, Down> = {
  readonly opened: (connection: Connection<Up, Down>) => void
  readonly refused: (why: Refusal) => void
}

export type OpenRequest = {
  readonly from: ConnectionOwner
  readonly to: Address
  readonly startup: Startup
}

const LOOPBACK_MS = 0.03
/** A lost SYN is sent again after this, then after twice as long, … */
const SYN_RETRY_MS = 1000
/** Round trips of a handshake with SCRAM. */
const HANDSHAKE_TRIPS = 4

/** All hosts with a PostgreSQL, and what goes on between them. Feeds on the simulator's clock and paths; never asks for time or chance elsewhere. */
export class PostgresWorld implements ConnectionWorld {
  readonly clock: ModelClock
  readonly chance: Chance
  readonly network: PostgresNetwork
  readonly #hosts = new Map<string, PostgresHost>()
  readonly #byAddress = new Map<string, PostgresHost>()
  readonly #connections = new Set<Transport>()
  readonly #listeners = new Set<(acknowledgement: Acknowledgement) => void>()
  #systemIds = 0

  constructor(deps: { clock: ModelClock; chance: Chance; network: PostgresNetwork }) {
    this.clock = deps.clock
    this.chance = deps.chance
    this.network = deps.network
  }

  addHost(options: HostOptions): PostgresHost {
    const host = new PostgresHost(this, options)
    this.#hosts.set(host.name, host)
    this.#byAddress.set(`${host.address.host}:${host.address.port}`, host)
    return host
  }

  hosts(): readonly PostgresHost[] {
    return [...this.#hosts.values()]
  }

  hostNamed(name: string): PostgresHost | undefined {
    return this.#hosts.get(name)
  }

  hostAt(address: Address): PostgresHost | undefined {
    return this.#byAddress.get(`${address.host}:${address.port}`)
  }

  /** To be called whenever `network` answers otherwise than before. */
  pathsChanged(): void {
    for (const connection of [...this.#connections]) connection.pathsChanged()
  }

  /** Sees each acknowledgement of a write at the moment when it leaves its backend. The result ends it. */
  onAcknowledgement(listener: (acknowledgement: Acknowledgement) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  acknowledged(acknowledgement: Acknowledgement): void {
    for (const listener of this.#listeners) listener(acknowledgement)
  }

  /** Opens a connection: exactly one of both callbacks comes, or none while nothing answers. The result gives it up. */
  open<Up, Down>(request: OpenRequest, opening: Opening<Up, Down>): () => void {
    let isOver = false
    let retryMs = SYN_RETRY_MS
    const host = this.hostAt(request.to)
    const delay = (from: string, to: string) => (from === to ? LOOPBACK_MS : this.network.delayMs(from, to))
    const answer = (run: () => void, waitMs: number): void => {
      const back = host && delay(host.name, request.from.host)
      if (back === undefined) return
      this.clock.at(this.clock.now + waitMs + back, () => {
        if (!isOver) run()
      })
    }
    const arrive = (server: PostgresServer | undefined, host: PostgresHost, roundMs: number): void => {
      if (isOver || !host.isPowered) return
      if (server === undefined || host.server !== server || !server.isPostmasterAlive) {
        answer(() => opening.refused('no-listener'), 0)
        return
      }
      if (server.phase !== 'ready') {
        const why = server.phase
        answer(() => opening.refused(why), between(host.chance, host.timings.forkMs))
        return
      }
      const waitMs = between(host.chance, host.timings.forkMs) + roundMs * HANDSHAKE_TRIPS
      answer(() => this.#connect(request, server, opening), waitMs)
    }
    const attempt = (): void => {
      if (isOver) return
      const there = host && host.isPowered ? delay(request.from.host, host.name) : undefined
      if (host === undefined || there === undefined) {
        this.clock.at(this.clock.now + retryMs, attempt)
        retryMs *= 2
        return
      }
      const knock = (): void => {
        if (isOver || host.holds(knock)) return
        const { server } = host
        const handled = (): void => arrive(server, host, 2 * there)
        // The kernel of a stopped server takes the connection, and nobody answers.
        if (server?.holdsPostmaster(handled) !== true) handled()
      }
      this.clock.at(this.clock.now + there, knock)
    }
    attempt()
    return () => {
      isOver = true
    }
  }

  #connect<Up, Down>(request: OpenRequest, server: PostgresServer, opening: Opening<Up, Down>): void {
    if (server.isDead || !server.isPostmasterAlive || server.phase !== 'ready') {
      opening.refused('no-listener')
      return
    }
    const connection = new Connection<Up, Down>(this, {
      opener: request.from,
      server: { host: server.host.name, isAwake: () => !server.isFrozen },
    })
    this.#connections.add(connection)
    server.accept(connection as unknown as Connection<unknown, unknown>, request.startup)
    opening.opened(connection)
  }

  /** Reaches the backend by a connection of its own. */
  cancelRequest(connection: Transport & { readonly opener: string; readonly server: string }): void {
    const host = this.#hosts.get(connection.server)
    const { opener } = connection
    const there = opener === connection.server ? LOOPBACK_MS : this.network.delayMs(opener, connection.server)
    if (host === undefined || there === undefined) return
    host.after(there + between(host.chance, host.timings.forkMs), () => {
      const { server } = host
      const cancel = (): void => {
        if (server?.isPostmasterAlive !== true || server.holdsPostmaster(cancel)) return
        server.backends.find((backend) => backend.connection === connection)?.cancel()
      }
      cancel()
    })
  }

  forget(connection: Transport): void {
    this.#connections.delete(connection)
  }

  /** A host lost its power: its ends of all connections are gone, and nobody is told. */
  vanish(name: string): void {
    for (const connection of [...this.#connections]) connection.vanish(name)
    this.reviewSilence()
  }

  reset(name: string): void {
    for (const connection of [...this.#connections]) connection.reset(name)
    this.reviewSilence()
  }

  reviewSilence(): void {
    for (const connection of [...this.#connections]) connection.reviewSilence()
  }

  nextSystemId(): string {
    this.#systemIds += 1
    return `74000000000000000${String(this.#systemIds).padStart(2, '0')}`
  }
}
