import { describe, expect, it } from 'vitest'
import { formatProblems } from './format-problems.ts'
import { loadConfig, type LoadedConfig } from './load-config.ts'

/** Eleven good lines; what a mistake adds starts at line 12. */
const BASE = `identity:
  node_name: node1
  api_host: 10.77.0.1
local_db:
  password: correct-horse-battery
security:
  cluster_secret: 0123456789abcdef
cluster_members:
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
postgresql: {data_dir: /srv/data}
`

const SECRET = 'security: {cluster_secret: 0123456789abcdef}\n'
const WITNESS = `identity: {node_name: w}
cluster_members:
  - {node_name: n1, api_host: 10.77.0.1}
  - {node_name: w, api_host: 10.77.0.9, role: witness}
  - {node_name: n3, api_host: 10.77.0.3}
`

type Mistake = {
  readonly title: string
  /** Appended to the base, unless `whole`. */
  readonly text: string
  readonly whole?: true
  readonly at: `${number}:${number}`
  readonly key: string
  readonly says: RegExp
  readonly remedy: RegExp
  /** Else an error. */
  readonly warning?: true
  readonly env?: Readonly<Record<string, string>>
}

const mistakes: readonly Mistake[] = [
  // The form of the file.
  {
    title: 'a tab as indentation',
    text: 'ha:\n\tprofile: lan\n',
    at: '13:1',
    key: '',
    says: /tabs/,
    remedy: /spaces/,
  },
  {
    title: 'a quote that is not closed',
    text: 'ha:\n  profile: "lan\n',
    at: '14:1',
    key: '',
    says: /not closed/,
    remedy: /close it/,
  },
  {
    title: 'a missing space behind the colon',
    text: 'ha:\n  profile:lan\n',
    at: '12:1',
    key: 'ha',
    says: /section with keys/,
    remedy: /on the following lines/,
  },
  {
    title: 'a second colon in one line',
    text: 'ha: profile: lan\n',
    at: '12:5',
    key: '',
    says: /second ": "/,
    remedy: /quotes, or start a new line/,
  },
  {
    title: 'a value that starts with a reserved character',
    text: 'logging:\n  file: @home/log\n',
    at: '13:9',
    key: '',
    says: /cannot start/,
    remedy: /double quotes/,
  },
  {
    title: 'a second document',
    text: '---\nha: {profile: lan}\n',
    at: '12:1',
    key: '',
    says: /more than one YAML document/,
    remedy: /include/,
  },
  {
    title: 'a section that stands twice',
    text: 'ha:\n  profile: lan\nha:\n  lease_ttl: 5s\n',
    at: '14:1',
    key: 'ha',
    says: /second time; the first is in line 12/,
    remedy: /keep one/,
  },
  {
    title: 'a list instead of a mapping as the whole file',
    whole: true,
    text: '- identity\n',
    at: '1:1',
    key: '',
    says: /not a list/,
    remedy: /identity:/,
  },
  {
    title: 'a template that was not filled in',
    text: 'ha:\n  profile: {{ profile }}\n',
    at: '13:13',
    key: '',
    says: /plain word/,
    remedy: /quote/,
  },
  {
    title: 'an alias without its anchor',
    text: 'ha: {profile: *nowhere}\n',
    at: '12:15',
    key: '',
    says: /no such anchor/,
    remedy: /double quotes/,
  },
  // Unknown keys.
  {
    title: 'a misspelt key',
    text: 'coordination:\n  hearbeat_interval: 1s\n',
    at: '13:3',
    key: 'coordination.hearbeat_interval',
    says: /no such key/,
    remedy: /"heartbeat_interval"/,
  },
  {
    title: 'a misspelt section',
    text: 'loadbalancer:\n  algorithm: round_robin\n',
    at: '12:1',
    key: 'loadbalancer',
    says: /no such key/,
    remedy: /"load_balancer"/,
  },
  {
    title: 'a key under the wrong section',
    text: 'health_check:\n  heartbeat_interval: 1s\n',
    at: '13:3',
    key: 'health_check.heartbeat_interval',
    says: /no such key/,
    remedy: /coordination\..*under coordination/,
  },
  {
    title: 'a key of a section at the top of the file',
    text: 'node_name: node1\n',
    at: '12:1',
    key: 'node_name',
    says: /no such key/,
    remedy: /identity\.node_name/,
  },
  {
    title: 'camel case instead of underscores',
    text: 'router:\n  primaryPort: 5433\n',
    at: '13:3',
    key: 'router.primaryPort',
    says: /no such key/,
    remedy: /"primary_port"/,
  },
  {
    title: 'an unknown key in a member',
    text: '',
    whole: true,
    at: '3:39',
    key: 'cluster_members[0].host',
    says: /no such key/,
    remedy: /api_host/,
  },
  // What is not there yet.
  ...['citus', 'consul', 'zookeeper', 'kubernetes', 'exhibitor', 'backup'].map((name): Mistake => ({
    title: `the section ${name}`,
    text: `${name}:\n  enabled: true\n`,
    at: '12:1',
    key: name,
    says: /not there yet/,
    remedy: /remove the section/,
  })),
  {
    title: "Patroni's name of the section for etcd",
    text: 'etcd3: {hosts: e1}\n',
    at: '12:1',
    key: 'etcd3',
    says: /called etcd here/,
    remedy: /rename it/,
  },
  // An etcd that runs already.
  {
    title: 'an etcd, and the members in the file as well',
    text: 'etcd: {hosts: "e1:2379"}\n',
    at: '8:1',
    key: 'cluster_members',
    says: /two lists/,
    remedy: /remove cluster_members/,
  },
  {
    title: 'a path behind the address of an etcd',
    text: 'etcd: {hosts: ["e1", "http://e2:2379/v2"]}\n',
    at: '12:15',
    key: 'etcd.hosts',
    says: /not the address/,
    remedy: /without a path/,
  },
  {
    title: 'a certificate for etcd without its key',
    text: 'etcd: {hosts: e1, cert: /etc/etcd.pem}\n',
    at: '12:25',
    key: 'etcd.key',
    says: /no use without it/,
    remedy: /add "key/,
  },
  {
    title: 'a section etcd without any host',
    text: 'etcd: {username: root, password: x}\n',
    at: '12:18',
    key: 'etcd.hosts',
    says: /which etcd/,
    remedy: /hosts:/,
  },
  {
    title: 'a watchdog inside of ha',
    text: 'ha:\n  watchdog: {mode: required}\n',
    at: '13:3',
    key: 'ha.watchdog',
    says: /section of its own/,
    remedy: /top of the file/,
  },
  {
    title: "Patroni's margin of five seconds with a lease of three",
    text: 'watchdog:\n  mode: required\n  safety_margin: 5\n',
    at: '14:18',
    key: 'watchdog.safety_margin',
    says: /5s before a lease of 3s/,
    remedy: /shorter time/,
  },
  {
    title: 'a watchdog with a lease that is shorter than its second',
    text: 'watchdog: {mode: automatic}\nha: {lease_ttl: 1s}\ncoordination: {communication_timeout: 500ms}\n',
    at: '13:17',
    key: 'ha.lease_ttl',
    says: /whole seconds/,
    remedy: /at least 1500ms/,
  },
  {
    title: 'PgBouncer settings',
    text: 'pgbouncer: {pool_mode: transaction}\n',
    at: '12:1',
    key: 'pgbouncer',
    says: /no section of its own/,
    remedy: /pool\.pgbouncer_ini.*router\.pooled_port/,
  },
  {
    title: 'user lists',
    text: 'user_lists: []\n',
    at: '12:1',
    key: 'user_lists',
    says: /are files/,
    remedy: /pool\.auth_file/,
  },
  {
    title: 'synchronous replication in the words of another version',
    text: 'replication:\n  synchronous_mode: on\n',
    at: '13:3',
    key: 'replication.synchronous_mode',
    says: /the mode has a key of its own/,
    remedy: /replication.mode: quorum/,
  },
  {
    title: 'a text log format',
    text: 'logging:\n  format: text\n',
    at: '13:3',
    key: 'logging.format',
    says: /always JSON/,
    remedy: /remove/,
  },
  // Values.
  {
    title: 'a port that is too large',
    text: 'router:\n  primary_port: 70000\n',
    at: '13:17',
    key: 'router.primary_port',
    says: /from 1 to 65535/,
    remedy: /5432/,
  },
  {
    title: 'a duration with an unknown unit',
    text: 'ha:\n  lease_ttl: 3 sec\n',
    at: '13:14',
    key: 'ha.lease_ttl',
    says: /must be a duration/,
    remedy: /500ms/,
  },
  {
    title: 'milliseconds without a unit',
    text: 'ha:\n  lease_ttl: 3000\n',
    at: '13:14',
    key: 'ha.lease_ttl',
    says: /from 1s to 5m \(a number without a unit counts seconds\)/,
    remedy: /within these limits/,
  },
  {
    title: 'a negative duration',
    text: 'ha:\n  lease_ttl: -3s\n',
    at: '13:14',
    key: 'ha.lease_ttl',
    says: /must be a duration/,
    remedy: /unit/,
  },
  {
    title: 'a size that is none',
    text: 'replication:\n  maximum_lag_on_failover: 1 MiBi\n',
    at: '13:28',
    key: 'replication.maximum_lag_on_failover',
    says: /must be a size/,
    remedy: /16MB/,
  },
  {
    title: 'neither true nor false',
    text: 'router:\n  enabled: maybe\n',
    at: '13:12',
    key: 'router.enabled',
    says: /true or false/,
    remedy: /true or false/,
  },
  {
    title: 'a weight above one',
    text: 'coordination:\n  local_node_preference: 80\n',
    at: '13:26',
    key: 'coordination.local_node_preference',
    says: /from 0 to 1/,
    remedy: /0\.8/,
  },
  {
    title: 'an unknown algorithm',
    text: 'load_balancer:\n  algorithm: random\n',
    at: '13:14',
    key: 'load_balancer.algorithm',
    says: /one of round_robin, least_connected/,
    remedy: /round_robin/,
  },
  {
    title: 'an unknown role',
    text: '',
    whole: true,
    at: '3:65',
    key: 'cluster_members[0].role',
    says: /one of primary, standby/,
    remedy: /primary/,
  },
  {
    title: 'a URL as a host',
    text: '',
    whole: true,
    at: '3:34',
    key: 'cluster_members[0].api_host',
    says: /not a URL/,
    remedy: /scheme/,
  },
  {
    title: 'a host with a port',
    text: '',
    whole: true,
    at: '3:34',
    key: 'cluster_members[0].api_host',
    says: /without a port/,
    remedy: /own key/,
  },
  {
    title: 'an impossible address',
    text: '',
    whole: true,
    at: '3:34',
    key: 'cluster_members[0].api_host',
    says: /not a valid IPv4/,
    remedy: /0 to 255/,
  },
  {
    title: 'a list where one value belongs',
    text: 'ha:\n  profile: [lan, wan]\n',
    at: '13:3',
    key: 'ha.profile',
    says: /single value, not a list/,
    remedy: /colon/,
  },
  {
    title: 'one value where a section belongs',
    text: 'ha: lan\n',
    at: '12:1',
    key: 'ha',
    says: /section with keys below it/,
    remedy: /indented/,
  },
  {
    title: 'a mapping where the list of members belongs',
    whole: true,
    text: 'identity: {node_name: node1}\nlocal_db: {password: x}\ncluster_members:\n  node2: {api_host: 10.77.0.2}\n',
    at: '3:1',
    key: 'cluster_members',
    says: /list of mappings/,
    remedy: /- node_name/,
  },
  {
    title: 'a setting that pg-metako decides',
    whole: true,
    text: BASE.replace('{data_dir: /srv/data}', '{data_dir: /srv/data, parameters: {port: 5440}}'),
    at: '11:48',
    key: 'postgresql.parameters.port',
    says: /decides "port" itself/,
    remedy: /local_db\.port/,
  },
  // What is missing.
  {
    title: 'no node name',
    whole: true,
    text: 'identity:\n  api_port: 8008\nlocal_db: {password: x}\n',
    at: '1:1',
    key: 'identity.node_name',
    says: /is missing/,
    remedy: /add "node_name: …" under identity:.*PG_METAKO_IDENTITY_NODE_NAME/,
  },
  {
    title: 'an empty node name',
    whole: true,
    text: 'identity:\n  node_name:\nlocal_db: {password: x}\n',
    at: '2:3',
    key: 'identity.node_name',
    says: /is empty/,
    remedy: /node_name/,
  },
  {
    title: 'no password',
    whole: true,
    text: 'identity: {node_name: node1}\nlocal_db:\n  port: 5432\n',
    at: '2:1',
    key: 'local_db.password',
    says: /is missing/,
    remedy: /"password_file: PATH".*PG_METAKO_LOCAL_DB_PASSWORD/,
  },
  {
    title: 'a witness without a secret to prove itself with',
    whole: true,
    text: WITNESS,
    at: '1:1',
    key: 'security.cluster_secret',
    says: /without a database password it cannot be derived/,
    remedy: /cluster_secret_file/,
  },
  {
    title: 'a second witness',
    whole: true,
    text: `${WITNESS}  - {node_name: w2, api_host: 10.77.0.2, role: witness}\n${SECRET}`,
    at: '6:48',
    key: 'cluster_members[3].role',
    says: /this node and "w2" are all witnesses/,
    remedy: /keep one/,
    warning: true,
  },
  {
    title: 'a witness beside three databases',
    whole: true,
    text: `${WITNESS}  - {node_name: n2, api_host: 10.77.0.2}\n${SECRET}`,
    at: '4:47',
    key: 'local_db.role',
    says: /3 nodes with a database have a majority without a witness/,
    remedy: /remove the witness/,
    warning: true,
  },
  {
    title: 'a witness where an etcd counts the votes',
    whole: true,
    text: `identity: {node_name: w}\nlocal_db: {role: witness}\netcd: {hosts: ['10.77.0.9:2379']}\n${SECRET}`,
    at: '2:18',
    key: 'local_db.role',
    says: /with etcd the members have no votes/,
    remedy: /remove this node/,
  },
  {
    title: 'a member without an address',
    whole: true,
    text: 'identity: {node_name: node1}\nlocal_db: {password: x}\ncluster_members:\n  - node_name: node2\n',
    at: '4:5',
    key: 'cluster_members[0].api_host',
    says: /is missing/,
    remedy: /api_host/,
  },
  {
    title: 'TLS without a certificate',
    text: 'ha: {profile: lan}\n',
    env: { PG_METAKO_SECURITY_TLS_ENABLED: 'true' },
    at: '0:0',
    key: 'security.cert_file',
    says: /needs a certificate/,
    remedy: /tls_enabled: false/,
  },
  {
    title: 'a certificate that is not there',
    whole: true,
    text: BASE.replace(
      'security:\n',
      'security:\n  tls_enabled: true\n  cert_file: /path/to/cert.pem\n  key_file: key.pem\n',
    ),
    at: '8:14',
    key: 'security.cert_file',
    says: /placeholder/,
    remedy: /tls_enabled: false/,
  },
  {
    title: 'a folder without PostgreSQL',
    whole: true,
    text: BASE.replace('{data_dir: /srv/data}', '{data_dir: /srv/data, bin_dir: /usr/bin}'),
    at: '11:44',
    key: 'postgresql.bin_dir',
    says: /no program "postgres"/,
    remedy: /remove the key/,
  },
  {
    title: 'a secret file that cannot be read',
    whole: true,
    text: BASE.replace('password: correct-horse-battery', 'password_file: /nowhere'),
    at: '5:18',
    key: 'local_db.password_file',
    says: /cannot be read/,
    remedy: /0600/,
  },
  {
    title: 'a secret and its file at once',
    whole: true,
    text: BASE.replace('password: correct', 'password_file: /run/secret\n  password: correct'),
    at: '5:3',
    key: 'local_db.password_file',
    says: /local_db\.password \(main\.yaml:6:3\) is given too/,
    remedy: /remove one/,
  },
  // What contradicts itself.
  {
    title: 'two ports for the same database',
    text: 'ha: {profile: lan}\n',
    whole: true,
    at: '4:3',
    key: 'identity.local_db_port',
    says: /contradicts/,
    remedy: /remove one of the two/,
  },
  {
    title: 'two members of one name',
    whole: true,
    text: BASE.replace('node3', 'node2'),
    at: '10:17',
    key: 'cluster_members[1].node_name',
    says: /two members are called "node2"; the first stands at .*:9:17/,
    remedy: /name of its own/,
  },
  {
    title: 'two members at one address',
    whole: true,
    text: BASE.replace('10.77.0.3', '10.77.0.2'),
    at: '10:34',
    key: 'cluster_members[1].api_host',
    says: /same API address as "node2"/,
    remedy: /own api_port/,
  },
  {
    title: "a member at this node's own address",
    whole: true,
    text: BASE.replace('10.77.0.3', '10.77.0.1'),
    at: '10:34',
    key: 'cluster_members[1].api_host',
    says: /same API address as this node itself/,
    remedy: /own api_host/,
  },
  {
    title: 'a wildcard as the address of a member',
    whole: true,
    text: BASE.replace('10.77.0.3', '0.0.0.0'),
    at: '10:34',
    key: 'cluster_members[1].api_host',
    says: /nobody can be reached/,
    remedy: /10\.77/,
  },
  {
    title: 'localhost as the address of one member among remote ones',
    whole: true,
    text: BASE.replace('10.77.0.3', 'localhost'),
    at: '10:34',
    key: 'cluster_members[1].api_host',
    says: /only valid on its own host/,
    remedy: /all the other nodes/,
    warning: true,
  },
  {
    title: 'an API that only its own host reaches',
    whole: true,
    text: BASE.replace('10.77.0.1', '127.0.0.1'),
    at: '3:13',
    key: 'identity.api_host',
    says: /cannot reach this node/,
    remedy: /0\.0\.0\.0/,
    warning: true,
  },
  {
    title: 'two primaries',
    whole: true,
    text: BASE.replace('10.77.0.2}', '10.77.0.2, role: master}').replace(
      '10.77.0.3}',
      '10.77.0.3, role: leader}',
    ),
    at: '10:51',
    key: 'cluster_members[1].role',
    says: /"node2" and "node3" are all marked as primary/,
    remedy: /one node/,
  },
  {
    title: 'a minority that may decide',
    text: 'coordination:\n  min_consensus_nodes: 1\n',
    at: '13:24',
    key: 'coordination.cluster_mode.min_consensus_nodes',
    says: /1 of 3 nodes is no majority/,
    remedy: /write 2/,
  },
  {
    title: 'more votes than nodes',
    text: 'coordination:\n  min_consensus_nodes: 4\n',
    at: '13:24',
    key: 'coordination.cluster_mode.min_consensus_nodes',
    says: /can never agree: the cluster has 3/,
    remedy: /write 2/,
  },
  {
    title: 'more votes than a majority',
    text: 'coordination:\n  min_consensus_nodes: 3\n',
    at: '13:24',
    key: 'coordination.cluster_mode.min_consensus_nodes',
    says: /always uses a majority/,
    remedy: /write 2/,
    warning: true,
  },
  {
    title: 'pair mode in a cluster of three',
    text: 'coordination:\n  pair_mode: {enable: true}\n',
    at: '13:23',
    key: 'coordination.pair_mode.enable',
    says: /exactly two nodes and this cluster has 3: it is ignored/,
    remedy: /remove pair_mode/,
    warning: true,
  },
  {
    title: 'an old name',
    text: 'coordination:\n  pair_failover_delay: 5s\n',
    at: '13:3',
    key: 'coordination.pair_failover_delay',
    says: /old name of coordination\.pair_mode\.failover_delay/,
    remedy: /write it as/,
    warning: true,
  },
  {
    title: "PostgreSQL on the router's port",
    whole: true,
    text: BASE.replace('local_db:\n', 'local_db:\n  port: 5433\n'),
    at: '5:9',
    key: 'local_db.port',
    says: /taken on this node by the router's port for the primary \(router\.primary_port, by default\)/,
    remedy: /another port/,
  },
  {
    title: "the API on the router's port",
    text: 'router:\n  pooled_port: 8008\n',
    at: '13:16',
    key: 'router.pooled_port',
    says: /taken on this node by the API/,
    remedy: /identity\.api_port/,
  },
  {
    title: 'checks that take longer than their interval',
    text: 'health_check:\n  interval: 1s\n  timeout: 5s\n',
    at: '14:12',
    key: 'health_check.timeout',
    says: /pile up/,
    remedy: /at most 1s/,
  },
  {
    title: 'a lease that does not outlive three heartbeats',
    text: 'ha:\n  lease_ttl: 3s\ncoordination:\n  heartbeat_interval: 2s\n',
    at: '15:23',
    key: 'coordination.cluster_mode.heartbeat_interval',
    says: /outlive three heartbeats: with ha\.lease_ttl 3s it may be 1s at most/,
    remedy: /longer ha\.lease_ttl/,
  },
  {
    title: 'heartbeats from a time of slower leases',
    text: 'coordination:\n  heartbeat_interval: 10s\n',
    at: '13:23',
    key: 'coordination.cluster_mode.heartbeat_interval',
    says: /so 100ms is used/,
    remedy: /remove the key/,
    warning: true,
  },
  {
    title: 'requests that wait longer than the lease lives',
    text: 'ha: {lease_ttl: 5s}\ncoordination: {communication_timeout: 10s}\n',
    at: '13:39',
    key: 'coordination.cluster_mode.communication_timeout',
    says: /cost the primary its lease/,
    remedy: /shorter time/,
  },
  {
    title: 'a failover that has no time',
    text: 'coordination:\n  failover_timeout: 2s\n',
    at: '13:21',
    key: 'coordination.cluster_mode.failover_timeout',
    says: /waits until the lease of 3s has run out/,
    remedy: /at least 6s/,
  },
  {
    title: 'state inside the data directory',
    text: 'paths:\n  state_dir: /srv/data/metako\n',
    at: '13:14',
    key: 'paths.state_dir',
    says: /inside the data directory/,
    remedy: /outside/,
  },
  {
    title: 'a run folder that is too long for a socket',
    text: `paths:\n  run_dir: /run/${'x'.repeat(90)}\n`,
    at: '13:12',
    key: 'paths.run_dir',
    says: /95 bytes; Unix sockets in it allow 90/,
    remedy: /shorter/,
  },
  {
    title: 'a managed database on another host',
    whole: true,
    text: BASE.replace('local_db:\n', 'local_db:\n  host: db9.example.net\n'),
    at: '5:9',
    key: 'local_db.host',
    says: /run on this very node/,
    remedy: /localhost/,
    warning: true,
  },
  {
    title: 'a database whose owner nobody creates',
    text: 'bootstrap:\n  databases:\n    - name: app\n      owner: app\n',
    at: '15:14',
    key: 'bootstrap.databases[0].owner',
    says: /nobody creates the role "app"/,
    remedy: /bootstrap\.users/,
  },
  {
    title: 'a user that is the replication role',
    text: 'bootstrap:\n  users:\n    replicator: {password: x}\n',
    at: '14:5',
    key: 'bootstrap.users[0].name',
    says: /created already, for replication\.username/,
    remedy: /another name/,
  },
  {
    title: 'a password from an example',
    whole: true,
    text: BASE.replace('correct-horse-battery', 'password'),
    at: '5:3',
    key: 'local_db.password',
    says: /stands in examples/,
    remedy: /openssl/,
    warning: true,
  },
  {
    title: 'a cluster secret that can be guessed',
    whole: true,
    text: BASE.replace('0123456789abcdef', 'short'),
    at: '7:3',
    key: 'security.cluster_secret',
    says: /fewer than 16/,
    remedy: /openssl/,
    warning: true,
  },
  {
    title: 'no secret at all',
    whole: true,
    text: BASE.replace('correct-horse-battery', '""').replace('  cluster_secret: 0123456789abcdef\n', ''),
    at: '5:3',
    key: 'security.cluster_secret',
    says: /could not authenticate each other/,
    remedy: /cluster_secret_file/,
  },
]

