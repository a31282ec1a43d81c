import { variablePlace } from '../environment.ts'
import type { Place, Problems } from '../problem.ts'
import type { MapTree } from '../yaml-tree.ts'
import { TreeBuilder } from './tree-builder.ts'

const PREFIX = 'PATRONI_'

/** Sections whose keys have a variable each: `PATRONI_<SECTION>_<KEY>`. The longer name first: `ETCD3_` before `ETCD_`. */
const SECTIONS: readonly (readonly [string, string])[] = [
  ['RESTAPI_', 'restapi'],
  ['CTL_', 'ctl'],
  ['POSTGRESQL_', 'postgresql'],
  ['LOG_', 'log'],
  ['ETCD3_', 'etcd3'],
  ['ETCD_', 'etcd'],
  ['CONSUL_', 'consul'],
  ['ZOOKEEPER_', 'zookeeper'],
  ['EXHIBITOR_', 'exhibitor'],
  ['KUBERNETES_', 'kubernetes'],
  ['RAFT_', 'raft'],
  ['CITUS_', 'citus'],
]
const ROLES: readonly string[] = ['REPLICATION', 'SUPERUSER', 'REWIND']
const TOP = new Set(['NAME', 'SCOPE', 'NAMESPACE', 'THREAD_POOL_SIZE', 'THREAD_STACK_SIZE'])
/** What applications read, not Patroni. */
const OF_APPLICATIONS = new Set(
  ['HOSTS', 'PORT', 'DB', 'USER', 'PASSWORD', 'MIN_CONNECTIONS', 'MAX_CONNECTIONS'].concat(
    'HEALTH_CHECK_INTERVAL',
  ),
)
/** The whole file as one variable; no other one counts beside it. */
export const WHOLE_FILE = 'PATRONI_CONFIGURATION'

/** What the `PATRONI_*` variables say, as a tree of the file's form. */
export function patroniEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  place: Place,
  problems: Problems,
): MapTree {
  const builder = new TreeBuilder(place)
  if (env[WHOLE_FILE]) return builder.tree
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(PREFIX) || text === undefined || text === '') continue
    const key = keyOf(name.slice(PREFIX.length))
    if (key !== undefined) builder.putText(key, text, variablePlace(name))
    else if (!OF_APPLICATIONS.has(name.slice(PREFIX.length))) {
      problems.warning(variablePlace(name), '', {
        rule: 'Patroni has no such variable; it is not used',
        remedy: 'write it into the file, or correct its name',
      })
    }
  }
  return builder.tree
}

function keyOf(name: string): string | undefined {
  if (TOP.has(name)) return name.toLowerCase()
  const role = ROLES.find((one) => name.startsWith(`${one}_`))
  if (role !== undefined) {
    return `postgresql.authentication.${role.toLowerCase()}.${name.slice(role.length + 1).toLowerCase()}`
  }
  const found = SECTIONS.find(([prefix]) => name.startsWith(prefix))
  if (found === undefined) return userKeyOf(name)
  const [prefix, section] = found
  const word = name.slice(prefix.length).toLowerCase()
  const isLogin = word === 'username' || word === 'password'
  if (isLogin && (section === 'restapi' || section === 'ctl')) return `${section}.authentication.${word}`
  if (section === 'postgresql' && word.startsWith('bin_') && word !== 'bin_dir')
    return `postgresql.bin_name.${word}`
  return `${section}.${word}`
}

/** `PATRONI_<USER>_PASSWORD` and `PATRONI_<USER>_OPTIONS`, as Patroni had them until 4.0. */
function userKeyOf(name: string): string | undefined {
  const [, user, word] = /^([A-Za-z0-9]+)_(PASSWORD|OPTIONS)$/.exec(name) ?? []
  return user === undefined || word === undefined
    ? undefined
    : `bootstrap.users.${user}.${word.toLowerCase()}`
}
