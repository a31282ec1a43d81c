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
import type { ReloadNews } from '../../router/agent-link.ts'
import type { PoolOptions } from '../pool-options.ts'
import type { StatementCount } from '../statement-log.ts'
import type { ConsoleCommand, DatabaseCommand, Showable } from './console-command.ts'
import { mergeParts, partOf, type ConsolePart } from './console-part.ts'
import { ConsoleSession, type ConsolePlace } from './console-session.ts'
import { showTable, type Table } from './console-tables.ts'
import type { ShownClient } from './socket-rows.ts'

/** A command about one database, or about all. */
export type ConsoleOrder = {
  readonly kind: 'order'
  readonly command: DatabaseCommand
  readonly database?: string
}

/** What the console asks of each worker; it crosses as JSON. */
export type ConsoleRequest =
  | { readonly kind: 'show'; readonly what: Showable }
  | { readonly kind: 'knows'; readonly database: string }
  | ConsoleOrder
  | { readonly kind: 'busy'; readonly database?: string }
  | { readonly kind: 'kill-client'; readonly id: number }
  /** `pool`: the settings that count from now on. */
  | { readonly kind: 'reload'; readonly pool?: PoolOptions }

/** What the console may see and touch of the pooler. */
export interface ConsoleHost {
  options(): PoolOptions
  readonly tls: TlsSettings
  readonly databases: ReadonlyMap<string, DatabaseState>
  now(): number
  pools(): readonly Pool[]
  clients(): readonly ShownClient[]
  logins(): number
  /** Has every worker answer, this one included; `missing`: so many have not. */
  askAll(request: ConsoleRequest, done: (answers: readonly unknown[], missing: number) => void): void
  users(): number
  classifier(): SplitReport | undefined
  statements(): readonly StatementCount[]
  databaseState(name: string): DatabaseState
  primary(): RouteTarget | undefined
  askAgent(done: (news: ReloadNews | undefined) => void): void
  reload(pool: PoolOptions | undefined): string | undefined
}

type ConsoleLogin = {
  readonly socket: Socket
  readonly counters: PortCounters
  readonly user: string
  readonly key: CancelKey
  readonly rest: Buffer
}

const NO_AGENT = 'there is no agent now: only the list of users and the certificates were read again'
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
    const { adminUsers, statsUsers } = this.#host.options()
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

  show(what: Exclude<Showable, 'HELP'>, answer: (table: Table) => void): void {
    const host = this.#host
    host.askAll({ kind: 'show', what }, (parts) =>
      answer(
        showTable(what, {
          ...mergeParts(parts as readonly ConsolePart[]),
          options: host.options(),
          tls: host.tls,
          version: `PgBouncer 1.25.2 (console of pg-metako ${packageVersion()})`,
          listenPort: this.#listenPort,
          users: host.users(),
          primary: host.primary(),
          isPaused: this.#isPaused,
        }),
      ),
    )
  }

  command(
    { command, database }: Extract<ConsoleCommand, { kind: 'database' }>,
    answer: (refusal: string | undefined) => void,
  ): void {
    const order = { kind: 'order', command, ...(database === undefined ? {} : { database }) } as const
    const give = (): void =>
      this.#host.askAll(order, (answers, missing) => answer(verdictOf(answers, missing)))
    if (database === undefined || this.#isConfigured(database)) return give()
    // Order: a database that one worker alone has seen is one that all obey for.
    this.#host.askAll({ kind: 'knows', database }, (answers) => {
      if (answers.includes(true)) give()
      else answer(`no such database: ${database}`)
    })
  }

  busyServers(database: string | undefined, answer: (count: number) => void): void {
    const request = { kind: 'busy', ...(database === undefined ? {} : { database }) } as const
    this.#host.askAll(request, (counts) =>
      answer(counts.reduce<number>((sum, count) => sum + Number(count), 0)),
    )
  }

  killClient(id: number, answer: (refusal: string | undefined) => void): void {
    this.#host.askAll({ kind: 'kill-client', id }, (answers) =>
      answer(answers.includes(true) ? undefined : `client ${id} not found`),
    )
  }

  reload(answer: (refusal: string | undefined, note?: string) => void): void {
    this.#host.askAgent((news) => {
      if (news !== undefined && 'refusal' in news) return answer(news.refusal)
      const { pool, waiting = [] } = news ?? {}
      this.#host.askAll({ kind: 'reload', ...(pool ? { pool } : {}) }, (answers, missing) => {
        const refusal = answers.find((given) => typeof given === 'string') ?? missingText(missing)
        const note = news === undefined ? NO_AGENT : waitingText(waiting)
        answer(refusal, note)
      })
    })
  }

  /** What this worker has to say, or has done. A refusal is a text, `null` none. */
  answer(request: ConsoleRequest): unknown {
    const host = this.#host
    switch (request.kind) {
      case 'show':
        return partOf(
          {
            now: host.now(),
            wallMs: wallMs(),
            pools: host.pools(),
            clients: host.clients(),
            logins: host.logins(),
            databases: host.databases,
            classifier: host.classifier(),
            statements: host.statements(),
          },
          request.what,
        )
      case 'knows':
        return host.databases.has(request.database)
      case 'order':
        return this.#obey(request) ?? null
      case 'busy':
        return this.#poolsOf(request.database)
          .flatMap((pool) => pool.servers())
          .filter((server) => server.isDoomed).length
      case 'kill-client': {
        const found = host.clients().find(({ id }) => id === request.id)
        found?.client.close('KILLED', KILLED)
        return found !== undefined
      }
      case 'reload':
        return host.reload(request.pool) ?? null
    }
  }

  #obey({ command, database }: ConsoleOrder): string | undefined {
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

  #isConfigured(database: string): boolean {
    return this.#host.options().databases.some(({ name }) => name === database)
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
      if (database === undefined || client.pool.database === database) client.close('KILLED', KILLED)
    }
    for (const pool of this.#poolsOf(database))
      for (const server of pool.servers()) server.end('ENDED_BY_ROUTER')
    return undefined
  }
}

/** Done where one worker has done it: what it is for the others they had done before. */
function verdictOf(answers: readonly unknown[], missing: number): string | undefined {
  const isDone = answers.includes(null)
  const refusal = answers.find((answer) => typeof answer === 'string')
  return isDone || refusal === undefined ? missingText(missing) : refusal
}

function missingText(missing: number): string | undefined {
  return missing === 0 ? undefined : `${missing} of the workers have not answered`
}

function waitingText(keys: readonly string[]): string | undefined {
  return keys.length === 0 ? undefined : `these wait for "pg-metako router restart": ${keys.join(', ')}`
}