/** Members with a mistake, for those mistakes whose text is left empty above. */
const MEMBER_MISTAKES: Readonly<Record<string, string>> = {
  'an unknown key in a member': '{node_name: node2,                host: 10.77.0.2}',
  'an unknown role': '{node_name: node2, api_host: 10.77.0.2,               role: chief}',
  'a URL as a host': '{node_name: node2, api_host: http://10.77.0.2}',
  'a host with a port': '{node_name: node2, api_host: 10.77.0.2:8008}',
  'an impossible address': '{node_name: node2, api_host: 10.77.0.256}',
}

function textOf(mistake: Mistake): string {
  const member = MEMBER_MISTAKES[mistake.title]
  if (member !== undefined) {
    return `identity: {node_name: node1}\ncluster_members:\n  - ${member}\nlocal_db: {password: correct-horse}\n`
  }
  if (mistake.title === 'two ports for the same database') {
    return 'local_db: {port: 5432, password: x}\nidentity:\n  node_name: node1\n  local_db_port: 5433\n'
  }
  return mistake.whole === true ? mistake.text : BASE + mistake.text
}

function load(text: string, env: Readonly<Record<string, string>> = {}): LoadedConfig {
  return loadConfig({
    path: 'main.yaml',
    readText: (path) => (path === 'main.yaml' ? text : undefined),
    env,
    fileExists: () => false,
  })
}

