import { isIP } from '../platform/net.ts'
import { platformName } from '../platform/process.ts'

/** Where a standby streams from. */
export type ReplicationSource = { readonly host: string; readonly port: number }

export type SettingsInput = {
  readonly port: number
  readonly listenAddresses: readonly string[]
  /** Absent: no Unix socket, the path would be too long for the kernel. */
  readonly socketDir: string | undefined
  readonly memberName: string
  /** How this member is called at its primary, where commits may wait for it by this name. */
  readonly walName: string
  /** Who has to have a commit before it is acknowledged. */
  readonly synchronousNames: string
  readonly clusterName: string
  readonly replication: { readonly name: string; readonly password: string }
  readonly useSlots: boolean
  /** From the node's configuration. */
  readonly parameters: Readonly<Record<string, string>>
  readonly follow: ReplicationSource | undefined
  /** Lower bounds that a standby inherits from its primary. */
  readonly atLeast: Readonly<Record<string, number>>
  readonly majorVersion: number
}

export type RefusedParameter = { readonly name: string; readonly reason: string }

/** What a new cluster gets where its owner says nothing. */
const DEFAULTS: Readonly<Record<string, string>> = {
  // A standby may need these above its own configuration; written out always, so that changing roles changes no file
  // and no setting waits for a restart that nobody asked for.
  max_connections: '100',
  max_worker_processes: '8',
  max_prepared_transactions: '0',
  max_locks_per_transaction: '64',
  wal_level: 'replica',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_keep_size: '128MB',
  // A slot of a member that never comes back must not fill the disk.
  max_slot_wal_keep_size: '8GB',
  wal_receiver_status_interval: '1s',
  wal_receiver_timeout: '5s',
  wal_sender_timeout: '5s',
  // A reader that blocks replay also blocks a promotion.
  max_standby_streaming_delay: '5s',
  password_encryption: 'scram-sha-256',
  log_line_prefix: '%m [%p] %q%u@%d ',
}

/** Since PostgreSQL 14, on Linux: a start after a crash else calls fsync for every file, which takes seconds even for an empty cluster. */
const QUICK_CRASH_START = { recovery_init_sync_method: 'syncfs' }

/** Set by us, whatever the configuration says; the reason is told to its owner. */
const OWNED_REASONS: Readonly<Record<string, string>> = {
  listen_addresses: 'it is set from postgresql.listen_addresses',
  port: 'it is set from local_db.port',
  unix_socket_directories: 'it is set from paths.run_dir',
  hot_standby: 'standbys must answer queries to be watched',
  wal_log_hints: 'an old primary could not be rewound',
  fsync: 'a crash would destroy acknowledged data',
  full_page_writes: 'a crash would destroy acknowledged data',
  restart_after_crash: 'the agent decides what follows a crash',
  wal_retrieve_retry_interval: 'a promotion would wait for it',
  recovery_target_timeline: 'a standby must follow its new primary',
  primary_conninfo: 'the agent points each standby at the primary',
  primary_slot_name: 'the agent gives each standby its slot',
  cluster_name: 'it is set from scope and node name',
  synchronous_standby_names: 'the agent keeps it in step with the cluster',
  logging_collector: "the server's output is kept by the agent",
  log_destination: "the server's output is kept by the agent",
  data_directory: 'it is set from postgresql.data_dir',
  config_file: 'it lies in the data directory',
  hba_file: 'it lies in the data directory; use postgresql.pg_hba',
  ident_file: 'it lies in the data directory',
  external_pid_file: 'the agent follows postmaster.pid',
  promote_trigger_file: 'only the agent promotes',
  recovery_target: 'a member that stops at a target cannot follow',
  recovery_target_action: 'a member that stops at a target cannot follow',
  recovery_target_inclusive: 'a member that stops at a target cannot follow',
  recovery_target_lsn: 'a member that stops at a target cannot follow',
  recovery_target_name: 'a member that stops at a target cannot follow',
  recovery_target_time: 'a member that stops at a target cannot follow',
  recovery_target_xid: 'a member that stops at a target cannot follow',
  include: 'the configuration lists parameters, not files',
  include_dir: 'the configuration lists parameters, not files',
  include_if_exists: 'the configuration lists parameters, not files',
}

/** libpq waits this long for a TCP connection: longer than a slow handshake, shorter than anybody's patience. */
const CONNECT_TIMEOUT_S = 3
/** 107 bytes and a zero in sun_path. */
const SOCKET_PATH_BYTES_MAX = 107

/** Names that the agent owns: they are also taken out of `postgresql.auto.conf`, which PostgreSQL reads last. */
function isOwnedParameter(name: string): boolean {
  return Object.hasOwn(OWNED_REASONS, name.toLowerCase())
}

/** Parameters of the configuration that we do not pass on, each with the reason. */
export function refusedParameters(parameters: Readonly<Record<string, string>>): readonly RefusedParameter[] {
  const refused: RefusedParameter[] = []
  for (const [name, value] of Object.entries(parameters)) {
    const reason = refusalOf(name.toLowerCase(), value)
    if (reason !== undefined) refused.push({ name, reason })
  }
  return refused
}

