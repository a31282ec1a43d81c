import { environmentName, type Key, type ListKey, type Records } from '../../src/config/key.ts'
import { keyTable, SECTIONS } from '../../src/config/keys/key-table.ts'
import { DATABASE_FIELDS, USER_FIELDS } from '../../src/config/pgbouncer/ini-keys.ts'
import { PGBOUNCER_SETTINGS } from '../../src/model/pgbouncer-setting.ts'
import { patroniText } from './patroni-reference.ts'

type Row = {
  readonly key: string
  readonly type: string
  readonly fallback: string
  readonly variable: string
  readonly doc: string
}

/** `docs/reference/config.md`: every key with type, default, variable and meaning, from the table that reads them. */
export function configReference(): string {
  const sections = SECTIONS.map((section) => `## ${section}\n\n${sectionText(section)}`)
  return `${INTRODUCTION}\n${patroniText()}\n${pgbouncerText()}\n${sections.join('\n')}`
}

const INTRODUCTION = `# Config reference

Written by \`npm run docs\` from the table of keys in \`src/config/keys/\`; a test fails when this page is stale.

\`pg-metako --config FILE\` runs a node with a config file (default \`configs/config.yaml\`), \`pg-metako --config FILE --validate\`
checks it and prints every value with its origin. The smallest useful file:

\`\`\`yaml
identity:
  node_name: node1
local_db:
  password_file: postgres-password
cluster_members:
  - {node_name: node1, api_host: 10.77.0.1}
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
postgresql:
  data_dir: /var/lib/pg-metako/data
\`\`\`

\`examples/three-hosts/\` is a whole cluster.

## How values are found

- The environment beats the file, the file beats what it includes, and every key has a default. An unknown key is an error,
  an unknown \`PG_METAKO_*\` variable a warning. All problems are told at once, with line, column, rule and remedy.
- **Variables** are named after the key: \`local_db.password\` is \`PG_METAKO_LOCAL_DB_PASSWORD\`. An empty variable counts as not set.
  Lists and mappings can only be written in a file, where the table names no variable.
- **Secrets** have a twin with \`_file\` that names a file with the secret alone in it (one line; its end is cut off): \`password_file: PATH\`, or
  \`PG_METAKO_LOCAL_DB_PASSWORD_FILE\`. Secret and twin together are an error. No secret is ever printed. The password of a user of
  \`bootstrap.users\` has \`PG_METAKO_BOOTSTRAP_USERS_<NAME>_PASSWORD\`.
- **\`include:\`** takes a path or a list of paths, each relative to the file that names it. What a file says itself wins, later
  includes win over earlier ones, mappings are merged key by key, lists are taken whole.
- **Relative paths** start at the file that they stand in; those from the environment at the folder of the config file.
- **Durations** are numbers with a unit: \`500ms\`, \`10s\`, \`1m30s\`, \`2h\`, \`1d\`. A number without a unit counts seconds.
- **Sizes** have units of 1024 as in PostgreSQL: \`64kB\`, \`16MB\`, \`1GB\`. A number without a unit counts bytes.
- **Booleans** are \`true\`/\`false\`, also \`yes\`/\`no\` and \`on\`/\`off\`. Every scalar is read as the text that stands there: a password \`0777\` stays \`0777\`.
- **Without effect yet**: keys marked so are read and checked, for files that have them; nothing follows from them so far.
- **Roles** are \`primary\` and \`standby\`; \`master\`, \`leader\`, \`slave\`, \`replica\` and \`secondary\` are read as these.

## Fixed readings

- Own address: \`identity.advertise_host\`, else the address that \`cluster_members\` gives for this node, else \`identity.api_host\` unless it is
  a wildcard, else the source address used towards the first peer (logged).
- This node may stand in \`cluster_members\` too, so that one list can be shared by all files; what its entry says must not contradict the
  rest of the file. It is not counted twice.
- \`role\` is only a hint for the first bootstrap. Two nodes marked as primary are an error.
- \`postgresql.data_dir\` given: managed. Absent: attached, which for now watches and reports and refuses to act.
- Times that the lease does not allow: when the lease is the profile's, the profile's time is used and a warning says so; when the
  file sets \`ha.lease_ttl\` itself, it contradicts itself and is refused.
- \`coordination\` is read in the nested form (\`cluster_mode\`, \`pair_mode\`) and in the flat one.
- A file in the older form (\`nodes:\`) is refused, and the same config in today's form is printed. A \`patroni.yml\` is read as it is, see below.
- \`--config\` may name a folder: its files \`*.yml\` and \`*.yaml\` are read in the order of their names, the later ones win.
`

