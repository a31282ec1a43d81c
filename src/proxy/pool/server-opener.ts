import type { RoutingTable } from '../../model/routing-table.ts'
import type { Logger } from '../../platform/log.ts'
import type { ServerSecret } from '../backend/server-proof.ts'
import { judgeBinding, type Binding } from '../router/choose-target.ts'
import { isKept } from '../split/replica-binding.ts'
import type { Recall } from '../workers/connection-lender.ts'
import type { Crew } from '../workers/crew.ts'
import type { Limit } from '../workers/shared-counts.ts'
import { makeRoom } from './make-room.ts'
import type { Pool } from './pool.ts'
import type { PoolOptions } from './pool-options.ts'
import type { PoolerBoard } from './pooler-board.ts'
import type { ServerConnection } from './server-connection.ts'
import { logIn, type LoginOutcome } from './server-login.ts'

/** What opening needs from the pooler around it. */
export interface OpenerPlace {
  options(): PoolOptions
  now(): number
  pools(): readonly Pool[]
  secretOf(pool: Pool): ServerSecret
  mayPass(binding: Binding): boolean
  /** It has logged in. */
  opened(outcome: Extract<LoginOutcome, { kind: 'ready' }>, binding: Binding): ServerConnection
}

type Attempt = {
  readonly pool: Pool
  readonly limits: readonly Limit[]
  /** Absent: it waits for a connection to be lent. */
  binding?: Binding
  cancel: () => void
}

/** One that nobody has used for so long is not needed now. */
const COLD_MS = 50

/**
 * Opens server connections within the limits of the node. A router of one process counts for itself and makes room; where there are
 * more, each connection is lent by the one who counts for all, and given back when it has ended.
 */
export class ServerOpener {
  readonly #log: Logger
  readonly #board: PoolerBoard
  readonly #crew: Crew | undefined
  readonly #place: OpenerPlace
  readonly #attempts = new Set<Attempt>()
  readonly #loans = new Map<ServerConnection, readonly Limit[]>()

  constructor(
    deps: { readonly log: Logger; readonly board: PoolerBoard; readonly crew: Crew | undefined },
    place: OpenerPlace,
  ) {
    this.#log = deps.log
    this.#board = deps.board
    this.#crew = deps.crew
    this.#place = place
  }

  /** Begins to open one more; false where that cannot be done now. */
  connect(pool: Pool): boolean {
    const crew = this.#crew
    if (!crew) return makeRoom(this.#place.pools(), pool) && this.#dial(pool, [])
    const target = pool.replica ?? this.#board.primary()
    if (!target || !this.#board.mayDial(target)) return false
    const limits = limitsOfPool(pool, this.#place.now())
    const attempt: Attempt = { pool, limits, cancel: () => {} }
    pool.wishes += 1
    this.#attempts.add(attempt)
    attempt.cancel = crew.borrow(limits, () => {
      this.#drop(attempt)
      if (!pool.isShort || !this.#dial(pool, limits)) crew.giveBack(limits)
    })
    return true
  }

  /** Nobody wants what is wished for, or it may be more by now: the next look wishes anew. */
  withdrawStale(): void {
    for (const attempt of this.#attempts) {
      const { pool, limits, binding } = attempt
      if (binding) continue
      if (pool.isShort && limits[0]?.max === pool.mostNow(this.#place.now())) continue
      attempt.cancel()
      this.#drop(attempt)
    }
  }

  serverEnded(server: ServerConnection): void {
    const limits = this.#loans.get(server)
    if (limits && this.#loans.delete(server)) this.#crew?.giveBack(limits)
  }

  /** Order: attempts of an older epoch end before anything new is opened. */
  tableChanged(table: RoutingTable): void {
    for (const attempt of this.#attempts) {
      const { binding, pool } = attempt
      if (!binding || isKept(judgeBinding(binding, table))) continue
      attempt.cancel()
      this.#board.dialAbandoned(binding)
      this.#failed(attempt)
      pool.connectFailed()
    }
  }

  /** Other workers want connections: those that are too many here end when they are free, those that are not used now. */
  recall({ limit, most, idle }: Recall): void {
    const now = this.#place.now()
    const pools = this.#place
      .pools()
      .filter((pool) => limitsOfPool(pool, now).some(({ name }) => name === limit))
    const cold = pools
      .filter((pool) => pool.waiting.size === 0)
      .flatMap((pool) => pool.idle)
      .filter(({ idleSince }) => now - idleSince >= COLD_MS)
      .toSorted((one, other) => one.idleSince - other.idleSince)
    for (const server of cold.slice(0, idle)) server.end('ENDED_BY_ROUTER')
    const kept = pools.flatMap((pool) => pool.servers()).filter(({ isDoomed }) => !isDoomed)
    const opening = pools.reduce((sum, pool) => sum + pool.connecting, 0)
    const idleFirst = kept.toSorted((one, other) => Number(Boolean(one.user)) - Number(Boolean(other.user)))
    for (const server of idleFirst.slice(0, Math.max(0, kept.length + opening - most))) server.doom()
  }

  stop(): void {
    for (const attempt of this.#attempts) attempt.cancel()
  }

  #dial(pool: Pool, limits: readonly Limit[]): boolean {
    const choice = pool.replica ? this.#board.chooseReplica(pool.replica) : this.#board.choosePrimary()
    if (choice.kind === 'wait') return false
    const { binding } = choice
    pool.connecting += 1
    const attempt: Attempt = { pool, limits, binding, cancel: () => {} }
    this.#attempts.add(attempt)
    attempt.cancel = logIn(
      {
        binding,
        tls: this.#board.tls.forServers,
        user: pool.user,
        database: pool.limits.dbname,
        parameters: new Map([...Object.entries(pool.limits.startup), ...pool.fixed]),
        secret: this.#place.secretOf(pool),
        timeoutMs: this.#place.options().serverConnectTimeoutMs,
        maySend: () => this.#place.mayPass(binding),
      },
      (outcome) => this.#connected(attempt, binding, outcome),
    )
    return true
  }

  #connected(attempt: Attempt, binding: Binding, outcome: LoginOutcome): void {
    const { pool, limits } = attempt
    const { database, user } = pool
    if (outcome.kind === 'unreachable') {
      this.#board.dialFailed(binding)
      this.#log.debug('No server connection', { database, user, reason: outcome.text })
      this.#failed(attempt)
      return pool.connectFailed()
    }
    this.#board.dialAnswered(binding)
    if (outcome.kind === 'refused') {
      const { C: sqlState, M: reason } = outcome.fields
      this.#log.info('PostgreSQL refused a server connection', { database, user, sqlState, reason })
      this.#failed(attempt)
      return pool.connectFailed(outcome.fields)
    }
    this.#attempts.delete(attempt)
    const server = this.#place.opened(outcome, binding)
    this.#loans.set(server, limits)
    pool.connected(server)
  }

  #failed(attempt: Attempt): void {
    this.#attempts.delete(attempt)
    this.#crew?.giveBack(attempt.limits)
  }

  #drop(wish: Attempt): void {
    if (this.#attempts.delete(wish)) wish.pool.wishes -= 1
  }
}

/** The pool's own first. */
function limitsOfPool(pool: Pool, now: number): readonly Limit[] {
  const { maxDbConnections, maxUserConnections } = pool.limits
  return [
    { name: `pool ${pool.name}`, max: pool.mostNow(now) },
    ...(maxDbConnections > 0 ? [{ name: `database ${pool.database}`, max: maxDbConnections }] : []),
    ...(maxUserConnections > 0 ? [{ name: `user ${pool.user}`, max: maxUserConnections }] : []),
  ]
}
