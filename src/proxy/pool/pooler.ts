import type { RouteTarget, RoutingTable } from '../../model/routing-table.ts'
import { boundedLatencies, type StatementLatency } from '../../model/statement-latency.ts'
import { monotonicMs } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import { every } from '../../platform/timers.ts'
import type { ErrorFields } from '../../wire/error-response.ts'
import type { CancelKey } from '../../wire/startup.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import type { ReloadNews } from '../router/agent-link.ts'
import { judgeBinding, type Binding } from '../router/choose-target.ts'
import { loadClassifier } from '../split/load-classifier.ts'
import { isKept, isListed } from '../split/replica-binding.ts'
import { ReadSplit } from '../split/read-split.ts'
import type { Recall } from '../workers/connection-lender.ts'
import type { Crew } from '../workers/crew.ts'
import { enterUntilClosed } from '../workers/seats.ts'
import { ClientKeys } from './client-keys.ts'
import { PoolConsole, type ConsoleHost, type ConsoleRequest } from './console/pool-console.ts'
import { forgetUnknown, keepAverages, newDatabaseState, type DatabaseState } from './database-state.ts'
import { clientLimits, fullLimit, tooMany, unlistedDatabase } from './client-limits.ts'
import { keepTimeLimits } from './janitor.ts'
import { latencyOf } from './latency-histogram.ts'
import { liveOptions } from './live-options.ts'
import { LoginFlow, type Admission, type ConsoleLogin, type LoginPlace, type Newcomer } from './login-flow.ts'
import type { StatementError } from './lost-transaction.ts'
import { Pool, type PoolIdentity, type PoolPlace } from './pool.ts'
import type { PoolerBoard } from './pooler-board.ts'
import type { PoolOptions } from './pool-options.ts'
import { PooledClient, type ClientPlace } from './pooled-client.ts'
import { StatementRegistry } from './prepared-statements.ts'
import { secretFinder } from './secret-finder.ts'
import { ServerConnection, type ServerOwner } from './server-connection.ts'
import { StatementLog } from './statement-log.ts'
import { ServerOpener } from './server-opener.ts'
import type { UserSecrets } from './user-secrets.ts'

export type PoolerDeps = {
  readonly log: Logger
  readonly board: PoolerBoard
  readonly secrets: UserSecrets
  /** Reads the list of users and the certificates again; what is wrong with them, if anything. */
  readonly reload: () => string | undefined
  /** Has the node read its configuration again: the new settings are the answer. */
  readonly askAgent?: (done: (news: ReloadNews | undefined) => void) => void
  /** Absent: there is one process. */
  readonly crew?: Crew | undefined
}

/** `user`: whom it logged in as; not the pool's where the database has a user of its own. */
type KnownClient = { readonly id: number; readonly key: CancelKey; readonly user: string }

/** How often those who wait for a connection to be opened are looked at. */
const TICK_MS = 50
const JANITOR_MS = 250
/** Pools differ by startup parameters too, which clients choose. */
const POOLS_MAX = 1000
const CANCELLED = { sqlState: '57014', message: 'canceling statement due to user request' }

/**
 * The pooled port: clients that log in at the router, and server connections that they share. A client keeps its
 * connection through a change of the primary; a server connection belongs to one epoch and ends with it.
 */
export class Pooler implements PoolPlace, ClientPlace, LoginPlace, ServerOwner {
  readonly secrets: UserSecrets
  readonly registry = new StatementRegistry()
  readonly statementLog: StatementLog
  readonly findSecret: LoginPlace['findSecret']
  readonly #log: Logger
  readonly #board: PoolerBoard
  #options: PoolOptions
  readonly #pools = new Map<string, Pool>()
  readonly #databases = new Map<string, DatabaseState>()
  readonly #clients = new Map<PooledClient, KnownClient>()
  readonly #console: PoolConsole
  readonly #flows = new Set<LoginFlow>()
  readonly #opener: ServerOpener
  readonly #crew: Crew | undefined
  readonly #keys = new ClientKeys()
  readonly split: ReadSplit | undefined
  readonly #stopJanitor: () => void
  #stopTick: (() => void) | undefined
  #lastId = 0
  #isCutting = false
  #isStopping = false
  #warnedOfLookup = ''

