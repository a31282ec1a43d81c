/** What becomes of one key of a `patroni.yml`. */
export type PatroniRule =
  /** Is written under this name here. */
  | { readonly kind: 'as'; readonly key: string }
  /** `translate.ts` reads it together with others. */
  | { readonly kind: 'read' }
  /** Nothing follows from it, which is said once; not where it says `unless`, since then nothing is missed. */
  | { readonly kind: 'idle'; readonly why: string; readonly unless?: RegExp }
  /** Whoever wrote it counts on it: refused until it is there. */
  | { readonly kind: 'absent'; readonly rule: string; readonly remedy: string; readonly unless?: RegExp }

const as = (key: string): PatroniRule => ({ kind: 'as', key })
const read: PatroniRule = { kind: 'read' }
const idle = (why: string, unless?: RegExp): PatroniRule => ({
  kind: 'idle',
  why,
  ...(unless ? { unless } : {}),
})
const absent = (rule: string, remedy: string, unless?: RegExp): PatroniRule => ({
  kind: 'absent',
  rule,
  remedy,
  ...(unless ? { unless } : {}),
})

const NO = /^(false|no|off|0)?$/i
const YES = /^(true|yes|on|1)$/i
const ZERO = /^0?$/

const INTERVALS =
  'there is no such interval here: everything is announced, and a heartbeat is sent ten times a second'
const JSON_LINES = 'log lines are JSON, one object a line'
const NO_SCRIPTS = 'no script of yours is called yet'
const OWN_CLONE = 'a standby is cloned by BASE_BACKUP, without a program of its own'
const SLOTS = 'slots of your own are not kept on all members yet'
const REWIND_FIRST = 'data that cannot be rewound is kept aside and cloned anew'
const AGENT_LOGS_IN = 'the agent speaks to its own PostgreSQL through its Unix socket'

const store = (name: string, why: string): PatroniRule =>
  absent(
    `${name} cannot keep the state of the cluster here: ${why}`,
    'use an etcd 3.4 or later (section etcd3:), or none at all: consensus is built in, and runs where the nodes are listed under cluster_members: (node_name, api_host, api_port)',
  )

const NOT_YET = 'there is no such store yet'

/** Sections of stores that Patroni knows and that cannot serve here. */
const STORES: Readonly<Record<string, PatroniRule>> = {
  consul: store('Consul', NOT_YET),
  zookeeper: store('ZooKeeper', NOT_YET),
  exhibitor: store('Exhibitor (ZooKeeper)', NOT_YET),
  kubernetes: store('Kubernetes', NOT_YET),
  raft: store("Patroni's Raft", 'it is another one than the built-in consensus'),
}

const etcd = (section: string): Readonly<Record<string, PatroniRule>> => ({
  [`${section}.host`]: read,
  [`${section}.hosts`]: read,
  [`${section}.url`]: read,
  [`${section}.proxy`]: read,
  [`${section}.use_proxies`]: idle('exactly the endpoints are asked that stand here', NO),
  [`${section}.srv`]: absent('endpoints are not looked up in DNS yet', 'list them as hosts:'),
  [`${section}.srv_suffix`]: idle('endpoints are not looked up in DNS'),
  [`${section}.protocol`]: as('etcd.protocol'),
  [`${section}.username`]: as('etcd.username'),
  [`${section}.password`]: as('etcd.password'),
  [`${section}.cacert`]: as('etcd.cacert'),
  [`${section}.cert`]: as('etcd.cert'),
  [`${section}.key`]: as('etcd.key'),
  [`${section}.retry_timeout`]: idle(INTERVALS),
})

/** Cluster-wide settings of PostgreSQL, below `bootstrap.dcs.postgresql` and below `postgresql`. */
const either = (section: string): Readonly<Record<string, PatroniRule>> => ({
  [`${section}.parameters`]: read,
  [`${section}.pg_hba`]: read,
  [`${section}.pg_ident`]: absent('pg_ident.conf is not written yet', 'remove the key'),
  [`${section}.use_pg_rewind`]: idle(
    'an old primary is rewound wherever pg_rewind can work, and cloned elsewhere',
    YES,
  ),
  [`${section}.use_slots`]: as('replication.use_slots'),
  [`${section}.recovery_conf`]: absent(
    'settings of recovery are not passed on yet, restore_command among them',
    'remove the key: standbys stream, and clone anew where the WAL that they need is gone',
  ),
  [`${section}.remove_data_directory_on_rewind_failure`]: idle(REWIND_FIRST),
  [`${section}.remove_data_directory_on_diverged_timelines`]: idle(REWIND_FIRST),
})

