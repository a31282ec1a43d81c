import type { RouteTarget } from '../../../model/routing-table.ts'
import type { TlsSettings } from '../../../model/tls-settings.ts'
import type { Column, Value } from '../../../wire/rows.ts'
import type { Pool } from '../pool.ts'
import { databaseEntry, limitsOf, type PoolOptions } from '../pool-options.ts'
import { averagesOf, type DatabaseState } from '../database-state.ts'
import type { DatabaseStats } from '../pool-stats.ts'
import type { Showable } from './console-command.ts'
import type { SplitReport } from '../../split/split-counts.ts'
import { classifierRows } from './classifier-rows.ts'
import { configRows } from './config-rows.ts'
import { clientRows, serverRows, type ShownClient } from './socket-rows.ts'

export type Table = { readonly columns: readonly Column[]; readonly rows: readonly (readonly Value[])[] }

/** What the console looks at. */
export type ConsoleView = {
  readonly options: PoolOptions
  readonly tls: TlsSettings
  readonly version: string
  readonly listenPort: number
  readonly now: number
  readonly wallMs: number
  readonly pools: readonly Pool[]
  readonly clients: readonly ShownClient[]
  readonly logins: number
  readonly databases: ReadonlyMap<string, DatabaseState>
  readonly users: number
  readonly primary: RouteTarget | undefined
  readonly isPaused: boolean
  readonly classifier: SplitReport | undefined
}

/** PgBouncer's name for the database of its console. */
const CONSOLE = 'pgbouncer'
const SECOND_US = 1_000_000

const POOLS = `database user #cl_active #cl_waiting #cl_active_cancel_req #cl_waiting_cancel_req #sv_active #sv_active_cancel
  #sv_being_canceled #sv_idle #sv_used #sv_tested #sv_login #maxwait #maxwait_us pool_mode load_balance_hosts`
const SOCKETS = `type user database replication state addr #port local_addr #local_port connect_time request_time #wait #wait_us
  #close_needed ptr link #remote_pid tls application_name #prepared_statements #id`
const BUFFERS = '#recv_pos #pkt_pos #pkt_remain #send_pos #send_remain #pkt_avail #send_avail'
const DATABASES = `name host #port database force_user #pool_size #min_pool_size #reserve_pool_size #server_lifetime pool_mode
  load_balance_hosts #max_connections #current_connections #max_client_connections #current_client_connections #paused #disabled`
const USERS = `name #pool_size #reserve_pool_size pool_mode #max_user_connections #current_connections
  #max_user_client_connections #current_client_connections`
const TOTALS = `server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time wait_time
  client_parse_count server_parse_count bind_count client_login_count`
/** SHOW STATS says `received` and, in its averages, `recv` where SHOW STATS_TOTALS says `bytes_received`. */
const STATS_NAMES = TOTALS.replaceAll('bytes_', '')

/** The columns of every SHOW, in PgBouncer 1.25.2's order; a number is marked by `#`. */
const COLUMNS: Readonly<Record<Exclude<Showable, 'HELP'>, string>> = {
  /** The last one is ours. */
  CONFIG: 'key value default changeable not_honoured_because',
  DATABASES,
  POOLS,
  CLIENTS: SOCKETS,
  SERVERS: SOCKETS,
  SOCKETS: `${SOCKETS} ${BUFFERS}`,
  ACTIVE_SOCKETS: `${SOCKETS} ${BUFFERS}`,
  USERS,
  VERSION: 'version',
  PEERS: '#peer_id host #port #pool_size',
  PEER_POOLS: '#peer_id #cl_active_cancel_req #cl_waiting_cancel_req #sv_active_cancel #sv_login',
  LISTS: 'list #items',
  MEM: 'name #size #used #free #memtotal',
  STATE: 'key value',
  DNS_HOSTS: 'hostname #ttl addrs',
  DNS_ZONES: 'zonename serial #count',
  STATS: `database ${prefixed('#total_', STATS_NAMES)} ${prefixed('#avg_', STATS_NAMES.replace('received', 'recv'))}`,
  STATS_TOTALS: `database ${prefixed('#', TOTALS)}`,
  STATS_AVERAGES: `database ${averageNames()}`,
  TOTALS: 'name #value',
  /** Ours. */
  CLASSIFIER: 'item name #value',
}

