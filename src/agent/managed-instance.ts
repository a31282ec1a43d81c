import { Fault } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import type { NodeConfig } from '../config/node-config.ts'
import type { CommitTry, LocalInstance } from '../ha/ports.ts'
import { LOSS_XIDS_MAX, type LossReport } from '../model/cluster-view.ts'
import { formatLsn } from '../model/lsn.ts'
import { dirname, join, mkdirSync, realpathSync } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import { findDatabaseUser } from '../platform/os-user.ts'
import { findBinaries } from '../postgres/binaries.ts'
import { readControlFile } from '../postgres/control-file.ts'
import { listReplaced } from '../postgres/data-directory.ts'
import { createInstance, type Instance } from '../postgres/instance.ts'
import { readFollowed } from '../postgres/instance-files.ts'
import type { StartOutcome } from '../postgres/instance-outcome.ts'
import { endOfWal } from '../postgres/end-of-wal.ts'
import { keepDivergedWal } from '../postgres/lost-transactions.ts'
import { readTimelineHistory } from '../postgres/timeline-history.ts'
import type { CountedInstance } from './activity-watch.ts'
import type { Secrets } from './secrets.ts'
import type { StateFolder } from './state-folder.ts'

const CHECKPOINT_MS = 30 * SECOND
const SQL_MS = 3 * SECOND
const PROMOTE_MS = 30 * SECOND
/** The agent's own connections need a database that is always there. */
const OWN_DATABASE = 'postgres'

/** The node's own PostgreSQL as the HA core wants it: outcomes that mean failure become faults here. */
export async function createManagedInstance(
  config: NodeConfig,
  deps: { log: Logger; secrets: Secrets; state: StateFolder },
): Promise<CountedInstance> {
  const { log, secrets, state } = deps
  const dataDir = await placeOf(config)
  const osUser = findDatabaseUser({ dataDir, configured: config.postgresql.osUser })
  const binaries = await findBinaries({ configured: config.postgresql.binDir, dataDir, osUser })
  log.info('PostgreSQL found', {
    version: binaries.version,
    folder: binaries.folder,
    origin: binaries.origin,
    passedOver: binaries.passedOver,
    runsAs: osUser?.name ?? 'this user',
  })
  const instance = createInstance(
    { log },
    {
      dataDir,
      runDir: join(config.paths.runDir, 'postgres'),
      binaries,
      port: config.localDb.port,
      listenAddresses: config.postgresql.listenAddresses,
      osUser,
      superuser: { name: config.localDb.username, password: config.localDb.password },
      database: OWN_DATABASE,
      replication: { name: config.replication.username, password: secrets.replicationPassword },
      useSlots: config.replication.useSlots,
      clusterName: config.scope,
      memberName: config.identity.nodeName,
      parameters: config.postgresql.parameters,
      pgHba: config.postgresql.pgHba,
      startTimeoutMs: config.postgresql.startTimeoutMs,
      stopTimeoutMs: config.postgresql.stopTimeoutMs,
    },
  )
  for (const { name, reason } of instance.refusedParameters) {
    log.warn('Parameter is not passed on', { parameter: name, reason })
  }
  instance.settings.useParameters(state.parameters())
  const following = await readFollowed(dataDir).catch(() => undefined)
  return new ManagedInstance({ instance, config, log, dataDir, state }, following)
}

/** The parent must exist for the data directory to have a real path: a process is known by it. */
async function placeOf(config: NodeConfig): Promise<string> {
  const dataDir = config.postgresql.dataDir
  if (dataDir === undefined)
    throw new Fault('ATTACHED', 'Cannot manage PostgreSQL: postgresql.data_dir is not set')
  const parent = dirname(dataDir)
  mkdirSync(parent, { recursive: true })
  return join(realpathSync(parent), dataDir.slice(parent.length).replaceAll('/', ''))
}

type Upstream = { readonly host: string; readonly port: number }

class ManagedInstance implements CountedInstance {
  readonly #instance: Instance
  readonly #config: NodeConfig
  readonly #dataDir: string
  readonly #state: StateFolder
  readonly #configured: (() => void)[] = []
  #following: Upstream | undefined

