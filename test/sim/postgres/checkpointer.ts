import { between } from './ports.ts'
import type { PostgresServer } from './server.ts'
import type { WalRecord } from './wal.ts'

/** The checkpointer: checkpoints, the recycling of WAL, and the flag that makes commits wait for standbys. */
export class Checkpointer {
  readonly #server: PostgresServer
  /** SIGSTOP, or an fsync that does not come back: then a reload does not reach the flag (safety.md M7). */
  isStalled = false
  #isReloadPending = false
  #isTimed = false
  #waiting: (() => void)[] = []
  #running: { readonly redo: number; readonly done: readonly (() => void)[]; lsn: number } | undefined
  /** The newest checkpoint that a standby has replayed. */
  #replayed: WalRecord | undefined

  constructor(server: PostgresServer) {
    this.#server = server
  }

  /** SIGHUP. */
  reload(): void {
    if (this.isStalled) {
      this.#isReloadPending = true
      return
    }
    this.#isReloadPending = false
    this.#server.syncRep.define(this.#server.config.synchronousNames.trim() !== '')
  }

  stall(isStalled: boolean): void {
    this.isStalled = isStalled
    if (isStalled) return
    if (this.#isReloadPending) this.reload()
    this.#next()
  }

  /** A checkpoint, or on a standby a restartpoint. `done` may never come. */
  checkpoint(done: () => void): void {
    this.#waiting.push(done)
    this.#next()
  }

  /** A checkpoint comes some time after something was written, and none while nothing is. */
  noteWrite(): void {
    if (this.#isTimed) return
    this.#isTimed = true
    const { clock, config } = this.#server
    clock.at(clock.now + config.checkpointTimeoutMs, this.#timed)
  }

  replayedCheckpoint(record: WalRecord): void {
    this.#replayed = record
    this.noteWrite()
  }

  readonly #timed = (): void => {
    if (this.#server.isDead || this.#server.holds(this.#timed)) return
    this.#isTimed = false
    if (this.#server.phase === 'ready') this.checkpoint(() => undefined)
  }

  #next(): void {
    const server = this.#server
    if (this.#running || this.isStalled || this.#waiting.length === 0 || !server.isPostmasterAlive) return
    const redo = server.writer?.insertLsn ?? 0
    this.#running = { redo, done: this.#waiting.splice(0), lsn: 0 }
    const { clock, chance, timings } = server
    clock.at(clock.now + between(chance, timings.checkpointMs), this.#written)
  }

  readonly #written = (): void => {
    const server = this.#server
    if (server.isDead || !server.isPostmasterAlive || server.holds(this.#written)) return
    const running = this.#running
    if (running === undefined) return
    const { writer } = server
    if (writer === undefined) {
      this.restartpoint()
      this.#finish()
      return
    }
    writer.append('running-xacts')
    running.lsn = writer.append('checkpoint', { redo: Math.min(running.redo, writer.insertLsn) }).start
    writer.flush()
  }

  /** The primary has flushed: perhaps the checkpoint's record is among it. */
  flushed(): void {
    const running = this.#running
    const { writer, directory } = this.#server
    if (running === undefined || running.lsn === 0 || writer === undefined) return
    if (writer.flushedLsn <= running.lsn) {
      writer.flush()
      return
    }
    const { control } = directory
    control.redo = running.redo === 0 ? running.lsn : running.redo
    control.checkpointLsn = running.lsn
    control.checkpointTimeline = writer.timeline
    control.minRecoveryLsn = 0
    control.minRecoveryTimeline = 0
    this.#server.recycle()
    this.#finish()
  }

  /** Recovery of this standby need not begin before the newest checkpoint that it has replayed. */
  restartpoint(): void {
    const { directory, startup } = this.#server
    if (startup === undefined) return
    const { control } = directory
    const checkpoint = this.#replayed
    if (checkpoint && checkpoint.start > control.checkpointLsn) {
      control.redo = checkpoint.redo
      control.checkpointLsn = checkpoint.start
      control.checkpointTimeline = checkpoint.timeline
    }
    control.minRecoveryLsn = startup.replayLsn
    control.minRecoveryTimeline = startup.replayTimeline
    this.#server.recycle()
  }

  #finish(): void {
    const done = this.#running?.done ?? []
    this.#running = undefined
    for (const one of done) one()
    this.#next()
  }
}
