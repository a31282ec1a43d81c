import type { PoolMode } from '../../model/pool-settings.ts'
import type { ErrorFields } from '../../wire/error-response.ts'
import type { RouteTarget } from '../../model/routing-table.ts'
import { after } from '../../platform/timers.ts'
import type { LatencyHistogram } from './latency-histogram.ts'
import type { StatementError } from './lost-transaction.ts'
import { limitsOf, type PoolLimits, type PoolOptions } from './pool-options.ts'
import type { DatabaseStats } from './pool-stats.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerSecret } from '../backend/server-proof.ts'
import { WaitingLine, type Waiter } from './waiting-line.ts'

/** Who waits for a server connection, or works with one. */
export interface PoolClient extends Waiter {
  readonly times: { readonly waitingSince: number | undefined }
  serverGiven(server: ServerConnection): void
  refuse(error: StatementError): void
  /** PostgreSQL's own refusal. */
  refuseWith(fields: ErrorFields): void
  /** The replica that it waits for cannot be had. */
  takeElsewhere(): void
}

/** A client that has proved who it is and waits for what PostgreSQL says at the beginning of a session. */
export interface WelcomeWaiter {
  welcomed(parameters: ReadonlyMap<string, string>): void
  refuse(error: StatementError): void
  refuseWith(fields: ErrorFields): void
}

/** What a pool needs from the pooler around it. */
export interface PoolPlace {
  now(): number
  /** Whether there is a primary that statements may be sent to. */
  mayAssign(pool: Pool): boolean
  /** Begins to open one more server connection for the pool; false where that cannot be done now. */
  connect(pool: Pool): boolean
  connectQueryFailed(pool: Pool, fields: ErrorFields): void
  /** Of a number that the whole node keeps, what this process has to. */
  shareOf(count: number): number
}

export type PoolIdentity = {
  readonly database: string
  readonly user: string
  /** Startup parameters that can only be set when a connection begins. */
  readonly fixed: ReadonlyMap<string, string>
}

/** A login that PostgreSQL refused is not tried again at once. */
const REFUSED_RETRY_MS = 1000
/** Too many connections, or not ready: other connections may come free. */
const PASSING_REFUSALS: ReadonlySet<string> = new Set(['53300', '57P03'])

/**
 * The server connections of one user to one database, and who waits for one: first come, first served; the connection
 * used last is used first, so that those beyond need grow old and go.
 */
export class Pool {
  /** No two pools of a node have the same, and in every worker it is the same. */
  readonly name: string
  readonly database: string
  readonly user: string
  readonly fixed: ReadonlyMap<string, string>
  readonly stats: DatabaseStats
  readonly latency: LatencyHistogram
  /** The replica that its connections lead to; absent: the primary. */
  readonly replica: RouteTarget | undefined
  /** What logs in at PostgreSQL: from the newest client that proved who it is. */
  secret: ServerSecret = { kind: 'none' }
  /** What PostgreSQL said at the beginning of a session here. */
  welcome: ReadonlyMap<string, string> | undefined
  clients = 0
  isPaused = false
  /** It stays although nobody uses it. */
  isPinned = false
  connecting = 0
  /** Server connections that others have to lend first. */
  wishes = 0
  lastUsedAt: number
  #options: PoolOptions
  #limits: PoolLimits
  /** Of `min_pool_size`, what this process keeps open. */
  minSize: number
  readonly #place: PoolPlace
  readonly #idle: ServerConnection[] = []
  /** Those that are idle too: who is taken and given back all the time costs nothing here. */
  readonly #servers = new Set<ServerConnection>()
  readonly #cancelled = new Map<ServerConnection, number>()
  readonly #waiting = new WaitingLine<PoolClient>()
  readonly #newcomers = new Set<WelcomeWaiter>()
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(
    identity: PoolIdentity,
    options: PoolOptions,
    parts: {
      name: string
      stats: DatabaseStats
      latency: LatencyHistogram
      place: PoolPlace
      replica?: RouteTarget
    },
  ) {
    this.name = parts.name
    this.replica = parts.replica
    this.database = identity.database
    this.user = identity.user
    this.fixed = identity.fixed
    this.stats = parts.stats
    this.latency = parts.latency
    this.#place = parts.place
    this.#options = options
    this.#limits = limitsOf(options, identity.database, identity.user)
    this.minSize = this.#minShare()
    this.lastUsedAt = parts.place.now()
  }

