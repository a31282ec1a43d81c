import { SECOND } from '../std/units.ts'
import { clusterKeys, memberFields, membersKey } from './keys/cluster-keys.ts'
import { databaseFields, databasesKey, postgresKeys } from './keys/postgres-keys.ts'
import { runtimeKeys } from './keys/runtime-keys.ts'
import { clientTlsKeys } from './keys/tls-keys.ts'
import { byteLength, resolvePath, shortHash } from './path-text.ts'
import { Settings } from './settings.ts'

/** Durations that belong together; `docs/guarantees.md` says what each profile promises. */
export const PROFILES = {
  lan: { heartbeatMs: 100, leaseMs: 3 * SECOND },
  noisy: { heartbeatMs: 200, leaseMs: 9 * SECOND },
  wan: { heartbeatMs: 300, leaseMs: 10 * SECOND },
} as const

/** Bytes that a run folder's path may have, so that a socket's name still fits behind it. */
export const RUN_DIR_BYTES_MAX = 90

/** This node's own entries under `cluster_members`, if it stands there. */
export function ownEntries(settings: Settings): readonly Settings[] {
  const own = settings.get(clusterKeys.nodeName)
  return settings.records(membersKey).filter((member) => member.get(memberFields.nodeName) === own)
}

/** The other nodes. */
export function otherMembers(settings: Settings): readonly Settings[] {
  const own = ownEntries(settings)
  return settings.records(membersKey).filter((member) => !own.includes(member))
}

/** This node votes and has no database. */
export function isWitness(settings: Settings): boolean {
  return settings.get(clusterKeys.dbRole) === 'witness'
}

/** Fills in what follows from other keys. `folder`: of the config file, absolute where the caller knows it. */
export function deriveDefaults(settings: Settings, folder: string): void {
  deriveOwnAddress(settings)
  if (isWitness(settings)) settings.derive(runtimeKeys.routerEnabled, false, 'local_db.role witness')
  const nodeName = settings.get(clusterKeys.nodeName) ?? 'node'
  if (settings.get(clusterKeys.dbName) === undefined) {
    settings.derive(clusterKeys.dbName, nodeName, 'identity.node_name')
  }
  deriveTimes(settings)
  deriveCounts(settings)
  deriveFolders(settings, { folder, nodeName })
  deriveRouterCertificate(settings)
  deriveDatabases(settings)
}

/** A node's certificate is good for all who come to this node. */
function deriveRouterCertificate(settings: Settings): void {
  const { mode, certFile, keyFile } = clientTlsKeys
  const isGiven = settings.get(certFile) !== undefined || settings.get(keyFile) !== undefined
  if (settings.need(mode) === 'disable' || isGiven) return
  const own = [settings.get(clusterKeys.certFile), settings.get(clusterKeys.keyFile)] as const
  if (own[0] === undefined || own[1] === undefined) return
  settings.derive(certFile, own[0], clusterKeys.certFile.name)
  settings.derive(keyFile, own[1], clusterKeys.keyFile.name)
}

/** The database of `local_db` is created with the others; every database has an owner. */
function deriveDatabases(settings: Settings): void {
  const wanted = settings.need(clusterKeys.dbDatabase)
  const owner = settings.need(clusterKeys.dbUsername)
  const listed = settings.records(databasesKey)
  for (const database of listed) {
    if (database.get(databaseFields.owner) === undefined) {
      database.derive(databaseFields.owner, owner, 'local_db.username')
    }
  }
  const isManaged = settings.get(postgresKeys.dataDir) !== undefined
  const isThere = ['postgres', 'template1', ...listed.map((one) => one.get(databaseFields.name))].includes(
    wanted,
  )
  if (!isManaged || isThere) return
  const place = settings.placeOf(clusterKeys.dbDatabase)
  const database = new Settings(`${databasesKey.name}[${listed.length}].`, place)
  const origin = { kind: 'derived', from: 'local_db.database' } as const
  database.put(databaseFields.name, wanted, { origin, place })
  database.put(databaseFields.owner, owner, { origin: { kind: 'derived', from: 'local_db.username' }, place })
  settings.putRecords(databasesKey, [...listed, database], { origin, place })
}