const DCS: Readonly<Record<string, PatroniRule>> = {
  'bootstrap.dcs.ttl': as('ha.lease_ttl'),
  'bootstrap.dcs.loop_wait': idle(INTERVALS),
  'bootstrap.dcs.retry_timeout': idle(INTERVALS),
  'bootstrap.dcs.maximum_lag_on_failover': as('replication.maximum_lag_on_failover'),
  'bootstrap.dcs.maximum_lag_on_syncnode': idle(
    'a standby that streams counts, whatever it has not replayed',
    /^-1?$/,
  ),
  'bootstrap.dcs.max_timelines_history': idle('the whole history is kept', ZERO),
  'bootstrap.dcs.primary_start_timeout': as('ha.primary_start_timeout'),
  'bootstrap.dcs.master_start_timeout': as('ha.primary_start_timeout'),
  'bootstrap.dcs.primary_stop_timeout': idle('a primary without its lease is stopped at once', ZERO),
  'bootstrap.dcs.master_stop_timeout': idle('a primary without its lease is stopped at once', ZERO),
  'bootstrap.dcs.synchronous_mode': read,
  'bootstrap.dcs.synchronous_mode_strict': as('replication.synchronous_mode_strict'),
  'bootstrap.dcs.synchronous_node_count': as('replication.synchronous_node_count'),
  'bootstrap.dcs.failsafe_mode': idle(
    'in sync and quorum mode a primary runs on without the store for ha.store_grace; in async mode it ends with its lease',
    NO,
  ),
  'bootstrap.dcs.primary_race_backoff': idle(
    'a take-over waits for nothing that could have been announced',
    ZERO,
  ),
  'bootstrap.dcs.check_timeline': idle('only a member on authorised history takes over', YES),
  'bootstrap.dcs.member_slots_ttl': idle('a slot is kept for as long as its member belongs to the cluster'),
  'bootstrap.dcs.slots': absent(SLOTS, 'remove the key, and create such slots on the primary by hand'),
  'bootstrap.dcs.permanent_slots': absent(
    SLOTS,
    'remove the key, and create such slots on the primary by hand',
  ),
  'bootstrap.dcs.permanent_replication_slots': absent(
    SLOTS,
    'remove the key, and create such slots on the primary by hand',
  ),
  'bootstrap.dcs.ignore_slots': idle('slots that are not of pg-metako are left alone'),
  'bootstrap.dcs.pause': absent(
    'a cluster is not created in a pause',
    'remove the key; "pg-metako pause" once the cluster runs',
    NO,
  ),
  'bootstrap.dcs.standby_cluster': absent('a standby cluster is not there yet', 'remove the section'),
  ...either('bootstrap.dcs.postgresql'),
}

const RESTAPI: Readonly<Record<string, PatroniRule>> = {
  'restapi.listen': read,
  'restapi.connect_address': read,
  'restapi.authentication.username': read,
  'restapi.authentication.password': as('security.api_token'),
  'restapi.certfile': as('security.cert_file'),
  'restapi.keyfile': as('security.key_file'),
  'restapi.cafile': as('security.ca_file'),
  'restapi.keyfile_password': absent(
    'a key with a passphrase cannot be read',
    'use a key without one, mode 0600',
  ),
  'restapi.ciphers': idle('TLS 1.2 and 1.3 with the ciphers of the runtime are used'),
  'restapi.verify_client': as('security.verify_client'),
  'restapi.allowlist': as('security.allowlist'),
  'restapi.allowlist_include_members': as('security.allowlist_include_members'),
  'restapi.http_extra_headers': as('security.http_extra_headers'),
  'restapi.https_extra_headers': as('security.https_extra_headers'),
  'restapi.request_queue_size': idle('up to 1000 connections are served at the same time'),
  'restapi.server_tokens': idle('the header Server says pg-metako, without a version'),
}

const POSTGRESQL: Readonly<Record<string, PatroniRule>> = {
  ...either('postgresql'),
  'postgresql.listen': read,
  'postgresql.connect_address': read,
  'postgresql.proxy_address': idle('routers of pg-metako are found by themselves'),
  'postgresql.data_dir': as('postgresql.data_dir'),
  'postgresql.config_dir': absent('settings lie in the data directory', 'remove the key'),
  'postgresql.bin_dir': as('postgresql.bin_dir'),
  'postgresql.bin_name': absent('programs have the names that PostgreSQL gives them', 'remove the section'),
  'postgresql.pgpass': idle('no password file is written'),
  'postgresql.custom_conf': absent(
    'a postgresql.conf of your own is not read',
    'write its settings under postgresql.parameters',
  ),
  'postgresql.pg_ctl_timeout': as('postgresql.start_timeout'),
  'postgresql.use_unix_socket': idle(AGENT_LOGS_IN, YES),
  'postgresql.use_unix_socket_repl': idle('standbys stream over TCP', NO),
  'postgresql.authentication.superuser.username': as('local_db.username'),
  'postgresql.authentication.superuser.password': as('local_db.password'),
  'postgresql.authentication.replication.username': as('replication.username'),
  'postgresql.authentication.replication.password': as('replication.password'),
  'postgresql.authentication.superuser': idle(
    'of this only username and password are used: the agent speaks to its own host',
  ),
  'postgresql.authentication.replication.sslmode': absent(
    'standbys connect with sslmode=prefer, and cannot be told to insist on TLS yet',
    'remove the key',
    /^(disable|allow|prefer)$/,
  ),
  'postgresql.authentication.replication': idle('of this only username and password are used'),
  'postgresql.authentication.rewind': idle('pg_rewind works with the role for replication'),
  'postgresql.callbacks': as('postgresql.callbacks'),
  'postgresql.pre_promote': absent(NO_SCRIPTS, 'remove the key: the old primary is fenced by its guard'),
  'postgresql.before_stop': absent(NO_SCRIPTS, 'remove the key'),
  'postgresql.create_replica_methods': read,
  'postgresql.create_replica_method': read,
  'postgresql.basebackup': idle(OWN_CLONE),
  'postgresql.rewind': idle('pg_rewind gets the options of pg-metako'),
}