function refusalOf(name: string, value: string): string | undefined {
  if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_$]*)?$/.test(name)) return 'it is not the name of a parameter'
  if (/[\0\r\n]/.test(value)) return 'its value has a line break'
  if (name === 'wal_level' && !['replica', 'logical'].includes(value.toLowerCase())) {
    return `"${value}" carries too little for standbys, "replica" or "logical" is wanted`
  }
  return OWNED_REASONS[name]
}

/** The content of our own settings file. Holds the replication password: mode 0600. */
export function renderSettings(input: SettingsInput): string {
  const refused = new Set(refusedParameters(input.parameters).map(({ name }) => name))
  const canSyncAll = input.majorVersion >= 14 && platformName === 'linux'
  const settings = new Map(Object.entries({ ...DEFAULTS, ...(canSyncAll ? QUICK_CRASH_START : {}) }))
  for (const [name, value] of Object.entries(input.parameters)) {
    if (!refused.has(name)) settings.set(name.toLowerCase(), value)
  }
  for (const [name, least] of Object.entries(input.atLeast)) {
    const wanted = settings.get(name)
    if (wanted === undefined || !(Number(wanted) >= least)) settings.set(name, String(least))
  }
  for (const [name, value] of Object.entries(ownedSettings(input))) settings.set(name, value)
  // Who follows nobody gets no WAL from an archive either: a pledge says where its WAL ends (safety.md 2).
  if (!input.follow && settings.has('restore_command')) settings.set('restore_command', '')
  const lines = [...settings].map(([name, value]) => `${name} = ${quoted(value)}`)
  return `# Written by pg-metako, which replaces it at every start. Set parameters in the node's configuration.\n${lines.join('\n')}\n`
}

function ownedSettings(input: SettingsInput): Readonly<Record<string, string>> {
  return {
    listen_addresses: input.listenAddresses.join(','),
    port: String(input.port),
    unix_socket_directories: input.socketDir ?? '',
    hot_standby: 'on',
    wal_log_hints: 'on',
    fsync: 'on',
    full_page_writes: 'on',
    restart_after_crash: 'off',
    wal_retrieve_retry_interval: '20ms',
    recovery_target_timeline: 'latest',
    primary_conninfo: input.follow ? conninfo(input.follow, input) : '',
    synchronous_standby_names: input.synchronousNames,
    primary_slot_name: input.follow && input.useSlots ? slotNameFor(input.memberName) : '',
    cluster_name: asciiName(`${input.clusterName}/${input.memberName}`),
    logging_collector: 'off',
    log_destination: 'stderr',
  }
}

/** An address goes in as `hostaddr`: a walreceiver inside a name lookup does not hear that it shall end. */
function conninfo(source: ReplicationSource, input: SettingsInput): string {
  const fields: readonly (readonly [string, string])[] = [
    [isIP(source.host) ? 'hostaddr' : 'host', source.host],
    ['port', String(source.port)],
    ['user', input.replication.name],
    ['password', input.replication.password],
    ['application_name', input.walName],
    ['connect_timeout', String(CONNECT_TIMEOUT_S)],
    ['keepalives_idle', '5'],
    ['keepalives_interval', '2'],
    ['keepalives_count', '3'],
  ]
  return conninfoText(fields)
}

/** A connection string as libpq reads it. */
export function conninfoText(fields: readonly (readonly [string, string])[]): string {
  return fields
    .map(([name, value]) => `${name}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ')
}

/** The physical slot of a member on its primary. */
export function slotNameFor(memberName: string): string {
  return `metako_${memberName.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63)
}

/** The folder, when the socket that PostgreSQL makes in it has a path that the kernel takes. */
export function usableSocketDir(folder: string, port: number): string | undefined {
  return Buffer.byteLength(`${folder}/.s.PGSQL.${port}`) <= SOCKET_PATH_BYTES_MAX ? folder : undefined
}

function asciiName(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 63)
}

function quoted(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
}

/** Without the lines of `postgresql.auto.conf` that would override what the agent owns. */
export function withoutOwnedLines(autoConf: string): string {
  return autoConf
    .split('\n')
    .filter((line) => {
      const name = /^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*=?/.exec(line)?.[1]
      return name === undefined || !isOwnedParameter(name)
    })
    .join('\n')
}

/** pg_hba.conf: our own access first, then the configuration's rules; without any, everybody with a password. */
export function renderHba(options: {
  superuser: string
  replicationUser: string
  /** Where a rewind asks its source. */
  database: string
  rules: readonly string[]
}): string {
  const superuser = hbaName(options.superuser)
  const replicationUser = hbaName(options.replicationUser)
  const rules =
    options.rules.length > 0
      ? options.rules
      : ['local all all scram-sha-256', 'host all all all scram-sha-256']
  return `# Written by pg-metako, which replaces it at every start. Set rules in the node's configuration.
local all ${superuser} scram-sha-256
host all ${superuser} 127.0.0.1/32 scram-sha-256
host all ${superuser} ::1/128 scram-sha-256
host replication ${replicationUser} all scram-sha-256
host ${hbaName(options.database)} ${replicationUser} all scram-sha-256
${rules.join('\n')}
`
}

function hbaName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
