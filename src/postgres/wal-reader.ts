import type { Lsn } from '../model/lsn.ts'
import { fs, join, type FileHandle } from '../platform/disk.ts'
import { crc32c } from '../std/crc32c.ts'
import { codeOf } from '../std/fault.ts'
import { GiB, MiB } from '../std/units.ts'
import { segmentFileName } from './timeline-history.ts'

/** One record of the write-ahead log, checked: CRC right, back link right. */
export type WalRecord = {
  readonly lsn: Lsn
  /** Where the next one begins, as PostgreSQL counts the end of WAL. */
  readonly endLsn: Lsn
  readonly xid: number
  readonly resourceManager: number
  readonly flags: number
  /** The record without its header: block references, then the main data. */
  readonly content: Buffer
}

const PAGE_BYTES = 8192
const PAGE_HEADER_BYTES = 24
const LONG_PAGE_HEADER_BYTES = 40
const RECORD_HEADER_BYTES = 24
/** XLogRecordMaxSize. */
const RECORD_BYTES_MAX = GiB
const WINDOW_BYTES = 4 * MiB

/** xlp_info */
const FIRST_IS_CONTINUATION = 0x0001
const LONG_HEADER = 0x0002
const OVERWRITES_CONTINUATION = 0x0008

const XLOG_MANAGER = 0
const XLOG_SWITCH = 0x40

type Page = {
  readonly bytes: Buffer
  readonly headerBytes: number
  readonly flags: number
  /** Bytes of a record from the page before that follow the header. */
  readonly remainder: number
}

export type WalPosition = {
  readonly dataDir: string
  readonly timeline: number
  readonly segmentBytes: number
  /** Must be where a record begins. */
  readonly from: Lsn
}

/**
 * The records of a stopped instance from a record boundary to the end of valid WAL. The end is the first thing that does not check:
 * segments are recycled, so what lies behind is old WAL under a new name, not zeros.
 */
export async function* walRecords(position: WalPosition): AsyncGenerator<WalRecord> {
  const pages = new PageSource(position)
  try {
    let at: bigint = position.from
    let previous: bigint | undefined
    for (;;) {
      const read = await readRecord(pages, at)
      if (read.kind === 'end') return
      if (read.kind === 'overwritten') {
        at = read.at
        continue
      }
      const { record, backLink } = read
      if (previous === undefined ? backLink >= record.lsn : backLink !== previous) return
      yield record
      previous = record.lsn
      at = isSegmentSwitch(record) ? nextMultiple(record.endLsn, position.segmentBytes) : record.endLsn
    }
  } finally {
    await pages.close()
  }
}

function isSegmentSwitch(record: WalRecord): boolean {
  return record.resourceManager === XLOG_MANAGER && (record.flags & 0xf0) === XLOG_SWITCH
}

type RecordRead =
  | { readonly kind: 'record'; readonly record: WalRecord; readonly backLink: bigint }
  /** The record was never finished: after a crash PostgreSQL wrote over its continuation and went on at `at`. */
  | { readonly kind: 'overwritten'; readonly at: bigint }
  | { readonly kind: 'end' }

const END: RecordRead = { kind: 'end' }

async function readRecord(pages: PageSource, at: bigint): Promise<RecordRead> {
  let page = await pages.at(at)
  if (!page) return END
  let offset = Number(at % BigInt(PAGE_BYTES))
  if (offset === 0) {
    if (page.flags & FIRST_IS_CONTINUATION) return END
    offset = page.headerBytes
  }
  if (offset < page.headerBytes) return END
  const pageStart = at - (at % BigInt(PAGE_BYTES))
  const lsn = (pageStart + BigInt(offset)) as Lsn
  const total = page.bytes.readUInt32LE(offset)
  if (total < RECORD_HEADER_BYTES || total > RECORD_BYTES_MAX) return END

  const parts: Buffer[] = []
  let have = Math.min(total, PAGE_BYTES - offset)
  parts.push(page.bytes.subarray(offset, offset + have))
  let endOffset = offset + have
  let endPage = pageStart
  while (have < total) {
    endPage += BigInt(PAGE_BYTES)
    page = await pages.at(endPage)
    if (!page) return END
    if (page.flags & OVERWRITES_CONTINUATION) return { kind: 'overwritten', at: endPage }
    if (!(page.flags & FIRST_IS_CONTINUATION) || page.remainder !== total - have) return END
    const take = Math.min(total - have, PAGE_BYTES - page.headerBytes)
    parts.push(page.bytes.subarray(page.headerBytes, page.headerBytes + take))
    have += take
    endOffset = page.headerBytes + take
  }
  const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
  return checkRecord(bytes, lsn, (endPage + BigInt(align8(endOffset))) as Lsn)
}