/** A node that stands in `cluster_members` takes its address, port and role from there. */
function deriveOwnAddress(settings: Settings): void {
  const own = ownEntries(settings)[0]
  const listed = 'its own entry in cluster_members'
  const { apiPort, advertiseHost, dbRole } = clusterKeys
  if (settings.get(apiPort) === undefined) {
    if (own === undefined) settings.derive(apiPort, 8008, 'default')
    else settings.derive(apiPort, own.need(memberFields.apiPort), listed)
  }
  const host = own?.get(memberFields.apiHost)
  if (host !== undefined && settings.get(advertiseHost) === undefined)
    settings.derive(advertiseHost, host, listed)
  if (settings.get(dbRole) === undefined) {
    if (own === undefined) settings.derive(dbRole, 'standby', 'default')
    else {
      const origin = { kind: 'derived', from: listed } as const
      settings.put(dbRole, own.need(memberFields.role), { origin, place: own.placeOf(memberFields.role) })
    }
  }
}

function deriveTimes(settings: Settings): void {
  const name = settings.need(runtimeKeys.profile)
  const profile = PROFILES[name]
  const from = `ha.profile ${name}`
  if (settings.get(runtimeKeys.leaseTtl) === undefined)
    settings.derive(runtimeKeys.leaseTtl, profile.leaseMs, from)
  if (settings.get(clusterKeys.heartbeat) === undefined) {
    settings.derive(clusterKeys.heartbeat, profile.heartbeatMs, from)
  }
  if (settings.get(clusterKeys.communicationTimeout) === undefined) {
    settings.derive(clusterKeys.communicationTimeout, Math.floor(profile.leaseMs / 3), from)
  }
  if (settings.get(clusterKeys.healthTimeout) === undefined) {
    const interval = settings.need(clusterKeys.healthInterval)
    settings.derive(clusterKeys.healthTimeout, Math.min(2 * SECOND, interval), 'default')
  }
}

function deriveCounts(settings: Settings): void {
  const nodes = otherMembers(settings).length + 1
  if (settings.get(postgresKeys.replicationMode) === undefined) {
    // With one standby its death would stop all commits, or leave them on one disk: that is for the operator to choose.
    settings.derive(
      postgresKeys.replicationMode,
      nodes >= 3 ? 'quorum' : 'async',
      `${nodes} ${nodes === 1 ? 'member' : 'members'}`,
    )
  }
  if (settings.get(clusterKeys.minConsensus) === undefined) {
    settings.derive(clusterKeys.minConsensus, majorityOf(nodes), `majority of ${nodes}`)
  }
  if (settings.get(clusterKeys.pairEnable) === undefined) {
    settings.derive(clusterKeys.pairEnable, nodes === 2, `${nodes} ${nodes === 1 ? 'node' : 'nodes'}`)
  }
}

/** The smallest number of nodes of which there cannot be two separate groups. */
export function majorityOf(nodes: number): number {
  return Math.floor(nodes / 2) + 1
}

function deriveFolders(settings: Settings, at: { folder: string; nodeName: string }): void {
  const dataDir = settings.get(postgresKeys.dataDir)
  if (settings.get(runtimeKeys.stateDir) === undefined) {
    if (dataDir !== undefined)
      settings.derive(runtimeKeys.stateDir, `${dataDir}.metako`, 'postgresql.data_dir')
    else {
      const beside = resolvePath(at.folder, `${at.nodeName}.metako`)
      settings.derive(runtimeKeys.stateDir, beside, 'the folder of the config file')
    }
  }
  if (settings.get(runtimeKeys.runDir) !== undefined) return
  const stateDir = settings.need(runtimeKeys.stateDir)
  const beside = `${stateDir}/run`
  if (byteLength(beside) <= RUN_DIR_BYTES_MAX) settings.derive(runtimeKeys.runDir, beside, 'paths.state_dir')
  else
    settings.derive(
      runtimeKeys.runDir,
      `/tmp/pg-metako-${shortHash(stateDir)}`,
      'paths.state_dir, which is too long for a socket',
    )
}
