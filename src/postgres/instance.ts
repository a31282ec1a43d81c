/**
 * This room is for one local PostgreSQL: found, founded, cloned, started, asked, promoted, stopped and killed. It never decides: what
 * it is told it does once, within a deadline, and says how it ended. It keeps these promises: nothing that is not ours is touched, nothing
 * is deleted without being asked by name, no half-made directory is started, and an instance counts as dead only when no
 * process of it is left.
 */
import { monotonicMs } from '../platform/clock.ts'
import { fs, join, realpathSync } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import { signalProcess } from '../platform/process.ts'
import { every } from '../platform/timers.ts'
import type { InstanceFacts, Role } from '../model/member.ts'
import { Fault, messageOf } from '../std/fault.ts'
import { MiB, MINUTE, SECOND } from '../std/units.ts'
import { ActivityReader } from './activity.ts'
import type { CloneResult } from './clone.ts'
import { CommitProbe, type CommitTryOutcome } from './commit-probe.ts'
import { readControlFile } from './control-file.ts'
import {
  inspectDataDirectory,
  makeOwnedFolder,
  putStandbySignal,
  removeStandbySignal,
  writeIncarnation,
  type DataDirectory,
} from './data-directory.ts'
import { LiveFactsReader, RestingFactsReader } from './facts.ts'
import { initialiseInstance, type BootstrapContent } from './initialise.ts'
import { InstanceCopies, type CopyRequest } from './instance-copies.ts'
import { InstanceSettings } from './instance-settings.ts'
import { filesOf, logFileOf, logTail, rotateLog, trimLog } from './instance-files.ts'
import type {
  InstanceEvent,
  InstanceOptions,
  ProbeOutcome,
  StartOutcome,
  StopOutcome,
} from './instance-outcome.ts'
import { PROBE_PREFIX } from './lost-transactions.ts'
import {
  refusedParameters,
  usableSocketDir,
  type RefusedParameter,
  type ReplicationSource,
} from './parameters.ts'
import { PostmasterKeeper } from './postmaster-keeper.ts'
import {
  clearStaleLocks,
  readPidFile,
  spawnPostmaster,
  waitUntilGone,
  waitUntilReady,
  type Postmaster,
} from './postmaster.ts'
import { instanceProcesses, killInstance, type KillOutcome } from './process-tree.ts'
import { promoteInstance, type PromotionOutcome } from './promotion.ts'
import type { RewindResult } from './rewind.ts'
import { allowRewind } from './rewind-access.ts'
import { forgetReservedTimelines } from './timeline-history.ts'
import { limitsOf } from './replica-limits.ts'
import { judgeParameters } from './judge-parameters.ts'
import { ensureSlots } from './slots.ts'
import { SqlSession, type SqlTarget, type Statement } from './sql-session.ts'
import { endWaitingCommits } from './synchronous-commit.ts'
import { WalDisk } from './wal-disk.ts'
import { removeSetAside } from './tablespaces.ts'

type Phase = 'idle' | 'initialising' | 'cloning' | 'rewinding' | 'starting' | 'stopping'

const FACTS_DEADLINE_MS = 1000
const KILL_DEADLINE_MS = 5 * SECOND
const LOG_AT_START_MAX_BYTES = 4 * MiB
const LOG_RUNNING_MAX_BYTES = 64 * MiB
const LOG_LINES_TOLD = 8

/** One that has not said yet what it does is starting. With `track_activities` off nobody can tell who is busy. */
const CLIENTS: Statement = {
  name: 'metako_clients',
  text: `
select count(*)::int as connected,
  count(*) filter (where coalesce(state, 'starting') not in ('idle', 'disabled'))::int as busy
from pg_stat_activity where backend_type = 'client backend' and application_name not like 'pg-metako%'`,
}

export function createInstance(deps: { log: Logger }, options: InstanceOptions): Instance {
  return new Instance(deps, options)
}

export class Instance {
  readonly #log: Logger
  readonly #options: InstanceOptions
  /** What its files say: whom it follows, and whom its commits wait for. */
  readonly settings: InstanceSettings
  readonly #socketDir: string | undefined
  readonly #watchSession: SqlSession
  readonly #workSession: SqlSession
  readonly #live: LiveFactsReader
  readonly #resting: RestingFactsReader
  readonly #keeper: PostmasterKeeper
  readonly #copies: InstanceCopies
  readonly #commitProbe: CommitProbe
  readonly walDisk: WalDisk
  readonly activity: ActivityReader
  readonly #stopTrimming: () => void
  #phase: Phase = 'idle'
  #trouble: string | undefined

