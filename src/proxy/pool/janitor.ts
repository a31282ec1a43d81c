import type { StatementError } from './lost-transaction.ts'
import type { Pool } from './pool.ts'
import type { PoolLimits, PoolOptions } from './pool-options.ts'
import type { PooledClient } from './pooled-client.ts'

type ClientLimits = Pick<
  PoolLimits,
  'queryTimeoutMs' | 'transactionTimeoutMs' | 'idleTransactionTimeoutMs' | 'clientIdleTimeoutMs'
>

/** Every time limit of the pooler but those of logins, looked at by one round over everything. */
export function keepTimeLimits(
  state: {
    readonly pools: Iterable<Pool>
    readonly clients: Iterable<PooledClient>
    readonly disconnect: (client: PooledClient, error: StatementError) => void
  },
  options: PoolOptions,
  now: number,
): void {
  for (const pool of state.pools) {
    endIdleServers(pool, options, now)
    refuseLongWaiters(pool, now)
    pool.connectMore()
  }
  if (![options, ...options.users].some(limitsClients)) return
  for (const client of state.clients) {
    const over = limitOver(client, client.pool.limits, now)
    if (over) state.disconnect(client, over)
  }
}

function limitsClients(times: Partial<ClientLimits>): boolean {
  const { queryTimeoutMs, transactionTimeoutMs, idleTransactionTimeoutMs, clientIdleTimeoutMs } = times
  return [queryTimeoutMs, transactionTimeoutMs, idleTransactionTimeoutMs, clientIdleTimeoutMs].some(Boolean)
}

function endIdleServers(pool: Pool, options: PoolOptions, now: number): void {
  const { serverIdleTimeoutMs } = options
  const { serverLifetimeMs } = pool.limits
  // The oldest lie at the bottom; as many stay as are wanted at all times.
  for (const server of [...pool.idle]) {
    const isOld = serverLifetimeMs > 0 && now - server.connectedAt > serverLifetimeMs
    const isIdle = serverIdleTimeoutMs > 0 && now - server.idleSince > serverIdleTimeoutMs
    const isKept = pool.clients > 0 && pool.total <= pool.minSize
    if (isOld || (isIdle && !isKept) || server.isDoomed) server.end('ENDED_BY_ROUTER')
  }
}

function refuseLongWaiters(pool: Pool, now: number): void {
  const { queryWaitTimeoutMs } = pool.limits
  if (queryWaitTimeoutMs === 0) return
  // First come, first served: behind one that may wait on nobody has waited longer.
  while (pool.longestWaitMs(now) > queryWaitTimeoutMs) {
    const client = pool.waiting.first
    if (client === undefined) return
    pool.stopWaiting(client)
    client.refuse({
      sqlState: '57P03',
      message: `query_wait_timeout: no server connection was free within ${queryWaitTimeoutMs} ms`,
    })
  }
}

function limitOver(client: PooledClient, limits: ClientLimits, now: number): StatementError | undefined {
  const { queryAt, transactionAt, waitingSince, activeAt } = client.times
  const isOver = (since: number | undefined, limitMs: number): boolean =>
    limitMs > 0 && since !== undefined && now - since > limitMs
  if (waitingSince !== undefined) return undefined
  if (isOver(queryAt, limits.queryTimeoutMs)) return { sqlState: '57014', message: 'query_timeout' }
  if (client.isInTransaction && isOver(transactionAt, limits.transactionTimeoutMs)) {
    return { sqlState: '25P04', message: 'transaction_timeout' }
  }
  if (queryAt !== undefined) return undefined
  if (client.isInTransaction && isOver(activeAt, limits.idleTransactionTimeoutMs)) {
    return { sqlState: '25P03', message: 'idle_transaction_timeout' }
  }
  const isIdle = client.server === undefined && isOver(activeAt, limits.clientIdleTimeoutMs)
  return isIdle ? { sqlState: '57P05', message: 'client_idle_timeout' } : undefined
}
