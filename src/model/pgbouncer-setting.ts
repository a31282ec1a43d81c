/** What `pgbouncer.ini` knows in its section [pgbouncer], and what becomes of it here. */
export type PgBouncerSetting = {
  readonly name: string
  /** PgBouncer's own, as its SHOW CONFIG says it. */
  readonly fallback: string
  /** Why it does nothing here; absent: it counts. */
  readonly ignoredBecause?: string
  /** May hold a secret: its value is never shown. */
  readonly isSecret?: true
}

/** A `pgbouncer.ini` that was read. It crosses as JSON; holds no secret. */
export type PgBouncerImport = {
  readonly file: string
  /** What the section [pgbouncer] says. */
  readonly given: Readonly<Record<string, string>>
  readonly notHonoured: readonly NotHonoured[]
}

export type NotHonoured = {
  /** A setting's name; of a line about a database or user with its name before it. */
  readonly setting: string
  readonly value: string
  readonly reason: string
  /** `file:line`. */
  readonly place: string
}

const honoured = (name: string, fallback = ''): PgBouncerSetting => ({ name, fallback })
const ignored =
  (because: string) =>
  (name: string, fallback = ''): PgBouncerSetting => ({ name, fallback, ignoredBecause: because })

const ofTheLog = ignored('the section logging says how agent and router log, and where to')
const ofTheHost = ignored('the agent starts the router, which runs as the user that the agent runs as')
const ofTheCiphers = ignored(
  "PgBouncer has words of its own for them: write OpenSSL's names to router.client_tls_ciphers or router.server_tls_ciphers",
)
const ofTheCurves = ignored('Node.js chooses among what OpenSSL takes for safe')
const ofTheHba = ignored('there are no rules of its own here: pg_hba.conf judges every login')
const ofTheDns = ignored(
  "members are reached at their own addresses, and names are looked up by the system's resolver",
)
const ofTheKernel = ignored('Node.js cannot set it on a socket')
const ofTheBuffers = ignored('Node.js sizes its buffers itself')
const ofTheCheck = ignored('nothing is asked before use: a connection that ends is seen as it ends')
const ofUnixSockets = ignored(
  'the router listens on TCP alone: Node.js does not tell whose process (peer) is behind a Unix socket',
)

const AUTH_QUERY =
  'SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin'

