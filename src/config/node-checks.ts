import { isLoopback, isWildcard } from './cluster-checks.ts'
import { PROFILES, RUN_DIR_BYTES_MAX } from './derive-defaults.ts'
import type { Key } from './key.ts'
import { clusterKeys } from './keys/cluster-keys.ts'
import {
  databaseFields,
  databasesKey,
  postgresKeys,
  postgresLists,
  userFields,
  usersKey,
} from './keys/postgres-keys.ts'
import { runtimeKeys } from './keys/runtime-keys.ts'
import { byteLength } from './path-text.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'
import { showDuration } from './value-types.ts'

/** What must fit together on one node: ports, times, files, secrets. */
export function checkNode(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  checkPorts(settings, problems)
  checkTimes(settings, problems)
  checkTls(settings, problems, fileExists)
  checkPrograms(settings, problems, fileExists)
  checkFolders(settings, problems)
  checkDatabaseHost(settings, problems)
  checkSecrets(settings, problems)
  checkBootstrap(settings, problems)
}

type Listener = { readonly key: Key<number>; readonly what: string; readonly hosts: readonly string[] }

function checkPorts(settings: Settings, problems: Problems): void {
  const listeners = listenersOf(settings)
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(index + 1)) {
      const port = settings.get(one.key)
      if (port !== settings.get(other.key) || !overlap(one.hosts, other.hosts)) continue
      // Blame what somebody wrote, not a default.
      const [wrong, right] = settings.isGiven(other.key) ? [other, one] : [one, other]
      const byDefault = settings.isGiven(right.key) ? '' : ', by default'
      problems.error(settings.placeOf(wrong.key), wrong.key.name, {
        value: String(port),
        rule: `port ${port} is taken on this node by ${right.what} (${right.key.name}${byDefault})`,
        remedy: `give ${wrong.key.name} or ${right.key.name} another port`,
      })
    }
  }
}

function listenersOf(settings: Settings): readonly Listener[] {
  const listeners: Listener[] = [
    { key: clusterKeys.apiPort, what: 'the API', hosts: [settings.need(clusterKeys.apiHost)] },
  ]
  const dbHost = settings.need(clusterKeys.dbHost)
  const managed = settings.get(postgresKeys.dataDir) !== undefined
  if (managed || dbHost.startsWith('/') || isLoopback(dbHost)) {
    const hosts = managed ? settings.list(postgresLists.listenAddresses) : ['*']
    listeners.push({ key: clusterKeys.dbPort, what: 'PostgreSQL', hosts })
  }
  if (!settings.need(runtimeKeys.routerEnabled)) return listeners
  const hosts = [settings.need(runtimeKeys.routerHost)]
  return [
    ...listeners,
    { key: runtimeKeys.primaryPort, what: "the router's port for the primary", hosts },
    { key: runtimeKeys.replicaPort, what: "the router's port for replicas", hosts },
    { key: runtimeKeys.pooledPort, what: "the router's pooled port", hosts },
  ]
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  const everywhere = (host: string): boolean => host === '*' || isWildcard(host)
  if (a.some(everywhere) || b.some(everywhere)) return true
  const plain = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host)
  return a.some((host) => b.map(plain).includes(plain(host)))
}

function checkTimes(settings: Settings, problems: Problems): void {
  const interval = settings.need(clusterKeys.healthInterval)
  const timeout = settings.need(clusterKeys.healthTimeout)
  if (timeout > interval) {
    problems.error(settings.placeOf(clusterKeys.healthTimeout), clusterKeys.healthTimeout.name, {
      value: showDuration(timeout),
      rule: `one check may take longer than the interval of ${showDuration(interval)}: checks would pile up`,
      remedy: `write at most ${showDuration(interval)}, or a longer health_check.interval`,
    })
  }
  const lease = settings.need(runtimeKeys.leaseTtl)
  const profile = PROFILES[settings.need(runtimeKeys.profile)]
  checkAgainstLease(settings, problems, {
    key: clusterKeys.heartbeat,
    longest: Math.floor(lease / 3),
    instead: profile.heartbeatMs,
    rule: 'the lease must outlive three heartbeats',
  })
  checkAgainstLease(settings, problems, {
    key: clusterKeys.communicationTimeout,
    longest: lease,
    instead: Math.floor(profile.leaseMs / 3),
    rule: 'a request that waits longer than the lease lives would cost the primary its lease',
  })
  const failover = settings.need(clusterKeys.failoverTimeout)
  if (failover < lease) {
    problems.error(settings.placeOf(clusterKeys.failoverTimeout), clusterKeys.failoverTimeout.name, {
      value: showDuration(failover),
      rule: `a failover waits until the lease of ${showDuration(lease)} has run out and cannot be done in less`,
      remedy: `write at least ${showDuration(lease * 2)}, or a shorter ha.lease_ttl`,
    })
  }
}

