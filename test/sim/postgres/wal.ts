import { SEGMENT_BYTES, segmentStart } from './lsn.ts'

export type WalKind =
  /** A transaction of a client: its row and its commit in one record. */
  | 'commit'
  /** The agent's own commit. */
  | 'probe'
  /** Takes an exclusive lock in replay: conflicts with readers on a standby. */
  | 'lock'
  | 'checkpoint'
  | 'shutdown-checkpoint'
  | 'end-of-recovery'
  | 'running-xacts'
  /** pg_switch_wal: fills the rest of a segment. */
  | 'switch'

/** Never changed once made; directories of several hosts hold the same object. */
export type WalRecord = {
  readonly timeline: number
  readonly start: number
  /** Where the next one begins. */
  readonly end: number
  /** Where the one before began: PostgreSQL refuses a record whose back link is another. */
  readonly previous: number
  readonly kind: WalKind
  /** 0: none. */
  readonly xid: number
  /** -1: none. */
  readonly token: number
  /** Of a checkpoint: where recovery from it begins. */
  readonly redo: number
}

/** An ancestor: WAL of `timeline` belongs to the history up to `endLsn`. */
export type TimelineLink = { readonly timeline: number; readonly endLsn: number }

const NONE: readonly WalRecord[] = []

/** pg_wal: the records of each timeline, in order. Records of one timeline need not be without gaps at the front: segments are recycled. */
export class WalStore {
  readonly #records = new Map<number, WalRecord[]>()
  readonly segmentBytes: number

  constructor(segmentBytes = SEGMENT_BYTES) {
    this.segmentBytes = segmentBytes
  }

  of(timeline: number): readonly WalRecord[] {
    return this.#records.get(timeline) ?? NONE
  }

  timelines(): readonly number[] {
    return [...this.#records.keys()].sort((one, other) => one - other)
  }

  /** Of the oldest record of any timeline. */
  oldestStart(): number | undefined {
    let oldest: number | undefined
    for (const [first] of this.#records.values()) {
      if (first !== undefined && (oldest === undefined || first.start < oldest)) oldest = first.start
    }
    return oldest
  }

  append(record: WalRecord): void {
    const records = this.#records.get(record.timeline)
    if (records === undefined) this.#records.set(record.timeline, [record])
    else records.push(record)
  }

  /**
   * Writes what a walreceiver got over what lies there. The same bytes change nothing; other bytes make whatever lay behind them
   * unreadable, since its back links no longer fit.
   */
  overwrite(timeline: number, batch: readonly WalRecord[]): void {
    const first = batch[0]
    if (first === undefined) return
    let records = this.#records.get(timeline)
    if (records === undefined) this.#records.set(timeline, (records = []))
    const last = records.at(-1)
    if (last === undefined || last.end <= first.start) {
      for (const record of batch) records.push(record)
      return
    }
    let at = this.indexAt(timeline, first.start)
    for (const record of batch) {
      if (at < records.length && records[at] !== record) records.length = at
      if (at === records.length) records.push(record)
      at += 1
    }
  }

  /** Index of the first record that begins at `lsn` or behind it. */
  indexAt(timeline: number, lsn: number): number {
    const records = this.of(timeline)
    let low = 0
    let high = records.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((records[middle] as WalRecord).start < lsn) low = middle + 1
      else high = middle
    }
    return low
  }

  /** A record that begins exactly there. */
  at(timeline: number, lsn: number): WalRecord | undefined {
    const record = this.of(timeline)[this.indexAt(timeline, lsn)]
    return record?.start === lsn ? record : undefined
  }

  /** Where valid WAL ends on one timeline, walking from a record boundary. */
  endFrom(timeline: number, from: number): number {
    const records = this.of(timeline)
    let end = from
    for (let at = this.indexAt(timeline, from); at < records.length; at += 1) {
      const record = records[at] as WalRecord
      if (record.start !== end) break
      end = record.end
    }
    return end
  }

  /** There is a file of this timeline for the segment that holds `lsn`. */
  hasSegment(timeline: number, lsn: number): boolean {
    const start = segmentStart(lsn, this.segmentBytes)
    const record = this.of(timeline)[this.indexAt(timeline, start)]
    if (record !== undefined && record.start < start + this.segmentBytes) return true
    const before = this.of(timeline)[this.indexAt(timeline, start) - 1]
    return before !== undefined && before.end > start
  }

  /** What lies behind `end` on this timeline never reached the disk. */
  truncate(timeline: number, end: number): void {
    const records = this.#records.get(timeline)
    if (records === undefined) return
    let length = records.length
    while (length > 0 && (records[length - 1] as WalRecord).end > end) length -= 1
    records.length = length
  }

  /** Recycles whole segments below `lsn`. */
  removeBelow(lsn: number): void {
    const keepFrom = segmentStart(lsn, this.segmentBytes)
    for (const [timeline, records] of this.#records) {
      const count = this.indexAt(timeline, keepFrom)
      if (count > 0) records.splice(0, count)
    }
  }

  /** A copy that shares the records. Starts at `from`, as a base backup does. */
  copyFrom(from: number): WalStore {
    const copy = new WalStore(this.segmentBytes)
    for (const [timeline, records] of this.#records) {
      const kept = records.slice(this.indexAt(timeline, from))
      if (kept.length > 0) copy.#records.set(timeline, kept)
    }
    return copy
  }
}
