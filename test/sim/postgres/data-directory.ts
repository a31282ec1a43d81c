import { FIRST_LSN, segmentStart } from './lsn.ts'
import type { Address } from './ports.ts'
import { WalStore, type TimelineLink, type WalRecord } from './wal.ts'

export type ControlState =
  | 'shut down'
  | 'shut down in recovery'
  | 'in crash recovery'
  | 'in archive recovery'
  | 'in production'

/** pg_control. */
export type ControlFile = {
  state: ControlState
  /** Begin of the newest checkpoint's redo, and the timeline that the checkpoint lies on. */
  redo: number
  checkpointLsn: number
  checkpointTimeline: number
  /** 0: a checkpoint says more. */
  minRecoveryLsn: number
  minRecoveryTimeline: number
}

/** The settings that matter here, as they stand in the files. Replaced as a whole, never changed. */
export type PostgresConfig = {
  /** `primary_conninfo`: empty when undefined. */
  readonly upstream: Address | undefined
  readonly applicationName: string
  readonly slotName: string | undefined
  /** Non-empty: each look into the archive misses after this long. */
  readonly restoreCommandMs: number | undefined
  readonly synchronousNames: string
  readonly walRetrieveRetryMs: number
  readonly walReceiverTimeoutMs: number
  readonly walSenderTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxStandbyDelayMs: number
  readonly walKeepBytes: number
  /** Infinity: slots keep WAL for ever. */
  readonly maxSlotWalKeepBytes: number
  readonly checkpointTimeoutMs: number
}

/** As `src/postgres/parameters.ts` sets them. */
export const POSTGRES_CONFIG: PostgresConfig = {
  upstream: undefined,
  applicationName: 'walreceiver',
  slotName: undefined,
  restoreCommandMs: undefined,
  synchronousNames: '',
  walRetrieveRetryMs: 20,
  walReceiverTimeoutMs: 5000,
  walSenderTimeoutMs: 5000,
  connectTimeoutMs: 3000,
  maxStandbyDelayMs: 5000,
  walKeepBytes: 128 * 1024 * 1024,
  maxSlotWalKeepBytes: 8 * 1024 * 1024 * 1024,
  checkpointTimeoutMs: 300_000,
}

export type ReplicationSlot = {
  restartLsn: number
  /** Its WAL was recycled: it serves nobody any more. */
  isLost: boolean
  isActive: boolean
}

/** The history of a timeline that was never opened: it has no ancestors, and no standby is its child. */
const RESERVED: readonly TimelineLink[] = []

/** The rows of a data directory: tokens in the order of their commits, with where each commit ends. */
export type Rows = { tokens: number[]; ends: number[] }

export type DirectoryOptions = {
  readonly systemId: string
  readonly config: PostgresConfig
  readonly bytes: number
  readonly rowBytes: number
  readonly segmentBytes: number
}

/** One data directory: what is on disk, apart from the tail of the WAL that no fsync has reached. */
export class DataDirectory {
  readonly systemId: string
  incarnation: string | undefined
  standbySignal = false
  /** A pg_rewind was cut off: half of one history and half of another. */
  isDestroyed = false
  /** A base backup that was not recovered to its end yet: recovery starts here and not at the control file's checkpoint. */
  backupEndLsn = 0
  control: ControlFile
  wal: WalStore
  /** `.history` files by timeline. */
  histories = new Map<number, readonly TimelineLink[]>()
  config: PostgresConfig
  slots = new Map<string, ReplicationSlot>()
  rows: Rows = { tokens: [], ends: [] }
  nextXid = 730
  /** WAL behind this was written but not flushed: a loss of power may take it. By timeline of the writer. */
  flushedLsn = FIRST_LSN
  flushedTimeline = 1
  /** The files of the heap and of the indexes: what a clone copies beside the WAL. */
  bytes: number
  /** What a row takes in the WAL, on top of its commit. */
  rowBytes: number