/** The checksum covers the content first and then the header up to the checksum itself. */
function checkRecord(bytes: Buffer, lsn: Lsn, endLsn: Lsn): RecordRead {
  const content = bytes.subarray(RECORD_HEADER_BYTES)
  if (crc32c(bytes.subarray(0, 20), crc32c(content)) !== bytes.readUInt32LE(20)) return END
  const record: WalRecord = {
    lsn,
    endLsn,
    xid: bytes.readUInt32LE(4),
    flags: bytes.readUInt8(16),
    resourceManager: bytes.readUInt8(17),
    content,
  }
  return { kind: 'record', record, backLink: bytes.readBigUInt64LE(8) }
}

/** Pages of one timeline, read in large windows; a page whose header does not check is not there. */
class PageSource {
  readonly #position: WalPosition
  #file: FileHandle | undefined
  #segment: bigint | undefined
  #window: Buffer = Buffer.alloc(0)
  #windowStart = -1n

  constructor(position: WalPosition) {
    this.#position = position
  }

  async at(lsn: bigint): Promise<Page | undefined> {
    const start = lsn - (lsn % BigInt(PAGE_BYTES))
    const offset = Number(start - this.#windowStart)
    if (this.#windowStart < 0n || offset < 0 || offset + PAGE_BYTES > this.#window.length) {
      if (!(await this.#load(start))) return undefined
    }
    const from = Number(start - this.#windowStart)
    return this.#check(this.#window.subarray(from, from + PAGE_BYTES), start)
  }

  async close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  async #load(start: bigint): Promise<boolean> {
    const segmentBytes = BigInt(this.#position.segmentBytes)
    const segment = start / segmentBytes
    if (segment !== this.#segment) {
      await this.close()
      this.#segment = undefined
      const { dataDir, timeline } = this.#position
      const name = segmentFileName(timeline, start, this.#position.segmentBytes)
      try {
        this.#file = await fs.open(join(dataDir, 'pg_wal', name), 'r')
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false
        throw error
      }
      this.#segment = segment
    }
    const inSegment = Number(start % segmentBytes)
    const size = Math.min(WINDOW_BYTES, this.#position.segmentBytes - inSegment)
    // A new buffer each time: records that were given out point into the old one.
    const window = Buffer.allocUnsafe(size)
    const { bytesRead } = (await this.#file?.read(window, 0, size, inSegment)) ?? { bytesRead: 0 }
    this.#window = window.subarray(0, bytesRead)
    this.#windowStart = start
    return bytesRead >= PAGE_BYTES
  }

  #check(bytes: Buffer, start: bigint): Page | undefined {
    // xlp_magic names the version; all of PostgreSQL's are 0xD1xx.
    if (bytes.length < PAGE_BYTES || bytes.readUInt8(1) !== 0xd1) return undefined
    const flags = bytes.readUInt16LE(2)
    const timeline = bytes.readUInt32LE(4)
    if (bytes.readBigUInt64LE(8) !== start || timeline > this.#position.timeline || timeline === 0) {
      return undefined
    }
    const isFirst = start % BigInt(this.#position.segmentBytes) === 0n
    if (isFirst !== Boolean(flags & LONG_HEADER)) return undefined
    return {
      bytes,
      headerBytes: isFirst ? LONG_PAGE_HEADER_BYTES : PAGE_HEADER_BYTES,
      flags,
      remainder: bytes.readUInt32LE(16),
    }
  }
}

function align8(value: number): number {
  return (value + 7) & ~7
}

function nextMultiple(value: bigint, unit: number): bigint {
  const size = BigInt(unit)
  return ((value + size - 1n) / size) * size
}
