import { HOUR, MiB, SECOND } from '../../std/units.ts'
import type { Key, ListKey, RecordsKey } from '../key.ts'
import {
  duration,
  host,
  lowerCaseWord,
  oneOf,
  path,
  secretText,
  size,
  sqlName,
  text,
  wholeNumber,
  yesOrNo,
} from '../value-kinds.ts'

const value = <const T>(it: T) => ({ kind: 'value', value: it }) as const
const open = (means: string) => ({ kind: 'open', means }) as const
const required = (why: string) => ({ kind: 'required', why }) as const
const key = <T>(it: Key<T>): Key<T> => it

const poolMode = oneOf(['session', 'transaction', 'statement'])
const consistency = oneOf(['session', 'eventual'])
const connections = wholeNumber(0, 100_000)
const limit = duration({ min: 0, max: 30 * 24 * HOUR })

const LOOKUP =
  'SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid WHERE rolname=$1 AND rolcanlogin'

/** The keys about the pooled port, under PgBouncer's names. */
export const poolKeys = {
  pgbouncerIni: key({
    name: 'pool.pgbouncer_ini',
    type: path,
    fallback: open('none'),
    doc: "PgBouncer's own file, read as it is: its settings, databases and users count where this section says nothing itself. What does nothing here is listed by `--validate`, in the log and in SHOW CONFIG (see below).",
  }),
  listenAddr: key({
    name: 'pool.listen_addr',
    type: host,
    fallback: open('`router.listen_host`'),
    doc: 'Address that the pooled port listens on.',
  }),
  mode: key({
    name: 'pool.pool_mode',
    type: poolMode,
    fallback: value('transaction'),
    aliases: ['router.pool_mode', 'pool.mode'],
    doc: 'When a client gives its server connection back: at the end of its `session`, of a `transaction`, or of every `statement` (transaction blocks are refused then).',
  }),
  defaultPoolSize: key({
    name: 'pool.default_pool_size',
    type: wholeNumber(1, 100_000),
    fallback: value(20),
    doc: 'Server connections for each pair of user and database, for each router.',
  }),
  minPoolSize: key({
    name: 'pool.min_pool_size',
    type: connections,
    fallback: value(0),
    doc: 'Server connections that a pool with clients keeps at all times.',
  }),
  reservePoolSize: key({
    name: 'pool.reserve_pool_size',
    type: connections,
    fallback: value(0),
    doc: 'How many more a pool may open when a client has waited for `reserve_pool_timeout`.',
  }),
  reservePoolTimeout: key({
    name: 'pool.reserve_pool_timeout',
    type: limit,
    fallback: value(5 * SECOND),
    doc: 'How long a client waits before the reserve is used.',
  }),
  maxClientConn: key({
    name: 'pool.max_client_conn',
    type: wholeNumber(1, 100_000),
    fallback: open('`router.max_client_connections`'),
    doc: 'Clients of the pooled port at the same time.',
  }),
  maxDbConnections: key({
    name: 'pool.max_db_connections',
    type: connections,
    fallback: value(0),
    doc: 'Server connections to one database, over all users; 0 = no limit.',
  }),
  maxUserConnections: key({
    name: 'pool.max_user_connections',
    type: connections,
    fallback: value(0),
    doc: 'Server connections of one user, over all databases; 0 = no limit.',
  }),
  maxDbClientConnections: key({
    name: 'pool.max_db_client_connections',
    type: connections,
    fallback: value(0),
    doc: 'Clients of one database, over all users; 0 = no limit. Those that are passed through to PostgreSQL do not count.',
  }),
  maxUserClientConnections: key({
    name: 'pool.max_user_client_connections',
    type: connections,
    fallback: value(0),
    doc: 'Clients of one user, over all databases; 0 = no limit. Those that are passed through to PostgreSQL do not count.',
  }),
  maxPreparedStatements: key({
    name: 'pool.max_prepared_statements',
    type: wholeNumber(0, 100_000),
    fallback: value(200),
    doc: 'Named statements that a server connection keeps; those of clients are prepared wherever they run. 0 = they are passed on as they are, which works in session mode only.',
  }),
  queryWaitTimeout: key({
    name: 'pool.query_wait_timeout',
    type: limit,
    fallback: value(120 * SECOND),
    doc: 'How long a statement waits for a server connection, also while there is no primary; then its client is disconnected. 0 = no limit.',
  }),
  queryTimeout: key({
    name: 'pool.query_timeout',
    type: limit,
    fallback: value(0),
    doc: 'How long a statement may run before its client is disconnected; 0 = no limit.',
  }),
  transactionTimeout: key({
    name: 'pool.transaction_timeout',
    type: limit,
    fallback: value(0),
    doc: 'How long a transaction may be open before its client is disconnected; 0 = no limit.',
  }),
  idleTransactionTimeout: key({
    name: 'pool.idle_transaction_timeout',
    type: limit,
    fallback: value(0),
    doc: 'How long a client may be idle in a transaction before it is disconnected; 0 = no limit.',
  }),
  clientIdleTimeout: key({
    name: 'pool.client_idle_timeout',
    type: limit,
    fallback: value(0),
    doc: 'How long a client may be idle outside of a transaction before it is disconnected; 0 = no limit.',
  }),
  clientLoginTimeout: key({
    name: 'pool.client_login_timeout',
    type: limit,
    fallback: value(60 * SECOND),
    doc: 'How long a client may take to prove who it is; 0 = no limit.',
  }),
  serverIdleTimeout: key({
    name: 'pool.server_idle_timeout',
    type: limit,
    fallback: value(600 * SECOND),
    doc: 'A server connection that nobody used for this long is closed; 0 = never.',
  }),
  serverLifetime: key({
    name: 'pool.server_lifetime',
    type: limit,
    fallback: value(HOUR),
    doc: 'A server connection older than this is closed as soon as nobody uses it; 0 = never.',
  }),
  serverConnectTimeout: key({
    name: 'pool.server_connect_timeout',
    type: duration({ min: SECOND, max: HOUR }),
    fallback: value(15 * SECOND),
    doc: 'How long connecting and logging in to PostgreSQL may take.',
  }),
  readWriteSplit: key({
    name: 'pool.read_write_split',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether proven reads, and transactions that say READ ONLY before anything ran in them, go to replicas: to one that has everything that the session committed, else to the primary. What other sessions committed a moment ago may be missing there. Not in session mode; transactions in transaction mode.',
  }),
  consistency: key({
    name: 'pool.consistency',
    type: consistency,
    fallback: value('session'),
    doc: 'What reads find that go to a replica. `session`: what their session committed, and nothing older than what it has read; `eventual`: whatever the replica has. A session chooses by `SET pg_metako.consistency`.',
  }),
  maxReplicaLag: key({
    name: 'pool.max_replica_lag',
    type: size,
    fallback: value(16 * MiB),
    doc: 'A replica that is further behind the primary gets no reads of the pooled port.',
  }),
  maxReplicaLagTime: key({
    name: 'pool.max_replica_lag_time',
    type: limit,
    fallback: value(0),
    doc: 'The same by time: a replica gets reads when it has all that the primary had committed this long ago. While reads come it is asked twice in that time. 0 = no limit.',
  }),
  trackStatements: key({
    name: 'pool.track_statements',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether counts, errors and times of statements are kept by fingerprint, without their constants: `SHOW STATEMENTS` in the console. Costs some microseconds a statement.',
  }),
  logMinDuration: key({
    name: 'pool.log_min_duration',
    type: limit,
    fallback: value(0),
    doc: 'A statement that takes this long gets a line in the log, by its fingerprint; 0 = none does.',
  }),
  serverResetQuery: key({
    name: 'pool.server_reset_query',
    type: text,
    fallback: value('DISCARD ALL'),
    doc: 'Runs in session mode when a client has left, before another gets its server connection.',
  }),
  serverResetQueryAlways: key({
    name: 'pool.server_reset_query_always',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether `server_reset_query` runs in transaction and statement mode too, whenever a client gives its server connection back.',
  }),
  serverRoundRobin: key({
    name: 'pool.server_round_robin',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether the server connection is used next that was idle for longest, and not the one that was used last.',
  }),
  applicationNameAddHost: key({
    name: 'pool.application_name_add_host',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether the address and port of a client are added to the `application_name` that it begins with.',
  }),
  onlyListedDatabases: key({
    name: 'pool.only_listed_databases',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Whether clients of databases that `pool.databases` does not have are refused.',
  }),
  authType: key({
    name: 'pool.auth_type',
    type: oneOf(['md5', 'scram-sha-256', 'cert', 'trust', 'server']),
    fallback: value('md5'),
    doc: 'How clients of the pooled port prove who they are: `md5` = by SCRAM or md5, as their secret is stored; `scram-sha-256` = by SCRAM alone; `cert` = by a certificate whose common name is the user (`router.client_tls_sslmode: verify-full`; what logs in at PostgreSQL stands in `auth_file`, or is not asked for); `trust` = not at all, but where there is an `auth_file` only its users come in; `server` = PostgreSQL asks them itself, each client gets a session of its own and nothing is pooled.',
  }),
  authFile: key({
    name: 'pool.auth_file',
    type: path,
    fallback: open('none'),
    doc: 'PgBouncer\'s `userlist.txt`: lines of `"user" "secret"`, the secret a password, an md5 hash or a SCRAM verifier. Read at the router\'s start and at every reload.',
  }),
  authUser: key({
    name: 'pool.auth_user',
    type: sqlName,
    fallback: open('`local_db.username`, with its password'),
    doc: 'Who runs `auth_query`; its password stands in `auth_file`.',
  }),
  authDbname: key({
    name: 'pool.auth_dbname',
    type: sqlName,
    fallback: open('`local_db.database`'),
    doc: 'The database that `auth_query` runs in.',
  }),
  authQuery: key({
    name: 'pool.auth_query',
    type: text,
    fallback: value(LOOKUP),
    doc: 'Asks PostgreSQL for the secret of a user that `auth_file` does not have: one parameter, the name; answers with name and secret. `none` = nobody is asked. Who is not found, or has no secret, is passed through to PostgreSQL in session mode.',
  }),
}