/** What becomes of PgBouncer's own file, from the tables that read it. */
function pgbouncerText(): string {
  const names = (found: readonly string[]): string => found.map((name) => `\`${name}\``).join(', ')
  const honoured = PGBOUNCER_SETTINGS.filter(({ ignoredBecause }) => ignoredBecause === undefined)
  const reasons = new Map<string, string[]>()
  for (const { name, ignoredBecause } of PGBOUNCER_SETTINGS) {
    if (ignoredBecause !== undefined)
      reasons.set(ignoredBecause, [...(reasons.get(ignoredBecause) ?? []), name])
  }
  const rows = [...reasons].map(([reason, settings]) => `| ${names(settings)} | ${reason} |`)
  return `## PgBouncer's own file

\`pool.pgbouncer_ini: /etc/pgbouncer/pgbouncer.ini\` reads PgBouncer's file as it is, with what it includes and the \`userlist.txt\` that
\`auth_file\` names, at the start and at every reload. Keys of ours count before it; a mistake in it is told with file and line and refuses the
config, so that a reload keeps the old one.

- **Honoured:** ${names(honoured.map(({ name }) => name))}; in \`[databases]\` ${names(Object.keys(DATABASE_FIELDS.fields))}; in \`[users]\` ${names(Object.keys(USER_FIELDS.fields))}.
- **\`pool_mode\`** is \`session\` where nobody says another, as with PgBouncer.
- **Databases** that have no line are refused, unless there is a line \`*\` or none at all (\`pool.only_listed_databases\`).
- **\`host\` and \`port\`** must lead to this cluster: to a member, a Unix socket or this host, at the port of PostgreSQL or of the router. A
  line that leads elsewhere is an error, since its clients would find other data here; \`pool.cluster_addresses\` names HAProxy and virtual
  addresses that lead here.
- **\`auth_type\`**: \`md5\`, \`scram-sha-256\`, \`trust\`, and \`plain\` as \`md5\`. \`any\`, \`cert\`, \`hba\`, \`ldap\` and \`pam\` are errors until
  \`pool.auth_type\` says what takes their place. Users that \`auth_file\` does not have are looked up in PostgreSQL, also without \`auth_user\`.
- **\`server_lifetime = 0\`** closes a server connection after one use; \`-1\` in a line of a database or user means: as for all.
- **What does nothing** is listed where it is set to something else than PgBouncer's default: by \`--validate\`, in the log at the start, a line
  each. SHOW CONFIG shows all settings, with the reason in the column \`not_honoured_because\`.

| setting | why it does nothing |
|---|---|
${rows.join('\n')}
| \`[peers]\` | a cancel request is for the router that it comes to |
| \`auth_user\`, \`auth_query\`, \`auth_dbname\` in \`[databases]\` | ${DATABASE_FIELDS.ignored['auth_user']} |
| \`load_balance_hosts\`, \`target_session_attrs\` in \`[databases]\` | ${DATABASE_FIELDS.ignored['target_session_attrs']} |
`
}

function sectionText(section: string): string {
  const inSection = (it: { readonly name: string }): boolean =>
    it.name === section || it.name.startsWith(`${section}.`)
  const rows = [
    ...keyTable.scalars.filter(inSection).map((key) => scalarRow(key)),
    ...keyTable.lists.filter(inSection).map((key) => listRow(key, key.name)),
    ...keyTable.maps.filter(inSection).map((key) => ({
      key: key.name,
      type: 'mapping of names to values',
      fallback: 'none',
      variable: '',
      doc: key.doc,
    })),
  ]
  const records = keyTable.records.filter(inSection).map(recordsText)
  return [rows.length === 0 ? '' : table(rows), ...records].filter((part) => part !== '').join('\n')
}

function recordsText(key: Records): string {
  const rows = [
    ...Object.values(key.fields).map((field) => scalarRow(field, `${key.name}[].`)),
    ...(key.lists ?? []).map((list) => listRow(list, `${key.name}[].${list.name}`)),
  ]
  return `\`${key.name}\`: ${key.doc} Default: ${key.means}.\n\n${table(rows)}`
}

function scalarRow(key: Key<unknown>, prefix = ''): Row {
  const others = [...(key.aliases ?? []), ...(key.oldNames ?? [])]
  const also = others.length === 0 ? '' : ` Also read as ${others.map((name) => `\`${name}\``).join(', ')}.`
  const variables = prefix === '' ? [environmentName(key.name), ...(key.env ?? [])] : []
  return {
    key: prefix + key.name,
    type: key.type.name,
    fallback: fallbackText(key),
    variable:
      variables.map((name) => `\`${name}\``).join(', ') + (key.secret && prefix === '' ? ', `…_FILE`' : ''),
    doc: `${key.doc}${also}${key.isWithoutEffect ? ' *Without effect yet.*' : ''}`,
  }
}

function fallbackText(key: Key<unknown>): string {
  switch (key.fallback.kind) {
    case 'value':
      return `\`${key.type.show(key.fallback.value)}\``
    case 'required':
      return '**required**'
    case 'open':
      return key.fallback.means
  }
}

function listRow(key: ListKey, name: string): Row {
  return {
    key: name,
    type: 'list of texts',
    fallback: key.fallback.length === 0 ? 'none' : key.fallback.map((item) => `\`${item}\``).join(', '),
    variable:
      key.separator !== undefined && name === key.name
        ? `\`${environmentName(key.name)}\` (with commas)`
        : '',
    doc: key.doc,
  }
}

function table(rows: readonly Row[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  const lines = rows.map(
    ({ key, type, fallback, variable, doc }) =>
      `| \`${key}\` | ${cell(type)} | ${cell(fallback)} | ${variable} | ${cell(doc)} |`,
  )
  return `${['| key | value | default | variable | meaning |', '|---|---|---|---|---|', ...lines].join('\n')}\n`
}
