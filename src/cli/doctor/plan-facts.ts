import type { NodeFacts } from '#client'
import type { LoadedConfig } from '../../config/load-config.ts'
import type { NodeConfig } from '../../config/node-config.ts'
import { nodeMode } from '../../config/node-mode.ts'
import type { ConfigProblem, PlanFacts } from '../../doctor/checks/plan.ts'
import { certificatesOf } from '../../doctor/host/certificates-of.ts'
import { hostFacts } from '../../doctor/host/host-facts.ts'
import { fs, join } from '../../platform/disk.ts'
import { connectWithin } from '../../platform/net.ts'
import { packageVersion } from '../../platform/package-version.ts'
import { runProgram, runtimeVersion } from '../../platform/process.ts'
import { codeOf, messageOf } from '../../std/fault.ts'

const CONNECT_MS = 1000
const PROGRAM_MS = 5000

type Ok = Extract<LoadedConfig, { kind: 'ok' }>

/** What can be seen of a node from its configuration and its host, while its agent does not run. */
export async function planFacts({ config, warnings }: Ok): Promise<PlanFacts> {
  const [taken, peers, dataDir, programs] = await Promise.all([
    Promise.all(
      portsOf(config).map(async (one) => ({ ...one, isTaken: await isThere('127.0.0.1', one.port) })),
    ),
    Promise.all(
      config.members.map(async ({ nodeName, apiHost, apiPort }) => ({
        name: nodeName,
        api: `${apiHost}:${apiPort}`,
        isThere: await isThere(apiHost, apiPort),
      })),
    ),
    config.postgresql.dataDir === undefined ? undefined : lookInto(config.postgresql.dataDir),
    config.postgresql.binDir === undefined ? undefined : askPrograms(config.postgresql.binDir),
  ])
  return {
    ports: taken,
    peers,
    problems: [...problemsOf(warnings), ...notHonoured(config)],
    ...(dataDir ? { dataDir } : {}),
    ...(programs ? { programs } : {}),
  }
}

/** The part of a node's facts that needs no agent. */
export async function hostOfPlan(config: NodeConfig, takenAt: string): Promise<NodeFacts> {
  return {
    node: config.identity.nodeName,
    takenAt,
    software: { agent: packageVersion(), runtime: runtimeVersion },
    host: await hostFacts({
      stateDir: config.paths.stateDir,
      dataDir: config.postgresql.dataDir,
      processes: [],
      certificates: certificatesOf(config),
    }),
    setup: {
      members: config.members.length + 1,
      useSlots: config.replication.useSlots,
      mode: nodeMode(config),
      isApiTls: config.security.tlsEnabled,
      isSecretDerived: config.security.clusterSecret === undefined,
      clientConnectionsMax: config.router.enabled ? config.router.maxClientConnections : 0,
    },
    peers: [],
  }
}

export function problemsOf(problems: Ok['warnings']): readonly ConfigProblem[] {
  return problems.map(({ severity, file, line, key, rule, remedy }) => ({
    severity,
    place: line > 0 ? `${file} line ${line}` : file,
    what: key === '' ? rule : `${key}: ${rule}`,
    remedy,
  }))
}

function notHonoured({ pool }: NodeConfig): readonly ConfigProblem[] {
  return (pool.pgbouncer?.notHonoured ?? []).map(({ setting, value, reason, place }) => ({
    severity: 'warning',
    place,
    what: `${setting} = ${value} does nothing: ${reason}`,
    remedy: 'See docs/reference/config.md for what takes its place, or leave it out',
  }))
}

function portsOf(config: NodeConfig) {
  const { identity, router, localDb } = config
  return [
    { of: 'the API', port: identity.apiPort },
    ...(router.enabled
      ? [
          { of: 'the router to the primary', port: router.primaryPort },
          { of: 'the router to the replicas', port: router.replicaPort },
          { of: 'the pooled port', port: router.pooledPort },
        ]
      : []),
    ...(nodeMode(config) === 'witness' ? [] : [{ of: 'PostgreSQL', port: localDb.port }]),
  ]
}

async function isThere(host: string, port: number): Promise<boolean> {
  try {
    ;(await connectWithin({ host, port }, CONNECT_MS)).destroy()
    return true
  } catch {
    return false
  }
}

async function lookInto(folder: string): Promise<NonNullable<PlanFacts['dataDir']>> {
  try {
    const names = await fs.readdir(folder)
    if (names.includes('PG_VERSION')) return { folder, holds: 'an instance' }
    return { folder, holds: names.length === 0 ? 'nothing' : 'other files' }
  } catch (error) {
    return { folder, holds: codeOf(error) === 'ENOENT' ? 'nothing' : 'what may not be seen' }
  }
}

async function askPrograms(folder: string): Promise<NonNullable<PlanFacts['programs']>> {
  try {
    const version = await runProgram(join(folder, 'postgres'), ['--version'], PROGRAM_MS)
    return { folder, version: version.trim() }
  } catch (error) {
    return { folder, trouble: messageOf(error) }
  }
}