/** What a SHOW command answers. */
export function showTable(what: Exclude<Showable, 'HELP'>, view: ConsoleView): Table {
  const columns = columnsOf(COLUMNS[what])
  return { columns, rows: rowsOf(what, view) }
}

export function columnsOf(names: string): readonly Column[] {
  return names
    .split(/\s+/)
    .filter((name) => name !== '')
    .map((name) => ({ name: name.replace(/^#/, ''), isNumber: name.startsWith('#') }))
}

function rowsOf(what: Exclude<Showable, 'HELP'>, view: ConsoleView): Table['rows'] {
  switch (what) {
    case 'CONFIG':
      return configRows(view.options, view.listenPort, view.tls)
    case 'DATABASES':
      return databaseRows(view)
    case 'POOLS':
      return poolRows(view)
    case 'CLIENTS':
      return clientRows(view)
    case 'SERVERS':
      return serverRows(view)
    case 'SOCKETS':
      return [...clientRows(view), ...serverRows(view)].map((row) => [...row, ...NO_BUFFERS])
    case 'ACTIVE_SOCKETS':
      return [...clientRows(view), ...serverRows(view)]
        .filter((row) => row[4] === 'active')
        .map((row) => [...row, ...NO_BUFFERS])
    case 'USERS':
      return userRows(view)
    case 'VERSION':
      return [[view.version]]
    case 'LISTS':
      return listRows(view)
    case 'STATE':
      return [
        ['active', view.isPaused ? 'no' : 'yes'],
        ['paused', view.isPaused ? 'yes' : 'no'],
        ['suspended', 'no'],
      ]
    case 'STATS':
      return statsRows(view, (state) => [...numbersOf(state.stats), ...averagesOf(state, view.now)])
    case 'STATS_TOTALS':
      return statsRows(view, (state) => numbersOf(state.stats))
    case 'STATS_AVERAGES':
      return statsRows(view, (state) => averagesOf(state, view.now))
    case 'CLASSIFIER':
      return classifierRows(view.classifier)
    case 'TOTALS':
      return totalRows(view)
    case 'PEERS':
    case 'PEER_POOLS':
    case 'MEM':
    case 'DNS_HOSTS':
    case 'DNS_ZONES':
      // Nothing of the kind is here; who asks gets an answer with the right columns.
      return []
  }
}

const NO_BUFFERS = [0, 0, 0, 0, 0, 0, 0]

function prefixed(prefix: string, names: string): string {
  return names
    .split(/\s+/)
    .map((name) => `${prefix}${name}`)
    .join(' ')
}

/** Only the last four say that they are averages. */
function averageNames(): string {
  const names = TOTALS.split(/\s+/)
  return [...names.slice(0, -4), ...names.slice(-4).map((name) => `avg_${name}`)]
    .map((name) => `#${name}`)
    .join(' ')
}

/** Totals in PgBouncer's order; times in microseconds. */
function numbersOf(stats: DatabaseStats): readonly number[] {
  const us = (ms: number): number => Math.round(ms * 1000)
  return [
    stats.assignments,
    stats.transactions,
    stats.queries,
    stats.received,
    stats.sent,
    us(stats.transactionTimeMs),
    us(stats.queryTimeMs),
    us(stats.waitTimeMs),
    stats.clientParses,
    stats.serverParses,
    stats.binds,
    stats.logins,
  ]
}

function statsRows(view: ConsoleView, numbers: (state: DatabaseState) => readonly number[]): Table['rows'] {
  return [...view.databases].map(([name, state]) => [name, ...numbers(state)])
}

function totalRows(view: ConsoleView): Table['rows'] {
  const sums = [...view.databases.values()]
    .map((state) => [...numbersOf(state.stats), ...averagesOf(state, view.now)])
    .reduce(
      (sum, numbers) => sum.map((value, index) => value + (numbers[index] ?? 0)),
      Array.from({ length: 24 }, () => 0),
    )
  const names = columnsOf(COLUMNS.STATS).slice(1)
  return names.map(({ name }, index) => [name, sums[index] ?? 0])
}

/** Pools that differ by startup parameters alone are one, for those who read by database and user. */
function poolRows(view: ConsoleView): Table['rows'] {
  const groups = new Map<string, Pool[]>()
  for (const pool of view.pools) {
    const key = JSON.stringify([pool.database, pool.user])
    groups.set(key, [...(groups.get(key) ?? []), pool])
  }
  return [...groups.values()].map((pools) => {
    const [first] = pools
    const sum = (count: (pool: Pool) => number): number =>
      pools.reduce((total, pool) => total + count(pool), 0)
    const longest = Math.max(0, ...pools.map((pool) => pool.longestWaitMs(view.now)))
    const waiting = sum((pool) => pool.waiting.size)
    return [
      first?.database ?? '',
      first?.user ?? '',
      Math.max(0, sum((pool) => pool.clients) - waiting),
      waiting,
      0,
      0,
      sum((pool) => pool.used - pool.cancelled),
      0,
      sum((pool) => pool.cancelled),
      sum((pool) => pool.idle.length),
      0,
      0,
      sum((pool) => pool.connecting),
      Math.floor(longest / 1000),
      Math.round(longest * 1000) % SECOND_US,
      first?.mode ?? '',
      null,
    ]
  })
}

function databaseRows(view: ConsoleView): Table['rows'] {
  const { options, primary } = view
  const configured = options.databases.map(({ name }) => name).filter((name) => name !== '*')
  const rows = [...new Set([...configured, ...view.databases.keys()])].map((name): readonly Value[] => {
    const state = view.databases.get(name)
    const pools = view.pools.filter(({ database }) => database === name)
    const own = databaseEntry(options, name)
    const limits = limitsOf(options, name, own?.user ?? '')
    return [
      name,
      primary?.host ?? null,
      primary?.port ?? 0,
      limits.dbname,
      own?.user ?? null,
      limits.size,
      limits.minSize,
      limits.reserveSize,
      limits.serverLifetimeMs / 1000,
      own?.poolMode ?? null,
      null,
      limits.maxDbConnections,
      pools.reduce((total, pool) => total + pool.total, 0),
      own?.maxClientConnections ?? options.maxDbClientConnections,
      pools.reduce((total, pool) => total + pool.clients, 0),
      Number(view.isPaused || (state?.isPaused ?? false)),
      Number(state?.isDisabled ?? false),
    ]
  })
  const console = [
    CONSOLE,
    null,
    view.listenPort,
    CONSOLE,
    CONSOLE,
    2,
    0,
    0,
    0,
    'statement',
    null,
    0,
    0,
    0,
    0,
    0,
    0,
  ]
  return [...rows, console]
}

function userRows(view: ConsoleView): Table['rows'] {
  const { options, clients } = view
  const names = new Set([
    ...view.pools.map(({ user }) => user),
    ...clients.map(({ user }) => user),
    ...options.users.map(({ name }) => name),
  ])
  return [...names].map((name) => {
    const own = options.users.find((each) => each.name === name)
    const pools = view.pools.filter(({ user }) => user === name)
    return [
      name,
      own?.poolSize ?? null,
      own?.reservePoolSize ?? null,
      own?.poolMode ?? null,
      own?.maxConnections ?? options.maxUserConnections,
      pools.reduce((total, pool) => total + pool.total, 0),
      own?.maxClientConnections ?? options.maxUserClientConnections,
      clients.filter(({ user }) => user === name).length,
    ]
  })
}

function listRows(view: ConsoleView): Table['rows'] {
  const servers = view.pools.reduce((total, pool) => total + pool.idle.length + pool.used, 0)
  return [
    ['databases', view.databases.size + 1],
    ['users', view.users],
    ['peers', 0],
    ['pools', view.pools.length],
    ['peer_pools', 0],
    ['free_clients', 0],
    ['used_clients', view.clients.length],
    ['login_clients', view.logins],
    ['free_servers', 0],
    ['used_servers', servers],
    ['dns_names', 0],
    ['dns_zones', 0],
    ['dns_queries', 0],
    ['dns_pending', 0],
  ]
}