  constructor(options: DirectoryOptions) {
    this.systemId = options.systemId
    this.config = options.config
    this.bytes = options.bytes
    this.rowBytes = options.rowBytes
    this.wal = new WalStore(options.segmentBytes)
    this.control = {
      state: 'shut down',
      redo: FIRST_LSN,
      checkpointLsn: FIRST_LSN,
      checkpointTimeline: 1,
      minRecoveryLsn: 0,
      minRecoveryTimeline: 0,
    }
  }

  /** The newest timeline that the control file knows. */
  get timeline(): number {
    return Math.max(this.control.checkpointTimeline, this.control.minRecoveryTimeline)
  }

  get isClean(): boolean {
    return this.control.state === 'shut down' || this.control.state === 'shut down in recovery'
  }

  /** What initdb leaves: a directory that was shut down. */
  putFirstCheckpoint(): void {
    const start = FIRST_LSN
    const end = start + 120
    this.wal.append({
      timeline: 1,
      start,
      end,
      previous: 0,
      kind: 'shutdown-checkpoint',
      xid: 0,
      token: -1,
      redo: start,
    })
    this.flushedLsn = end
  }

  addRow(record: WalRecord): void {
    this.rows.tokens.push(record.token)
    this.rows.ends.push(record.end)
  }

  /** What a walreceiver wrote: in the hands of the operating system, not yet flushed. */
  receive(timeline: number, records: readonly WalRecord[]): void {
    const first = records[0]
    if (first === undefined) return
    if (timeline !== this.flushedTimeline) {
      this.flushedTimeline = timeline
      this.flushedLsn = first.start
    }
    this.wal.overwrite(timeline, records)
  }

  keepFlushed(timeline: number, lsn: number): void {
    if (timeline === this.flushedTimeline) this.flushedLsn = Math.max(this.flushedLsn, lsn)
  }

  /** Where the oldest segment begins that is still here: they are removed oldest first, whatever their timeline. */
  get oldestWal(): number | undefined {
    const start = this.wal.oldestStart()
    return start === undefined ? undefined : segmentStart(start, this.wal.segmentBytes)
  }

  /** Ancestors of a timeline, oldest first; `undefined`: its history file is not here. */
  historyOf(timeline: number): readonly TimelineLink[] | undefined {
    return timeline === 1 ? [] : this.histories.get(timeline)
  }

  /** PostgreSQL's findNewestTimeLine: asks for one after the other and ends at the first that is missing. */
  newestTimeline(from: number): number {
    let timeline = from
    while (this.histories.has(timeline + 1)) timeline += 1
    return timeline
  }

  /** As `reserveTimelinesBelow` of src/postgres/timeline-history.ts: history files that only say that their id is taken. */
  reserveTimelinesBelow(timeline: number): void {
    for (let id = 2; id < timeline; id += 1) if (!this.histories.has(id)) this.histories.set(id, RESERVED)
  }

  forgetReservedTimelines(): void {
    for (const [id, links] of this.histories) if (links === RESERVED) this.histories.delete(id)
  }

  /** What a base backup brings: everything but the rows before `redo`, the segments before its, slots and the incarnation of the source. */
  copyForBackup(backup: {
    redo: number
    checkpointLsn: number
    timeline: number
    endLsn: number
  }): DataDirectory {
    const { systemId, config, bytes, rowBytes } = this
    const { segmentBytes } = this.wal
    const copy = new DataDirectory({ systemId, config, bytes, rowBytes, segmentBytes })
    copy.standbySignal = this.standbySignal
    // A base backup brings whole segments.
    copy.wal = this.wal.copyFrom(segmentStart(backup.redo, segmentBytes))
    for (const timeline of copy.wal.timelines()) {
      if (timeline === backup.timeline) copy.wal.truncate(timeline, backup.endLsn)
    }
    copy.histories = new Map(this.histories)
    copy.rows = rowsUpTo(this.rows, backup.redo)
    copy.nextXid = this.nextXid
    copy.backupEndLsn = backup.endLsn
    copy.flushedLsn = backup.endLsn
    copy.flushedTimeline = backup.timeline
    copy.control = {
      state: 'in production',
      redo: backup.redo,
      checkpointLsn: backup.checkpointLsn,
      checkpointTimeline: backup.timeline,
      minRecoveryLsn: 0,
      minRecoveryTimeline: 0,
    }
    return copy
  }

