import { HOUR, MILLISECOND, MINUTE, SECOND } from '../../std/units.ts'
import type { Key } from '../key.ts'
import { duration, host, oneOf, path, port, wholeNumber, yesOrNo } from '../value-kinds.ts'

const value = <const T>(it: T) => ({ kind: 'value', value: it }) as const
const open = (means: string) => ({ kind: 'open', means }) as const
const key = <T>(it: Key<T>): Key<T> => it

/** Less than the time that a guard needs to stop PostgreSQL: it costs the lease nothing. */
export const WATCHDOG_MARGIN_MS = 100 * MILLISECOND

/** The keys about how this node's processes work. */
export const runtimeKeys = {
  profile: key({
    name: 'ha.profile',
    type: oneOf(['lan', 'noisy', 'wan']),
    fallback: value('lan'),
    doc: 'How patient the cluster is: `lan` for one data centre, `noisy` for virtual machines that are paused now and then, `wan` for far-apart sites. The same on all nodes.',
  }),
  leaseTtl: key({
    name: 'ha.lease_ttl',
    type: duration({ min: SECOND, max: 5 * MINUTE }),
    fallback: open("the profile's: `lan` 3s, `noisy` 9s, `wan` 10s"),
    doc: 'How long a silent primary keeps the right to write; another can take over only after that. The same on all nodes.',
  }),
  primaryStartTimeout: key({
    name: 'ha.primary_start_timeout',
    type: duration({ min: 0, max: HOUR }),
    fallback: value(0),
    doc: 'How long a crashed primary is restarted in place before another takes over; 0 = take over at once.',
  }),
  storeGrace: key({
    name: 'ha.store_grace',
    type: duration({ min: 0, max: 5 * MINUTE }),
    fallback: value(30 * SECOND),
    doc: 'Where commits wait for standbys (`sync` and `quorum`): how long a primary runs on that cannot renew its lease, since its commits need the others anyway. Clients that bypass the routers may read old data meanwhile; 0 = PostgreSQL is stopped when the lease ends.',
  }),
  drainTimeout: key({
    name: 'ha.drain_timeout',
    type: duration({ min: 0, max: MINUTE }),
    fallback: value(2 * SECOND),
    doc: 'How long a switchover waits for statements and transactions to end before it cuts them. New ones wait meanwhile.',
  }),
  fencing: key({
    name: 'ha.fencing',
    type: oneOf(['required', 'none']),
    fallback: value('required'),
    doc: 'What a take-over by lease needs (asynchronous mode): `required` = a primary that went silent while neither guard nor watchdog could end its PostgreSQL is not taken over from, until it is back or somebody decides; `none` = it is taken over from when its lease is over, and two primaries may write for a while. The same on all nodes.',
  }),
  nofailover: key({
    name: 'tags.nofailover',
    type: yesOrNo,
    fallback: value(false),
    doc: 'This node never becomes primary, neither after a failure nor by a switchover, and no commit waits for it. It does not create the cluster either.',
  }),
  failoverPriority: key({
    name: 'tags.failover_priority',
    type: wholeNumber(0, 1000),
    fallback: value(1),
    doc: 'Among nodes that have the same WAL the highest becomes primary; in a switchover to nobody by name too. 0 is the same as `nofailover`.',
  }),
  noloadbalance: key({
    name: 'tags.noloadbalance',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Routers send no reads here, and the health check `/replica` answers 503.',
  }),
  nosync: key({
    name: 'tags.nosync',
    type: yesOrNo,
    fallback: value(false),
    doc: 'No commit waits for this node (`sync` and `quorum`).',
  }),
  watchdogMode: key({
    name: 'watchdog.mode',
    type: oneOf(['off', 'automatic', 'required']),
    fallback: value('off'),
    doc: 'The watchdog of the host resets it when agent and guard are gone or hang while this node is primary: `automatic` = used where there is one that fits, `required` = a node without one does not become primary. Not tested on hardware.',
  }),
  watchdogDevice: key({
    name: 'watchdog.device',
    type: path,
    fallback: value('/dev/watchdog'),
    doc: 'The device. The agent needs the right to write to it, and no other program may hold it.',
  }),
  watchdogMargin: key({
    name: 'watchdog.safety_margin',
    type: duration({ min: 0, max: 5 * MINUTE }),
    fallback: value(WATCHDOG_MARGIN_MS),
    doc: 'How long before the end of the lease the host has been reset. What is more than a few hundred milliseconds makes the lease shorter: the guard stops PostgreSQL 200 ms before that.',
  }),
  routerEnabled: key({
    name: 'router.enabled',
    type: yesOrNo,
    fallback: value(true),
    doc: "Run this node's router, the address for applications.",
  }),
  routerHost: key({
    name: 'router.listen_host',
    type: host,
    fallback: value('0.0.0.0'),
    doc: 'Address that the router listens on.',
  }),
  primaryPort: key({
    name: 'router.primary_port',
    type: port,
    fallback: value(5433),
    doc: 'Connections to the primary.',
  }),
  replicaPort: key({
    name: 'router.replica_port',
    type: port,
    fallback: value(5434),
    doc: 'Connections to the replicas; to the primary when there is none.',
  }),
  pooledPort: key({
    name: 'router.pooled_port',
    type: port,
    fallback: value(6432),
    doc: 'Pooled connections to the primary: clients log in at the router and share server connections, see the section `pool`.',
  }),
  holdTimeout: key({
    name: 'router.hold_timeout',
    type: duration({ min: 0, max: HOUR }),
    fallback: value(30 * SECOND),
    doc: 'How long a new connection waits for a primary before it fails; 0 = it fails at once.',
  }),
  workers: key({
    name: 'router.workers',
    type: wholeNumber(1, 64),
    fallback: value(1),
    doc: "Processes that carry clients' bytes, each on one core; one more hands them their clients. Limits of connections count for all of them together.",
  }),
  routerDrainTimeout: key({
    name: 'router.drain_timeout',
    type: duration({ min: 0, max: 24 * HOUR }),
    fallback: value(5 * MINUTE),
    doc: 'How long the clients of the old router may stay after `pg-metako router restart`; then each is ended behind its transaction, or a second later.',
  }),
  maxClients: key({
    name: 'router.max_client_connections',
    type: wholeNumber(1, 100_000),
    fallback: value(1000),
    doc: 'Client connections that the router accepts at the same time, over all its ports.',
  }),
  logLevel: key({
    name: 'logging.level',
    type: oneOf(['debug', 'info', 'warn', 'error'], { synonyms: { warning: 'warn', err: 'error' } }),
    fallback: value('info'),
    env: ['PG_METAKO_LOG_LEVEL'],
    doc: 'The least important level that is logged.',
  }),
  logFile: key({
    name: 'logging.file',
    type: path,
    fallback: open('standard error'),
    doc: 'File that log lines (JSON, one object a line) are added to.',
  }),
  statusInterval: key({
    name: 'logging.status_interval',
    type: duration({ min: 0, max: 24 * HOUR }),
    fallback: value(30 * SECOND),
    doc: 'How often the status report is logged; 0 = never.',
  }),
  stateDir: key({
    name: 'paths.state_dir',
    type: path,
    fallback: open('`<data_dir>.metako`; attached: `<identity.node_name>.metako` beside the config file'),
    doc: "The agent's own files: consensus log, token, reports. Must survive a reboot.",
  }),
  runDir: key({
    name: 'paths.run_dir',
    type: path,
    fallback: open('`<state_dir>/run`, or a short one under `/tmp` where that is too long'),
    doc: 'Unix sockets of agent, guard and router. At most 90 bytes, since a socket path may have 107.',
  }),
}
