import type { Value } from '../../../wire/rows.ts'
import type { PoolOptions } from '../pool-options.ts'

const seconds = (ms: number): string => String(ms / 1000)

/** SHOW CONFIG: the settings that are honoured here, by PgBouncer's names, with its default. Changed in the node's configuration. */
export function configRows(options: PoolOptions): readonly (readonly Value[])[] {
  const { auth } = options
  const settings: readonly (readonly [string, string, string])[] = [
    ['admin_users', options.adminUsers.join(','), ''],
    ['auth_dbname', auth.lookup?.database ?? '', ''],
    ['auth_file', auth.file ?? '', ''],
    ['auth_query', auth.lookup?.query ?? '', ''],
    ['auth_type', auth.type, 'md5'],
    ['auth_user', auth.lookup?.user ?? '', ''],
    ['client_idle_timeout', seconds(options.clientIdleTimeoutMs), '0'],
    ['client_login_timeout', seconds(options.clientLoginTimeoutMs), '60'],
    ['default_pool_size', String(options.defaultPoolSize), '20'],
    ['idle_transaction_timeout', seconds(options.idleTransactionTimeoutMs), '0'],
    ['max_client_conn', String(options.maxClientConn), '100'],
    ['max_db_connections', String(options.maxDbConnections), '0'],
    ['max_prepared_statements', String(options.maxPreparedStatements), '200'],
    ['max_user_connections', String(options.maxUserConnections), '0'],
    ['min_pool_size', String(options.minPoolSize), '0'],
    ['pool_mode', options.poolMode, 'session'],
    ['query_timeout', seconds(options.queryTimeoutMs), '0'],
    ['query_wait_timeout', seconds(options.queryWaitTimeoutMs), '120'],
    ['reserve_pool_size', String(options.reservePoolSize), '0'],
    ['reserve_pool_timeout', seconds(options.reservePoolTimeoutMs), '5'],
    ['server_connect_timeout', seconds(options.serverConnectTimeoutMs), '15'],
    ['server_idle_timeout', seconds(options.serverIdleTimeoutMs), '600'],
    ['server_lifetime', seconds(options.serverLifetimeMs), '3600'],
    ['server_reset_query', options.serverResetQuery, 'DISCARD ALL'],
    ['stats_users', options.statsUsers.join(','), ''],
    ['transaction_timeout', seconds(options.transactionTimeoutMs), '0'],
  ]
  return settings.map(([key, value, fallback]) => [key, value, fallback, 'no'])
}