/** Lists of the pooled port. */
export const poolLists = {
  adminUsers: {
    name: 'pool.admin_users',
    doc: 'Who may run every command of the console (the database `pgbouncer` on the pooled port); `local_db.username` always.',
    item: sqlName,
    fallback: [],
    separator: /\s*,\s*/,
  },
  statsUsers: {
    name: 'pool.stats_users',
    doc: 'Who may run the SHOW commands of the console.',
    item: sqlName,
    fallback: [],
    separator: /\s*,\s*/,
  },
  ignoreStartupParameters: {
    name: 'pool.ignore_startup_parameters',
    doc: 'Startup parameters of clients that are dropped. Others that a server connection has to be begun with make pools of their own.',
    item: lowerCaseWord,
    fallback: [],
    separator: /\s*,\s*/,
  },
  clusterAddresses: {
    name: 'pool.cluster_addresses',
    doc: 'Addresses in `pgbouncer_ini` that lead to this cluster, beside those of its members: `HOST` or `HOST:PORT` of HAProxy, of a virtual address.',
    item: text,
    fallback: [],
    separator: /\s*,\s*/,
  },
  readFunctions: {
    name: 'pool.read_functions',
    doc: 'Functions that only read although they are not declared so, with or without schema.',
    item: text,
    fallback: [],
    separator: /\s*,\s*/,
  },
  writeFunctions: {
    name: 'pool.write_functions',
    doc: 'Functions that belong to the primary although they are declared stable or immutable.',
    item: text,
    fallback: [],
    separator: /\s*,\s*/,
  },
} satisfies Record<string, ListKey>

