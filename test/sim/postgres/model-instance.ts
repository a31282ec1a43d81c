import type { CommitTry, LocalInstance } from '../../../src/ha/ports.ts'
import { NOBODY, walNameOf } from '../../../src/model/ack-rule.ts'
import { LOSS_XIDS_MAX, type LossReport } from '../../../src/model/cluster-view.ts'
import type { InstanceFacts } from '../../../src/model/member.ts'
import { slotNameFor } from '../../../src/postgres/parameters.ts'
import { Fault } from '../../../src/std/fault.ts'
import { GiB } from '../../../src/std/units.ts'
import type { DataDirectory } from './data-directory.ts'
import { InstanceFactsReader } from './instance-facts.ts'
import type { PostgresHost } from './host.ts'
import { lsnText, readLsn } from './lsn.ts'
import type { ReplicationMessage, ReplicationRequest } from './messages.ts'
import { between, type Address, type Chance, type Range } from './ports.ts'
import { rewindObstacle, runRewind } from './model-rewind.ts'
import type { PostgresServer, StartEnd } from './server.ts'
import { parseSynchronousNames } from './synchronous-names.ts'

export type ModelInstanceOptions = {
  readonly memberName: string
  readonly useSlots: boolean
  /** There is a pg_rewind among the server's programs. */
  readonly hasRewind?: boolean
  /** How it calls itself at its primary, where that is not to be told from other data under its name. */
  readonly walName?: string
  /** Chance of the agent's own work. */
  readonly chance: Chance
  /**
   * Time of the agent's process: stands still while the agent is paused, and is never heard of again when it died. By default the agent
   * lives as long as its host.
   */
  readonly after?: (ms: number, run: () => void) => void
  readonly startTimeoutMs?: number
  /** For `foundAt` of a loss report. */
  readonly wallText?: () => string
}

/* As `src/agent/managed-instance.ts` and `src/postgres/instance.ts` have them. */
const SQL_MS = 3000
const PROMOTE_MS = 30_000
const CHECKPOINT_MS = 30_000
const BLOCKED_AFTER_MS = 50
const NUDGE_MS = 10
const CLONE_CONNECT_MS = 5000
const CLONE_SILENCE_MS = 60_000

/* Measured on the real adapter, loopback, two cores. */
const FILES_MS: Range = [1, 6]
const SQL_ROUND_MS: Range = [0.5, 4]
const KILL_MS: Range = [3, 9]
const EXIT_HEARD_MS: Range = [0.5, 4]
const END_OF_WAL_MS: Range = [4, 20]
const MOVE_MS: Range = [20, 120]
const LOOK_MS = 3

type Phase = 'idle' | 'initialising' | 'cloning' | 'rewinding' | 'starting' | 'stopping'