/**
 * Files written for slower systems ask for times that this lease does not allow. Where the lease is the profile's,
 * the profile's time is used and told; where the file sets the lease itself, the file contradicts itself.
 */
function checkAgainstLease(
  settings: Settings,
  problems: Problems,
  limit: { key: Key<number>; longest: number; instead: number; rule: string },
): void {
  const { key, longest } = limit
  const asked = settings.need(key)
  if (asked <= longest) return
  const lease = showDuration(settings.need(runtimeKeys.leaseTtl))
  const place = settings.placeOf(key)
  const value = showDuration(asked)
  if (settings.isGiven(runtimeKeys.leaseTtl)) {
    const rule = `${limit.rule}: with ha.lease_ttl ${lease} it may be ${showDuration(longest)} at most`
    problems.error(place, key.name, {
      value,
      rule,
      remedy: 'write a shorter time, a longer ha.lease_ttl, or remove the key',
    })
    return
  }
  const from = `ha.profile ${settings.need(runtimeKeys.profile)}`
  settings.derive(key, limit.instead, from)
  problems.warning(place, key.name, {
    value,
    rule: `${limit.rule} (${lease} in ${from}), so ${showDuration(limit.instead)} is used`,
    remedy: `remove the key; or set ha.lease_ttl if the cluster should be that patient`,
  })
}

function checkTls(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  const enabled = settings.need(clusterKeys.tlsEnabled)
  if (!enabled) return
  for (const key of [clusterKeys.certFile, clusterKeys.keyFile]) {
    if (settings.get(key) !== undefined) continue
    problems.error(settings.placeOf(clusterKeys.tlsEnabled), key.name, {
      rule: `is missing: security.tls_enabled needs a certificate and its key`,
      remedy: `add "${key.name.split('.')[1]}: PATH" under security:, or write "tls_enabled: false"`,
    })
  }
  if (fileExists === undefined) return
  for (const key of [clusterKeys.certFile, clusterKeys.keyFile, clusterKeys.caFile]) {
    const file = settings.get(key)
    if (file === undefined || fileExists(file)) continue
    const example = file.startsWith('/path/to/')
    problems.error(settings.placeOf(key), key.name, {
      value: file,
      rule: example
        ? 'this path is a placeholder from an example; there is no such file'
        : 'there is no such file',
      remedy:
        'write the path of your PEM file; or, to start without TLS, "tls_enabled: false" under security:',
    })
  }
}

function checkPrograms(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  const binDir = settings.get(postgresKeys.binDir)
  if (binDir === undefined || fileExists === undefined || fileExists(`${binDir}/postgres`)) return
  problems.error(settings.placeOf(postgresKeys.binDir), postgresKeys.binDir.name, {
    value: binDir,
    rule: 'there is no program "postgres" in this folder',
    remedy:
      "write the folder of PostgreSQL's programs, e.g. /usr/lib/postgresql/17/bin, or remove the key to have it found",
  })
}

function checkFolders(settings: Settings, problems: Problems): void {
  const dataDir = settings.get(postgresKeys.dataDir)
  for (const key of [runtimeKeys.stateDir, runtimeKeys.runDir]) {
    const folder = settings.need(key)
    if (dataDir !== undefined && `${folder}/`.startsWith(`${dataDir}/`)) {
      problems.error(settings.placeOf(key), key.name, {
        value: folder,
        rule: `lies inside the data directory ${dataDir}, which a clone replaces as a whole`,
        remedy: 'choose a folder outside of it, or remove the key',
      })
    }
  }
  const runDir = settings.need(runtimeKeys.runDir)
  if (byteLength(runDir) > RUN_DIR_BYTES_MAX) {
    problems.error(settings.placeOf(runtimeKeys.runDir), runtimeKeys.runDir.name, {
      value: runDir,
      rule: `the path has ${byteLength(runDir)} bytes; Unix sockets in it allow ${RUN_DIR_BYTES_MAX} at most`,
      remedy: 'choose a shorter path, e.g. /run/pg-metako',
    })
  }
}

function checkDatabaseHost(settings: Settings, problems: Problems): void {
  if (settings.get(postgresKeys.dataDir) === undefined) return
  const host = settings.need(clusterKeys.dbHost)
  const own = [settings.get(clusterKeys.advertiseHost), settings.need(clusterKeys.apiHost)]
  if (host.startsWith('/') || isLoopback(host) || own.includes(host)) return
  problems.warning(settings.placeOf(clusterKeys.dbHost), clusterKeys.dbHost.name, {
    value: host,
    rule: 'postgresql.data_dir makes PostgreSQL run on this very node, and this address does not look like it',
    remedy: 'write localhost; or remove postgresql.data_dir if PostgreSQL is run by somebody else',
  })
}

