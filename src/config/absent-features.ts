/** What is not there, and what to do instead. */
export type AbsentFeature = { readonly rule: string; readonly remedy: string }

const absent = (rule: string, remedy: string): AbsentFeature => ({ rule, remedy })

const store = (name: string): AbsentFeature =>
  absent(
    `${name} as a store is not there yet`,
    'remove the section: consensus is built in and needs no external store; list all nodes under cluster_members',
  )
const balancer = (name: string): AbsentFeature =>
  absent(
    `${name} is not configured here`,
    'remove the section: the built-in router gives applications one address; see the section router',
  )

/** Sections that other programs have, or that come later, by their name at the top of the file. */
const SECTIONS: Readonly<Record<string, AbsentFeature>> = {
  consul: store('Consul'),
  zookeeper: store('ZooKeeper'),
  exhibitor: store('Exhibitor (ZooKeeper)'),
  kubernetes: store('Kubernetes'),
  etcd3: absent('the section is called etcd here', 'rename it to etcd: with its hosts as they are'),
  raft: absent(
    'Raft has no section of its own',
    'remove it: consensus is always on; its members are the nodes under cluster_members',
  ),
  citus: absent(
    'Citus is not there yet',
    'remove the section: today a cluster is one primary with its standbys',
  ),
  backup: absent(
    'backup is not there yet',
    'remove the section and keep your own backups for now, for instance pg_basebackup through the replica port',
  ),
  witness: absent('a witness node is not there yet', 'run three nodes; remove the section'),
  haproxy: balancer('HAProxy'),
  keepalived: balancer('keepalived'),
  vip: balancer('a virtual address'),
  pgbouncer: absent(
    'PgBouncer has no section of its own',
    'remove the section and name its file by pool.pgbouncer_ini, or write its settings under pool:, where they have the same names; router.pooled_port is their address',
  ),
  user_lists: absent(
    'user lists are files',
    'remove the section: the router asks PostgreSQL, which knows its users; name a userlist.txt by pool.auth_file where it should not',
  ),
  userlist: absent(
    'user lists are files',
    'remove the section: the router asks PostgreSQL, which knows its users; name a userlist.txt by pool.auth_file where it should not',
  ),
  standby_cluster: absent('a standby cluster is not there yet', 'remove the section'),
  restapi: absent(
    'this is a section of Patroni',
    'set identity.api_host, identity.api_port and identity.advertise_host instead',
  ),
  log: absent('the section is called logging here', 'rename it to logging: with level and file'),
  monitoring: absent(
    'monitoring needs no settings',
    'remove the section: Prometheus reads /metrics on the API port of every node',
  ),
  prometheus: absent(
    'monitoring needs no settings',
    'remove the section: Prometheus reads /metrics on the API port of every node',
  ),
}

/** Keys inside sections. */
const KEYS: Readonly<Record<string, AbsentFeature>> = {
  scope: absent('the name of the cluster stands in a section', 'write it as cluster.scope'),
  namespace: absent('the namespace stands in a section', 'write it as cluster.namespace'),
  name: absent("the node's name stands in a section", 'write it as identity.node_name'),
  'cluster.members': absent('the members stand at the top of the file', 'write them as cluster_members:'),
  'bootstrap.dcs': absent(
    'Patroni keeps cluster-wide settings under bootstrap.dcs; here every node has them in its file',
    'move its postgresql.parameters to postgresql.parameters, maximum_lag_on_failover to replication; share them by "include:"',
  ),
  'bootstrap.pg_hba': absent(
    'the lines of pg_hba.conf are not a matter of the bootstrap',
    'write them as postgresql.pg_hba',
  ),
  'bootstrap.post_init': absent(
    'scripts after the bootstrap are not there yet',
    'run them by hand once the cluster is up',
  ),
  'postgresql.authentication': absent(
    'this is a section of Patroni',
    'set local_db.username and local_db.password, replication.username and replication.password instead',
  ),
  'postgresql.listen': absent(
    'this is a key of Patroni',
    'set postgresql.listen_addresses for the addresses and local_db.port for the port',
  ),
  'postgresql.connect_address': absent(
    'this is a key of Patroni',
    'set identity.advertise_host and local_db.port instead',
  ),
  'postgresql.pgpass': absent('no password file is written', 'remove the key'),
  'postgresql.use_pg_rewind': absent(
    'there is no such choice',
    'remove the key: an old primary is rewound wherever pg_rewind can work, and cloned elsewhere',
  ),
  'postgresql.use_slots': absent('this key has moved', 'write it as replication.use_slots'),
  'postgresql.version': absent('the version follows from the programs', 'set postgresql.bin_dir'),
  'postgresql.port': absent('the port stands with the database', 'write it as local_db.port'),
  'replication.synchronous_mode': absent(
    'the mode has a key of its own',
    'write replication.mode: quorum (or sync) instead',
  ),
  'coordination.pair_mode.allow_data_loss': absent(
    'failover of a pair without a witness is not there yet',
    'remove the key; run three nodes for automatic failover',
  ),
  'coordination.pair_mode.enabled': absent(
    'the key is called enable',
    'write it as coordination.pair_mode.enable',
  ),
  'ha.watchdog': absent('the watchdog has a section of its own', 'write watchdog: at the top of the file'),
  'load_balancer.max_connections': absent('this key has moved', 'write it as router.max_client_connections'),
  'logging.format': absent('log lines are always JSON, one object a line', 'remove the key'),
  'security.allow_unauthenticated': absent('this cannot be switched off', 'remove the key'),
  tls: absent(
    'TLS stands in the sections security (agents and API) and router (clients and PostgreSQL)',
    'set security.tls_enabled, security.cert_file and security.key_file; router.client_tls_sslmode and router.server_tls_sslmode',
  ),
  'pool.auth_ident_file': absent(
    'maps of user names are not there yet',
    'remove the key: with auth_type: cert the common name is the user',
  ),
  'pool.client_tls13_ciphers': absent('all suites have one key', 'write them into router.client_tls_ciphers'),
  'pool.server_tls13_ciphers': absent('all suites have one key', 'write them into router.server_tls_ciphers'),
  'pool.client_tls_ecdhcurve': absent('curves are the choice of the runtime', 'remove the key'),
  'pool.client_tls_dheparams': absent('parameters are the choice of the runtime', 'remove the key'),
}

/** The entry for a key that nobody reads, if it is one that people will look for. */
export function absentFeature(key: string): AbsentFeature | undefined {
  if (Object.hasOwn(KEYS, key)) return KEYS[key]
  const section = key.toLowerCase()
  return Object.hasOwn(SECTIONS, section) ? SECTIONS[section] : undefined
}