/** The adapter of `src/agent/managed-instance.ts` over the model. Each life of an agent makes its own. */
export class ModelInstance implements LocalInstance {
  readonly #host: PostgresHost
  readonly #options: ModelInstanceOptions
  readonly #chance: Chance
  readonly #facts: InstanceFactsReader
  readonly #crashListeners = new Set<() => void>()
  readonly #stopListening: () => void
  #phase: Phase = 'idle'
  #trouble: string | undefined
  #progress: NonNullable<InstanceFacts['clone']> | undefined
  #following: Address | undefined
  #names: string
  #provenNames: string | undefined
  #expectedExit: PostgresServer | undefined
  #clearing: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(host: PostgresHost, options: ModelInstanceOptions) {
    this.#host = host
    this.#options = options
    this.#chance = options.chance
    this.#following = host.disk.directory?.config.upstream
    this.#names = host.disk.directory?.config.synchronousNames ?? ''
    this.#facts = new InstanceFactsReader(host)
    this.#stopListening = host.onPostmasterExit((server) => this.#postmasterExited(server))
  }

  /** The agent's process is gone: whatever it was doing ends here, PostgreSQL runs on. */
  close(): void {
    this.#isClosed = true
    this.#stopListening()
    this.#crashListeners.clear()
  }

  inspect(): ReturnType<LocalInstance['inspect']> {
    return this.#take(FILES_MS, () => {
      const { disk } = this.#host
      if (disk.isForeign) return { directory: 'foreign' as const }
      if (disk.isIncomplete) return { directory: 'incomplete' as const }
      const { directory } = disk
      if (directory === undefined) return { directory: 'absent' as const }
      const { systemId, timeline, incarnation } = directory
      const obstacle = rewindObstacle(directory, this.#options.hasRewind === true)
      return {
        directory: 'instance' as const,
        systemId,
        timeline,
        ...(obstacle === undefined ? {} : { rewindObstacle: obstacle }),
        ...(incarnation === undefined ? {} : { incarnation }),
      }
    })
  }

  facts(): Promise<InstanceFacts> {
    return new Promise((resolve) => {
      const held = {
        phase: this.#phase,
        trouble: this.#trouble,
        clone: this.#phase === 'cloning' ? this.#progress : undefined,
      }
      const { ms, read } = this.#facts.ask(held, this.#chance)
      this.#after(ms, () => {
        const answer = read()
        if (answer !== undefined) resolve(answer)
        else this.#after(1000 - ms, () => resolve(this.#facts.unanswered(held)))
      })
    })
  }

  initialise(before: (incarnation: string) => Promise<void>): Promise<void> {
    const { disk } = this.#host
    if (disk.directory !== undefined || disk.isForeign) {
      return Promise.reject(new Fault('PG_DATA_DIR_FOREIGN', 'Cannot initialise: it is not empty'))
    }
    return this.#during('initialising', (resolve, reject) => {
      disk.hasHalfBuild = true
      this.#host.initialise(() => {
        // initdb works beside the place where the agent moves it: until then nothing lies there.
        const directory = disk.directory as DataDirectory
        disk.directory = undefined
        const incarnation = this.#host.nextIncarnation()
        directory.incarnation = incarnation
        directory.config = { ...directory.config, upstream: undefined, slotName: undefined }
        const moveIn = (): void => {
          disk.hasHalfBuild = false
          disk.directory = directory
          resolve()
        }
        this.#after(between(this.#chance, MOVE_MS), () => {
          before(incarnation).then(moveIn, (error: unknown) =>
            reject(new Fault('PG_DATA_DIR_FOREIGN', `Cannot initialise: ${String(error)}`)),
          )
        })
      })
    })
  }

  async start(as: 'primary' | 'standby', follow?: Address): Promise<void> {
    if (this.#host.server?.isPostmasterAlive === true) {
      this.#following = as === 'standby' ? follow : undefined
      return
    }
    await this.#refuseStart()
    await this.#during('starting', (resolve, reject) => this.#start({ as, follow }, resolve, reject))
    this.#following = as === 'standby' ? follow : undefined
  }

  async #refuseStart(): Promise<void> {
    const refused = (reason: string) =>
      new Fault('PG_START_REFUSED', `Cannot start PostgreSQL: ${reason}`, { details: { reason } })
    if (this.#phase !== 'idle') throw refused('BUSY')
    await this.#clearing
    await this.#take(FILES_MS, () => undefined)
    const { disk, server } = this.#host
    if (disk.isForeign) throw refused('FOREIGN')
    if (disk.isIncomplete) throw refused('INCOMPLETE')
    if (disk.directory === undefined) throw refused('NO_INSTANCE')
    if (server !== undefined || disk.hasSleepers) throw refused('PROCESSES_LEFT')
    disk.directory.incarnation ??= this.#host.nextIncarnation()
  }

  #start(
    how: { as: 'primary' | 'standby'; follow: Address | undefined },
    resolve: () => void,
    reject: (fault: Fault) => void,
  ): void {
    const { disk } = this.#host
    const { as } = how
    const directory = disk.directory as DataDirectory
    directory.standbySignal = as === 'standby'
    if (as === 'standby') directory.forgetReservedTimelines()
    this.#writeConfig(directory, as === 'standby' ? how.follow : undefined)
    const failed = (message: string) =>
      reject(new Fault('PG_START_FAILED', `Cannot start PostgreSQL${message}`, { details: { log: [] } }))
    let isOver = false
    const finish = (end: StartEnd | 'timeout'): void => {
      if (isOver) return
      isOver = true
      // From here on a stranger's start gives a standby again.
      if (as === 'primary') directory.standbySignal = true
      if (end === 'timeout') resolve()
      else if (end.kind === 'failed') failed(`: ${end.message}`)
      else if (as === 'primary' && directory.control.state !== 'in production') {
        failed(` as primary: it is ${directory.control.state}`)
      } else resolve()
    }
    this.#after(between(this.#chance, FILES_MS), () => {
      this.#facts.forget()
      this.#host.start((end) => this.#after(between(this.#chance, [0.5, 4]), () => finish(end)))
      this.#after(this.#options.startTimeoutMs ?? 30_000, () => finish('timeout'))
    })
  }

  async promote(timeline: number): Promise<void> {
    const server = this.#host.server
    if (server?.isPostmasterAlive !== true) throw promoteFault('NOT_RUNNING', 'PostgreSQL does not run')
    server.directory.reserveTimelinesBelow(timeline)
    await new Promise<void>((resolve, reject) => this.#promote(server, resolve, reject))
    this.#following = undefined
    const actual = server.directory.timeline
    if (actual !== timeline) {
      throw new Fault('TIMELINE_REUSED', `Cannot go on: PostgreSQL chose timeline ${actual}, not ${timeline}`)
    }
  }

  #promote(server: PostgresServer, resolve: () => void, reject: (fault: Fault) => void): void {
    const startedAt = this.#host.world.clock.now
    this.#writeConfig(server.directory, undefined)
    this.#host.requestPromotion()
    this.#after(between(this.#chance, FILES_MS), () => server.reload())
    let isOver = false
    const stopHearing = [
      this.#host.onPromotion(() => finish(undefined)),
      this.#host.onPostmasterExit(() => finish(promoteFault('EXITED', 'the postmaster ended'))),
    ]
    const finish = (fault: Fault | undefined): void => {
      this.#after(between(this.#chance, [0.5, 4]), () => {
        if (isOver) return
        isOver = true
        for (const stop of stopHearing) stop()
        if (fault) {
          this.#trouble = fault.message
          reject(fault)
          return
        }
        server.directory.standbySignal = true
        this.#trouble = undefined
        resolve()
      })
    }
    const nudge = (): void => {
      if (isOver || server.isDead || !server.isInRecovery) return
      const elapsed = this.#host.world.clock.now - startedAt
      if (elapsed >= PROMOTE_MS) {
        finish(promoteFault('TIMEOUT', `still in recovery after ${PROMOTE_MS} ms`))
        return
      }
      server.reload()
      // Sessions that block replay also block the promotion (safety.md M13).
      if (elapsed >= BLOCKED_AFTER_MS && server.startup?.state === 'conflict') server.endReaders()
      this.#after(elapsed < 1000 ? NUDGE_MS : BLOCKED_AFTER_MS, nudge)
    }
    if (!server.isInRecovery) finish(undefined)
    else this.#after(NUDGE_MS, nudge)
  }

  timelineOrigin(): ReturnType<LocalInstance['timelineOrigin']> {
    return this.#take(FILES_MS, () => {
      const { timeline, histories } = this.#directory()
      const forks = (histories.get(timeline) ?? []).map((link) => ({
        timeline: link.timeline,
        endLsn: lsnText(link.endLsn),
      }))
      return { timeline, forks }
    })
  }

  probeWrite(until: 'flushed' | 'acknowledged'): Promise<void> {
    return this.#sql(SQL_MS, 'PG_PROBE_FAILED', (server, done, failed) => {
      const { writer } = server
      if (writer === undefined || server.isInRecovery) {
        failed('cannot execute pg_logical_emit_message() during recovery')
        return
      }
      if (this.#host.disk.fault?.kind === 'full' && writer.needsNewSegment) {
        server.crash('PANIC: No space left on device')
        return
      }
      const { end } = writer.append('probe')
      const flushed = until === 'flushed' ? done : () => this.#whenAcknowledged(server, end, done)
      writer.waitFor({ commitLsn: end, flushed })
    })
  }

  tryCommit({ anew }: { anew: boolean }): Promise<CommitTry> {
    return new Promise((resolve) => {
      let isOver = false
      const end = (outcome: CommitTry): void => {
        if (isOver) return
        isOver = true
        stopHearing()
        this.#after(0.1, () => resolve(outcome))
      }
      const stopHearing = this.#host.onPostmasterExit(() => end('refused'))
      const commit = (): void => {
        const { server } = this.#host
        if (isOver) return
        if (server?.isPostmasterAlive !== true || server.phase !== 'ready') return end('refused')
        // A session that is there goes on while the postmaster hangs.
        if (anew ? server.holdsPostmaster(commit) : server.holds(commit)) return
        const { writer } = server
        if (writer === undefined || server.isInRecovery) return end('refused')
        if (this.#host.disk.fault?.kind === 'full' && writer.needsNewSegment) {
          server.crash('PANIC: No space left on device')
          return
        }
        writer.waitFor({ commitLsn: writer.append('probe').end, flushed: () => end('committed') })
      }
      this.#after(between(this.#chance, SQL_ROUND_MS), commit)
    })
  }

  syncDisk(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#after(between(this.#chance, FILES_MS), () =>
        this.#host.disk.sync((outcome) =>
          this.#after(0.1, outcome === 'done' ? resolve : () => reject(new Error('EIO'))),
        ),
      )
    })
  }

  roomBytes(): Promise<number> {
    return this.#take(FILES_MS, () => (this.#host.disk.fault?.kind === 'full' ? 0 : GiB))
  }

  /** Looks as a backend that waits would be woken: by the standbys that count, when enough have it. */
  #whenAcknowledged(server: PostgresServer, lsn: number, done: () => void): void {
    const names = parseSynchronousNames(server.config.synchronousNames)
    const have = server.senders.filter(
      ({ priority, flushLsn, state }) => priority > 0 && state === 'streaming' && flushLsn >= lsn,
    )
    if (names === undefined || have.length >= names.count) done()
    else if (!server.isDead) this.#after(LOOK_MS, () => this.#whenAcknowledged(server, lsn, done))
  }

  async setSynchronousNames(names: string): Promise<void> {
    if (names === this.#names && (names === '' || names === this.#provenNames)) return
    const before = this.#provenNames ?? ''
    if (before === '' && names !== '' && names !== NOBODY) await this.setSynchronousNames(NOBODY)
    this.#names = names
    this.#provenNames = undefined
    await this.#take(FILES_MS, () => {
      const { directory } = this.#host.disk
      if (directory === undefined) return
      this.#writeConfig(directory, directory.config.upstream)
      this.#host.reload()
    })
    const isSafeAtOnce = before === NOBODY && names !== ''
    if (!isSafeAtOnce) await this.#untilNamed(names, before)
    this.#provenNames = names
  }

  #untilNamed(names: string, before: string): Promise<void> {
    return this.#until('PG_SETTING_UNPROVEN', () => {
      const { server } = this.#host
      if (server?.isPostmasterAlive !== true) return true
      if (server.config.synchronousNames !== names) return false
      return before !== '' || names === '' || server.isInRecovery || server.syncRep.isDefined
    })
  }

  restartWalSenders(pids: readonly number[]): Promise<void> {
    return this.#sql(SQL_MS, 'PG_QUERY_TIMEOUT', (server, done) => {
      for (const sender of server.senders.filter(({ pid }) => pids.includes(pid))) sender.exit()
      done()
    })
  }

  async stopReceiving(): Promise<{ timeline: number; flushLsn: string }> {
    this.#following = undefined
    await this.#take(FILES_MS, () => {
      this.#writeConfig(this.#directory(), undefined)
      this.#host.reload()
    })
    if (this.#host.server?.isPostmasterAlive !== true) return this.#end()
    let looks = 0
    await this.#until('PG_SETTING_UNPROVEN', () => {
      const { server } = this.#host
      if (server?.isPostmasterAlive !== true) return true
      if (server.phase !== 'ready' || server.config.upstream !== undefined) return false
      this.#host.terminateWalReceiver()
      looks = this.#host.hasWalReceiver ? 0 : looks + 1
      return looks > 1
    })
    const { server } = this.#host
    if (server?.receivedUpto === undefined) return this.#end()
    const { timeline, flushLsn } = await this.facts()
    if (timeline === undefined || flushLsn === undefined)
      throw new Fault('PG_UNREACHABLE', 'Cannot ask PostgreSQL')
    return { timeline, flushLsn }
  }

  async #end(): Promise<{ timeline: number; flushLsn: string }> {
    const { timeline, endLsn } = await this.endOfWal()
    return { timeline, flushLsn: endLsn }
  }

  /** Looks until it is true, for as long as the adapter does. */
  #until(code: 'PG_SETTING_UNPROVEN', isTrue: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let left = SQL_MS / LOOK_MS
      const look = (): void => {
        if (!this.#host.isPaused && isTrue()) resolve()
        else if ((left -= 1) <= 0) reject(new Fault(code, 'Cannot prove it', { retryable: true }))
        else this.#after(LOOK_MS, look)
      }
      this.#after(between(this.#chance, SQL_ROUND_MS), look)
    })
  }

  async follow(upstream: Address): Promise<void> {
    await this.#take(FILES_MS, () => {
      const directory = this.#directory()
      if (this.#writeConfig(directory, upstream)) this.#host.reload()
    })
    this.#following = { host: upstream.host, port: upstream.port }
  }

  following(): Address | undefined {
    return this.#following
  }

  checkpoint(): Promise<void> {
    return this.#sql(CHECKPOINT_MS, 'PG_QUERY_TIMEOUT', (server, done) =>
      server.checkpointer.checkpoint(done),
    )
  }

  clients(): ReturnType<LocalInstance['clients']> {
    let found = { connected: 0, busy: 0 }
    return this.#sql(SQL_MS, 'PG_QUERY_TIMEOUT', (server, done) => {
      const busy = server.backends.filter(({ state, isReader }) => state !== 'idle' || isReader)
      found = { connected: server.backends.length, busy: busy.length }
      done()
    }).then(() => found)
  }

  stop(deadlineMs: number): Promise<'clean' | 'unclean'> {
    const server = this.#host.server
    this.#expectedExit = server
    return this.#during('stopping', (resolve) => {
      let isOver = false
      const end = (): void => {
        if (isOver) return
        isOver = true
        stopHearing()
        this.#after(between(this.#chance, KILL_MS), () => {
          this.#host.killAll()
          resolve(this.#host.disk.directory?.isClean === true ? 'clean' : 'unclean')
        })
      }
      const stopHearing = this.#host.onPostmasterExit(() => this.#after(1, end))
      if (server?.isPostmasterAlive === true) {
        this.#host.shutDown()
        this.#after(deadlineMs, end)
      } else end()
    })
  }

  kill(): Promise<void> {
    this.#expectedExit = this.#host.server
    return this.#take(KILL_MS, () => {
      const { disk } = this.#host
      this.#host.killAll()
      // Whoever sleeps in the kernel runs no more, and cannot be seen to have ended.
      if (disk.hasSleepers) throw new Fault('PG_NOT_DEAD', 'Cannot end PostgreSQL: processes are left')
    })
  }

  endOfWal(): Promise<{ timeline: number; endLsn: string }> {
    return this.#take(END_OF_WAL_MS, () => {
      const { timeline, endLsn } = this.#directory().endOfWal()
      return { timeline, endLsn: lsnText(endLsn) }
    })
  }

  judgeParameters(): Promise<readonly []> {
    return Promise.resolve([])
  }

  /** None of them changes what the model has. */
  configure(): Promise<void> {
    return Promise.resolve()
  }

  ensureSlots(members: readonly string[]): Promise<void> {
    if (!this.#options.useSlots) return Promise.resolve()
    return this.#sql(SQL_MS, 'PG_QUERY_TIMEOUT', (server, done) => {
      const { slots, control } = server.directory
      const wanted = new Set(members.map(slotNameFor))
      for (const [name, slot] of slots) {
        if (!name.startsWith('metako_') || slot.isActive || (wanted.has(name) && !slot.isLost)) continue
        slots.delete(name)
      }
      for (const name of wanted) {
        if (!slots.has(name)) slots.set(name, { restartLsn: control.redo, isLost: false, isActive: false })
      }
      done()
    })
  }

  async clone(...[from, onProgress]: Parameters<LocalInstance['clone']>): Promise<void> {
    if (this.#host.server) {
      throw new Fault('PG_STILL_RUNNING', 'Cannot clone: its PostgreSQL still runs')
    }
    await this.#during<void>('cloning', (resolve, reject) => {
      this.#host.disk.hasHalfBuild = true
      this.#receiveClone(from, onProgress, (end) => {
        if (end instanceof Fault) {
          reject(end)
          return
        }
        this.#after(between(this.#chance, MOVE_MS), () => {
          this.#moveIn(end, from)
          resolve()
        })
      })
    })
    this.#following = { host: from.host, port: from.port }
  }

  async rewind(...[from]: Parameters<LocalInstance['rewind']>): Promise<void> {
    const obstacle = rewindObstacle(this.#directory(), this.#options.hasRewind === true)
    if (obstacle !== undefined) throw new Fault('REWIND_REFUSED', `Cannot rewind: ${obstacle}`)
    if (this.#host.server) throw new Fault('PG_STILL_RUNNING', 'Cannot rewind: its PostgreSQL still runs')
    await this.#during<void>('rewinding', (resolve, reject) => {
      runRewind({
        host: this.#host,
        from,
        chance: this.#chance,
        after: (ms, run) => this.#after(ms, run),
        done: (copy) => {
          this.#moveIn(copy, from)
          resolve()
        },
        failed: reject,
      })
    })
    this.#following = { host: from.host, port: from.port }
  }

  #receiveClone(
    from: Parameters<LocalInstance['clone']>[0],
    onProgress: Parameters<LocalInstance['clone']>[1],
    done: (end: DataDirectory | Fault) => void,
  ): void {
    const { world, name } = this.#host
    const where = `${from.host}:${from.port}`
    let isOver = false
    const finish = (end: DataDirectory | Fault): void => {
      if (isOver || this.#isClosed) return
      isOver = true
      giveUp()
      done(end)
    }
    const unreachable = (why: string) =>
      finish(
        new Fault('REPLICATION_CONNECT_FAILED', `Cannot connect to ${where}: ${why}`, { retryable: true }),
      )
    const lost = (why: string) =>
      finish(new Fault('REPLICATION_LOST', `Cannot go on with ${where}: ${why}`, { retryable: true }))
    let hasOpened = false
    const startedAt = world.clock.now
    const giveUp = world.open<ReplicationRequest, ReplicationMessage>(
      {
        from: { host: name, isAwake: () => !this.#isClosed },
        to: from,
        startup: { kind: 'replication', applicationName: this.#options.memberName },
      },
      {
        refused: (why) => unreachable(why),
        opened: (connection) => {
          hasOpened = true
          let silence = 0
          connection.attachOpener({
            closed: () => this.#after(0.1, () => lost('the connection ended')),
            quiet: () => {
              const mark = (silence += 1)
              this.#after(CLONE_SILENCE_MS, () => {
                if (mark !== silence || isOver) return
                connection.closeOpener()
                lost('it says nothing')
              })
            },
            heard: () => {
              silence += 1
            },
            received: (message) => {
              if (this.#isClosed) {
                connection.closeOpener()
                return
              }
              if (message.kind === 'backup-part') {
                const seconds = Math.max(0.001, (world.clock.now - startedAt) / 1000)
                const bytesPerSecond = Math.round(message.bytesDone / seconds)
                this.#progress = {
                  bytesDone: message.bytesDone,
                  bytesTotal: message.bytesTotal,
                  bytesPerSecond,
                }
                onProgress(this.#progress)
              } else if (message.kind === 'backup-done') finish(message.directory)
              else if (message.kind === 'failed') {
                const code = message.reason === 'system-id' ? 'CLONE_SOURCE_FOREIGN' : 'REPLICATION_REFUSED'
                finish(new Fault(code, `Cannot clone from ${where}: ${message.message}`))
              }
            },
          })
          connection.sendUp({ kind: 'base-backup', systemId: from.systemId })
        },
      },
    )
    this.#after(CLONE_CONNECT_MS, () => {
      if (!hasOpened) unreachable('no answer')
    })
  }

  #moveIn(copy: DataDirectory, from: Address): void {
    const { disk } = this.#host
    copy.incarnation = this.#host.nextIncarnation()
    copy.standbySignal = true
    copy.config = this.#host.ownConfig
    this.#writeConfig(copy, from)
    if (disk.directory) disk.setAside.push(disk.directory)
    disk.isIncomplete = false
    disk.hasHalfBuild = false
    disk.directory = copy
    this.#facts.forget()
  }

  keepDiverged(divergence: { timeline: number; forkLsn: string; epoch: number }): Promise<LossReport> {
    return this.#take(END_OF_WAL_MS, () => {
      const { timeline, forkLsn, epoch } = divergence
      const fork = readLsn(forkLsn)
      const directory = this.#directory()
      const isUnreadable = (directory.oldestWal ?? 0) > fork && directory.endOfWal().endLsn > fork
      const lost = isUnreadable
        ? { endLsn: directory.endOfWal().endLsn, xids: [], tokens: directory.tokensAfter(fork) }
        : directory.behind(timeline, fork)
      for (const token of lost.tokens) this.#host.disk.kept.add(token)
      return {
        epoch,
        member: this.#options.memberName,
        timeline,
        forkLsn,
        endLsn: lsnText(lost.endLsn),
        bytes: lost.endLsn - fork,
        ...(isUnreadable ? { isUnreadable } : {}),
        transactions: lost.xids.length,
        xids: lost.xids.slice(0, LOSS_XIDS_MAX),
        keptIn: `epoch-${epoch}-timeline-${timeline}`,
        foundAt: this.#options.wallText?.() ?? '1970-01-01T00:00:00.000Z',
      }
    })
  }

  countSetAside(): Promise<number> {
    return this.#take(FILES_MS, () => {
      const { setAside, halfRewound } = this.#host.disk
      return setAside.filter((copy) => this.#isReplaced(copy)).length + (halfRewound ? 1 : 0)
    })
  }

  removeSetAside(): Promise<void> {
    return this.#take(MOVE_MS, () => {
      const { disk } = this.#host
      const kept = disk.setAside.filter((copy) => !this.#isReplaced(copy))
      disk.setAside.splice(0, disk.setAside.length, ...kept)
      disk.halfRewound = undefined
    })
  }

  /** What is of another system has no copy anywhere. */
  #isReplaced({ systemId }: DataDirectory): boolean {
    return systemId === this.#host.disk.directory?.systemId
  }

  onCrash(listener: () => void): () => void {
    this.#crashListeners.add(listener)
    return () => this.#crashListeners.delete(listener)
  }

  #postmasterExited(server: PostgresServer): void {
    const isExpected = this.#expectedExit === server
    if (isExpected || this.#isClosed) return
    // Order: announced at once, then the orphans are killed; until then they may acknowledge (safety.md 7).
    this.#clearing = new Promise((resolve) => {
      this.#after(between(this.#chance, EXIT_HEARD_MS), () => {
        this.#announceCrash()
        this.#after(between(this.#chance, KILL_MS), () => {
          if (this.#host.server === server) this.#host.killAll()
          this.#announceCrash()
          resolve()
        })
      })
    })
  }

  #announceCrash(): void {
    for (const listener of [...this.#crashListeners]) listener()
  }

  #directory(): DataDirectory {
    const { directory } = this.#host.disk
    if (directory === undefined)
      throw new Fault('PG_CONTROL_UNREADABLE', 'Cannot read pg_control: it is missing')
    return directory
  }

  /** True when something changed. */
  #writeConfig(directory: DataDirectory, upstream: Address | undefined): boolean {
    const { config } = directory
    const { memberName, useSlots } = this.#options
    const slotName = upstream && useSlots ? slotNameFor(memberName) : undefined
    const { walName = walNameOf({ name: memberName, incarnation: directory.incarnation ?? '' }) } =
      this.#options
    const isSame =
      config.upstream?.host === upstream?.host &&
      config.upstream?.port === upstream?.port &&
      config.slotName === slotName &&
      config.synchronousNames === this.#names &&
      config.applicationName === walName
    if (isSame) return false
    directory.config = {
      ...config,
      upstream: upstream && { host: upstream.host, port: upstream.port },
      slotName,
      synchronousNames: this.#names,
      applicationName: walName,
    }
    return true
  }

  /** One statement on the agent's own connection. */
  #sql(
    deadlineMs: number,
    code: string,
    run: (server: PostgresServer, done: () => void, failed: (message: string) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      let stopHearing = (): void => undefined
      const fail = (message: string): void => {
        stopHearing()
        reject(new Fault(code, `Cannot ask PostgreSQL: ${message}`, { retryable: true }))
      }
      const done = (): void => {
        stopHearing()
        this.#after(0.1, resolve)
      }
      const ask = (): void => {
        const { server } = this.#host
        if (server?.isPostmasterAlive !== true || server.phase !== 'ready') {
          fail('it does not take connections')
          return
        }
        if (server.holds(ask)) return
        // As the product's does: it gives its connections up when it hears that the postmaster ended.
        stopHearing = this.#host.onPostmasterExit(() =>
          this.#after(between(this.#chance, EXIT_HEARD_MS), () => fail('the postmaster ended')),
        )
        run(server, done, fail)
      }
      this.#after(between(this.#chance, SQL_ROUND_MS), ask)
      this.#after(deadlineMs, () => fail(`no answer within ${deadlineMs} ms`))
    })
  }

  #during<T = void>(
    phase: Phase,
    work: (resolve: (value: T) => void, reject: (fault: Fault) => void) => void,
  ): Promise<T> {
    const before = this.#phase
    this.#phase = phase
    if (phase !== 'stopping') this.#trouble = undefined
    const leave = (): void => {
      this.#phase = before === 'stopping' ? 'idle' : before
      if (phase === 'cloning') this.#progress = undefined
    }
    return new Promise<T>((resolve, reject) => {
      work(
        (value) => {
          leave()
          resolve(value)
        },
        (fault) => {
          leave()
          this.#trouble = fault.message
          reject(fault)
        },
      )
    })
  }

  #take<T>(range: Range, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#after(between(this.#chance, range), () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
  }

  #after(ms: number, run: () => void): void {
    const guarded = (): void => {
      if (!this.#isClosed) run()
    }
    const { after } = this.#options
    if (after) after(ms, guarded)
    else this.#host.after(ms, guarded)
  }
}

/** The model's PostgreSQL of one host, as the HA core sees it. */
export function createModelInstance(host: PostgresHost, options: ModelInstanceOptions): ModelInstance {
  return new ModelInstance(host, options)
}

function promoteFault(reason: string, message: string): Fault {
  return new Fault('PG_PROMOTE_FAILED', `Cannot promote: ${message}`, { details: { reason } })
}
