import type { SyncOutcome } from './disk.ts'
import { segmentStart } from './lsn.ts'
import type { PostgresServer } from './server.ts'
import type { WalKind, WalRecord } from './wal.ts'

/** The walwriter flushes what nobody waits for within this. */
const LAZY_FLUSH_MS = 200

/** bgwriter logs running transactions this long after something was written. */
const RUNNING_XACTS_MS = 15_000

const RECORD_BYTES: Readonly<Record<WalKind, number>> = {
  commit: 96,
  probe: 112,
  lock: 136,
  checkpoint: 120,
  'shutdown-checkpoint': 120,
  'end-of-recovery': 48,
  'running-xacts': 56,
  switch: 24,
}

/** Somebody who waits until his commit is durable here. */
export type Committer = { readonly commitLsn: number; flushed(): void }

/** The WAL of a primary: records go into memory, one flush at a time makes them durable, and commits wait for it in order. */
export class WalWriter {
  readonly #server: PostgresServer
  readonly timeline: number
  /** Where the next record begins. */
  insertLsn: number
  /** Handed to the operating system: survives the end of all processes, not a loss of power. */
  writtenLsn: number
  flushedLsn: number
  #previous: number
  #waiting: Committer[] = []
  #isFlushing = false
  #isLazyFlushDue = false
  #isSnapshotDue = false

  constructor(server: PostgresServer, start: { timeline: number; lsn: number; previous: number }) {
    this.#server = server
    this.timeline = start.timeline
    this.insertLsn = start.lsn
    this.writtenLsn = start.lsn
    this.flushedLsn = start.lsn
    this.#previous = start.previous
  }

  append(kind: WalKind, content: { token?: number; redo?: number; end?: number } = {}): WalRecord {
    const { directory } = this.#server
    const hasXid = kind === 'commit' || kind === 'probe' || kind === 'lock'
    const start = this.insertLsn
    // Equal deeds make records of equal size, as they do in PostgreSQL: positions of two histories can match.
    const bytes = RECORD_BYTES[kind] + (hasXid ? directory.rowBytes : 0)
    const record: WalRecord = {
      timeline: this.timeline,
      start,
      end: content.end ?? start + bytes,
      previous: this.#previous,
      kind,
      xid: hasXid ? directory.nextXid : 0,
      token: content.token ?? -1,
      redo: content.redo ?? 0,
    }
    if (hasXid) directory.nextXid += 1
    this.#previous = start
    this.insertLsn = record.end
    directory.wal.append(record)
    if (record.token >= 0) directory.addRow(record)
    // What the server writes about itself calls for no checkpoint and no snapshot, so that an idle server comes to rest.
    if (hasXid) {
      this.#snapshotLater()
      this.#server.checkpointer.noteWrite()
    }
    return record
  }

  /** Goes on with the next segment. */
  switchSegment(): void {
    const { segmentBytes } = this.#server.directory.wal
    const next = segmentStart(this.insertLsn, segmentBytes) + segmentBytes
    this.append('switch', { end: next })
    this.append('running-xacts')
    this.flush()
  }

  /** The segment that the next record needs is not there, and cannot be made. */
  get needsNewSegment(): boolean {
    const { segmentBytes } = this.#server.directory.wal
    const room = segmentStart(this.insertLsn, segmentBytes) + segmentBytes - this.insertLsn
    return room < RECORD_BYTES.lock + this.#server.directory.rowBytes
  }

  /** Calls `flushed` when the commit is durable here. */
  waitFor(committer: Committer): void {
    this.#waiting.push(committer)
    this.flush()
  }

  flushSoon(): void {
    if (this.#isLazyFlushDue) return
    this.#isLazyFlushDue = true
    const { clock, chance } = this.#server
    clock.at(clock.now + LAZY_FLUSH_MS * chance.next(), this.#lazyFlush)
  }

  readonly #lazyFlush = (): void => {
    if (!this.#isCurrent || this.#server.holds(this.#lazyFlush)) return
    this.#isLazyFlushDue = false
    if (this.#server.isPostmasterAlive) this.flush()
  }

  flush(): void {
    if (this.#isFlushing || this.insertLsn === this.flushedLsn) return
    this.#isFlushing = true
    const target = this.insertLsn
    this.writtenLsn = target
    this.#server.host.disk.sync((outcome) => this.#synced(target, outcome))
  }

  #synced(target: number, outcome: SyncOutcome): void {
    if (outcome === 'done') this.#server.directory.keepFlushed(this.timeline, target)
    this.#continueAfter(target, outcome)
  }

  #continueAfter(target: number, outcome: SyncOutcome): void {
    const server = this.#server
    if (!this.#isCurrent || server.holds(() => this.#continueAfter(target, outcome))) return
    this.#isFlushing = false
    if (outcome === 'io-error') {
      server.crash('PANIC: could not fsync WAL')
      return
    }
    this.flushedLsn = target
    server.changed()
    server.wakeSenders()
    const waiting = this.#waiting
    let count = 0
    while (count < waiting.length && (waiting[count] as Committer).commitLsn <= target) count += 1
    if (count > 0) {
      const ready = waiting.splice(0, count)
      for (const committer of ready) committer.flushed()
    }
    server.checkpointer.flushed()
    if (this.#isCurrent && waiting.length > 0) this.flush()
  }

  get #isCurrent(): boolean {
    return !this.#server.isDead && this.#server.writer === this
  }

  #snapshotLater(): void {
    if (this.#isSnapshotDue) return
    this.#isSnapshotDue = true
    const { clock } = this.#server
    clock.at(clock.now + RUNNING_XACTS_MS, this.#snapshot)
  }

  readonly #snapshot = (): void => {
    if (!this.#isCurrent || this.#server.holds(this.#snapshot)) return
    this.#isSnapshotDue = false
    if (!this.#server.isPostmasterAlive || this.#server.phase === 'stopping') return
    this.append('running-xacts')
    this.flush()
  }
}
