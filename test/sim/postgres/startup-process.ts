import type { PostgresConfig } from './data-directory.ts'
import { between } from './ports.ts'
import { RecoveryPath } from './recovery-path.ts'
import type { PostgresServer } from './server.ts'
import type { WalRecord } from './wal.ts'

type State =
  | 'applying'
  /** In the state for streaming: a latch wakes it. */
  | 'waiting-for-wal'
  /** Between two rounds of all sources: a latch wakes it, else `wal_retrieve_retry_interval`. */
  | 'waiting-to-retry'
  | 'looking-in-archive'
  | 'stopping-receiver'
  | 'paused'
  | 'conflict'
  | 'promoting'
  | 'ended'

/** A pause is looked at this often (recoveryPausesHere): no latch wakes it. */
const PAUSE_LOOK_MS = 1000
/** A backlog is applied in pieces, so that a pause or a kill can come in between. */
const BATCH_RECORDS = 256
/** At the end of recovery the archive is asked for this many files. */
const PROMOTION_LOOKUPS = 5

/**
 * The startup process of a standby: WaitForWALToBecomeAvailable in PostgreSQL's xlogrecovery.c (xlog.c before 15), with the order in
 * which it looks at sources, triggers and latches, since that order makes the traps (safety.md M1–M3, M13; ha-frontier.md 0.3).
 */
export class StartupProcess {
  readonly #server: PostgresServer
  readonly path: RecoveryPath
  state: State = 'applying'
  #source: 'pg_wal' | 'stream' = 'pg_wal'
  replayLsn: number
  /** Where the last record began. */
  previous = 0
  replayTimeline: number
  #isPromoteSignaled = false
  #isReceiverRestartPending = false
  #isReloadPending = false
  #config: PostgresConfig
  isPauseRequested = false
  #lastFailAt = Number.NEGATIVE_INFINITY
  #batch: WalRecord[] = []
  #cancelTimer: (() => void) | undefined
  #isLookScheduled = false

  constructor(server: PostgresServer, start: { path: RecoveryPath; replayLsn: number; timeline: number }) {
    this.#server = server
    this.path = start.path
    this.replayLsn = start.replayLsn
    this.replayTimeline = start.timeline
    this.#config = server.config
  }

  get isPromotionRequested(): boolean {
    return this.#isPromoteSignaled
  }

  /** Replays what has to be there before anybody may connect, in the time of the start. */
  replayUntil(lsn: number): number {
    let count = 0
    while (this.replayLsn < lsn) {
      const record = this.path.next(this.replayLsn, this.previous)
      if (record === undefined) break
      this.#apply(record)
      count += 1
    }
    return count
  }

  run(): void {
    this.#step()
  }