const SECRET_LENGTH_WANTED = 16
/** Passwords that stand in examples everywhere. */
const WELL_KNOWN = new Set([
  'password',
  'secure_password',
  'postgres',
  'secret',
  'changeme',
  'change-me',
  'admin',
  'postgres_password_change_me',
  'admin_password_change_me',
  'replicator_password',
  'replicator_password_change_me',
])

function checkSecrets(settings: Settings, problems: Problems): void {
  for (const key of [clusterKeys.dbPassword, postgresKeys.replicationPassword]) {
    if (!WELL_KNOWN.has(settings.get(key) ?? '')) continue
    problems.warning(settings.placeOf(key), key.name, {
      rule: 'is a password that stands in examples; everybody knows it',
      remedy: 'choose one of your own (openssl rand -base64 24) before the first start',
    })
  }
  for (const key of [clusterKeys.clusterSecret, clusterKeys.apiToken]) {
    const secret = settings.get(key)
    if (secret === undefined) continue
    if (secret === '') {
      problems.error(settings.placeOf(key), key.name, {
        rule: 'is empty: everybody could pass for a node',
        remedy: 'write a random text (openssl rand -base64 24), or remove the key',
      })
    } else if (secret.length < SECRET_LENGTH_WANTED) {
      problems.warning(settings.placeOf(key), key.name, {
        rule: `has fewer than ${SECRET_LENGTH_WANTED} characters and can be guessed`,
        remedy: 'write a longer random text, e.g. from openssl rand -base64 24',
      })
    }
  }
  if (settings.get(clusterKeys.clusterSecret) !== undefined) return
  const key = clusterKeys.clusterSecret
  if (settings.get(clusterKeys.dbPassword) === '') {
    problems.error(settings.placeOf(clusterKeys.dbPassword), key.name, {
      rule: 'is missing, and without a database password it cannot be derived: the agents could not authenticate each other',
      remedy: 'add "cluster_secret: …" or "cluster_secret_file: PATH" under security:, the same on all nodes',
    })
    return
  }
  problems.warning(settings.place, key.name, {
    code: 'CLUSTER_SECRET_DERIVED',
    rule: 'is not set: it is derived from local_db.password, so whoever knows that password can pass for a node',
    remedy: 'add "cluster_secret_file: PATH" under security:, the same secret on all nodes',
  })
}

function checkBootstrap(settings: Settings, problems: Problems): void {
  const superuser = settings.need(clusterKeys.dbUsername)
  const replicator = settings.need(postgresKeys.replicationUsername)
  if (superuser === replicator) {
    problems.error(
      settings.placeOf(postgresKeys.replicationUsername),
      postgresKeys.replicationUsername.name,
      {
        value: replicator,
        rule: 'is the superuser of local_db.username; standbys stream with a role that can do nothing else',
        remedy: 'choose another name, e.g. replicator',
      },
    )
  }
  const roles = new Map([
    [superuser, 'local_db.username'],
    [replicator, 'replication.username'],
  ])
  for (const user of settings.records(usersKey)) {
    const name = user.get(userFields.name)
    const taken = roles.get(name ?? '')
    if (name !== undefined && taken !== undefined) {
      problems.error(user.placeOf(userFields.name), user.prefix + userFields.name.name, {
        value: name,
        rule: `this role is created already, for ${taken}`,
        remedy: 'remove this entry, or choose another name',
      })
    }
    if (name !== undefined) roles.set(name, user.prefix.slice(0, -1))
  }
  const databases = new Set(['postgres', 'template0', 'template1'])
  for (const database of settings.records(databasesKey)) {
    const name = database.get(databaseFields.name)
    if (name !== undefined && databases.has(name)) {
      problems.error(database.placeOf(databaseFields.name), database.prefix + databaseFields.name.name, {
        value: name,
        rule: 'this database exists already, or is listed twice',
        remedy: 'remove this entry, or choose another name',
      })
    }
    if (name !== undefined) databases.add(name)
    const owner = database.get(databaseFields.owner)
    if (owner === undefined || roles.has(owner)) continue
    problems.error(database.placeOf(databaseFields.owner), database.prefix + databaseFields.owner.name, {
      value: owner,
      rule: `nobody creates the role "${owner}"`,
      remedy: 'add it under bootstrap.users, or name one of those roles',
    })
  }
}