  constructor(
    deps: { instance: Instance; config: NodeConfig; log: Logger; dataDir: string; state: StateFolder },
    following: Upstream | undefined,
  ) {
    this.#instance = deps.instance
    this.#config = deps.config
    this.#dataDir = deps.dataDir
    this.#state = deps.state
    this.#following = following
  }

  async inspect(): ReturnType<LocalInstance['inspect']> {
    const found = await this.#instance.inspect()
    if (found.kind === 'absent' || found.kind === 'empty') return { directory: 'absent' }
    if (found.kind !== 'instance') return { directory: found.kind }
    const { systemId, timeline, incarnation } = found
    const rewindObstacle = await this.#instance.rewindObstacle()
    return {
      directory: 'instance',
      systemId,
      timeline,
      ...(rewindObstacle === undefined ? {} : { rewindObstacle }),
      ...(incarnation === undefined ? {} : { incarnation }),
    }
  }

  facts(): ReturnType<LocalInstance['facts']> {
    return this.#instance.facts()
  }

  async initialise(before: (incarnation: string) => Promise<void>): Promise<void> {
    const { users, databases, initdb } = this.#config.bootstrap
    const { database, username } = this.#config.localDb
    const isKnown = database === OWN_DATABASE || databases.some(({ name }) => name === database)
    const all = isKnown ? databases : [...databases, { name: database, owner: username }]
    await this.#instance.initialise({ users, databases: all, initdbArgs: initdb }, before)
  }

  async start(as: 'primary' | 'standby', follow?: Upstream): Promise<void> {
    const outcome = await this.#instance.start({ as, ...(follow ? { follow } : {}) })
    this.#following = as === 'standby' ? follow : undefined
    throwUnlessStarted(outcome)
  }

  async promote(timeline: number): Promise<void> {
    const outcome = await this.#instance.promote({ timeline, deadlineMs: PROMOTE_MS })
    if (outcome.kind === 'failed') {
      throw new Fault('PG_PROMOTE_FAILED', `Cannot promote: ${outcome.message}`, {
        details: { reason: outcome.reason },
      })
    }
    this.#following = undefined
    if (outcome.timeline !== timeline) {
      throw new Fault(
        'TIMELINE_REUSED',
        `Cannot go on with the promotion: PostgreSQL chose timeline ${outcome.timeline}, this epoch was given ${timeline}`,
      )
    }
  }