  /** Its limits are these from now on. Server connections that were begun otherwise, or are too many, end as they become free. */
  configure(options: PoolOptions): void {
    const before = beginningOf(this.#limits)
    this.#options = options
    this.#limits = limitsOf(options, this.database, this.user)
    this.minSize = this.#minShare()
    if (beginningOf(this.#limits) !== before) this.doom()
    for (const server of [...this.#idle]) if (this.#isOverfull) server.end('ENDED_BY_ROUTER')
    this.serve()
  }

  get mode(): PoolMode {
    return this.#limits.mode
  }

  get limits(): PoolLimits {
    return this.#limits
  }

  /** 0: named statements are not followed, since a session keeps its server connection. */
  get statementLimit(): number {
    return this.#limits.mode === 'session' ? 0 : this.#options.maxPreparedStatements
  }

  /** Server connections, those included that are being opened. */
  get total(): number {
    return this.#servers.size + this.connecting
  }

  get idle(): readonly ServerConnection[] {
    return this.#idle
  }

  /** How many work for a client, or are about to. */
  get used(): number {
    return this.#servers.size - this.#idle.length
  }

  isIdle(server: ServerConnection): boolean {
    return this.#idle.includes(server)
  }

  get waiting(): Pick<WaitingLine<PoolClient>, 'size' | 'first'> {
    return this.#waiting
  }

  /** Server connections that a cancel request is on its way to. */
  get cancelled(): number {
    return this.#cancelled.size
  }

  isCancelled(server: ServerConnection): boolean {
    return this.#cancelled.has(server)
  }

  longestWaitMs(now: number): number {
    return now - (this.#waiting.first?.times.waitingSince ?? now)
  }

  get hasNewcomers(): boolean {
    return this.#newcomers.size > 0
  }

  get isUnused(): boolean {
    const isWanted = this.isPinned || this.hasNewcomers || this.#waiting.size > 0
    return !isWanted && this.clients === 0 && this.total + this.wishes === 0
  }

  servers(): readonly ServerConnection[] {
    return [...this.#servers]
  }

  /** A server connection for a client, or nothing: `serverGiven` follows, or a refusal. */
  take(client: PoolClient): ServerConnection | undefined {
    if (this.#waiting.size === 0 && !this.isPaused && this.#place.mayAssign(this)) {
      const server = this.#popIdle()
      if (server) return server
    }
    this.#waiting.add(client)
    this.connectMore()
    return undefined
  }

  stopWaiting(client: PoolClient): void {
    this.#waiting.delete(client)
  }

  awaitWelcome(waiter: WelcomeWaiter): void {
    if (this.welcome) return waiter.welcomed(this.welcome)
    this.#newcomers.add(waiter)
    this.connectMore()
  }

  stopAwaiting(waiter: WelcomeWaiter): void {
    this.#newcomers.delete(waiter)
  }

  /** A client is done with a connection and left nothing open. */
  giveBack(server: ServerConnection, now = this.#place.now()): void {
    if (this.#cancelled.has(server)) return
    const { serverResetQuery: reset, serverResetQueryAlways: isAlways } = this.#options
    if (reset === '' || (this.mode !== 'session' && !isAlways)) return this.#free(server, now)
    server.run(reset, (error) => {
      if (error) server.end('ENDED_BY_ROUTER')
      else this.#free(server, this.#place.now())
    })
  }

  /** The same, with a transaction open that the client is not to have. */
  rollBack(server: ServerConnection): void {
    server.run('ROLLBACK', (error) => {
      if (error) server.end('ENDED_BY_ROUTER')
      else this.giveBack(server)
    })
  }

  /** A connection has logged in. */
  connected(server: ServerConnection): void {
    this.connecting -= 1
    this.#servers.add(server)
    const { connectQuery } = this.#limits
    if (connectQuery === undefined) return this.#begun(server)
    const stopTimer = after(this.#options.serverConnectTimeoutMs, () => server.end('ENDED_BY_ROUTER'))
    server.run(connectQuery, (error) => {
      stopTimer()
      if (error) this.#place.connectQueryFailed(this, error)
      if (server.isClean) this.#begun(server)
      else server.end('ENDED_BY_ROUTER')
    })
  }

  #begun(server: ServerConnection): void {
    // The newest: what a role's sessions begin with may have been changed.
    const welcome = new Map(server.parameters)
    this.welcome = welcome
    for (const waiter of this.#newcomers) {
      this.#newcomers.delete(waiter)
      waiter.welcomed(welcome)
    }
    this.#free(server, this.#place.now())
  }

  /** One could not be opened; `refusal`: PostgreSQL said why. */
  connectFailed(refusal?: ErrorFields): void {
    this.connecting -= 1
    if (this.replica) return this.giveUpReplica()
    if (!refusal) return
    this.#retryAt = this.#place.now() + REFUSED_RETRY_MS
    if (PASSING_REFUSALS.has(refusal['C'] ?? '') || this.total > 0) return
    for (const waiter of this.#newcomers) {
      this.#newcomers.delete(waiter)
      waiter.refuseWith(refusal)
    }
    for (const client of this.#waiting.takeAll()) client.refuseWith(refusal)
  }

  /** Whoever waits for this replica does without it. Order: later, since `take` may be what found out. */
  giveUpReplica(): void {
    after(0, () => {
      for (const client of this.#waiting.takeAll()) client.takeElsewhere()
    })
  }

  /** False when it was another pool's. */
  serverEnded(server: ServerConnection): boolean {
    const at = this.#idle.indexOf(server)
    if (at >= 0) this.#idle.splice(at, 1)
    if (!this.#servers.delete(server)) return false
    this.#cancelled.delete(server)
    this.connectMore()
    return true
  }

  /** A cancel request is on its way to it: until it has arrived nobody else may run something there. */
  cancelBegan(server: ServerConnection): void {
    this.#cancelled.set(server, (this.#cancelled.get(server) ?? 0) + 1)
  }

  cancelEnded(server: ServerConnection): void {
    const left = (this.#cancelled.get(server) ?? 0) - 1
    if (left > 0) return void this.#cancelled.set(server, left)
    this.#cancelled.delete(server)
    if (this.#servers.has(server) && !server.user && !this.isIdle(server)) this.giveBack(server)
  }

  /** Nobody gets a server connection until `resume`; those that are free end now, the others when they become free. */
  pause(): void {
    // Who asks for secrets is not paused: the console's own users log in by them.
    if (this.isPinned) return
    this.isPaused = true
    this.doom()
  }

  resume(): void {
    this.isPaused = false
    this.serve()
  }

  /** Every server connection that there is now ends as soon as nobody works with it. */
  doom(): void {
    for (const server of this.servers()) server.doom()
  }

  /** Gives idle connections to those who wait, and opens more where they are too few. */
  serve(): void {
    // Order: whether there is one at all comes first, since the right to give it away is proven by the clock.
    while (this.#waiting.size > 0 && this.#idle.length > 0 && !this.isPaused && this.#place.mayAssign(this)) {
      const server = this.#popIdle()
      if (server) this.#waiting.shift()?.serverGiven(server)
    }
    this.connectMore()
  }

  connectMore(): void {
    const used = this.total + this.wishes
    if (this.isPaused || used >= this.#limits.size + this.#limits.reserveSize) return
    const now = this.#place.now()
    if (now < this.#retryAt) return
    const missing = this.#missing - this.connecting - this.wishes
    for (let count = Math.min(missing, this.mostNow(now) - used); count > 0; count -= 1) {
      if (this.#place.connect(this)) continue
      if (this.replica && this.total === 0) this.giveUpReplica()
      return
    }
  }

  /** How many server connections there may be now. */
  mostNow(now: number): number {
    return this.#limits.size + this.#reserve(now)
  }

  /** Whether one more would be used, beside those that are being opened. */
  get isShort(): boolean {
    return this.#missing > this.connecting
  }

  #minShare(): number {
    return this.#place.shareOf(Math.min(this.#limits.minSize, this.#limits.size))
  }

  /** A limit that was lowered is met as connections become free. */
  get #isOverfull(): boolean {
    return this.#servers.size > this.#limits.size + this.#limits.reserveSize
  }

  get #missing(): number {
    const wanted = this.#waiting.size > 0 ? this.#waiting.size : Number(this.hasNewcomers && this.total === 0)
    const belowMinimum = this.clients === 0 ? 0 : this.minSize - this.total + this.connecting
    return Math.max(wanted - this.#idle.length, belowMinimum)
  }

  /** The reserve is for when somebody has waited too long. */
  #reserve(now: number): number {
    const { reserveSize } = this.#limits
    const isLong =
      reserveSize > 0 &&
      this.#waiting.size > 0 &&
      this.longestWaitMs(now) >= this.#options.reservePoolTimeoutMs
    return isLong ? reserveSize : 0
  }

  #popIdle(): ServerConnection | undefined {
    return this.#options.serverRoundRobin ? this.#idle.shift() : this.#idle.pop()
  }

  #free(server: ServerConnection, now: number): void {
    if (server.isEnded) return
    this.lastUsedAt = now
    const { serverLifetimeMs } = this.#limits
    const isOld = serverLifetimeMs > 0 && now - server.connectedAt > serverLifetimeMs
    if (server.isDoomed || server.isDraining || isOld || this.isPaused || this.#isOverfull) {
      this.#servers.delete(server)
      server.end('ENDED_BY_ROUTER')
      return
    }
    server.idleSince = now
    this.#idle.push(server)
    if (this.#waiting.size > 0) this.serve()
  }
}

/** What server connections begin with, as one comparable text: those that began otherwise are of no use. */
function beginningOf({ startup, dbname, connectQuery }: PoolLimits): string {
  return JSON.stringify({ startup, dbname, connectQuery })
}
