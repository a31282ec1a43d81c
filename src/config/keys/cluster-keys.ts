import { HOUR, MILLISECOND, SECOND } from '../../std/units.ts'
import type { Key, RecordsKey } from '../key.ts'
import {
  duration,
  fraction,
  host,
  hostOrSocket,
  nodeName,
  oneOf,
  path,
  port,
  roleHint,
  secretText,
  sqlName,
  text,
  wholeNumber,
  yesOrNo,
} from '../value-kinds.ts'

const value = <const T>(it: T) => ({ kind: 'value', value: it }) as const
const open = (means: string) => ({ kind: 'open', means }) as const
const required = (why: string) => ({ kind: 'required', why }) as const
/** Keeps the value's type while the table's shape is checked. */
const key = <T>(it: Key<T>): Key<T> => it

/** The keys that say who this node is, who the others are and how they talk. */
export const clusterKeys = {
  scope: key({
    name: 'cluster.scope',
    type: nodeName,
    fallback: value('pg-metako'),
    doc: 'Name of the cluster; the same on all nodes.',
  }),
  namespace: key({
    name: 'cluster.namespace',
    type: text,
    fallback: value('/service/'),
    doc: 'Folder of the cluster in the consensus store; the same on all nodes.',
  }),
  nodeName: key({
    name: 'identity.node_name',
    type: nodeName,
    fallback: required('every node needs a name of its own'),
    doc: 'Name of this node, unique in the cluster.',
  }),
  apiHost: key({
    name: 'identity.api_host',
    type: host,
    fallback: value('0.0.0.0'),
    doc: 'Address that the API listens on. All traffic between agents, consensus included, uses it.',
  }),
  apiPort: key({
    name: 'identity.api_port',
    type: port,
    fallback: open('the port that `cluster_members` gives for this node, else 8008'),
    doc: 'Port that the API listens on.',
  }),
  advertiseHost: key({
    name: 'identity.advertise_host',
    type: host,
    fallback: open('its address in `cluster_members`, else `api_host`, else the route to the first peer'),
    doc: 'Address that the other nodes reach this one at. Without it: the address that `cluster_members` gives for this node, else `identity.api_host` unless it is a wildcard, else the source address used towards the first peer (logged).',
  }),
  dbName: key({
    name: 'local_db.name',
    isWithoutEffect: true,
    type: nodeName,
    fallback: open('`identity.node_name`'),
    doc: "Name of this node's PostgreSQL in logs.",
  }),
  dbHost: key({
    name: 'local_db.host',
    type: hostOrSocket,
    fallback: value('localhost'),
    aliases: ['identity.local_db_host'],
    doc: "Where the agent reaches this node's PostgreSQL.",
  }),
  dbPort: key({
    name: 'local_db.port',
    type: port,
    fallback: value(5432),
    aliases: ['identity.local_db_port'],
    doc: "Port of this node's PostgreSQL.",
  }),
  dbRole: key({
    name: 'local_db.role',
    type: roleHint,
    fallback: open('the role that `cluster_members` gives for this node, else `standby`'),
    doc: 'Only a hint for the first bootstrap: the one node that says `primary` initialises the cluster. Later the cluster knows better. `master`, `leader`, `slave` and `replica` are read too. `witness` is more than a hint: this node has no database and no router and gives the third vote beside two that have one; what the file says of PostgreSQL is not used there.',
  }),
  dbUsername: key({
    name: 'local_db.username',
    type: sqlName,
    fallback: value('postgres'),
    doc: 'Superuser that the agent works as.',
  }),
  dbPassword: key({
    name: 'local_db.password',
    type: secretText,
    secret: true,
    fallback: open('**required**, but for a witness'),
    doc: 'Password of that superuser; the same on all nodes.',
  }),
  dbDatabase: key({
    name: 'local_db.database',
    type: sqlName,
    fallback: value('postgres'),
    doc: 'Database that the agent connects to; managed: the first bootstrap creates it.',
  }),
  heartbeat: key({
    name: 'coordination.cluster_mode.heartbeat_interval',
    isWithoutEffect: true,
    type: duration({ min: 10 * MILLISECOND, max: HOUR }),
    aliases: ['coordination.heartbeat_interval'],
    fallback: open("the profile's: `lan` 100ms, `noisy` 200ms, `wan` 300ms"),
    doc: 'How often agents tell each other that they live. At most a third of `ha.lease_ttl`.',
  }),
  communicationTimeout: key({
    name: 'coordination.cluster_mode.communication_timeout',
    isWithoutEffect: true,
    type: duration({ min: 10 * MILLISECOND, max: HOUR }),
    aliases: ['coordination.communication_timeout'],
    fallback: open("a third of the profile's lease: `lan` 1s, `noisy` 3s, `wan` 3333ms"),
    doc: 'How long one request between agents may take. Less than `ha.lease_ttl`.',
  }),
  failoverTimeout: key({
    name: 'coordination.cluster_mode.failover_timeout',
    isWithoutEffect: true,
    type: duration({ min: SECOND, max: HOUR }),
    aliases: ['coordination.failover_timeout'],
    fallback: value(30 * SECOND),
    doc: 'How long a failover may take before it counts as failed and is tried anew.',
  }),
  minConsensus: key({
    name: 'coordination.cluster_mode.min_consensus_nodes',
    type: wholeNumber(1, 99),
    aliases: ['coordination.min_consensus_nodes'],
    fallback: open('a majority of all nodes'),
    doc: 'Nodes that must agree before anything happens. Consensus always uses a majority: any other number is refused or not used.',
  }),
  localPreference: key({
    name: 'coordination.cluster_mode.local_node_preference',
    isWithoutEffect: true,
    type: fraction(0, 1),
    aliases: ['coordination.local_node_preference'],
    fallback: value(0.8),
    doc: "Weight of this node's own PostgreSQL when reads are spread: 0 none, 1 always.",
  }),
  pairEnable: key({
    name: 'coordination.pair_mode.enable',
    isWithoutEffect: true,
    type: yesOrNo,
    oldNames: ['coordination.enable_pair_mode'],
    fallback: open('true with exactly two nodes, else false'),
    doc: 'Pair mode, for exactly two nodes. It is read and checked; automatic failover of a pair comes later.',
  }),
  pairDelay: key({
    name: 'coordination.pair_mode.failover_delay',
    isWithoutEffect: true,
    type: duration({ min: 0, max: HOUR }),
    oldNames: ['coordination.pair_failover_delay'],
    fallback: value(10 * SECOND),
    doc: 'Pair mode: how long to wait for the other node to come back before a failover.',
  }),
  pairThreshold: key({
    name: 'coordination.pair_mode.failure_threshold',
    isWithoutEffect: true,
    type: wholeNumber(1, 1000),
    oldNames: ['coordination.pair_failure_threshold'],
    fallback: value(3),
    doc: 'Pair mode: failed checks in a row before the other node counts as down.',
  }),
  healthInterval: key({
    name: 'health_check.interval',
    isWithoutEffect: true,
    type: duration({ min: 100 * MILLISECOND, max: HOUR }),
    fallback: value(2 * SECOND),
    doc: 'How often the agent asks its PostgreSQL whether it answers. The end of the process is noticed at once, without it.',
  }),
  healthTimeout: key({
    name: 'health_check.timeout',
    isWithoutEffect: true,
    type: duration({ min: 50 * MILLISECOND, max: HOUR }),
    fallback: open('2s, or the interval where that is shorter'),
    doc: 'How long one check may take; not longer than the interval.',
  }),
  healthThreshold: key({
    name: 'health_check.failure_threshold',
    isWithoutEffect: true,
    type: wholeNumber(1, 1000),
    fallback: value(3),
    doc: 'Failed checks in a row before PostgreSQL counts as unhealthy.',
  }),
  algorithm: key({
    name: 'load_balancer.algorithm',
    isWithoutEffect: true,
    type: oneOf(['round_robin', 'least_connected'], {
      synonyms: {
        'round-robin': 'round_robin',
        roundrobin: 'round_robin',
        least_connections: 'least_connected',
      },
    }),
    fallback: value('round_robin'),
    doc: 'How reads are spread over the replicas.',
  }),
  readTimeout: key({
    name: 'load_balancer.read_timeout',
    isWithoutEffect: true,
    type: duration({ min: 0, max: 24 * HOUR }),
    fallback: value(0),
    doc: 'Time limit for one read query; 0 = none.',
  }),
  writeTimeout: key({
    name: 'load_balancer.write_timeout',
    isWithoutEffect: true,
    type: duration({ min: 0, max: 24 * HOUR }),
    fallback: value(0),
    doc: 'Time limit for one write query; 0 = none.',
  }),
  tlsEnabled: key({
    name: 'security.tls_enabled',
    type: yesOrNo,
    fallback: value(false),
    doc: 'TLS between agents and on the API. Needs `cert_file` and `key_file`.',
  }),
  certFile: key({
    name: 'security.cert_file',
    type: path,
    fallback: open('none'),
    doc: "This node's certificate (PEM).",
  }),
  keyFile: key({
    name: 'security.key_file',
    type: path,
    fallback: open('none'),
    doc: 'Private key of that certificate (PEM).',
  }),
  caFile: key({
    name: 'security.ca_file',
    type: path,
    fallback: open("the system's certificate authorities"),
    doc: "Certificate authority that signed the other nodes' certificates (PEM).",
  }),
  clusterSecret: key({
    name: 'security.cluster_secret',
    type: secretText,
    secret: true,
    fallback: open('derived from `local_db.password`, with a warning'),
    doc: 'What agents authenticate each other with; the same on all nodes, at least 16 characters.',
  }),
  apiToken: key({
    name: 'security.api_token',
    type: secretText,
    secret: true,
    fallback: open('generated at the first start'),
    doc: 'Token for every request that changes something, at least 16 characters. A generated one lies in `paths.state_dir`, in a file of mode 0600.',
  }),
}

/** Fields of one entry of `cluster_members`. */
export const memberFields = {
  nodeName: key({
    name: 'node_name',
    type: nodeName,
    fallback: required('every member needs the name that stands as identity.node_name in its own file'),
    doc: "The member's `identity.node_name`.",
  }),
  apiHost: key({
    name: 'api_host',
    type: host,
    fallback: required('the agents must know where to reach this member'),
    doc: 'Address at which this member is reached.',
  }),
  apiPort: key({ name: 'api_port', type: port, fallback: value(8008), doc: "The member's API port." }),
  role: key({
    name: 'role',
    type: roleHint,
    fallback: value('standby'),
    doc: 'As `local_db.role`. A witness has to be called so on every node: it is never the one that creates the cluster.',
  }),
}

/** `cluster_members`: the other nodes; this node may stand in it too. */
export const membersKey = {
  name: 'cluster_members',
  doc: 'The nodes of the first start; later members come and go with `pg-metako member`, and the registry in the store counts. This node may stand in the list too, so that one list can be shared by `include:`; its entry then gives its address and role.',
  fields: memberFields,
  means: 'none: a cluster of one node',
} satisfies RecordsKey<typeof memberFields>