describe('a planted mistake', () => {
  it('is absent from the base', () => {
    expect(load(BASE)).toMatchObject({ kind: 'ok', warnings: [] })
  })

  it.each(mistakes.map((mistake) => [mistake.title, mistake] as const))('%s', (_, mistake) => {
    const loaded = load(textOf(mistake), mistake.env)
    const problems = loaded.kind === 'ok' ? loaded.warnings : loaded.problems
    const text = formatProblems(problems, loaded.sources)
    const found = problems.find((one) => one.key === mistake.key && mistake.says.test(one.rule))
    expect(found, text).toBeDefined()
    expect(`${found?.line}:${found?.column}`, text).toBe(mistake.at)
    expect(found?.remedy).toMatch(mistake.remedy)
    expect(found?.severity).toBe(mistake.warning === true ? 'warning' : 'error')
    expect(loaded.kind).toBe(mistake.warning === true ? 'ok' : 'refused')
  })

  it('does not hide another one: all are told at once, in the order of the file', () => {
    const loaded = load(`${BASE}ha: {profile: moon}\nrouter: {primary_port: 0}\nconsul: {}\n`)
    const lines = loaded.kind === 'refused' ? loaded.problems.map(({ line }) => line) : []
    expect(lines).toEqual([12, 13, 14])
  })
})
