import { CALLBACK_ACTIONS } from '../../model/callback.ts'
import { commandWords } from '../../std/command-words.ts'
import { HOUR, MiB, MINUTE, SECOND } from '../../std/units.ts'
import type { Key, ListKey, MapKey, RecordsKey } from '../key.ts'
import {
  duration,
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

/** The keys about PostgreSQL itself: where it is, how it replicates. */
export const postgresKeys = {
  dataDir: key({
    name: 'postgresql.data_dir',
    type: path,
    fallback: open('attached: somebody else runs PostgreSQL'),
    doc: 'Data directory. Given: managed, pg-metako initialises, clones, starts and stops PostgreSQL. Absent: attached, pg-metako watches and reports. A relative path starts at the file it stands in.',
  }),
  binDir: key({
    name: 'postgresql.bin_dir',
    type: path,
    fallback: open('found: see `PG_METAKO_PG_BIN`'),
    doc: "Folder of PostgreSQL's programs. Without it: `PG_METAKO_PG_BIN`, `PATH`, `/usr/lib/postgresql/*/bin`, the embedded package; the choice is logged.",
  }),
  osUser: key({
    name: 'postgresql.os_user',
    type: text,
    fallback: open('the owner of the data directory, else `postgres`, else `nobody`'),
    doc: 'Operating system user that runs PostgreSQL when the agent is root.',
  }),
  startTimeout: key({
    name: 'postgresql.start_timeout',
    type: duration({ min: SECOND, max: 24 * HOUR }),
    fallback: value(5 * MINUTE),
    doc: 'How long a start, crash recovery included, may take.',
  }),
  stopTimeout: key({
    name: 'postgresql.stop_timeout',
    type: duration({ min: SECOND, max: HOUR }),
    fallback: value(MINUTE),
    doc: 'How long a fast stop may take before it becomes an immediate one.',
  }),
  callbackTimeout: key({
    name: 'postgresql.callback_timeout',
    type: duration({ min: SECOND, max: HOUR }),
    fallback: value(MINUTE),
    doc: 'A program of `postgresql.callbacks` that takes longer is killed.',
  }),
  replicationMode: key({
    name: 'replication.mode',
    type: oneOf(['async', 'sync', 'quorum']),
    fallback: open('`quorum` with three or more members, else `async`'),
    doc: 'How commits wait for standbys: `async` not at all; `quorum` for any `synchronous_node_count` of them, `sync` for the first of them. With the last two no acknowledged commit is lost by a failover.',
  }),
  synchronousNodeCount: key({
    name: 'replication.synchronous_node_count',
    type: wholeNumber(1, 16),
    fallback: open('half of the standbys of the cluster, at least one'),
    doc: 'How many standbys have each commit before it is acknowledged (`sync` and `quorum`). With more, more disks may be lost at once, and more standbys have to be there for a failover.',
  }),
  synchronousStrict: key({
    name: 'replication.synchronous_mode_strict',
    type: yesOrNo,
    fallback: value(false),
    doc: 'Let commits wait when no standby is there (`sync` and `quorum`). Without it they then wait for nobody, and only the primary itself may go on if it fails.',
  }),
  replicationUsername: key({
    name: 'replication.username',
    type: sqlName,
    fallback: value('replicator'),
    doc: 'Role that standbys stream with.',
  }),
  replicationPassword: key({
    name: 'replication.password',
    type: secretText,
    secret: true,
    fallback: open('derived from the cluster secret'),
    doc: 'Password of that role; the same on all nodes.',
  }),
  maximumLag: key({
    name: 'replication.maximum_lag_on_failover',
    type: size,
    fallback: value(MiB),
    doc: 'A standby that is further behind than this takes no part in a failover.',
  }),
  useSlots: key({
    name: 'replication.use_slots',
    type: yesOrNo,
    fallback: value(true),
    doc: 'Keep a replication slot for every member, so that WAL is not removed too early.',
  }),
}

/** `postgresql.listen_addresses` and the other lists of lines. */
export const postgresLists = {
  listenAddresses: {
    name: 'postgresql.listen_addresses',
    doc: 'Addresses that PostgreSQL listens on; the other members must reach one of them.',
    item: text,
    fallback: ['*'],
    separator: /\s*,\s*/,
  },
  pgHba: {
    name: 'postgresql.pg_hba',
    doc: "Lines for `pg_hba.conf`, in order; pg-metako's own lines for replication and its superuser stand before them.",
    item: text,
    fallback: ['host all all 0.0.0.0/0 scram-sha-256', 'host all all ::/0 scram-sha-256'],
  },
  initdb: {
    name: 'bootstrap.initdb',
    doc: 'Further options for `initdb`, with or without the leading `--`; UTF8, data checksums and WAL segments of 4 MB are the default.',
    item: text,
    fallback: [],
    pairs: true,
  },
} satisfies Readonly<Record<string, ListKey>>

/** Settings that would break the cluster if a config could set them. */
const OWNED: Readonly<Record<string, string>> = {
  listen_addresses: 'set postgresql.listen_addresses instead',
  port: 'set local_db.port instead',
  data_directory: 'set postgresql.data_dir instead',
  primary_conninfo: 'leave it out: pg-metako points standbys at the primary',
  primary_slot_name: 'leave it out: pg-metako names the slots',
  synchronous_standby_names: 'leave it out: replication.mode decides it',
  hot_standby: 'leave it out: it is always on',
  restore_command: 'leave it out: WAL archiving comes later',
  recovery_target_timeline: 'leave it out: standbys always follow the newest timeline',
  hba_file: 'write the lines under postgresql.pg_hba instead',
  config_file: 'write the settings under postgresql.parameters instead',
}

/** `postgresql.parameters`. */
export const parametersKey: MapKey = {
  name: 'postgresql.parameters',
  doc: 'Settings for `postgresql.conf`, as PostgreSQL names them. What pg-metako decides itself (addresses, port, replication) is refused here.',
  check: (name, written) => {
    const setting = name.toLowerCase()
    const owned = Object.hasOwn(OWNED, setting) ? OWNED[setting] : undefined
    if (owned !== undefined) return { rule: `pg-metako decides "${name}" itself`, remedy: owned }
    if (!/^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/.test(name)) {
      return {
        rule: 'this is not the name of a PostgreSQL setting',
        remedy: 'use letters, digits and underscores',
      }
    }
    if (/[\n\r\0]/.test(written)) {
      return { rule: 'a setting is one line', remedy: 'write the value without line breaks' }
    }
    if (name.toLowerCase() === 'wal_level' && written.toLowerCase() === 'minimal') {
      return {
        rule: 'standbys cannot stream with wal_level minimal',
        remedy: 'write replica or logical, or remove it',
      }
    }
    return undefined
  },
}

/** `postgresql.callbacks`. */
export const callbacksKey: MapKey = {
  name: 'postgresql.callbacks',
  doc: `Programs that are called when this node's PostgreSQL was started, stopped and so on: ${CALLBACK_ACTIONS.map((action) => `\`${action}\``).join(', ')}. Each value is a command with arguments (quotes as in a shell, nothing else of it); action, role (\`primary\` or \`replica\`) and \`cluster.scope\` are added, as with Patroni. It runs as the user of PostgreSQL, nobody waits for it, what it prints is in the log, and the next event ends it. In force after a reload.`,
  check: (name, written) => {
    if (!CALLBACK_ACTIONS.some((action) => action === name))
      return { rule: 'there is no such callback', remedy: `use ${CALLBACK_ACTIONS.join(', ')}` }
    const words = commandWords(written)
    if (words === undefined)
      return { rule: 'a quote is not closed', remedy: 'close it, or write a backslash before it' }
    if (words.length === 0)
      return { rule: 'must name a program', remedy: 'write its path, or remove the key' }
    return undefined
  },
}

