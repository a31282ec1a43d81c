import { basename, join } from '../../platform/disk.ts'
import type { HardState } from '../../raft/effect.ts'
import { lastTerm, termAt, type RaftLog } from '../../raft/log.ts'
import type { Snapshot } from '../../raft/message.ts'
import { Fault, messageOf } from '../../std/fault.ts'
import { corruptLog } from './corrupt-log.ts'
import type { RaftDisk } from './disk.ts'
import { LogFold, type LogContent } from './log-payload.ts'
import { scanRecords } from './record.ts'
import { decodeSnapshot, SNAPSHOT_FILE } from './snapshot-file.ts'

/** The one file of format 1. */
export const SINGLE_FILE = 'raft.log'

export type StorageContent = {
  readonly group: string
  /** Id of the member whose log this is; absent until the first start. */
  readonly owner?: string
  readonly hardState: HardState
  readonly snapshot: Snapshot
  readonly log: RaftLog
  /** Bytes of a write that a crash cut short; they were never acknowledged. */
  readonly tornBytes: number
}

/** A segment on disk. */
export type Segment = {
  readonly number: number
  /** The highest index that it wrote. */
  readonly maxIndex: number
  /** Length of its good records. */
  readonly bytes: number
  readonly records: number
}

export type Found = {
  readonly content: StorageContent
  /** The last one may be written to. Empty: there is the one file of format 1 instead. */
  readonly segments: readonly Segment[]
  /** Files that mean nothing any more. */
  readonly leftovers: readonly string[]
  /** The snapshot became durable and the log that begins behind it did not. */
  readonly isBehindSnapshot: boolean
}

export function segmentFile(number: number): string {
  return `raft-${String(number).padStart(8, '0')}.log`
}

/** What a folder holds; `undefined` where nothing was ever promised. Changes nothing. Throws `RAFT_LOG_CORRUPT`. */
export function readFolder(folder: string, disk: RaftDisk): Found | undefined {
  const snapshotFile = disk.read(join(folder, SNAPSHOT_FILE))
  const numbers = disk.list(folder).flatMap(numberOf)
  const singleFile = disk.read(join(folder, SINGLE_FILE))
  const hasLog = numbers.length > 0 || singleFile !== undefined
  if (snapshotFile === undefined) {
    if (!hasLog) return undefined
    throw corruptLog(folder, 'the snapshot is missing')
  }
  const { group, snapshot } = decodeSnapshot(folder, snapshotFile)
  if (!hasLog) {
    if (snapshot.index > 0) throw corruptLog(folder, 'the log is missing')
    return undefined
  }
  // A migration writes the segment before it removes the old file, which counts no more from then on.
  const file = numbers.length > 0 ? readSegments(folder, disk, numbers) : readSingleFile(folder, singleFile)
  const { content, segments, leftovers, tornBytes } = file
  if (content.group !== group) throw corruptLog(folder, 'log and snapshot are of different groups')
  if (content.log.baseIndex > snapshot.index) {
    throw corruptLog(folder, `entries ${snapshot.index + 1} to ${content.log.baseIndex} are missing`)
  }
  const isBehindSnapshot = termAt(content.log, snapshot.index) !== snapshot.term
  const log = isBehindSnapshot
    ? { baseIndex: snapshot.index, baseTerm: snapshot.term, entries: [] }
    : content.log
  const allLeftovers =
    singleFile !== undefined && numbers.length > 0 ? [...leftovers, SINGLE_FILE] : leftovers
  return {
    content: { ...content, log, snapshot, tornBytes },
    segments,
    leftovers: allLeftovers,
    isBehindSnapshot,
  }
}

type Files = Pick<Found, 'segments' | 'leftovers'> & {
  readonly content: LogContent
  readonly tornBytes: number
}

/**
 * Segments count from the last one back as far as there is no gap. Before a gap stand those of which a crash brought some
 * back that were deleted; if one is missing that was not, the next one begins too late for the snapshot, which is noticed.
 */
function readSegments(folder: string, disk: RaftDisk, numbers: readonly number[]): Files {
  const ordered = numbers.toSorted((left, right) => left - right)
  const firstAt = ordered.findLastIndex((number, at) => at === 0 || ordered[at - 1] !== number - 1)
  const fold = new LogFold()
  const segments: Segment[] = []
  let tornBytes = 0
  for (const number of ordered.slice(firstAt)) {
    const bytes = disk.read(join(folder, segmentFile(number))) ?? new Uint8Array()
    const scan = scanRecords(bytes)
    tornBytes = bytes.length - scan.validBytes
    const isLast = number === ordered.at(-1)
    // A segment is closed only after its last record was durable.
    if (scan.end === 'corrupt' || (scan.end === 'torn' && !isLast)) {
      throw corruptLog(folder, `the record at byte ${scan.validBytes} of ${segmentFile(number)} is broken`)
    }
    const maxIndex = checked(folder, () => fold.addSegment(number, scan.payloads))
    segments.push({ number, maxIndex, bytes: scan.validBytes, records: scan.payloads.length })
  }
  const leftovers = ordered.slice(0, firstAt).map(segmentFile)
  return { content: checked(folder, () => contentOf(fold)), segments, leftovers, tornBytes }
}

function readSingleFile(folder: string, bytes: Uint8Array = new Uint8Array()): Files {
  const scan = scanRecords(bytes)
  if (scan.end === 'corrupt') {
    throw corruptLog(folder, `the record at byte ${scan.validBytes} of ${SINGLE_FILE} is broken`)
  }
  const fold = new LogFold()
  checked(folder, () => fold.addSingleFile(scan.payloads))
  const tornBytes = bytes.length - scan.validBytes
  return { content: checked(folder, () => contentOf(fold)), segments: [], leftovers: [], tornBytes }
}

function contentOf(fold: LogFold): LogContent {
  const content = fold.content()
  const { hardState, log } = content
  if (hardState.term < lastTerm(log) && log.entries.length > 0) {
    throw new Error(`the last entry is of term ${lastTerm(log)}, the current term is ${hardState.term}`)
  }
  return content
}

function checked<T>(folder: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof Fault ? error : corruptLog(folder, messageOf(error))
  }
}

function numberOf(path: string): readonly number[] {
  const digits = /^raft-(\d{8,})\.log$/.exec(basename(path))?.[1]
  return digits === undefined ? [] : [Number(digits)]
}
