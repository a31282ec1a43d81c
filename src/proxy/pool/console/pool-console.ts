import type { RouteTarget } from '../../../model/routing-table.ts'
import type { TlsSettings } from '../../../model/tls-settings.ts'
import { wallMs } from '../../../platform/clock.ts'
import type { Socket } from '../../../platform/net.ts'
import { packageVersion } from '../../../platform/package-version.ts'
import { buildFatalResponse } from '../../../wire/error-response.ts'
import type { CancelKey } from '../../../wire/startup.ts'
import { endClient } from '../../frontend/end-client.ts'
import type { PortCounters } from '../../port-counters.ts'
import type { SplitReport } from '../../split/split-counts.ts'
import type { DatabaseState } from '../database-state.ts'
import type { Pool } from '../pool.ts'
import type { PoolOptions } from '../pool-options.ts'
import type { ConsoleCommand } from './console-command.ts'
import { ConsoleSession, type ConsolePlace } from './console-session.ts'
import type { ConsoleView } from './console-tables.ts'
import type { ShownClient } from './socket-rows.ts'

/** What the console may see and touch of the pooler. */
export interface ConsoleHost {
  readonly options: PoolOptions
  readonly tls: TlsSettings
  readonly databases: ReadonlyMap<string, DatabaseState>
  now(): number
  pools(): readonly Pool[]
  clients(): readonly ShownClient[]
  logins(): number
  users(): number
  classifier(): SplitReport | undefined
  databaseState(name: string): DatabaseState
  primary(): RouteTarget | undefined
  reload(): string | undefined
}

type ConsoleLogin = {
  readonly socket: Socket
  readonly counters: PortCounters
  readonly user: string
  readonly key: CancelKey
  readonly rest: Buffer
}

const KILLED = buildFatalResponse({ sqlState: '57P01', message: 'Connection closed by the console (KILL)' })

/** All sessions of the console, and what its commands do. */
export class PoolConsole implements ConsolePlace {
  readonly #host: ConsoleHost
  readonly #sessions = new Map<ConsoleSession, PortCounters>()
  #isPaused = false
  #listenPort = 0

  constructor(host: ConsoleHost) {
    this.#host = host
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Lets in whom the settings name; the client is counted until it has left. */
  open(login: ConsoleLogin): void {
    const { socket, counters, user, key, rest } = login
    const { adminUsers, statsUsers } = this.#host.options
    const isAdmin = adminUsers.includes(user)
    this.#listenPort = counters.listen
    if (!isAdmin && !statsUsers.includes(user)) {
      counters.clients -= 1
      counters.errors += 1
      const message = `user "${user}" is neither in pool.admin_users nor in pool.stats_users`
      return endClient(socket, buildFatalResponse({ sqlState: '42501', message }))
    }
    this.#sessions.set(new ConsoleSession({ socket, key, isAdmin, rest }, this), counters)
  }

  close(response: Buffer | undefined): void {
    for (const session of this.#sessions.keys()) session.end(response)
  }

  consoleEnded(session: ConsoleSession): void {
    const counters = this.#sessions.get(session)
    if (!counters || !this.#sessions.delete(session)) return
    counters.clients -= 1
  }

  view(): ConsoleView {
    const host = this.#host
    return {
      options: host.options,
      tls: host.tls,
      version: `PgBouncer 1.25.2 (console of pg-metako ${packageVersion()})`,
      listenPort: this.#listenPort,
      now: host.now(),
      wallMs: wallMs(),
      pools: host.pools(),
      clients: host.clients(),
      logins: host.logins(),
      databases: host.databases,
      users: host.users(),
      primary: host.primary(),
      isPaused: this.#isPaused,
      classifier: host.classifier(),
    }
  }

  command({ command, database }: Extract<ConsoleCommand, { kind: 'database' }>): string | undefined {
    if (database !== undefined && !this.#host.databases.has(database) && !this.#isConfigured(database)) {
      return `no such database: ${database}`
    }
    switch (command) {
      case 'PAUSE':
        return this.#setPaused(database, true)
      case 'RESUME':
        return this.#setPaused(database, false)
      case 'RECONNECT':
        for (const pool of this.#poolsOf(database)) pool.doom()
        return undefined
      case 'KILL':
        return this.#kill(database)
      case 'DISABLE':
      case 'ENABLE':
        if (database !== undefined) this.#host.databaseState(database).isDisabled = command === 'DISABLE'
        return undefined
      case 'WAIT_CLOSE':
        return undefined
    }
  }

  busyServers(database: string | undefined): number {
    return this.#poolsOf(database)
      .flatMap((pool) => pool.servers())
      .filter((server) => server.isDoomed).length
  }

  killClient(id: number): boolean {
    const found = this.#host.clients().find((each) => each.id === id)
    found?.client.close(KILLED)
    return found !== undefined
  }

  reload(): string | undefined {
    return this.#host.reload()
  }

  #isConfigured(database: string): boolean {
    return this.#host.options.databases.some(({ name }) => name === database)
  }

  #poolsOf(database: string | undefined): readonly Pool[] {
    return this.#host.pools().filter((pool) => database === undefined || pool.database === database)
  }

  #setPaused(database: string | undefined, isPaused: boolean): string | undefined {
    const state = database === undefined ? undefined : this.#host.databaseState(database)
    const was = state ? state.isPaused : this.#isPaused
    if (was === isPaused) return isPaused ? 'already suspended/paused' : 'pooler is not paused/suspended'
    if (state) state.isPaused = isPaused
    else this.#isPaused = isPaused
    for (const pool of this.#poolsOf(database)) {
      const isStillPaused = this.#isPaused || this.#host.databaseState(pool.database).isPaused
      if (isPaused) pool.pause()
      else if (!isStillPaused) pool.resume()
    }
    return undefined
  }

  /** Ends every client and server connection at once, and keeps new ones waiting until RESUME. */
  #kill(database: string | undefined): string | undefined {
    if (database === undefined) this.#isPaused = true
    else this.#host.databaseState(database).isPaused = true
    for (const pool of this.#poolsOf(database)) pool.pause()
    for (const { client } of this.#host.clients()) {
      if (database === undefined || client.pool.database === database) client.close(KILLED)
    }
    for (const pool of this.#poolsOf(database))
      for (const server of pool.servers()) server.end('ENDED_BY_ROUTER')
    return undefined
  }
}
