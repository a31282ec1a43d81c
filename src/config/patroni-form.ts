import { parametersKey } from './keys/postgres-keys.ts'
import { type ForeignForm, keyPlaceAt, textAt, textsAt, treeAt } from './tree-lookup.ts'
import { PASSWORD_FILE, yamlScalar } from './yaml-text.ts'
import type { MapTree } from './yaml-tree.ts'

const REPLICATION_PASSWORD_FILE = 'replication-password'

/** A `patroni.yml`. Undefined for anything else. */
export function recognisePatroniForm(tree: MapTree): ForeignForm | undefined {
  const known = ['restapi', 'scope'].filter((name) => tree.entries.has(name))
  const dcs = treeAt(tree, 'bootstrap', 'dcs') !== undefined
  if (tree.entries.has('identity') || known.length + (dcs ? 1 : 0) < 2) return undefined
  return {
    place: keyPlaceAt(tree, known[0] ?? 'bootstrap'),
    key: known[0] ?? 'bootstrap',
    rule: "this is Patroni's form of a config; reading it as it is comes later",
    remedy: `translate it: below is as much as this file tells. List the members yourself (Patroni finds them in its store), and put the passwords into the files ${PASSWORD_FILE} and ${REPLICATION_PASSWORD_FILE} beside it`,
    replacement: [...identity(tree), ...postgresql(tree), ...bootstrap(tree)].join('\n') + '\n',
  }
}

function identity(tree: MapTree): readonly string[] {
  const api = hostAndPort(textAt(tree, 'restapi', 'listen'))
  const reach = hostAndPort(textAt(tree, 'restapi', 'connect_address'))
  const database = hostAndPort(textAt(tree, 'postgresql', 'listen'))
  const superuser = textAt(tree, 'postgresql', 'authentication', 'superuser', 'username') ?? 'postgres'
  return [
    'cluster:',
    `  scope: ${yamlScalar(textAt(tree, 'scope') ?? 'pg-metako')}`,
    ...line('namespace', textAt(tree, 'namespace')),
    'identity:',
    `  node_name: ${yamlScalar(textAt(tree, 'name') ?? 'node1')}`,
    ...line('api_host', api.host),
    ...line('api_port', api.port),
    ...line('advertise_host', reach.host),
    'local_db:',
    ...line('port', database.port),
    `  username: ${yamlScalar(superuser)}`,
    `  password_file: ${PASSWORD_FILE}   # postgresql.authentication.superuser.password`,
    'cluster_members: []   # list every node here, the same on all of them:',
    '  # - node_name: node2',
    '  #   api_host: address of node2',
    '  #   api_port: 8008',
  ]
}

function postgresql(tree: MapTree): readonly string[] {
  const addresses = hostAndPort(textAt(tree, 'postgresql', 'listen')).host
  const shared = textsAt(tree, 'bootstrap', 'dcs', 'postgresql', 'parameters')
  const own = textsAt(tree, 'postgresql', 'parameters')
  const parameters = [...new Map([...shared, ...own])].filter(
    ([name, value]) => parametersKey.check(name, value) === undefined,
  )
  const hba = listAt(tree, 'postgresql', 'pg_hba') ?? listAt(tree, 'bootstrap', 'pg_hba') ?? []
  const lag = textAt(tree, 'bootstrap', 'dcs', 'maximum_lag_on_failover')
  const replicator = textAt(tree, 'postgresql', 'authentication', 'replication', 'username')
  return [
    'postgresql:',
    ...line('data_dir', textAt(tree, 'postgresql', 'data_dir')),
    ...line('bin_dir', textAt(tree, 'postgresql', 'bin_dir')),
    ...(addresses === undefined
      ? []
      : [`  listen_addresses: [${addresses.split(',').map(yamlScalar).join(', ')}]`]),
    ...(parameters.length === 0 ? [] : ['  parameters:']),
    ...parameters.map(([name, value]) => `    ${name}: ${yamlScalar(value)}`),
    ...(hba.length === 0 ? [] : ['  pg_hba:', ...hba.map((rule) => `    - ${yamlScalar(rule)}`)]),
    'replication:',
    ...line('username', replicator),
    `  password_file: ${REPLICATION_PASSWORD_FILE}   # postgresql.authentication.replication.password`,
    ...line('maximum_lag_on_failover', lag),
  ]
}

/** Roles of Patroni's bootstrap, but for the one that replicates: that one is created anyway. */
function bootstrap(tree: MapTree): readonly string[] {
  const users = treeAt(tree, 'bootstrap', 'users')
  const replicator = textAt(tree, 'postgresql', 'authentication', 'replication', 'username') ?? 'replicator'
  const initdb = treeAt(tree, 'bootstrap', 'initdb')
  const options =
    initdb?.kind !== 'list'
      ? []
      : initdb.items.flatMap((item) =>
          item.kind === 'scalar'
            ? [item.text ?? '']
            : textsAt(item).map(([name, value]) => `${name}=${value}`),
        )
  const names = users?.kind === 'map' ? [...users.entries.keys()].filter((name) => name !== replicator) : []
  if (names.length + options.length === 0) return []
  const lines = ['bootstrap:']
  if (options.length > 0) lines.push(`  initdb: [${options.map(yamlScalar).join(', ')}]`)
  if (names.length > 0) lines.push('  users:')
  for (const name of names) {
    const given = listAt(users as MapTree, name, 'options') ?? []
    lines.push(`    ${yamlScalar(name)}:`, `      password_file: ${yamlScalar(`${name}-password`)}`)
    if (given.length > 0) lines.push(`      options: [${given.map(yamlScalar).join(', ')}]`)
  }
  return lines
}

function line(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [`  ${name}: ${yamlScalar(value)}`]
}

function listAt(tree: MapTree, ...path: readonly string[]): readonly string[] | undefined {
  const found = treeAt(tree, ...path)
  if (found?.kind !== 'list') return undefined
  return found.items.flatMap((item) => (item.kind === 'scalar' && item.text !== undefined ? [item.text] : []))
}

/** `0.0.0.0:8008` → host and port; either may be missing. */
function hostAndPort(text: string | undefined): { host?: string; port?: string } {
  const parts = /^(.*?)(?::(\d+))?$/.exec(text ?? '')
  const host = parts?.[1]
  const port = parts?.[2]
  return { ...(host === undefined || host === '' ? {} : { host }), ...(port === undefined ? {} : { port }) }
}