/** What one database and one user may have of their own. */
const overrideFields = {
  name: key({ name: 'name', type: sqlName, fallback: required('an entry needs a name'), doc: 'Its name.' }),
  poolMode: key({
    name: 'pool_mode',
    type: poolMode,
    fallback: open('`pool.pool_mode`'),
    doc: 'As `pool.pool_mode`.',
  }),
  poolSize: key({
    name: 'pool_size',
    type: wholeNumber(1, 100_000),
    fallback: open('`pool.default_pool_size`'),
    doc: 'As `pool.default_pool_size`.',
  }),
  reservePoolSize: key({
    name: 'reserve_pool_size',
    type: connections,
    fallback: open('`pool.reserve_pool_size`'),
    doc: 'As `pool.reserve_pool_size`.',
    aliases: ['reserve_pool'],
  }),
  maxConnections: key({
    name: 'max_connections',
    type: connections,
    fallback: open('the limit for all of its kind'),
    doc: 'As `pool.max_db_connections` for a database, `pool.max_user_connections` for a user.',
    aliases: ['max_db_connections', 'max_user_connections'],
  }),
  maxClientConnections: key({
    name: 'max_client_connections',
    type: connections,
    fallback: open('the limit for all of its kind'),
    doc: 'As `pool.max_db_client_connections` for a database, `pool.max_user_client_connections` for a user.',
    aliases: ['max_db_client_connections', 'max_user_client_connections'],
  }),
  queryWaitTimeout: ownLimit('query_wait_timeout'),
  consistency: key({
    name: 'consistency',
    type: consistency,
    fallback: open('`pool.consistency`'),
    doc: 'As `pool.consistency`.',
  }),
}

