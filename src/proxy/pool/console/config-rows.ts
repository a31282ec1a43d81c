import { PGBOUNCER_SETTINGS } from '../../../model/pgbouncer-setting.ts'
import type { TlsSettings, TlsSide } from '../../../model/tls-settings.ts'
import type { Value } from '../../../wire/rows.ts'
import type { PoolOptions } from '../pool-options.ts'

/** They wait for another router (`liveOptions`). */
const AS_BEGUN: ReadonlySet<string> = new Set(
  'auth_dbname auth_file auth_query auth_type auth_user listen_addr listen_port max_prepared_statements pool_mode track_extra_parameters'.split(
    ' ',
  ),
)
const seconds = (ms: number): string => String(ms / 1000)
const flag = (isSet: boolean): string => (isSet ? '1' : '0')

/**
 * SHOW CONFIG: all settings of PgBouncer's, with its default. Changeable: by RELOAD, from the node's configuration; nothing can be set here. What
 * does nothing has the value that its file gives, and the reason in a column of ours.
 */
export function configRows(
  options: PoolOptions,
  listenPort: number,
  tls: TlsSettings,
): readonly (readonly Value[])[] {
  const own = valuesOf(options, listenPort)
  const honoured = {
    ...own,
    ...tlsValues('client_tls', tls.client),
    ...tlsValues('server_tls', tls.server),
  }
  const { pgbouncer } = options
  return PGBOUNCER_SETTINGS.map(({ name, fallback, ignoredBecause }) => {
    const value = honoured[name] ?? pgbouncer?.given[name] ?? fallback
    const reason = ignoredBecause ?? pgbouncer?.notHonoured.find(({ setting }) => setting === name)?.reason
    const changeable = own[name] !== undefined && !AS_BEGUN.has(name)
    return [name, value, fallback, changeable ? 'yes' : 'no', reason ?? null]
  })
}

/** The settings that count, by PgBouncer's names, as this router has them. */
function valuesOf(options: PoolOptions, listenPort: number): Readonly<Record<string, string>> {
  const { auth } = options
  return {
    admin_users: options.adminUsers.join(','),
    application_name_add_host: flag(options.applicationNameAddHost),
    auth_dbname: auth.lookup?.database ?? '',
    auth_file: auth.file ?? '',
    auth_query: auth.lookup?.query ?? '',
    auth_type: auth.type,
    auth_user: auth.lookup?.user ?? '',
    client_idle_timeout: seconds(options.clientIdleTimeoutMs),
    client_login_timeout: seconds(options.clientLoginTimeoutMs),
    default_pool_size: String(options.defaultPoolSize),
    idle_transaction_timeout: seconds(options.idleTransactionTimeoutMs),
    ignore_startup_parameters: options.ignoreStartupParameters.join(','),
    listen_addr: options.listenAddr,
    listen_port: String(listenPort),
    max_client_conn: String(options.maxClientConn),
    max_db_client_connections: String(options.maxDbClientConnections),
    max_db_connections: String(options.maxDbConnections),
    max_prepared_statements: String(options.maxPreparedStatements),
    max_user_client_connections: String(options.maxUserClientConnections),
    max_user_connections: String(options.maxUserConnections),
    min_pool_size: String(options.minPoolSize),
    pool_mode: options.poolMode,
    query_timeout: seconds(options.queryTimeoutMs),
    query_wait_timeout: seconds(options.queryWaitTimeoutMs),
    reserve_pool_size: String(options.reservePoolSize),
    reserve_pool_timeout: seconds(options.reservePoolTimeoutMs),
    server_connect_timeout: seconds(options.serverConnectTimeoutMs),
    server_idle_timeout: seconds(options.serverIdleTimeoutMs),
    server_lifetime: seconds(options.serverLifetimeMs),
    server_reset_query: options.serverResetQuery,
    server_reset_query_always: flag(options.serverResetQueryAlways),
    server_round_robin: flag(options.serverRoundRobin),
    stats_users: options.statsUsers.join(','),
    track_extra_parameters: 'IntervalStyle,search_path,default_transaction_read_only',
    transaction_timeout: seconds(options.transactionTimeoutMs),
  }
}

function tlsValues(name: string, side: TlsSide): Readonly<Record<string, string>> {
  return {
    [`${name}_ca_file`]: side.caFile ?? '',
    [`${name}_cert_file`]: side.certFile ?? '',
    [`${name}_ciphers`]: side.ciphers ?? 'default',
    [`${name}_key_file`]: side.keyFile ?? '',
    [`${name}_protocols`]: protocolsOf(side),
    [`${name}_sslmode`]: side.mode,
  }
}

function protocolsOf({ minVersion, maxVersion }: TlsSide): string {
  return minVersion === maxVersion ? minVersion.toLowerCase() : 'secure'
}