/** In the order of PgBouncer's SHOW CONFIG; of 1.25, and what is older or newer than that. */
export const PGBOUNCER_SETTINGS: readonly PgBouncerSetting[] = [
  honoured('admin_users'),
  honoured('application_name_add_host', '0'),
  honoured('auth_dbname'),
  honoured('auth_file'),
  ofTheHba('auth_hba_file'),
  ofTheHba('auth_ident_file'),
  { ...ignored('no LDAP is asked by the router: PostgreSQL does that')('auth_ldap_options'), isSecret: true },
  ignored('no PAM is asked by the router: PostgreSQL does that')('auth_pam_confdir'),
  honoured('auth_query', AUTH_QUERY),
  honoured('auth_type', 'md5'),
  honoured('auth_user'),
  ignored('what nobody uses is forgotten at once, its statistics never')('autodb_idle_timeout', '3600'),
  ignored('a cancel request is sent at once')('cancel_wait_timeout', '10'),
  honoured('client_idle_timeout', '0'),
  honoured('client_login_timeout', '60'),
  ofTheCiphers('client_tls13_ciphers'),
  honoured('client_tls_ca_file'),
  honoured('client_tls_cert_file'),
  ofTheCiphers('client_tls_ciphers', 'default'),
  ofTheCurves('client_tls_dheparams', 'auto'),
  ofTheCurves('client_tls_ecdhcurve', 'auto'),
  honoured('client_tls_key_file'),
  honoured('client_tls_protocols', 'secure'),
  honoured('client_tls_sslmode', 'disable'),
  ignored("pool.pgbouncer_ini names the file in the node's configuration")('conffile'),
  honoured('default_pool_size', '20'),
  ignored('simple queries are taken')('disable_pqexec', '0'),
  ofTheDns('dns_max_ttl', '15'),
  ofTheDns('dns_nxdomain_ttl', '15'),
  ofTheDns('dns_zone_check_period', '0'),
  honoured('idle_transaction_timeout', '0'),
  honoured('ignore_startup_parameters'),
  ofTheHost('job_name', 'pgbouncer'),
  honoured('listen_addr'),
  ignored('the ports have a backlog of their own')('listen_backlog', '128'),
  honoured('listen_port', '6432'),
  ofTheLog('log_connections', '1'),
  ofTheLog('log_disconnections', '1'),
  ofTheLog('log_pooler_errors', '1'),
  ofTheLog('log_stats', '1'),
  ofTheLog('logfile'),
  ignored('clients are told nothing after their login')('login_notify_message'),
  honoured('max_client_conn', '100'),
  honoured('max_db_client_connections', '0'),
  honoured('max_db_connections', '0'),
  ignored('messages pass in pieces, however long they are')('max_packet_size', '2147483647'),
  honoured('max_prepared_statements', '200'),
  honoured('max_user_client_connections', '0'),
  honoured('max_user_connections', '0'),
  honoured('min_pool_size', '0'),
  ignored('a cancel request is for the router that it comes to')('peer_id', '0'),
  ofTheHost('pidfile'),
  ofTheBuffers('pkt_buf', '4096'),
  ignored('what nobody uses is forgotten at once, its statistics never')('pool_idle_timeout', '0'),
  honoured('pool_mode', 'session'),
  honoured('query_timeout', '0'),
  ignored('clients that wait are told nothing')('query_wait_notify', '5'),
  honoured('query_wait_timeout', '120'),
  honoured('reserve_pool_size', '0'),
  honoured('reserve_pool_timeout', '5'),
  ofTheDns('resolv_conf'),
  ofTheBuffers('sbuf_loopcnt', '5'),
  ignored('verifiers are used as PostgreSQL or auth_file have them')('scram_iterations', '4096'),
  ofTheCheck('server_check_delay', '30'),
  ofTheCheck('server_check_query', '<empty>'),
  honoured('server_connect_timeout', '15'),
  ignored('a session keeps its server connection until its client leaves')('server_fast_close', '0'),
  honoured('server_idle_timeout', '600'),
  honoured('server_lifetime', '3600'),
  ignored('a login that PostgreSQL refused is tried again after a second, and clients wait')(
    'server_login_retry',
    '15',
  ),
  honoured('server_reset_query', 'DISCARD ALL'),
  honoured('server_reset_query_always', '0'),
  honoured('server_round_robin', '0'),
  ofTheCiphers('server_tls13_ciphers'),
  honoured('server_tls_ca_file'),
  honoured('server_tls_cert_file'),
  ofTheCiphers('server_tls_ciphers', 'default'),
  honoured('server_tls_key_file'),
  honoured('server_tls_protocols', 'secure'),
  honoured('server_tls_sslmode', 'prefer'),
  ofTheHost('service_name', 'pgbouncer'),
  ignored('each node has one router')('so_reuseport', '0'),
  ignored('averages are of the last whole minute')('stats_period', '60'),
  honoured('stats_users'),
  ignored('there is no SUSPEND: nobody can take the sockets of a Node.js process over, and so no SHOW FDS')(
    'suspend_timeout',
    '10',
  ),
  ofTheLog('syslog', '0'),
  ofTheLog('syslog_facility', 'daemon'),
  ofTheLog('syslog_ident', 'pgbouncer'),
  ofTheKernel('tcp_defer_accept', '1'),
  ignored('no keepalive is set on sockets')('tcp_keepalive', '1'),
  ofTheKernel('tcp_keepcnt', '0'),
  ignored('no keepalive is set on sockets')('tcp_keepidle', '0'),
  ofTheKernel('tcp_keepintvl', '0'),
  ofTheKernel('tcp_socket_buffer', '0'),
  ofTheKernel('tcp_user_timeout', '0'),
  honoured('track_extra_parameters', 'IntervalStyle'),
  honoured('transaction_timeout', '0'),
  ofUnixSockets('unix_socket_dir', '/tmp'),
  ofUnixSockets('unix_socket_group'),
  ofUnixSockets('unix_socket_mode', '0777'),
  ofTheHost('user'),
  ofTheLog('verbose', '0'),
]