export const databaseOverrideFields = {
  ...overrideFields,
  minPoolSize: key({
    name: 'min_pool_size',
    type: connections,
    fallback: open('`pool.min_pool_size`'),
    doc: 'As `pool.min_pool_size`.',
  }),
  serverLifetime: ownLimit('server_lifetime'),
  dbname: key({
    name: 'dbname',
    type: sqlName,
    fallback: open('its own name'),
    doc: "PostgreSQL's name for the database.",
  }),
  user: key({
    name: 'user',
    type: sqlName,
    fallback: open('each client logs in as itself'),
    doc: 'Who logs in at PostgreSQL for all clients of the database; they prove to the router who they are.',
  }),
  password: key({
    name: 'password',
    type: secretText,
    fallback: open('what `auth_file` has'),
    doc: 'The password of `user`.',
    secret: true,
  }),
  connectQuery: key({
    name: 'connect_query',
    type: text,
    fallback: open('none'),
    doc: 'Runs on each new server connection before a client gets it; when it fails, a warning says so.',
  }),
  clientEncoding: startupSetting('client_encoding'),
  datestyle: startupSetting('datestyle'),
  timezone: startupSetting('timezone'),
  applicationName: startupSetting('application_name'),
}

export const userOverrideFields = {
  ...overrideFields,
  queryTimeout: ownLimit('query_timeout'),
  transactionTimeout: ownLimit('transaction_timeout'),
  idleTransactionTimeout: ownLimit('idle_transaction_timeout'),
  clientIdleTimeout: ownLimit('client_idle_timeout'),
}

function ownLimit(name: string): Key<number> {
  const general = `\`pool.${name}\``
  return { name, type: limit, fallback: open(general), doc: `As ${general}.` }
}

function startupSetting(name: string): Key<string> {
  return {
    name,
    type: text,
    fallback: open('what PostgreSQL has'),
    doc: 'What server connections begin with.',
  }
}

export const poolDatabasesKey = {
  name: 'pool.databases',
  doc: 'Databases with settings of their own; `*` stands for all that are not listed. A list, or the mapping form `NAME: {pool_size: …}`.',
  fields: databaseOverrideFields,
  keyedBy: 'name',
  means: 'none',
} satisfies RecordsKey<typeof databaseOverrideFields>

export const poolUsersKey = {
  name: 'pool.users',
  doc: 'Users with settings of their own; they count before those of the database. A list, or the mapping form `NAME: {pool_mode: …}`.',
  fields: userOverrideFields,
  keyedBy: 'name',
  means: 'none',
} satisfies RecordsKey<typeof userOverrideFields>
