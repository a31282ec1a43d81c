import { Backend } from './backend.ts'
import { Checkpointer } from './checkpointer.ts'
import type { Connection } from './connection.ts'
import { rowsUpTo, type DataDirectory, type PostgresConfig } from './data-directory.ts'
import type { PostgresHost } from './host.ts'
import type {
  ClientMessage,
  ReplicationMessage,
  ReplicationRequest,
  ServerMessage,
  Startup,
} from './messages.ts'
import {
  between,
  type Address,
  type Chance,
  type ModelClock,
  type PostgresTimings,
  type SynchronousCommit,
} from './ports.ts'
import { RecoveryPath } from './recovery-path.ts'
import { StartupProcess } from './startup-process.ts'
import { SyncRep } from './sync-rep.ts'
import { WalReceiver } from './wal-receiver.ts'
import { WalSender } from './wal-sender.ts'
import { WalWriter } from './wal-writer.ts'
import type { WalRecord } from './wal.ts'

/** What ends a start. */
export type StartEnd = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly message: string }

/** The wall clock of the model begins at this moment. */
const WALL_START_MS = 1_790_000_000_000

/**
 * One life of a postmaster and its children on one data directory, orphans after its death included. It never starts again: the next
 * start makes another one.
 */
export class PostgresServer {
  readonly host: PostgresHost
  readonly directory: DataDirectory
  readonly clock: ModelClock
  readonly chance: Chance
  readonly timings: PostgresTimings
  readonly startedText: string
  readonly pid: number
  phase: 'starting' | 'ready' | 'stopping' = 'starting'
  isPostmasterAlive = true
  /** No process is left. */
  isDead = false
  /** SIGSTOP of all processes. */
  isFrozen = false
  isInRecovery = true
  /** As the postmaster and new backends have read it. */
  config: PostgresConfig
  readonly checkpointer: Checkpointer
  readonly senders: WalSender[] = []
  readonly backends: Backend[] = []
  readonly syncRep: SyncRep
  writer: WalWriter | undefined
  startup: StartupProcess | undefined
  receiver: WalReceiver | undefined
  /** pg_last_wal_receive_lsn and its timeline: in shared memory, so that a restart forgets it. */
  receivedUpto: { lsn: number; timeline: number } | undefined
  /** Tokens in the order in which they became visible here. */
  readonly visible: number[] = []
  /** Grows with everything that `facts` would show. */
  version = 0
  onStarted: ((end: StartEnd) => void) | undefined
  #consistentLsn = 0
  #deferred: (() => void)[] = []
  #isPostmasterFrozen = false
  #deferredByPostmaster: (() => void)[] = []
  #isEnding = false
  #children = 0
  #isDraining = false
  #isPromotionWanted = false

