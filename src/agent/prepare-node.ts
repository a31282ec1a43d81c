import { Fault, messageOf } from '../std/fault.ts'
import { showOrigin } from '../config/describe-config.ts'
import { formatProblems } from '../config/format-problems.ts'
import { loadConfig, type LoadedConfig } from '../config/load-config.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { nodeMode } from '../config/node-mode.ts'
import type { ReloadOutcome } from '../api/ports.ts'
import { MEMBERSHIP_NOTES_FILE } from '../model/membership.ts'
import { chmodSync, existsSync, join, mkdirSync, namesInFolder, readFileSync } from '../platform/disk.ts'
import { createLogger, type KeptLogger, type Logger } from '../platform/log.ts'
import { packageVersion } from '../platform/package-version.ts'
import { environment, pid, workingDirectory } from '../platform/process.ts'
import { RouterTls } from '../proxy/tls/router-tls.ts'
import type { CountedInstance } from './activity-watch.ts'
import { compareConfigs } from './compare-configs.ts'
import { createManagedInstance } from './managed-instance.ts'
import { Node, type NodeTls } from './node.ts'
import { etcdPorts } from './etcd/etcd-ports.ts'
import { findOwnAddress } from './own-address.ts'
import { deriveSecrets, type Secrets } from './secrets.ts'
import { StateFolder } from './state-folder.ts'
import { createAttachedInstance, createWitnessInstance } from './unmanaged-instance.ts'

export type PreparedNode =
  | { readonly kind: 'ready'; readonly node: Node; readonly log: Logger; reload(): Promise<ReloadOutcome> }
  | { readonly kind: 'refused'; readonly message: string; readonly exitCode: number }

/** Reads the configuration, finds everything that the node needs on this host, and builds it. Starts nothing yet. */
export async function prepareNode(configPath: string): Promise<PreparedNode> {
  const loaded = readConfig(configPath)
  if (loaded.kind === 'refused') {
    return { kind: 'refused', message: formatProblems(loaded.problems, loaded.sources), exitCode: 2 }
  }
  const { config } = loaded
  const refusal = refuseTopology(config)
  if (refusal !== undefined) return { kind: 'refused', message: refusal, exitCode: 2 }
  const log = createLogger({
    level: config.logging.level,
    ...(config.logging.file === undefined ? {} : { destination: config.logging.file }),
  })
  try {
    return await buildNode(configPath, loaded, log)
  } catch (error) {
    log.error('Cannot start this node', { error })
    const code = error instanceof Fault ? ` [${error.code}]` : ''
    return { kind: 'refused', message: `pg-metako: ${messageOf(error)}${code}`, exitCode: 1 }
  }
}

type Ok = Extract<LoadedConfig, { kind: 'ok' }>

async function buildNode(configPath: string, loaded: Ok, log: KeptLogger): Promise<PreparedNode> {
  const { config } = loaded
  // Order: before anything is started or written; the router itself would fail again and again.
  checkRouterTls(config)
  const secrets = deriveSecrets(config)
  announce(configPath, loaded, { log, secrets })
  const state = await StateFolder.open(config.paths.stateDir)
  mkdirSync(config.paths.runDir, { recursive: true, mode: 0o711 })
  chmodSync(config.paths.runDir, 0o711)
  // PostgreSQL's socket lies below: when the agent is root, the database user has to get through. What is secret in the state
  // folder has modes of its own.
  if (config.paths.runDir.startsWith(`${state.path}/`)) chmodSync(state.path, 0o711)
  const etcd = etcdPorts(config, { log, notes: state })
  const address = await findOwnAddress(config)
  log.info('Own address', { host: address.host, from: address.from })
  const instance = await createInstance(config, { log, secrets, state })
  let applied = loaded
  const reload = async (): Promise<ReloadOutcome> => {
    const next = readConfig(configPath)
    const refuse = (message: string): ReloadOutcome => {
      log.error('The new configuration is refused, the old one stays in force', { problems: message })
      return { kind: 'refused', message }
    }
    if (next.kind === 'refused') return refuse(formatProblems(next.problems, next.sources))
    const trouble = tlsTrouble(next)
    if (trouble !== undefined) return refuse(trouble)
    const isRegistered = existsSync(join(state.path, MEMBERSHIP_NOTES_FILE))
    const difference = compareConfigs(applied.effective, next.effective, { isRegistered })
    const { live, needsRouterRestart, needsRestart, ignored } = difference
    if (live.includes('logging.level')) log.setLevel(next.config.logging.level)
    if (ignored.length > 0) {
      log.warn(
        'cluster_members is for the first start alone, the registry of the cluster counts: change it with "pg-metako member"',
        { ignored },
      )
    }
    const outcome = { changed: live, needsRouterRestart, needsRestart }
    applied = next
    node.applyReload(next.config)
    log.info('Configuration read again', outcome)
    return { kind: 'applied', ...outcome }
  }
  const node = new Node({
    settings: () =>
      applied.effective.map(({ key, shown, origin }) => ({
        key,
        ...(shown === undefined ? {} : { value: shown }),
        from: showOrigin(origin),
      })),
    config,
    log,
    state,
    secrets,
    token: config.security.apiToken ?? (await state.token()),
    ownHost: address.host,
    isOwnHostGuessed: address.from === 'hostname',
    version: packageVersion(),
    instance,
    tls: tlsFiles(config),
    ...(etcd ? { etcd } : {}),
    reload,
  })
  await state.writePid(pid)
  return { kind: 'ready', node, log, reload }
}