  /** The host lost its power: what was not flushed is gone, but for a part that happened to be written. */
  losePower(tornAt: number): void {
    this.wal.truncate(this.flushedTimeline, Math.max(this.flushedLsn, tornAt))
    for (const slot of this.slots.values()) slot.isActive = false
  }

  /** All processes are gone: memory is lost, files stay as they were written. */
  loseMemory(timeline: number, writtenLsn: number): void {
    this.wal.truncate(timeline, writtenLsn)
    for (const slot of this.slots.values()) slot.isActive = false
  }

  /** The end of valid WAL of a stopped instance, as `src/postgres/end-of-wal.ts` finds it. */
  endOfWal(): { timeline: number; endLsn: number } {
    const { control } = this
    const isBehind =
      control.minRecoveryTimeline >= control.checkpointTimeline && control.minRecoveryLsn > control.redo
    let timeline = isBehind ? control.minRecoveryTimeline : control.checkpointTimeline
    let end = this.wal.endFrom(timeline, isBehind ? control.minRecoveryLsn : control.redo)
    const later = [...this.histories.keys()].filter((id) => id > timeline).sort((one, other) => one - other)
    for (const id of later) {
      const parent = this.histories.get(id)?.at(-1)
      if (parent === undefined || parent.timeline !== timeline || parent.endLsn > end) continue
      const reached = this.wal.endFrom(id, parent.endLsn)
      if (reached === parent.endLsn) continue
      timeline = id
      end = reached
    }
    return { timeline, endLsn: end }
  }

  /** Commits of clients on `timeline` behind `forkLsn`: what a take-over lost. */
  behind(timeline: number, forkLsn: number): { endLsn: number; xids: number[]; tokens: number[] } {
    const lost = { endLsn: forkLsn, xids: [] as number[], tokens: [] as number[] }
    for (const ancestor of this.historyOf(timeline) ?? []) {
      if (ancestor.endLsn > lost.endLsn) this.#addBehind(ancestor.timeline, lost, ancestor.endLsn)
    }
    this.#addBehind(timeline, lost, Number.POSITIVE_INFINITY)
    return lost
  }

  /** Rows that are in the tables only: the WAL of their commits is not there any more. */
  tokensAfter(lsn: number): readonly number[] {
    return this.rows.tokens.filter((_token, index) => (this.rows.ends[index] as number) > lsn)
  }

  #addBehind(
    timeline: number,
    lost: { endLsn: number; readonly xids: number[]; readonly tokens: number[] },
    until: number,
  ): void {
    const records = this.wal.of(timeline)
    for (let at = this.wal.indexAt(timeline, lost.endLsn); at < records.length; at += 1) {
      const record = records[at] as WalRecord
      if (record.start !== lost.endLsn || record.end > until) break
      lost.endLsn = record.end
      if (record.kind === 'commit' || record.kind === 'lock') {
        lost.xids.push(record.xid)
        if (record.token >= 0) lost.tokens.push(record.token)
      }
    }
  }
}

/** Recovery starts from the state that the checkpoint left. */
export function rowsUpTo(rows: Rows, lsn: number): Rows {
  let length = rows.ends.length
  while (length > 0 && (rows.ends[length - 1] as number) > lsn) length -= 1
  return { tokens: rows.tokens.slice(0, length), ends: rows.ends.slice(0, length) }
}