  constructor(deps: PoolerDeps, options: PoolOptions) {
    this.#log = deps.log
    this.#board = deps.board
    this.#crew = deps.crew
    this.#lastId = deps.crew?.place ?? 0
    this.secrets = deps.secrets
    this.#options = options
    this.statementLog = new StatementLog(deps.log, () => this.#options)
    this.#opener = this.#makeOpener(deps)
    this.findSecret = secretFinder(options, {
      secrets: this.secrets,
      poolFor: (identity) => this.poolFor(identity),
      now: () => this.now(),
    })
    this.#console = new PoolConsole(this.#consoleHost(deps))
    this.split = options.readWriteSplit ? this.#makeSplit() : undefined
    this.#stopJanitor = every(JANITOR_MS, () => this.#keepLimits())
  }

  get options(): PoolOptions {
    return this.#options
  }

  /** The settings that may change while clients are connected are these from now on. */
  configure(next: PoolOptions): void {
    const options = liveOptions(this.#options, next)
    if (JSON.stringify(options) === JSON.stringify(this.#options)) return
    this.#options = options
    for (const pool of this.#pools.values()) pool.configure(options)
    this.#log.info('The settings of the pooled port have changed')
  }

  get clientCount(): number {
    return this.#clients.size + this.#flows.size + this.#console.sessionCount
  }

  get waitingCount(): number {
    let count = 0
    for (const pool of this.#pools.values()) count += pool.waiting.size
    return count
  }

  /** Of statements, by database and user. */
  latencies(): readonly StatementLatency[] {
    const all = [...this.#databases].flatMap(([database, { latencies }]) =>
      [...latencies].map(([user, { counts, sumMs }]) => ({ database, user, counts, sumMs })),
    )
    return boundedLatencies(all)
  }

  get holdTimeoutMs(): number {
    return this.#board.holdTimeoutMs
  }

  get heldCount(): number {
    let count = 0
    for (const client of this.#clients.keys()) if (client.isHeld) count += 1
    return count
  }

  now(): number {
    return monotonicMs()
  }

  /** What a replica says is as old as it is, and proves nothing: its right does not end with the table. */
  mayPass(binding: Binding): boolean {
    return binding.role === 'replica' || this.#board.primaryOpen()
  }

  mayAssign({ replica }: Pool): boolean {
    if (this.#isCutting) return false
    if (replica) return isListed(replica, this.#board.table())
    return this.#board.hasPrimary() && this.#board.primaryOpen()
  }

  /** A client has said what it wants. */
  admit(newcomer: Newcomer): void {
    const flow = new LoginFlow(newcomer, this)
    newcomer.counters.clients += 1
    newcomer.counters.waiting += 1
    this.#flows.add(flow)
    if (this.clientCount > this.options.maxClientConn) return flow.close('TOO_MANY_CLIENTS')
    flow.begin()
  }

  /** False when the key is none of ours. */
  cancel(key: CancelKey, done: () => void): boolean {
    const client = this.#keys.find(key)
    if (!client) return false
    const { server, serverPool: pool } = client
    if (!server?.key) {
      client.cancelWait(CANCELLED)
      done()
      return true
    }
    // Order: the connection is nobody else's before the request has arrived, or it would end another's statement.
    pool.cancelBegan(server)
    this.#board.sendCancel({ binding: server.binding, key: server.key }, () => {
      pool.cancelEnded(server)
      done()
    })
    return true
  }

  poolFor(identity: PoolIdentity): Pool {
    return this.#poolFor(identity)
  }

  #poolFor(identity: PoolIdentity, replica?: RouteTarget): Pool {
    const key = JSON.stringify([
      identity.database,
      identity.user,
      replica ? [replica.name, replica.host, replica.port] : '',
      ...[...identity.fixed].map((pair) => JSON.stringify(pair)).toSorted(byText),
    ])
    const known = this.#pools.get(key)
    if (known) return known
    if (this.#pools.size >= POOLS_MAX) this.#dropUnusedPools()
    const { stats, latencies, isPaused } = this.databaseState(identity.database)
    const latency = latencyOf(latencies, identity.user)
    const parts = { name: key, stats, latency, place: this, ...(replica ? { replica } : {}) }
    const pool = new Pool(identity, this.options, parts)
    pool.isPaused = this.#console.isPaused || isPaused
    this.#pools.set(key, pool)
    return pool
  }

  newKey(isLong: boolean): CancelKey {
    return this.#keys.newKey(isLong)
  }

  passThrough(flow: LoginFlow, sent: Pick<Newcomer, 'packet' | 'rest'>): void {
    this.#forget(flow)
    flow.newcomer.counters.clients -= 1
    this.#board.passThrough({ ...flow.newcomer, ...sent })
  }

  admitted(flow: LoginFlow, admission: Admission): void {
    this.#forget(flow)
    const { socket, counters } = flow.newcomer
    const { pool, settings, key } = admission
    const client = new PooledClient({ socket, counters, pool, settings }, this)
    this.#clients.set(client, { id: this.#newId(), key, user: flow.user })
    this.#keys.add(key, client)
    pool.clients += 1
    pool.stats.logins += 1
    client.forward(admission.welcome)
    client.start(admission.rest)
  }

  console(flow: LoginFlow, { user, key, rest }: ConsoleLogin): void {
    this.#forget(flow)
    const { socket, counters } = flow.newcomer
    this.#console.open({ socket, counters, user, key, rest })
  }

  checkLimits(flow: LoginFlow, answer: (refusal: StatementError | undefined) => void): void {
    const { database } = flow
    if (this.#databases.get(database)?.isDisabled)
      return answer({ sqlState: '57P03', message: `database "${database}" is disabled` })
    const unlisted = unlistedDatabase(this.options, database)
    if (unlisted) return answer(unlisted)
    const limits = clientLimits(this.options, flow)
    if (!this.#crew) {
      const full = fullLimit(limits, () => this.#counted())
      return answer(full && tooMany(full))
    }
    const named = limits.map(({ name, max, ...limit }) => ({
      ...limit,
      name: `clients of ${limit.of} ${name}`,
      max,
    }))
    enterUntilClosed(this.#crew, { socket: flow.newcomer.socket, limits: named }, (full) => {
      const found = full && named.find(({ name }) => name === full.name)
      answer(found && tooMany(found))
    })
  }

  *#counted(): Generator<{ readonly user: string; readonly database: string }> {
    for (const [{ pool }, { user }] of this.#clients) yield { user, database: pool.database }
    for (const flow of this.#flows) if (flow.isAccepted) yield flow
  }

  connectQueryFailed({ database, user }: Pool, { C: sqlState, M: reason }: ErrorFields): void {
    this.#log.warn('A connect_query failed', { database, user, sqlState, reason })
  }

  loginEnded(flow: LoginFlow, reason: CloseReason | 'REFUSED'): void {
    this.#forget(flow)
    flow.newcomer.counters.clients -= 1
    if (reason !== 'REFUSED') this.#board.countClosed(reason)
  }

  lookupFailed(user: string, reason: string): void {
    if (reason === this.#warnedOfLookup) return
    this.#warnedOfLookup = reason
    this.#log.warn('Cannot look up a secret: the client is passed through in session mode', { user, reason })
  }

  clientEnded(client: PooledClient, reason: CloseReason): void {
    const known = this.#clients.get(client)
    if (!known || !this.#clients.delete(client)) return
    this.#board.countClosed(reason)
    const { id, user } = known
    const lastedMs = Math.round(this.now() - client.times.connectedAt)
    this.#log.debug('A client has ended', { id, user, database: client.pool.database, reason, lastedMs })
    this.#keys.remove(known.key)
    client.pool.clients -= 1
    client.counters.clients -= 1
  }

  connect(pool: Pool): boolean {
    if (this.#isStopping || this.#isCutting) return false
    this.#startTick()
    return this.#opener.connect(pool)
  }

  serverEnded(server: ServerConnection): void {
    this.#opener.serverEnded(server)
    for (const pool of this.#pools.values()) if (pool.serverEnded(server)) return
  }

  shareOf(count: number): number {
    const { place, size } = this.#crew ?? { place: 0, size: 1 }
    return Math.floor(count / size) + Number(place < count % size)
  }

  /** What another worker asks, or this one of itself. */
  answer(request: ConsoleRequest): unknown {
    return this.#console.answer(request)
  }

  /** Others have to have what is too much here. */
  recall(recall: Recall): void {
    this.#opener.recall(recall)
  }

  /** Order: the connections of an older epoch go before anything new is opened or given out. */
  tableChanged(table: RoutingTable): void {
    this.#isCutting = true
    this.#opener.tableChanged(table)
    for (const pool of this.#pools.values()) {
      for (const server of pool.servers()) {
        const verdict = judgeBinding(server.binding, table)
        if (!isKept(verdict)) server.end(verdict.kind === 'cut' ? verdict.reason : 'TARGET_REMOVED')
        else if (verdict.kind === 'rebind') server.binding = verdict.binding
        server.isDraining = verdict.kind === 'drain'
        if (server.isDraining && !server.user && server.isClean) server.end('ENDED_BY_ROUTER')
      }
      if (pool.replica && !isListed(pool.replica, table)) pool.giveUpReplica()
    }
    for (const client of this.#clients.keys()) client.endIfDrained()
    this.#isCutting = false
    this.serve()
  }

  /** Nothing passes until `release`. Returns how many clients that stops. */
  hold(): number {
    for (const client of this.#clients.keys()) client.hold()
    return this.heldCount
  }

  release(): void {
    for (const pool of this.#pools.values()) for (const server of pool.servers()) server.release()
    for (const client of this.#clients.keys()) client.release()
    this.serve()
  }

  /** What was held for too long loses its server connection. */
  cutHeld(): void {
    for (const client of this.#clients.keys()) if (client.isHeld) client.server?.end('VALIDITY_TIMEOUT')
  }

  endIdleServers(idleMs: number): void {
    const now = this.now()
    for (const pool of this.#pools.values())
      for (const server of [...pool.idle]) if (now - server.idleSince >= idleMs) server.end('ENDED_BY_ROUTER')
  }

  serve(): void {
    for (const pool of this.#pools.values()) pool.serve()
  }

  /** Ends whoever has nothing open, the others too when `isOver`. Returns how many clients are left. */
  drain(isOver: boolean): number {
    this.#isStopping = true
    for (const flow of this.#flows) flow.close('ROUTER_STOPPING')
    for (const client of this.#clients.keys()) {
      if (isOver || !client.server)
        client.close('ROUTER_STOPPING', closeResponse('ROUTER_STOPPING', { idle: !client.server }))
    }
    this.#console.close(closeResponse('ROUTER_STOPPING'))
    return this.#clients.size
  }

  stop(): void {
    this.#stopJanitor()
    this.#stopTick?.()
    this.#opener.stop()
    for (const pool of this.#pools.values())
      for (const server of pool.servers()) server.end('ENDED_BY_ROUTER')
  }

  #makeSplit(): ReadSplit {
    const { table, mayDial } = this.#board
    const replicaPool = (pool: Pool, target: RouteTarget) => this.#poolFor(pool, target)
    const place = { now: () => this.now(), options: () => this.#options, table, mayDial, replicaPool }
    return new ReadSplit({ log: this.#log, place }, loadClassifier(this.options))
  }

  #forget(flow: LoginFlow): void {
    if (this.#flows.delete(flow)) flow.newcomer.counters.waiting -= 1
  }

  databaseState(database: string): DatabaseState {
    const known = this.#databases.get(database)
    if (known) return known
    const state = newDatabaseState(this.now())
    this.#databases.set(database, state)
    return state
  }

  #consoleHost({ reload, askAgent, secrets, crew }: PoolerDeps): ConsoleHost {
    return {
      options: () => this.#options,
      tls: this.#board.tls.settings,
      now: () => this.now(),
      pools: () => [...this.#pools.values()],
      clients: () => [...this.#clients].map(([client, { id, user }]) => ({ id, user, client })),
      logins: () => this.#flows.size,
      askAll: (request, done) => (crew ? crew.askAll(request, done) : done([this.answer(request)], 0)),
      databases: this.#databases,
      databaseState: (name) => this.databaseState(name),
      primary: () => this.#board.primary(),
      users: () => secrets.size,
      classifier: () => this.split?.report(),
      statements: () => this.statementLog.report(),
      askAgent: askAgent ?? ((done) => done(undefined)),
      reload: (settings) => {
        if (settings) this.configure(settings)
        return reload()
      },
    }
  }

  #newId(): number {
    // Order: no two workers give the same, since people end clients by it.
    this.#lastId += this.#crew?.size ?? 1
    return this.#lastId
  }

  #makeOpener({ log, board, crew }: PoolerDeps): ServerOpener {
    return new ServerOpener(
      { log, board, crew },
      {
        options: () => this.#options,
        now: () => this.now(),
        pools: () => [...this.#pools.values()],
        secretOf: (pool) => this.poolFor(pool).secret,
        mayPass: (binding) => this.mayPass(binding),
        opened: ({ socket, key, parameters }, binding) => {
          const parts = { id: this.#newId(), socket, binding, key, parameters, now: this.now() }
          return new ServerConnection(parts, this, this.registry)
        },
      },
    )
  }

  #dropUnusedPools(): void {
    for (const [key, pool] of this.#pools) if (pool.isUnused) this.#pools.delete(key)
  }

  #keepLimits(): void {
    if (this.#pools.size === 0) return
    const pools = this.#pools.values()
    const clients = this.#clients.keys()
    const disconnect = (client: PooledClient, error: StatementError): void => this.#disconnect(client, error)
    keepTimeLimits({ pools, clients, disconnect }, this.options, this.now())
    for (const state of this.#databases.values()) keepAverages(state, this.now())
    this.#dropUnusedPools()
    forgetUnknown(this.#databases, this.#pools.values())
  }

  /** PostgreSQL would go on with a statement whose client is gone. */
  #disconnect(client: PooledClient, error: StatementError): void {
    const { server } = client
    client.refuse(error)
    if (server?.isEnded && server.key)
      this.#board.sendCancel({ binding: server.binding, key: server.key }, () => {})
  }

  /** Runs only while somebody waits for a connection to be opened. */
  #startTick(): void {
    this.#stopTick ??= every(TICK_MS, () => {
      this.#opener.withdrawStale()
      this.serve()
      for (const pool of this.#pools.values())
        if (pool.waiting.size > 0 || pool.hasNewcomers || pool.wishes > 0) return
      this.#stopTick?.()
      this.#stopTick = undefined
    })
  }
}

function byText(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}