export const userFields = {
  name: key({
    name: 'name',
    type: sqlName,
    fallback: required('a role needs a name'),
    doc: 'Name of the role.',
  }),
  password: key({
    name: 'password',
    type: secretText,
    secret: true,
    fallback: required('a login role without a password could not log in'),
    doc: 'Its password.',
  }),
}

export const userOptions = {
  name: 'options',
  doc: 'Role options, e.g. `createdb`; `login` is always given.',
  item: text,
  fallback: [],
  separator: /\s*[,\s]\s*/,
} satisfies ListKey

/** `bootstrap.users`. */
export const usersKey = {
  name: 'bootstrap.users',
  doc: 'Login roles that the first bootstrap creates. A list, or the mapping form `NAME: {password: …, options: […]}`.',
  fields: userFields,
  lists: [userOptions],
  keyedBy: 'name',
  means: 'none',
} satisfies RecordsKey<typeof userFields>

export const databaseFields = {
  name: key({
    name: 'name',
    type: sqlName,
    fallback: required('a database needs a name'),
    doc: 'Name of the database.',
  }),
  owner: key({
    name: 'owner',
    type: sqlName,
    fallback: open('`local_db.username`'),
    doc: 'Role that owns it.',
  }),
}

/** `bootstrap.databases`. */
export const databasesKey = {
  name: 'bootstrap.databases',
  doc: 'Databases that the first bootstrap creates. A list, or the mapping form `NAME: {owner: …}`.',
  fields: databaseFields,
  keyedBy: 'name',
  means: 'none',
} satisfies RecordsKey<typeof databaseFields>