const LOG: Readonly<Record<string, PatroniRule>> = {
  'log.level': read,
  'log.dir': read,
  'log.type': idle(JSON_LINES, /^json$/i),
  ...Object.fromEntries(
    ['traceback_level', 'format', 'dateformat', 'static_fields', 'loggers', 'deduplicate_heartbeat_logs'].map(
      (name) => [`log.${name}`, idle(JSON_LINES)],
    ),
  ),
  ...Object.fromEntries(
    ['max_queue_size', 'mode', 'file_num', 'file_size'].map((name) => [
      `log.${name}`,
      idle('the file is written to by one process and never rotated here: use logrotate with copytruncate'),
    ]),
  ),
}

/** Every key of Patroni's file, and what it means here; a section stands for all below it that has no line of its own. */
export const PATRONI_KEYS: Readonly<Record<string, PatroniRule>> = {
  scope: as('cluster.scope'),
  namespace: as('cluster.namespace'),
  name: as('identity.node_name'),
  thread_pool_size: idle('requests need no threads'),
  thread_stack_size: idle('requests need no threads'),
  ...RESTAPI,
  'ctl.insecure': as('ctl.insecure'),
  'ctl.cacert': as('ctl.ca_file'),
  'ctl.certfile': as('ctl.cert_file'),
  'ctl.keyfile': as('ctl.key_file'),
  'ctl.keyfile_password': absent(
    'a key with a passphrase cannot be read',
    'use a key without one, mode 0600',
  ),
  'ctl.authentication': idle('the command line shows the password of restapi.authentication'),
  ...STORES,
  ...etcd('etcd'),
  ...etcd('etcd3'),
  ...DCS,
  'bootstrap.method': absent('a cluster is created by initdb alone so far', 'remove the key', /^(initdb)?$/i),
  'bootstrap.initdb': read,
  'bootstrap.pg_hba': read,
  'bootstrap.users': read,
  'bootstrap.post_bootstrap': absent(NO_SCRIPTS, 'remove the key, and run the script once the cluster is up'),
  'bootstrap.post_init': absent(NO_SCRIPTS, 'remove the key, and run the script once the cluster is up'),
  ...POSTGRESQL,
  ...LOG,
  citus: absent('Citus is not there yet', 'remove the section'),
  mpp: absent('Citus is not there yet', 'remove the section'),
  'watchdog.mode': as('watchdog.mode'),
  'watchdog.device': as('watchdog.device'),
  'watchdog.safety_margin': read,
  'watchdog.driver': idle('the device of Linux is used'),
  'tags.nofailover': as('tags.nofailover'),
  'tags.failover_priority': as('tags.failover_priority'),
  'tags.noloadbalance': as('tags.noloadbalance'),
  'tags.nosync': as('tags.nosync'),
  'tags.clonefrom': idle('a standby is cloned from the primary', NO),
  'tags.sync_priority': idle('standbys that commits wait for are all alike', /^1?$/),
  'tags.replicatefrom': absent(
    'standbys stream from the primary, not from each other yet',
    'remove the tag',
    /^$/,
  ),
  'tags.nostream': absent('every standby streams', 'remove the tag', NO),
  tags: idle('tags of your own are not shown yet'),
}

/** Settings of PostgreSQL that Patroni takes from `bootstrap.dcs` alone, since all members must agree on them. */
export const CLUSTER_WIDE_PARAMETERS: ReadonlySet<string> = new Set([
  'max_connections',
  'max_locks_per_transaction',
  'max_prepared_transactions',
  'max_replication_slots',
  'max_wal_senders',
  'max_worker_processes',
  'track_commit_timestamp',
  'wal_level',
])

/** Sections of our own that may stand beside Patroni's: it does not read them. */
export const OWN_SECTIONS: ReadonlySet<string> = new Set([
  'cluster_members',
  'coordination',
  'ha',
  'health_check',
  'load_balancer',
  'local_db',
  'logging',
  'paths',
  'pool',
  'replication',
  'router',
  'security',
])
