import type { RouteTarget } from '../../../model/routing-table.ts'
import type { TlsSettings } from '../../../model/tls-settings.ts'
import type { Column, Value } from '../../../wire/rows.ts'
import { databaseEntry, limitsOf, type PoolOptions } from '../pool-options.ts'
import type { Showable } from './console-command.ts'
import { latencyRows, statementRows } from './observed-rows.ts'
import { configRows } from './config-rows.ts'
import type { ConsolePart, DatabasePart, Rows } from './console-part.ts'

export type Table = { readonly columns: readonly Column[]; readonly rows: Rows }

/** What the console looks at: all workers as one, and what each of them knows. */
export type ConsoleView = ConsolePart & {
  readonly options: PoolOptions
  readonly tls: TlsSettings
  readonly version: string
  readonly listenPort: number
  readonly users: number
  readonly primary: RouteTarget | undefined
  readonly isPaused: boolean
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
  STATEMENTS: 'database user #calls #errors #total_us #mean_us #max_us statement',
  LATENCIES: 'database user #count #p50_us #p90_us #p99_us #p999_us #max_us',
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

function rowsOf(what: Exclude<Showable, 'HELP'>, view: ConsoleView): Rows {
  switch (what) {
    case 'CONFIG':
      return configRows(view.options, view.listenPort, view.tls)
    case 'DATABASES':
      return databaseRows(view)
    case 'POOLS':
      return poolRows(view)
    case 'CLIENTS':
      return view.clients
    case 'SERVERS':
      return view.servers
    case 'SOCKETS':
      return [...view.clients, ...view.servers].map((row) => [...row, ...NO_BUFFERS])
    case 'ACTIVE_SOCKETS':
      return [...view.clients, ...view.servers]
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
      return statsRows(view, ({ totals, averages }) => [...totals, ...averages])
    case 'STATS_TOTALS':
      return statsRows(view, ({ totals }) => totals)
    case 'STATS_AVERAGES':
      return statsRows(view, ({ averages }) => averages)
    case 'CLASSIFIER':
      return view.classifier
    case 'STATEMENTS':
      return statementRows(view.statements)
    case 'LATENCIES':
      return latencyRows(view.latencies)
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

function statsRows(view: ConsoleView, numbers: (database: DatabasePart) => readonly number[]): Rows {
  return view.databases.map((database) => [database.name, ...numbers(database)])
}

function totalRows(view: ConsoleView): Rows {
  const sums = view.databases
    .map(({ totals, averages }) => [...totals, ...averages])
    .reduce(
      (sum, numbers) => sum.map((value, index) => value + (numbers[index] ?? 0)),
      Array.from({ length: 24 }, () => 0),
    )
  const names = columnsOf(COLUMNS.STATS).slice(1)
  return names.map(({ name }, index) => [name, sums[index] ?? 0])
}

/** Pools that differ by startup parameters alone are one, for those who read by database and user. */
function poolRows(view: ConsoleView): Rows {
  const groups = new Map<string, ConsolePart['pools'][number][]>()
  for (const pool of view.pools) {
    const key = JSON.stringify([pool.database, pool.user])
    groups.set(key, [...(groups.get(key) ?? []), pool])
  }
  return [...groups.values()].map((pools) => {
    const [first] = pools
    const sum = (count: (pool: ConsolePart['pools'][number]) => number): number =>
      pools.reduce((total, pool) => total + count(pool), 0)
    const longest = Math.max(0, ...pools.map((pool) => pool.longestWaitMs))
    const waiting = sum((pool) => pool.waiting)
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
      sum((pool) => pool.idle),
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

function databaseRows(view: ConsoleView): Rows {
  const { options, primary } = view
  const configured = options.databases.map(({ name }) => name).filter((name) => name !== '*')
  const rows = [...new Set([...configured, ...view.databases.map(({ name }) => name)])].map(
    (name): readonly Value[] => {
      const state = view.databases.find((database) => database.name === name)
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
    },
  )
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

function userRows(view: ConsoleView): Rows {
  const { options } = view
  const clients = new Map(view.clientUsers)
  const names = new Set([
    ...view.pools.map(({ user }) => user),
    ...clients.keys(),
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
      clients.get(name) ?? 0,
    ]
  })
}

function listRows(view: ConsoleView): Rows {
  const servers = view.pools.reduce((total, pool) => total + pool.idle + pool.used, 0)
  const clients = view.clientUsers.reduce((total, [, count]) => total + count, 0)
  const pools = new Set(view.pools.map(({ database, user }) => JSON.stringify([database, user])))
  return [
    ['databases', view.databases.length + 1],
    ['users', view.users],
    ['peers', 0],
    ['pools', pools.size],
    ['peer_pools', 0],
    ['free_clients', 0],
    ['used_clients', clients],
    ['login_clients', view.logins],
    ['free_servers', 0],
    ['used_servers', servers],
    ['dns_names', 0],
    ['dns_zones', 0],
    ['dns_queries', 0],
    ['dns_pending', 0],
  ]
}
