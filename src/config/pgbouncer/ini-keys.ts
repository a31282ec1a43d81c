import type { Key, ListKey } from '../key.ts'
import { databaseOverrideFields, poolKeys, poolLists, userOverrideFields } from '../keys/pool-keys.ts'
import { runtimeKeys } from '../keys/runtime-keys.ts'
import { clientTlsKeys, serverTlsKeys } from '../keys/tls-keys.ts'
import type { IniForm } from './ini-values.ts'

/** The key that a setting of PgBouncer's becomes. */
export type IniKey = { readonly key: Key<unknown>; readonly form: IniForm }

const word = (key: Key<unknown>): IniKey => ({ key, form: 'word' })
const text = (key: Key<unknown>): IniKey => ({ key, form: 'text' })
const number = (key: Key<unknown>): IniKey => ({ key, form: 'number' })
const flag = (key: Key<unknown>): IniKey => ({ key, form: 'flag' })
const seconds = (key: Key<unknown>): IniKey => ({ key, form: 'seconds' })

/** Section [pgbouncer]; what is not here is a list, or judged apart, or does nothing. */
export const INI_KEYS: Readonly<Record<string, IniKey>> = {
  application_name_add_host: flag(poolKeys.applicationNameAddHost),
  auth_dbname: text(poolKeys.authDbname),
  auth_file: text(poolKeys.authFile),
  auth_query: text(poolKeys.authQuery),
  auth_type: word(poolKeys.authType),
  auth_user: text(poolKeys.authUser),
  client_idle_timeout: seconds(poolKeys.clientIdleTimeout),
  client_login_timeout: seconds(poolKeys.clientLoginTimeout),
  client_tls_ca_file: text(clientTlsKeys.caFile),
  client_tls_cert_file: text(clientTlsKeys.certFile),
  client_tls_key_file: text(clientTlsKeys.keyFile),
  client_tls_protocols: word(clientTlsKeys.protocols),
  client_tls_sslmode: word(clientTlsKeys.mode),
  default_pool_size: number(poolKeys.defaultPoolSize),
  idle_transaction_timeout: seconds(poolKeys.idleTransactionTimeout),
  listen_addr: text(poolKeys.listenAddr),
  listen_port: number(runtimeKeys.pooledPort),
  max_client_conn: number(poolKeys.maxClientConn),
  max_db_client_connections: number(poolKeys.maxDbClientConnections),
  max_db_connections: number(poolKeys.maxDbConnections),
  max_prepared_statements: number(poolKeys.maxPreparedStatements),
  max_user_client_connections: number(poolKeys.maxUserClientConnections),
  max_user_connections: number(poolKeys.maxUserConnections),
  min_pool_size: number(poolKeys.minPoolSize),
  pool_mode: word(poolKeys.mode),
  query_timeout: seconds(poolKeys.queryTimeout),
  query_wait_timeout: seconds(poolKeys.queryWaitTimeout),
  reserve_pool_size: number(poolKeys.reservePoolSize),
  reserve_pool_timeout: seconds(poolKeys.reservePoolTimeout),
  server_connect_timeout: seconds(poolKeys.serverConnectTimeout),
  server_idle_timeout: seconds(poolKeys.serverIdleTimeout),
  server_lifetime: seconds(poolKeys.serverLifetime),
  server_reset_query: text(poolKeys.serverResetQuery),
  server_reset_query_always: flag(poolKeys.serverResetQueryAlways),
  server_round_robin: flag(poolKeys.serverRoundRobin),
  server_tls_ca_file: text(serverTlsKeys.caFile),
  server_tls_cert_file: text(serverTlsKeys.certFile),
  server_tls_key_file: text(serverTlsKeys.keyFile),
  server_tls_protocols: word(serverTlsKeys.protocols),
  server_tls_sslmode: word(serverTlsKeys.mode),
  transaction_timeout: seconds(poolKeys.transactionTimeout),
}

export const INI_LISTS: Readonly<Record<string, ListKey>> = {
  admin_users: poolLists.adminUsers,
  ignore_startup_parameters: poolLists.ignoreStartupParameters,
  stats_users: poolLists.statsUsers,
}

/** Of one line: what becomes a field of the entry, and why the rest does nothing. */
export type IniFields = {
  readonly fields: Readonly<Record<string, IniKey>>
  readonly ignored: Readonly<Record<string, string>>
}

const database = databaseOverrideFields
const byItsOwn = 'secrets are looked up as pool.auth_user in pool.auth_dbname, for all databases'

export const DATABASE_FIELDS: IniFields = {
  fields: {
    application_name: text(database.applicationName),
    client_encoding: text(database.clientEncoding),
    connect_query: text(database.connectQuery),
    datestyle: text(database.datestyle),
    dbname: text(database.dbname),
    max_db_client_connections: number(database.maxClientConnections),
    max_db_connections: number(database.maxConnections),
    min_pool_size: number(database.minPoolSize),
    password: text(database.password),
    pool_mode: word(database.poolMode),
    pool_size: number(database.poolSize),
    query_wait_timeout: seconds(database.queryWaitTimeout),
    reserve_pool: number(database.reservePoolSize),
    reserve_pool_size: number(database.reservePoolSize),
    server_lifetime: seconds(database.serverLifetime),
    timezone: text(database.timezone),
    user: text(database.user),
  },
  ignored: {
    auth_dbname: byItsOwn,
    auth_query: byItsOwn,
    auth_user: byItsOwn,
    load_balance_hosts: 'the router leads to the primary',
    target_session_attrs: 'the router leads to the primary',
  },
}

const user = userOverrideFields

export const USER_FIELDS: IniFields = {
  fields: {
    client_idle_timeout: seconds(user.clientIdleTimeout),
    idle_transaction_timeout: seconds(user.idleTransactionTimeout),
    max_user_client_connections: number(user.maxClientConnections),
    max_user_connections: number(user.maxConnections),
    pool_mode: word(user.poolMode),
    pool_size: number(user.poolSize),
    query_timeout: seconds(user.queryTimeout),
    query_wait_timeout: seconds(user.queryWaitTimeout),
    reserve_pool_size: number(user.reservePoolSize),
    transaction_timeout: seconds(user.transactionTimeout),
  },
  ignored: {},
}