  /** The latch: WAL came, the walreceiver ended, a signal. */
  wake(): void {
    if (this.state !== 'waiting-for-wal' && this.state !== 'waiting-to-retry') return
    if (this.#server.holds(() => this.wake())) return
    this.#cancel()
    if (this.state === 'waiting-to-retry') this.#retry()
    else this.#step()
  }

  /** SIGUSR2 after `promote` was asked for. */
  promote(): void {
    this.#isPromoteSignaled = true
    if (this.state === 'paused') this.#lookLater()
    else this.wake()
  }

  /** SIGHUP: acted on when it next waits for WAL; a pause and a conflict keep it from that (M2, M3). */
  reload(): void {
    this.#isReloadPending = true
    this.wake()
  }

  pause(): void {
    this.isPauseRequested = true
    this.wake()
  }

  resume(): void {
    this.isPauseRequested = false
    if (this.state === 'paused') this.#step()
  }

  readerGone(): void {
    if (this.state === 'conflict' && !this.#server.hasReaders) this.#endConflict()
  }

  /** The process is gone. */
  end(): void {
    this.state = 'ended'
    this.#cancel()
  }

  #step(): void {
    for (;;) {
      if (this.state === 'ended') return
      if (this.isPauseRequested && !this.#isPromoteSignaled) {
        this.state = 'paused'
        this.#server.changed()
        return
      }
      if (this.#gather()) return
      this.#readConfig()
      if (this.#source === 'stream') {
        if (!this.#stream()) return
      } else if (!this.#afterPgWal()) return
    }
  }

  /** Begins to apply what is here; false when nothing is. */
  #gather(): boolean {
    const limit = this.#source === 'stream' ? this.#streamLimit() : Number.POSITIVE_INFINITY
    const batch = this.#batch
    batch.length = 0
    let lsn = this.replayLsn
    let { previous } = this
    while (batch.length < BATCH_RECORDS && lsn < limit) {
      const record = this.path.next(lsn, previous)
      if (record === undefined || record.end > limit) break
      if (record.kind === 'lock' && this.#server.hasReaders) {
        if (batch.length > 0) break
        this.#beginConflict()
        return true
      }
      batch.push(record)
      lsn = record.end
      previous = record.start
    }
    if (batch.length === 0) return false
    this.state = 'applying'
    const { clock, chance, timings } = this.#server
    const ms = between(chance, timings.replayMs) + batch.length * timings.recordMs
    this.#cancelTimer = clock.at(clock.now + ms, this.#applied)
    return true
  }

  #streamLimit(): number {
    const upto = this.#server.receivedUpto
    return upto === undefined ? 0 : upto.lsn
  }

  readonly #applied = (): void => {
    if (this.state !== 'applying' || this.#server.holds(this.#applied)) return
    this.#cancelTimer = undefined
    for (const record of this.#batch) this.#apply(record)
    this.#server.replayed()
    this.#step()
  }

  #apply(record: WalRecord): void {
    const server = this.#server
    this.replayLsn = record.end
    this.previous = record.start
    this.replayTimeline = record.timeline
    const { directory } = server
    if (record.xid >= directory.nextXid) directory.nextXid = record.xid + 1
    if (record.token >= 0) {
      directory.addRow(record)
      server.visible.push(record.token)
    }
    if (record.kind === 'checkpoint' || record.kind === 'shutdown-checkpoint') {
      server.checkpointer.replayedCheckpoint(record)
    }
  }

  /** XLOG_FROM_ARCHIVE and XLOG_FROM_PG_WAL failed; true: look at the sources again. */
  #afterPgWal(): boolean {
    const { restoreCommandMs } = this.#config
    if (restoreCommandMs !== undefined && this.state !== 'looking-in-archive') {
      this.state = 'looking-in-archive'
      this.#cancelTimer = this.#after(restoreCommandMs, () => this.#step())
      return false
    }
    this.state = 'applying'
    // Only here, when all local WAL is replayed, a promotion begins.
    if (this.#isPromoteSignaled) return this.#stopReceiver(() => this.#beginPromotion())
    this.#source = 'stream'
    this.#isReceiverRestartPending = false
    this.#startReceiver()
    return true
  }

  #startReceiver(): void {
    const { upstream } = this.#config
    if (upstream === undefined) return
    const timeline = this.path.timelineAt(this.replayLsn)
    this.#server.startReceiver({ upstream, timeline, lsn: this.replayLsn })
  }

  /** XLOG_FROM_STREAM; true: look at the sources again. */
  #stream(): boolean {
    if (this.#isReceiverRestartPending) {
      this.#isReceiverRestartPending = false
      return this.#stopReceiver(() => {
        this.path.rescan(this.replayLsn)
        this.#startReceiver()
        this.#step()
      })
    }
    const { receiver } = this.#server
    const isStreaming = receiver !== undefined && receiver.state !== 'waiting' && receiver.state !== 'gone'
    const hasUnreadable = this.#streamLimit() > this.replayLsn && receiver?.state === 'streaming'
    if (!isStreaming || hasUnreadable || this.#isPromoteSignaled) return this.#streamFailed()
    this.state = 'waiting-for-wal'
    receiver.reply()
    return false
  }

  #streamFailed(): boolean {
    return this.#stopReceiver((isLatchSet) => {
      if (this.path.rescan(this.replayLsn)) {
        this.#source = 'pg_wal'
        this.#step()
        return
      }
      const { clock } = this.#server
      const until = this.#lastFailAt + this.#config.walRetrieveRetryMs
      if (clock.now >= until || isLatchSet) {
        this.#retry()
        return
      }
      this.state = 'waiting-to-retry'
      // Nothing can change before a signal comes where nobody is to be asked: no need to look.
      if (this.#config.upstream === undefined && !this.#isReloadPending) return
      this.#cancelTimer = this.#after(until - clock.now, () => this.#retry())
    })
  }

  #retry(): void {
    this.#lastFailAt = this.#server.clock.now
    this.#source = 'pg_wal'
    this.state = 'applying'
    this.#step()
  }

  /**
   * Waits for the end of the walreceiver, then goes on; false, as the caller has to return. A walreceiver that ends sets the latch
   * (WalRcvDie), one that was only asked for does not: that is how a promotion comes to sleep (ha-frontier.md 0.3).
   */
  #stopReceiver(then: (isLatchSet: boolean) => void): boolean {
    const { receiver } = this.#server
    if (receiver === undefined || receiver.state === 'requested') {
      this.#server.dismissReceiver()
      this.state = 'applying'
      then(false)
      return false
    }
    this.state = 'stopping-receiver'
    const { chance, timings } = this.#server
    this.#cancelTimer = this.#after(between(chance, timings.exitMs), () => {
      this.#server.receiver?.exit()
      this.state = 'applying'
      then(true)
    })
    return false
  }

  #readConfig(): void {
    if (!this.#isReloadPending) return
    this.#isReloadPending = false
    const before = this.#config
    this.#config = this.#server.config
    const hasChanged =
      before.upstream !== this.#config.upstream ||
      before.slotName !== this.#config.slotName ||
      before.applicationName !== this.#config.applicationName
    if (hasChanged && this.#source === 'stream' && this.#server.receiver)
      this.#isReceiverRestartPending = true
  }

  #beginConflict(): void {
    this.state = 'conflict'
    const { maxStandbyDelayMs } = this.#config
    if (maxStandbyDelayMs === Number.POSITIVE_INFINITY) return
    this.#cancelTimer = this.#after(maxStandbyDelayMs, () => {
      if (this.state === 'conflict') this.#server.endReaders()
    })
  }

  #endConflict(): void {
    this.#cancel()
    this.state = 'applying'
    this.#step()
  }

  /** A paused startup process finds out about a promotion when it next looks. */
  #lookLater(): void {
    if (this.#isLookScheduled) return
    this.#isLookScheduled = true
    this.#after(PAUSE_LOOK_MS * this.#server.chance.next(), () => {
      this.#isLookScheduled = false
      if (this.state !== 'paused') return
      this.isPauseRequested = false
      this.#step()
    })
  }

  #beginPromotion(): void {
    this.state = 'promoting'
    const { chance, timings } = this.#server
    const lookups = PROMOTION_LOOKUPS * (this.#config.restoreCommandMs ?? 0)
    const half = (between(chance, timings.promoteMs) + lookups) / 2
    this.#cancelTimer = this.#after(half, () => {
      const timeline = this.#server.writeHistory(this.path.target)
      this.#cancelTimer = this.#after(half, () => this.#server.openAfterRecovery(timeline))
    })
  }

  #after(ms: number, run: () => void): () => void {
    const { clock } = this.#server
    const guarded = (): void => {
      if (this.state === 'ended' || this.#server.holds(guarded)) return
      run()
    }
    return clock.at(clock.now + ms, guarded)
  }

  #cancel(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}