  async timelineOrigin(): ReturnType<LocalInstance['timelineOrigin']> {
    const { timeline } = await readControlFile(this.#dataDir)
    const history = (await readTimelineHistory(this.#dataDir, timeline)) ?? []
    const forks = history.map((link) => ({ timeline: link.timeline, endLsn: formatLsn(link.endLsn) }))
    return { timeline, forks }
  }

  setSynchronousNames(names: string): Promise<void> {
    return this.#instance.settings.setSynchronousNames(names, SQL_MS)
  }

  async restartWalSenders(pids: readonly number[]): Promise<void> {
    await this.#instance.restartWalSenders(pids, SQL_MS)
  }

  async stopReceiving(): Promise<{ timeline: number; flushLsn: string }> {
    this.#following = undefined
    return this.#instance.settings.stopReceiving(SQL_MS)
  }

  async probeWrite(until: 'flushed' | 'acknowledged'): Promise<void> {
    const outcome = await this.#instance.probeWrite(until, SQL_MS)
    if (outcome.kind === 'failed') {
      throw new Fault('PG_PROBE_FAILED', `Cannot write to PostgreSQL: ${outcome.message}`, {
        retryable: true,
      })
    }
  }

  tryCommit(how: { anew: boolean }): Promise<CommitTry> {
    return this.#instance.tryCommit(how)
  }

  syncDisk(): Promise<void> {
    return this.#instance.walDisk.sync()
  }

  roomBytes(): Promise<number> {
    return this.#instance.walDisk.roomBytes()
  }

  async follow(upstream: Upstream): Promise<void> {
    await this.#instance.settings.follow({ host: upstream.host, port: upstream.port })
    this.#following = { host: upstream.host, port: upstream.port }
  }

  following(): Upstream | undefined {
    return this.#following
  }

  checkpoint(): Promise<void> {
    return this.#instance.checkpoint(CHECKPOINT_MS)
  }

  activity(): ReturnType<CountedInstance['activity']> {
    return this.#instance.activity.ask(SQL_MS)
  }

  report(): ReturnType<CountedInstance['report']> {
    return this.#instance.activity.report(SQL_MS)
  }

  clients(): ReturnType<LocalInstance['clients']> {
    return this.#instance.clients(SQL_MS)
  }

  async stop(deadlineMs: number): Promise<'clean' | 'unclean'> {
    const outcome = await this.#instance.stop({ mode: 'fast', deadlineMs })
    if (outcome.kind === 'alive') throw notDead(outcome.pids)
    return outcome.clean ? 'clean' : 'unclean'
  }

  async kill(): Promise<void> {
    const outcome = await this.#instance.kill()
    if (outcome.kind === 'alive') throw notDead(outcome.pids)
    // They never come back to their own code, and nobody sees them end: what is given up after a kill waits for that.
    if (outcome.stuck.length > 0) throw notDead(outcome.stuck)
  }

  endOfWal(): Promise<{ timeline: number; endLsn: string }> {
    return endOfWal({ dataDir: this.#dataDir })
  }

  judgeParameters(
    parameters: Readonly<Record<string, string>>,
  ): ReturnType<LocalInstance['judgeParameters']> {
    return this.#instance.judgeParameters(parameters, SQL_MS)
  }

  async configure(parameters: Readonly<Record<string, string>>): Promise<void> {
    await this.#instance.settings.setParameters(parameters)
    for (const listener of this.#configured) listener()
  }

  onConfigured(listener: () => void): void {
    this.#configured.push(listener)
  }

  async ensureSlots(members: readonly string[]): Promise<void> {
    if (this.#config.replication.useSlots) await this.#instance.ensureSlots(members, SQL_MS)
    await this.#instance.allowRewind(SQL_MS)
  }

  async clone(...[from, onProgress]: Parameters<LocalInstance['clone']>): Promise<void> {
    const { systemId } = from
    await this.#instance.clone({ source: { host: from.host, port: from.port }, systemId, onProgress })
    this.#following = { host: from.host, port: from.port }
  }

  async rewind(...[from, onProgress]: Parameters<LocalInstance['rewind']>): Promise<void> {
    await this.#instance.rewind({ source: { host: from.host, port: from.port }, onProgress })
    this.#following = { host: from.host, port: from.port }
  }

  async keepDiverged(divergence: { timeline: number; forkLsn: string; epoch: number }): Promise<LossReport> {
    const { timeline, forkLsn, epoch } = divergence
    const foundAt = new Date().toISOString()
    const into = join(this.#state.reportsFolder, `epoch-${epoch}-timeline-${timeline}`)
    const lost = await keepDivergedWal({ dataDir: this.#dataDir, timeline, forkLsn, into })
    return {
      epoch,
      member: this.#config.identity.nodeName,
      timeline,
      forkLsn,
      endLsn: lost.endLsn,
      bytes: lost.bytes,
      ...(lost.isUnreadable ? { isUnreadable: true } : {}),
      transactions: lost.count,
      xids: lost.xids.slice(0, LOSS_XIDS_MAX),
      keptIn: into,
      foundAt,
    }
  }

  async countSetAside(): Promise<number> {
    return (await listReplaced(this.#dataDir)).length
  }

  async removeSetAside(): Promise<void> {
    await this.#instance.removeSetAside(0)
  }

  onCrash(listener: () => void): () => void {
    return this.#instance.onEvent((event) => {
      if (event.kind === 'cleared' || !event.expected) listener()
    })
  }
}

function throwUnlessStarted(outcome: StartOutcome): void {
  if (outcome.kind === 'refused') {
    throw new Fault('PG_START_REFUSED', outcome.message, { details: { reason: outcome.reason } })
  }
  if (outcome.kind === 'failed') {
    throw new Fault('PG_START_FAILED', outcome.message, { details: { log: outcome.logTail } })
  }
}

function notDead(pids: readonly number[]): Fault {
  return new Fault('PG_NOT_DEAD', `Cannot end PostgreSQL: processes ${pids.join(', ')} are left`, {
    details: { pids },
  })
}
