import type { DataDirectory } from './data-directory.ts'
import { segmentStart } from './lsn.ts'
import type { TimelineLink, WalRecord } from './wal.ts'

/** The timelines that recovery goes along (expectedTLEs), and the records on them. */
export class RecoveryPath {
  readonly #directory: DataDirectory
  /** The timeline that is aimed at. */
  target: number
  #links: readonly TimelineLink[]
  /** The array and place of the last record: the next is usually behind it. */
  #records: readonly WalRecord[] = []
  #at = 0

  constructor(directory: DataDirectory, target: number) {
    this.#directory = directory
    this.target = target
    this.#links = directory.historyOf(target) ?? []
  }

  /**
   * The timeline of a position: tliOfPointInHistory, from the newest to the oldest. Ends need not grow: who is promoted before it got
   * the WAL of the timeline that it aims at forks below it.
   */
  timelineAt(lsn: number): number {
    const links = this.#links
    if (lsn >= (links.at(-1)?.endLsn ?? 0)) return this.target
    for (let place = links.length - 1; place >= 0; place -= 1) {
      const { timeline, endLsn } = links[place] as TimelineLink
      if (lsn < endLsn && lsn >= (links[place - 1]?.endLsn ?? 0)) return timeline
    }
    return 0
  }

  /** The next record to replay; `undefined` when there is none, or one that does not fit. */
  next(lsn: number, previous: number): WalRecord | undefined {
    const ahead = this.#records[this.#at + 1]
    if (ahead !== undefined && ahead.start === lsn && ahead.previous === previous && this.#isOnPath(ahead)) {
      this.#at += 1
      return ahead
    }
    const timeline = this.#fileFor(lsn)
    if (timeline === undefined) return undefined
    const { wal } = this.#directory
    const at = wal.indexAt(timeline, lsn)
    const record = wal.of(timeline)[at]
    if (record === undefined || record.start !== lsn) return undefined
    // "incorrect prev-link": WAL of another history under the same name (safety.md M12).
    if (previous !== 0 && record.previous !== previous) return undefined
    this.#records = wal.of(timeline)
    this.#at = at
    return record
  }

  /** rescanLatestTimeLine: aims at a newer timeline whose history has come; true when it does. */
  rescan(replayedLsn: number): boolean {
    const newest = this.#directory.newestTimeline(this.target)
    if (newest === this.target) return false
    const links = this.#directory.historyOf(newest) ?? []
    const own = links.find((link) => link.timeline === this.target)
    // Not a child of ours, or it left our timeline before where we are.
    if (own === undefined || own.endLsn < replayedLsn) return false
    this.target = newest
    this.#links = links
    return true
  }

  /** XLogFileReadAnyTLI: the newest timeline on the path that has a segment for this position. */
  #fileFor(lsn: number): number | undefined {
    const { wal } = this.#directory
    for (let place = this.#links.length; place >= 0; place -= 1) {
      const timeline = place === this.#links.length ? this.target : (this.#links[place]?.timeline ?? 0)
      const begin = place === 0 ? 0 : (this.#links[place - 1]?.endLsn ?? 0)
      if (lsn < segmentStart(begin, wal.segmentBytes)) continue
      if (!wal.hasSegment(timeline, lsn)) continue
      // The first segment of a timeline begins with a copy of what its parent had.
      if (lsn >= begin) return timeline
    }
    return undefined
  }

  #isOnPath(record: WalRecord): boolean {
    return record.timeline === this.target || this.#fileFor(record.start) === record.timeline
  }
}