  constructor(deps: { log: Logger }, options: InstanceOptions) {
    this.#log = deps.log
    this.#options = options
    this.#socketDir = usableSocketDir(options.runDir, options.port)
    const target = () => this.#sqlTarget()
    this.#watchSession = new SqlSession({ target, name: 'pg-metako watch' })
    this.#workSession = new SqlSession({ target, name: 'pg-metako' })
    this.#live = new LiveFactsReader(this.#watchSession, options.dataDir)
    this.#resting = new RestingFactsReader({ log: deps.log }, options.dataDir)
    const onChange = () => this.#closeSessions()
    this.#keeper = new PostmasterKeeper(deps, { dataDir: options.dataDir, onChange })
    this.settings = new InstanceSettings(
      { adopt: () => this.adopt(), target, session: this.#watchSession, live: this.#live },
      { dataDir: options.dataDir, files: filesOf(options, this.#socketDir) },
    )
    this.#copies = new InstanceCopies({ ...deps, settings: this.settings }, options)
    this.#commitProbe = new CommitProbe(target)
    this.walDisk = new WalDisk(options.dataDir)
    this.activity = new ActivityReader(target)
    this.#stopTrimming = every(MINUTE, () => {
      trimLog(logFileOf(options.dataDir), LOG_RUNNING_MAX_BYTES).catch(() => undefined)
    })
  }

  get dataDir(): string {
    return this.#options.dataDir
  }

  /** Parameters of the configuration that were not passed on, with reasons. */
  get refusedParameters(): readonly RefusedParameter[] {
    return refusedParameters(this.#options.parameters)
  }

  inspect(): Promise<DataDirectory> {
    return inspectDataDirectory(this.#options.dataDir)
  }

  /** Hears of every end of the postmaster at once. The returned function ends it. */
  onEvent(listener: (event: InstanceEvent) => void): () => void {
    return this.#keeper.onEvent(listener)
  }

  /** Founds a new cluster here; `before` is done with its id before it lies there. Throws faults; see `initialiseInstance`. */
  async initialise(
    content: BootstrapContent,
    before?: (incarnation: string) => Promise<void>,
  ): Promise<{ systemId: string; incarnation: string }> {
    const { dataDir, binaries, osUser, superuser, replication } = this.#options
    return this.#during('initialising', async () => {
      const found = await this.inspect()
      if (found.kind === 'instance' || found.kind === 'foreign') {
        throw new Fault('PG_DATA_DIR_FOREIGN', `Cannot initialise "${dataDir}": it is not empty`)
      }
      const result = await initialiseInstance({
        dataDir,
        binaries,
        osUser,
        superuser,
        replication,
        content,
        before,
        configure: async (folder) => {
          await this.settings.write(folder, 'primary', undefined)
        },
      })
      this.#log.info('Initialised a new cluster', { dataDir, systemId: result.systemId })
      return result
    })
  }

  /** Replaces the data directory by a copy of `source`. What lay there is kept aside. Throws faults; see `cloneInstance`. */
  clone(request: CopyRequest & { systemId?: string | undefined }): Promise<CloneResult> {
    return this.#during('cloning', () => this.#copies.clone(request))
  }

  /** Why the stopped directory cannot be rewound; `undefined` when it can. */
  rewindObstacle(): Promise<string | undefined> {
    return this.#copies.rewindObstacle()
  }

  /** Brings the directory back onto the history of `source`. Throws faults; see `rewindInstance`. */
  rewind(request: CopyRequest): Promise<RewindResult> {
    return this.#during('rewinding', () => this.#copies.rewind(request))
  }

  allowRewind(deadlineMs: number): Promise<void> {
    const { replication, binaries } = this.#options
    const { majorVersion } = binaries
    return allowRewind(this.#workSession, { role: replication.name, majorVersion }, deadlineMs)
  }

  /**
   * Starts PostgreSQL. As primary only with the right to be one in hand: `standby.signal` is taken away for the start and put
   * back as soon as it takes writes (safety.md 13).
   */
  async start(options: {
    as: Role
    follow?: ReplicationSource | undefined
    deadlineMs?: number
  }): Promise<StartOutcome> {
    const adopted = this.adopt()
    if (adopted) return { kind: 'adopted', pid: adopted.pid }
    if (this.#phase !== 'idle') return refused('BUSY', `it is ${this.#phase}`)
    const obstacle = await this.#obstacle()
    if (obstacle) return obstacle
    const deadlineMs = options.deadlineMs ?? this.#options.startTimeoutMs
    return this.#during('starting', async () => {
      const outcome = await this.#startNow({ ...options, deadlineMs })
      this.#trouble = outcome.kind === 'failed' ? outcome.message : undefined
      return outcome
    })
  }

  /** Takes a running postmaster of this directory over, whoever started it; `undefined` when none runs. */
  adopt(): Postmaster | undefined {
    return this.#keeper.current()
  }

  /** Ends PostgreSQL: by its own shutdown within the deadline, else by force. No process is left, or `alive` says which. */
  async stop(options: { mode: 'fast' | 'immediate'; deadlineMs?: number }): Promise<StopOutcome> {
    const { dataDir } = this.#options
    const postmaster = this.adopt()
    this.#keeper.expectExit()
    return this.#during('stopping', async () => {
      if (postmaster) {
        signalProcess(postmaster.pid, options.mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
        await waitUntilGone(postmaster, options.deadlineMs ?? this.#options.stopTimeoutMs)
      }
      const outcome = await killInstance(dataDir, { deadlineMs: KILL_DEADLINE_MS, log: this.#log })
      this.#closeSessions()
      if (outcome.kind === 'alive') return outcome
      if (outcome.stuck.length > 0) return { kind: 'alive', pids: outcome.stuck }
      const control = await readControlFile(dataDir).catch(() => undefined)
      const clean = control?.state === 'shut down' || control?.state === 'shut down in recovery'
      return { kind: 'stopped', clean, killed: outcome.killed }
    })
  }

  /** Leaves no process alive, at once. */
  async kill(deadlineMs: number = KILL_DEADLINE_MS): Promise<KillOutcome> {
    this.adopt()
    this.#keeper.expectExit()
    const outcome = await killInstance(this.#options.dataDir, { deadlineMs, log: this.#log })
    this.#closeSessions()
    return outcome
  }

  /**
   * Makes this standby a primary, on the timeline with the given id where one is given: ids are unique in a cluster only when
   * somebody hands them out (safety.md 4, M12). On return `standby.signal` lies there again and nothing points at the old primary.
   */
  async promote(options: { timeline?: number; deadlineMs: number }): Promise<PromotionOutcome> {
    const { dataDir, osUser } = this.#options
    const postmaster = this.adopt()
    if (!postmaster) {
      return { kind: 'failed', reason: 'NOT_RUNNING', message: 'Cannot promote: PostgreSQL does not run' }
    }
    // Not awaited first: the promotion itself ends the walreceiver, the emptied settings only help it along and stay behind.
    const detaching = this.settings.configure('primary', undefined)
    detaching.catch(() => undefined)
    // The first commit of the new primary must not wait for a log-in.
    this.query('select', [], FACTS_DEADLINE_MS).catch(() => undefined)
    const outcome = await promoteInstance({
      dataDir,
      postmaster,
      owner: osUser,
      session: this.#watchSession,
      timeline: options.timeline,
      deadlineMs: options.deadlineMs,
    })
    const isPromoted = outcome.kind === 'promoted'
    await Promise.all([detaching, isPromoted ? putStandbySignal(dataDir, osUser) : undefined])
    if (isPromoted) {
      this.#log.info('Promoted', outcome)
    } else this.#trouble = outcome.message
    return outcome
  }

  /** What this PostgreSQL is now. Never throws and never waits longer than the deadline. */
  async facts(deadlineMs: number = FACTS_DEADLINE_MS): Promise<InstanceFacts> {
    const base = {
      ...(this.#trouble === undefined ? {} : { trouble: this.#trouble }),
      ...(this.#copies.progress ? { clone: this.#copies.progress } : {}),
    }
    const postmaster = this.adopt()
    if (!postmaster) {
      if (this.#phase !== 'idle') return { ...base, state: this.#phase }
      return { ...base, ...(await this.#resting.ask()) }
    }
    const held = { ...base, postmasterPid: postmaster.pid }
    const status = readPidFile(this.#options.dataDir)?.status
    if (status !== 'ready') return { ...held, state: status === 'stopping' ? 'stopping' : 'starting' }
    try {
      const live = await this.#live.ask(deadlineMs)
      return { ...held, ...live, state: this.#phase === 'stopping' ? 'stopping' : 'running' }
    } catch (error) {
      return { ...held, state: 'unknown', trouble: messageOf(error) }
    }
  }

  /** Rows of one statement on the agent's own connection. */
  query<Row extends Record<string, unknown>>(
    text: string,
    values: readonly unknown[],
    deadlineMs: number,
  ): Promise<readonly Row[]> {
    return this.#workSession.query<Row>({ text, values }, deadlineMs)
  }

  async checkpoint(deadlineMs: number): Promise<void> {
    await this.#workSession.query({ text: 'checkpoint' }, deadlineMs)
  }

  /** Who is connected, the agent's own sessions aside, and who of them is in a statement or a transaction. */
  async clients(deadlineMs: number): Promise<{ connected: number; busy: number }> {
    const [row] = await this.#workSession.query<{ connected: number; busy: number }>(CLIENTS, deadlineMs)
    return row ?? { connected: 0, busy: 0 }
  }

  /** Ends the processes that serve standbys; those connect again and find the newest settings. */
  async restartWalSenders(pids: readonly number[], deadlineMs: number): Promise<void> {
    await this.#workSession.query(
      { text: 'select pg_terminate_backend(unnest($1::int[]))', values: [pids] },
      deadlineMs,
    )
  }

  /**
   * One commit of our own: the first of a new epoch, or the proof that writing works. It is flushed here, or acknowledged by whoever
   * has to have it.
   */
  async probeWrite(until: 'flushed' | 'acknowledged', deadlineMs: number): Promise<ProbeOutcome> {
    const startedAt = monotonicMs()
    // A bare transaction id would not be flushed: only a commit that wrote something is.
    const emit = `pg_logical_emit_message(true, '${PROBE_PREFIX}', 'probe')::text as lsn`
    const text =
      until === 'flushed' ? `select ${emit}` : `select ${emit}, set_config('synchronous_commit', 'on', true)`
    try {
      const [row] = await this.#workSession.query<{ lsn: string }>({ text }, deadlineMs)
      return { kind: 'written', lsn: row?.lsn ?? '0/0', tookMs: monotonicMs() - startedAt }
    } catch (error) {
      // The connection is gone, but a backend that waits for a standby does not look at its client.
      await endWaitingCommits(this.#workSession, deadlineMs).catch(() => undefined)
      return { kind: 'failed', message: messageOf(error) }
    }
  }

  /** See `CommitProbe`. */
  tryCommit(how: { anew: boolean }): Promise<CommitTryOutcome> {
    return this.#commitProbe.try(how)
  }

  ensureSlots(members: readonly string[], deadlineMs: number) {
    return ensureSlots(this.#workSession, members, deadlineMs)
  }

  judgeParameters(parameters: Readonly<Record<string, string>>, deadlineMs: number) {
    return judgeParameters(this.#workSession, parameters, deadlineMs)
  }

  /** Deletes older copies that were renamed aside, all but the newest `keep`. */
  removeSetAside(keep: number): Promise<readonly string[]> {
    return removeSetAside(this.#options.dataDir, keep)
  }

  /** Lets go of PostgreSQL, which runs on; nothing is announced any more. */
  close(): void {
    this.#keeper.release()
    this.#stopTrimming()
    this.#closeSessions()
  }

  async #obstacle(): Promise<StartOutcome | undefined> {
    const { dataDir, binaries } = this.#options
    await this.#keeper.cleared()
    const found = await this.inspect()
    if (found.kind === 'absent' || found.kind === 'empty') {
      return refused('NO_INSTANCE', `"${dataDir}" holds no data directory`)
    }
    if (found.kind === 'foreign') return refused('FOREIGN', found.reason)
    if (found.kind === 'incomplete') return refused('INCOMPLETE', found.reason)
    if (found.majorVersion !== binaries.majorVersion) {
      return refused(
        'VERSION_MISMATCH',
        `"${dataDir}" is PostgreSQL ${found.majorVersion}, "${binaries.folder}" is ${binaries.version}`,
      )
    }
    const left = instanceProcesses(dataDir)
    if (left.length > 0) {
      return refused('PROCESSES_LEFT', `processes ${left.map(({ pid }) => pid).join(', ')} are left of it`)
    }
    if (found.incarnation === undefined) await writeIncarnation(dataDir, this.#options.osUser)
    return undefined
  }

  async #startNow(options: {
    as: Role
    follow?: ReplicationSource | undefined
    deadlineMs: number
  }): Promise<StartOutcome> {
    const startedAt = monotonicMs()
    const { dataDir, binaries, osUser, runDir, port } = this.#options
    if (this.#socketDir !== undefined) await makeOwnedFolder(runDir, osUser)
    await putStandbySignal(dataDir, osUser)
    if (options.as === 'standby') await forgetReservedTimelines(dataDir)
    const follow = options.as === 'standby' ? options.follow : undefined
    this.settings.useLimits(await limitsOf(follow, this.#options))
    await this.settings.write(dataDir, options.as, follow)
    await clearStaleLocks(dataDir, this.#socketDir && join(this.#socketDir, `.s.PGSQL.${port}.lock`))
    const logFile = logFileOf(dataDir)
    await rotateLog(logFile, LOG_AT_START_MAX_BYTES)
    const logOffset = (await fs.stat(logFile).catch(() => undefined))?.size ?? 0
    if (options.as === 'primary') await removeStandbySignal(dataDir)
    try {
      this.#resting.forget()
      const started = spawnPostmaster({ binaries, dataDir: realpathSync(dataDir), osUser, logFile })
      if (!started.postmaster) {
        const why = messageOf(await started.error)
        return { kind: 'failed', message: `Cannot start PostgreSQL: ${why}`, logTail: [] }
      }
      this.#keeper.keep(started.postmaster, started.exit)
      return await this.#awaitReady(started.postmaster, { ...options, startedAt, logOffset })
    } finally {
      // Read long ago by the startup process: from here on a stranger's start gives a standby again.
      if (options.as === 'primary') await putStandbySignal(dataDir, osUser)
    }
  }

  async #awaitReady(
    postmaster: Postmaster,
    options: { as: Role; deadlineMs: number; startedAt: number; logOffset: number },
  ): Promise<StartOutcome> {
    const { dataDir } = this.#options
    const { pid } = postmaster
    const tail = () => logTail(logFileOf(dataDir), options.logOffset, LOG_LINES_TOLD)
    const readiness = await waitUntilReady(dataDir, postmaster, options.deadlineMs)
    if (readiness === 'exited') {
      const lines = await tail()
      const fatal = lines.findLast((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? 'no output'
      return { kind: 'failed', message: `Cannot start PostgreSQL: ${fatal}`, logTail: lines }
    }
    if (readiness === 'timeout') return { kind: 'recovering', pid }
    const { state } = await readControlFile(dataDir)
    if (options.as === 'primary' && state !== 'in production') {
      const message = `Cannot start PostgreSQL as primary: it is ${state}`
      return { kind: 'failed', message, logTail: await tail() }
    }
    const tookMs = monotonicMs() - options.startedAt
    this.#log.info('Started PostgreSQL', { as: options.as, pid, tookMs: Math.round(tookMs) })
    return { kind: 'running', pid, tookMs }
  }

  async #during<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    const before = this.#phase
    this.#phase = phase
    if (phase !== 'stopping') this.#trouble = undefined
    try {
      return await work()
    } catch (error) {
      this.#trouble = messageOf(error)
      throw error
    } finally {
      this.#phase = before === 'stopping' ? 'idle' : before
    }
  }

  #sqlTarget(): SqlTarget {
    const { superuser, port, database, listenAddresses } = this.#options
    const address = listenAddresses.find((name) => !['*', '0.0.0.0', '::'].includes(name)) ?? '127.0.0.1'
    return {
      host: this.#socketDir ?? address,
      port,
      user: superuser.name,
      password: superuser.password,
      database,
    }
  }

  #closeSessions(): void {
    this.#watchSession.close()
    this.#workSession.close()
    this.#commitProbe.close()
    this.activity.close()
    this.#live.forget()
  }
}

function refused(
  reason: Extract<StartOutcome, { kind: 'refused' }>['reason'],
  message: string,
): StartOutcome {
  return { kind: 'refused', reason, message: `Cannot start PostgreSQL: ${message}` }
}