  constructor(host: PostgresHost, directory: DataDirectory, pid: number) {
    this.host = host
    this.directory = directory
    this.clock = host.world.clock
    this.chance = host.chance
    this.timings = host.timings
    this.startedText = new Date(WALL_START_MS + this.clock.now).toISOString()
    this.pid = pid
    this.config = directory.config
    this.checkpointer = new Checkpointer(this)
    this.syncRep = new SyncRep(this.senders, this.config.synchronousNames.trim() !== '')
    const { control } = directory
    const recovery = directory.isClean ? 0 : between(this.chance, this.timings.crashRecoveryMs)
    if (!directory.isClean) control.state = 'in crash recovery'
    this.clock.at(this.clock.now + between(this.chance, this.timings.startMs) + recovery, this.#recover)
  }

  /** A number for a new process; pids of two servers never meet, since nobody asks. */
  nextChild(): number {
    this.#children += 1
    return this.#children
  }

  get timeline(): number {
    return this.writer?.timeline ?? this.startup?.replayTimeline ?? this.directory.timeline
  }

  get replayLsn(): number {
    return this.startup?.replayLsn ?? this.writer?.flushedLsn ?? 0
  }

  get hasReaders(): boolean {
    return this.backends.some((backend) => backend.isReader)
  }

  changed(): void {
    this.version += 1
  }

  /** True when no process of this server can run now: `run` is called when they can again. */
  holds(run: () => void): boolean {
    if (this.host.holds(run)) return true
    if (!this.isFrozen) return false
    this.#deferred.push(run)
    return true
  }

  /** The same for what the postmaster itself does. */
  holdsPostmaster(run: () => void): boolean {
    if (this.holds(run)) return true
    if (!this.#isPostmasterFrozen) return false
    this.#deferredByPostmaster.push(run)
    return true
  }

  /** It says something to whoever connects. */
  get isPostmasterAwake(): boolean {
    return this.isPostmasterAlive && !this.isFrozen && !this.#isPostmasterFrozen
  }

  /* ── start ── */

  readonly #recover = (): void => {
    if (this.isDead || this.phase !== 'starting' || this.holds(this.#recover)) return
    const { directory } = this
    const { control } = directory
    const isStandby = directory.standbySignal
    const known = directory.timeline
    const target = isStandby ? directory.newestTimeline(known) : known
    const path = new RecoveryPath(directory, target)
    const problem = this.#problemOf(path)
    if (problem !== undefined) {
      this.#failStart(problem)
      return
    }
    directory.rows = rowsUpTo(directory.rows, control.redo)
    for (const token of directory.rows.tokens) this.visible.push(token)
    const timeline = path.timelineAt(control.redo)
    this.startup = new StartupProcess(this, { path, replayLsn: control.redo, timeline })
    if (this.#isPromotionWanted) this.startup.promote()
    this.#consistentLsn = Math.max(control.minRecoveryLsn, directory.backupEndLsn, control.redo)
    if (isStandby) this.#recoverAsStandby()
    else this.#recoverAsPrimary()
  }

  /** What StartupXLOG refuses. */
  #problemOf(path: RecoveryPath): string | undefined {
    const { control, isDestroyed } = this.directory
    if (isDestroyed) return 'could not locate a valid checkpoint record'
    if (path.timelineAt(control.checkpointLsn) !== control.checkpointTimeline) {
      return `requested timeline ${path.target} is not a child of this server's history`
    }
    const { minRecoveryLsn, minRecoveryTimeline } = control
    if (minRecoveryLsn > 0 && path.timelineAt(minRecoveryLsn - 1) !== minRecoveryTimeline) {
      return `requested timeline ${path.target} does not contain minimum recovery point`
    }
    return undefined
  }

  #recoverAsStandby(): void {
    const startup = this.startup as StartupProcess
    const { directory } = this
    const count = startup.replayUntil(this.#consistentLsn)
    directory.control.state = 'in archive recovery'
    const { timeline, endLsn } = directory.endOfWal()
    directory.flushedTimeline = timeline
    directory.flushedLsn = endLsn
    const go = (): void => {
      if (this.isDead || this.phase !== 'starting' || this.holds(go)) return
      this.#openWhenConsistent()
      startup.run()
    }
    this.clock.at(this.clock.now + count * this.timings.recordMs, go)
  }

  #openWhenConsistent(): void {
    if (this.phase !== 'starting' || !this.startup || this.startup.replayLsn < this.#consistentLsn) return
    this.directory.backupEndLsn = 0
    this.#becomeReady()
  }

  #recoverAsPrimary(): void {
    const startup = this.startup as StartupProcess
    const { directory } = this
    const hadShutDown = directory.control.state === 'shut down'
    const count = startup.replayUntil(Number.POSITIVE_INFINITY)
    if (startup.replayLsn < this.#consistentLsn) {
      this.#failStart('WAL ends before consistent recovery point')
      return
    }
    const go = (): void => {
      if (this.isDead || this.phase !== 'starting' || this.holds(go)) return
      directory.backupEndLsn = 0
      const timeline = startup.path.target
      this.#openWriter(timeline)
      if (hadShutDown) open()
      // Order: PerformRecoveryXLogAction waits for this checkpoint. Until it is there the control file keeps the timeline of a promotion.
      else this.checkpointer.checkpoint(open)
    }
    const open = (): void => {
      if (this.isDead || this.phase !== 'starting' || this.holds(open)) return
      directory.control.state = 'in production'
      directory.control.minRecoveryLsn = 0
      directory.control.minRecoveryTimeline = 0
      this.#becomeReady()
    }
    this.clock.at(this.clock.now + count * this.timings.recordMs, go)
  }

  #openWriter(timeline: number): void {
    const startup = this.startup as StartupProcess
    const { directory } = this
    startup.end()
    this.writer = new WalWriter(this, { timeline, lsn: startup.replayLsn, previous: startup.previous })
    directory.flushedTimeline = timeline
    directory.flushedLsn = startup.replayLsn
    this.startup = undefined
    this.isInRecovery = false
    this.changed()
  }

  #becomeReady(): void {
    this.phase = 'ready'
    this.changed()
    const started = this.onStarted
    this.onStarted = undefined
    started?.({ kind: 'ready' })
  }

