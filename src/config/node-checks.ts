import { isLoopback, isWildcard } from './cluster-checks.ts'
import { isWitness, RUN_DIR_BYTES_MAX } from './derive-defaults.ts'
import type { Key } from './key.ts'
import { accessKeys } from './keys/access-keys.ts'
import { clusterKeys } from './keys/cluster-keys.ts'
import { poolKeys } from './keys/pool-keys.ts'
import { postgresKeys, postgresLists } from './keys/postgres-keys.ts'
import { runtimeKeys } from './keys/runtime-keys.ts'
import { byteLength } from './path-text.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'

/** What must fit together on one node: ports, files, folders, addresses. */
export function checkNode(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  checkPorts(settings, problems)
  checkTls(settings, problems, fileExists)
  checkPrograms(settings, problems, fileExists)
  checkFolders(settings, problems)
  checkDatabaseHost(settings, problems)
}

type Listener = { readonly key: Key<number>; readonly what: string; readonly hosts: readonly string[] }

function checkPorts(settings: Settings, problems: Problems): void {
  const listeners = listenersOf(settings)
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(index + 1)) {
      const port = settings.get(one.key)
      if (settings.isWrong(one.key) || settings.isWrong(other.key)) continue
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
  const hasDatabase = !isWitness(settings)
  if (hasDatabase && (managed || dbHost.startsWith('/') || isLoopback(dbHost))) {
    const hosts = managed ? settings.list(postgresLists.listenAddresses) : ['*']
    listeners.push({ key: clusterKeys.dbPort, what: 'PostgreSQL', hosts })
  }
  if (!settings.need(runtimeKeys.routerEnabled)) return listeners
  const hosts = [settings.need(runtimeKeys.routerHost)]
  return [
    ...listeners,
    { key: runtimeKeys.primaryPort, what: "the router's port for the primary", hosts },
    { key: runtimeKeys.replicaPort, what: "the router's port for replicas", hosts },
    {
      key: runtimeKeys.pooledPort,
      what: "the router's pooled port",
      hosts: [settings.get(poolKeys.listenAddr) ?? settings.need(runtimeKeys.routerHost)],
    },
  ]
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  const everywhere = (host: string): boolean => host === '*' || isWildcard(host)
  if (a.some(everywhere) || b.some(everywhere)) return true
  const plain = (host: string): string => (host === 'localhost' ? '127.0.0.1' : host)
  return a.some((host) => b.map(plain).includes(plain(host)))
}

function checkTls(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  checkClientCertificates(settings, problems)
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
  const { certFile, keyFile, caFile } = clusterKeys
  const { ctlCaFile, ctlCertFile, ctlKeyFile } = accessKeys
  for (const key of [certFile, keyFile, caFile, ctlCaFile, ctlCertFile, ctlKeyFile]) {
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

/** A certificate of clients is worth what it is judged by, and is shown by TLS alone. */
function checkClientCertificates(settings: Settings, problems: Problems): void {
  const { verifyClient, ctlCertFile, ctlKeyFile } = accessKeys
  const mode = settings.need(verifyClient)
  const missing = [
    ...(settings.need(clusterKeys.tlsEnabled) ? [] : ['security.tls_enabled']),
    ...(settings.get(clusterKeys.caFile) === undefined ? ['security.ca_file'] : []),
  ]
  if (mode !== 'none' && missing.length > 0) {
    problems.error(settings.placeOf(verifyClient), verifyClient.name, {
      value: mode,
      rule: `certificates of clients need ${missing.join(' and ')}`,
      remedy: 'name the certificates of this node and of those who sign, or write "none"',
    })
  }
  if ((settings.get(ctlCertFile) === undefined) === (settings.get(ctlKeyFile) === undefined)) return
  problems.error(settings.placeOf(settings.isGiven(ctlCertFile) ? ctlCertFile : ctlKeyFile), 'ctl', {
    rule: 'a certificate is of no use without its key, nor a key without its certificate',
    remedy: 'write both, or none',
  })
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
  if (isWitness(settings)) return
  if (settings.get(postgresKeys.dataDir) === undefined) {
    if (settings.isWrong(postgresKeys.dataDir)) return
    problems.warning(settings.placeOf(clusterKeys.dbHost), postgresKeys.dataDir.name, {
      code: 'ATTACHED',
      rule: 'is not set, so PostgreSQL is run by somebody else: for now pg-metako only watches it and reports, it never promotes or stops it',
      remedy: 'add "data_dir: PATH" under postgresql: to have pg-metako run PostgreSQL and fail over',
    })
    return
  }
  const host = settings.need(clusterKeys.dbHost)
  const own = [settings.get(clusterKeys.advertiseHost), settings.need(clusterKeys.apiHost)]
  if (host.startsWith('/') || isLoopback(host) || own.includes(host)) return
  problems.warning(settings.placeOf(clusterKeys.dbHost), clusterKeys.dbHost.name, {
    value: host,
    rule: 'postgresql.data_dir makes PostgreSQL run on this very node, and this address does not look like it',
    remedy: 'write localhost; or remove postgresql.data_dir if PostgreSQL is run by somebody else',
  })
}