function readConfig(path: string): LoadedConfig {
  return loadConfig({
    path,
    readText: (file) => {
      try {
        return readFileSync(file, 'utf8')
      } catch {
        return undefined
      }
    },
    env: environment(),
    listFolder: namesInFolder,
    fileExists: existsSync,
    cwd: workingDirectory(),
  })
}

/**
 * Two voters are no quorum: beginning with them would stop writes with either node. A cluster that grows or shrinks passes
 * through two, and then its registry counts.
 */
function refuseTopology(config: NodeConfig): string | undefined {
  const isBegun = existsSync(join(config.paths.stateDir, MEMBERSHIP_NOTES_FILE))
  if (nodeMode(config) === 'attached' || config.members.length !== 1 || isBegun) return undefined
  return [
    'pg-metako: cannot run a cluster of two nodes: with two voters the loss of either one would stop all writes.',
    'Add a witness on a third host (role: witness, see docs/journeys/two-databases-and-a-witness.md) or a third database to cluster_members; or begin with a single node and let others join it.',
  ].join('\n')
}

function announce(configPath: string, loaded: Ok, deps: { log: Logger; secrets: Secrets }): void {
  const { log, secrets } = deps
  const { config, warnings } = loaded
  log.info(`Loading configuration from ${configPath}`)
  for (const warning of warnings) {
    log.warn('Configuration', {
      key: warning.key,
      rule: warning.rule,
      remedy: warning.remedy,
      place: `${warning.file}:${warning.line}`,
    })
  }
  for (const { setting, value, reason, place } of config.pool.pgbouncer?.notHonoured ?? []) {
    log.warn('Not honoured', { setting, value, reason, place })
  }
  if (secrets.isDerived) {
    log.warn(
      'The cluster secret is derived from the database password: set security.cluster_secret_file instead',
    )
  }
  if (config.etcd) return log.info('The members are in etcd', { endpoints: config.etcd.endpoints })
  const members = [config.identity.nodeName, ...config.members.map(({ nodeName }) => nodeName)]
  log.info(`Configuration loaded successfully with ${members.length} nodes`)
  log.info(`Added node ${config.identity.nodeName} (${config.localDb.roleHint}) to cluster`)
  for (const peer of config.members) log.info(`Added node ${peer.nodeName} (${peer.roleHint}) to cluster`)
}

async function createInstance(
  config: NodeConfig,
  deps: { log: Logger; secrets: Secrets; state: StateFolder },
): Promise<CountedInstance> {
  const mode = nodeMode(config)
  if (mode === 'managed') return createManagedInstance(config, deps)
  if (mode === 'witness') return createWitnessInstance()
  deps.log.warn(
    'Attached: postgresql.data_dir is not set, so this agent watches PostgreSQL and does not act',
    {
      host: config.localDb.host,
      port: config.localDb.port,
    },
  )
  const { host, port, username, password, database } = config.localDb
  return createAttachedInstance({ host, port, user: username, password, database })
}

/** Throws `TLS_FILE_UNUSABLE`. */
function checkRouterTls({ router }: NodeConfig): void {
  if (router.enabled) new RouterTls(router.tls, (path) => readFileSync(path, 'utf8'))
}

function tlsTrouble({ config }: Ok): string | undefined {
  try {
    checkRouterTls(config)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function tlsFiles({ security, ctl }: NodeConfig): NodeTls | undefined {
  const { tlsEnabled, certFile, keyFile, caFile, verifyClient } = security
  if (!tlsEnabled || certFile === undefined || keyFile === undefined) return undefined
  const read = (path: string) => readFileSync(path, 'utf8')
  return {
    cert: read(certFile),
    key: read(keyFile),
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
    ...(verifyClient === 'none' ? {} : { clients: verifyClient }),
    shown: { cert: read(ctl.certFile ?? certFile), key: read(ctl.keyFile ?? keyFile) },
  }
}