  #failStart(message: string): void {
    const started = this.onStarted
    this.onStarted = undefined
    this.#endProcesses()
    started?.({ kind: 'failed', message: `FATAL: ${message}` })
  }

  /* ── connections ── */

  /** The postmaster forked: the process for one connection. */
  accept(connection: Connection<unknown, unknown>, startup: Startup): void {
    if (startup.kind === 'client') {
      const client = connection as Connection<ClientMessage, ServerMessage>
      this.backends.push(new Backend(this, client, startup.level))
    } else {
      const replication = connection as Connection<ReplicationRequest, ReplicationMessage>
      this.senders.push(new WalSender(this, replication, startup.applicationName))
    }
    this.changed()
  }

  backendGone(backend: Backend): void {
    const at = this.backends.indexOf(backend)
    if (at >= 0) this.backends.splice(at, 1)
    this.#endIfNobodyIsLeft()
  }

  senderGone(sender: WalSender): void {
    const at = this.senders.indexOf(sender)
    if (at >= 0) this.senders.splice(at, 1)
    this.changed()
    if (this.#isDraining && this.senders.length === 0) this.#exitLater()
    this.#endIfNobodyIsLeft()
  }

  /* ── primary ── */

  show(record: WalRecord): void {
    if (record.token >= 0) this.visible.push(record.token)
  }

  acknowledge(record: WalRecord, how: { level: SynchronousCommit; warned: boolean }): void {
    const { directory, host } = this
    host.world.acknowledged({
      at: this.clock.now,
      host: host.name,
      incarnation: directory.incarnation,
      systemId: directory.systemId,
      timeline: record.timeline,
      lsn: record.end,
      xid: record.xid,
      token: record.token,
      level: how.level,
      warned: how.warned,
      orphaned: !this.isPostmasterAlive,
    })
  }

  wakeSenders(): void {
    // A sender may end, and leave the list, while it is woken.
    for (let at = this.senders.length - 1; at >= 0; at -= 1) this.senders[at]?.wake()
  }

  /** Up to where walsenders may send: what is flushed here. */
  sendLimit(): number {
    if (this.writer) return this.writer.flushedLsn
    const upto = this.receivedUpto
    const received = upto?.timeline === this.timeline ? upto.lsn : 0
    return Math.max(received, this.replayLsn)
  }

  backupEnd(): number {
    return this.writer?.flushedLsn ?? this.replayLsn
  }

  /** Removes WAL that nobody needs, and gives up slots that keep too much. */
  recycle(): void {
    const { directory, config } = this
    const end = this.writer?.flushedLsn ?? this.replayLsn
    let keep = Math.min(directory.control.redo, end - config.walKeepBytes)
    for (const [name, slot] of directory.slots) {
      if (slot.isLost || slot.restartLsn === 0) continue
      if (end - slot.restartLsn > config.maxSlotWalKeepBytes) {
        slot.isLost = true
        this.senders.find((sender) => sender.slotName === name)?.exit()
      } else keep = Math.min(keep, slot.restartLsn)
    }
    if (keep > 0) directory.wal.removeBelow(keep)
  }

  /* ── standby ── */

  startReceiver(request: { upstream: Address; timeline: number; lsn: number }): void {
    if (this.receiver !== undefined) return
    this.receiver = new WalReceiver(this, request)
    this.changed()
  }

  /** A walreceiver that was asked for and not yet forked is no longer wanted. */
  dismissReceiver(): void {
    this.receiver?.vanish()
    this.receiver = undefined
  }

  receiverGone(receiver: WalReceiver): void {
    if (this.receiver === receiver) this.receiver = undefined
    this.changed()
    this.startup?.wake()
  }

  /** A walreceiver has flushed up to here. */
  received(timeline: number, lsn: number): void {
    if (this.receivedUpto?.timeline !== timeline || this.receivedUpto.lsn < lsn) {
      this.receivedUpto = { lsn, timeline }
    }
    this.changed()
    this.wakeSenders()
    this.startup?.wake()
  }

  replayed(): void {
    this.changed()
    this.#openWhenConsistent()
    this.wakeSenders()
  }

  /** Conflicts with recovery are resolved against the readers. */
  endReaders(): void {
    for (const backend of [...this.backends]) if (backend.isReader) backend.terminate()
  }

  /** First step of a promotion: the history file of the next timeline is on disk. */
  writeHistory(from: number): number {
    const { directory } = this
    const startup = this.startup as StartupProcess
    const timeline = directory.newestTimeline(from) + 1
    const link = { timeline: startup.path.target, endLsn: startup.replayLsn }
    directory.histories.set(timeline, [...(directory.historyOf(startup.path.target) ?? []), link])
    return timeline
  }

  /** Second step: END_OF_RECOVERY, and writes are taken. */
  openAfterRecovery(timeline: number): void {
    const { directory } = this
    const switchLsn = this.replayLsn
    directory.standbySignal = false
    this.#openWriter(timeline)
    const writer = this.writer as WalWriter
    const record = writer.append('end-of-recovery')
    const { control } = directory
    control.state = 'in production'
    control.minRecoveryLsn = record.end
    control.minRecoveryTimeline = timeline
    writer.flush()
    for (const sender of [...this.senders]) sender.endTimeline(switchLsn)
    this.checkpointer.checkpoint(() => undefined)
    this.host.promoted(timeline)
  }

  /* ── signals ── */

  /** SIGHUP to the postmaster, which tells its children; each acts on it by itself. */
  reload(): void {
    const { clock, chance, timings } = this
    const run = (): void => {
      if (this.isDead || !this.isPostmasterAlive || this.holdsPostmaster(run)) return
      this.config = this.directory.config
      this.changed()
      this.startup?.reload()
      for (const sender of this.senders) sender.reload()
      this.checkpointer.reload()
    }
    clock.at(clock.now + between(chance, timings.reloadMs), run)
  }

  freeze(isFrozen: boolean): void {
    if (this.isFrozen === isFrozen) return
    this.isFrozen = isFrozen
    this.host.world.reviewSilence()
    if (isFrozen) return
    const deferred = this.#deferred
    this.#deferred = []
    for (const run of deferred) run()
  }

  /** The postmaster passes the wish on, also while recovery has not begun yet. */
  promote(): void {
    this.#isPromotionWanted = true
    this.startup?.promote()
  }

  freezePostmaster(isFrozen: boolean): void {
    this.#isPostmasterFrozen = isFrozen
    if (isFrozen) return
    const deferred = this.#deferredByPostmaster
    this.#deferredByPostmaster = []
    for (const run of deferred) run()
  }

  /** SIGINT: a fast shutdown. */
  shutDown(): void {
    const run = (): void => {
      if (this.isDead || !this.isPostmasterAlive || this.phase === 'stopping' || this.holdsPostmaster(run))
        return
      this.phase = 'stopping'
      this.changed()
      for (const backend of [...this.backends]) backend.terminate()
      if (this.writer) this.#shutDownPrimary(this.writer)
      else this.#shutDownStandby()
    }
    this.clock.at(this.clock.now + between(this.chance, this.timings.exitMs), run)
  }

  #shutDownPrimary(writer: WalWriter): void {
    const { clock, chance, timings } = this
    const write = (): void => {
      if (this.isDead || !this.isPostmasterAlive || this.holds(write)) return
      if (this.backends.length > 0 || this.checkpointer.isStalled) {
        clock.at(clock.now + between(chance, timings.exitMs), write)
        return
      }
      const record = writer.append('shutdown-checkpoint', { redo: writer.insertLsn })
      const flushed = (): void => {
        if (this.isDead || !this.isPostmasterAlive || this.holds(flushed)) return
        if (writer.flushedLsn < record.end) {
          writer.flush()
          this.host.disk.sync(flushed)
          return
        }
        const { control } = this.directory
        control.state = 'shut down'
        control.redo = record.start
        control.checkpointLsn = record.start
        control.checkpointTimeline = writer.timeline
        control.minRecoveryLsn = 0
        control.minRecoveryTimeline = 0
        this.#drain()
      }
      writer.flush()
      this.host.disk.sync(flushed)
    }
    clock.at(clock.now + between(chance, timings.checkpointMs), write)
  }

  /** Walsenders end when their standbys have everything. */
  #drain(): void {
    this.#isDraining = true
    for (const sender of [...this.senders]) sender.stop()
    if (this.senders.length === 0) this.#exitLater()
  }

  #shutDownStandby(): void {
    const { clock, chance, timings } = this
    const startup = this.startup
    this.startup?.end()
    this.receiver?.exit()
    const end = (): void => {
      if (this.isDead || !this.isPostmasterAlive || this.holds(end)) return
      if (startup && this.#consistentLsn <= startup.replayLsn) {
        this.checkpointer.restartpoint()
        this.directory.control.state = 'shut down in recovery'
      }
      this.#drain()
    }
    clock.at(clock.now + between(chance, timings.checkpointMs), end)
  }

  #exitLater(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    const end = (): void => {
      if (!this.isDead && !this.holds(end)) this.#endProcesses()
    }
    this.clock.at(this.clock.now + between(this.chance, this.timings.exitMs), end)
  }

  /** A child crashed or panicked: the postmaster ends all others and then itself (`restart_after_crash` is off). */
  crash(message: string): void {
    if (this.#isEnding || this.isDead) return
    this.#isEnding = true
    const started = this.onStarted
    this.onStarted = undefined
    const end = (): void => {
      if (this.isDead || this.holds(end)) return
      this.#endProcesses()
      started?.({ kind: 'failed', message })
    }
    this.clock.at(this.clock.now + between(this.chance, this.timings.exitMs), end)
  }

  /** SIGKILL of the postmaster alone: its children find out when they next have to wait (safety.md M8, M9, M10). */
  killPostmaster(): void {
    if (!this.isPostmasterAlive) return
    this.isPostmasterAlive = false
    this.changed()
    const started = this.onStarted
    this.onStarted = undefined
    const notice = (): void => {
      if (this.isDead || this.holds(notice)) return
      this.startup?.end()
      this.receiver?.exit()
      for (const sender of [...this.senders]) sender.exit()
      for (const backend of [...this.backends]) {
        if (backend.state !== 'flushing') backend.exit()
      }
      this.#endIfNobodyIsLeft()
    }
    this.clock.at(this.clock.now + this.chance.next(), notice)
    this.host.postmasterExited(this)
    started?.({ kind: 'failed', message: 'the postmaster ended' })
  }

  /** SIGKILL of every process: at once, whatever they do. */
  killAll(): void {
    this.#endProcesses()
  }

  #endIfNobodyIsLeft(): void {
    if (this.isDead || this.isPostmasterAlive) return
    if (this.backends.length === 0 && this.senders.length === 0) this.#endProcesses()
  }

  /** The host lost its power: no packet, no last write. */
  losePower(): void {
    this.isDead = true
    this.isPostmasterAlive = false
    this.startup?.end()
    this.receiver?.losePower()
  }

  #endProcesses(): void {
    if (this.isDead) return
    this.isDead = true
    const wasAlive = this.isPostmasterAlive
    this.isPostmasterAlive = false
    this.startup?.end()
    this.receiver?.vanish()
    this.receiver = undefined
    for (const sender of this.senders) sender.vanish()
    for (const backend of this.backends) backend.vanish()
    if (this.writer) this.directory.loseMemory(this.writer.timeline, this.writer.writtenLsn)
    for (const slot of this.directory.slots.values()) slot.isActive = false
    const started = this.onStarted
    this.onStarted = undefined
    this.host.serverEnded(this)
    if (wasAlive) this.host.postmasterExited(this)
    started?.({ kind: 'failed', message: 'it was ended' })
  }
}
