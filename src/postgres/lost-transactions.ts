import { formatLsn, lagBytes, parseLsn, type Lsn } from '../model/lsn.ts'
import { fs, fsConstants, join, syncFolder, writeFileDurably } from '../platform/disk.ts'
import { Fault } from '../std/fault.ts'
import { readControlFile } from './control-file.ts'
import { readMajorVersion } from './data-directory.ts'
import { endOfWal } from './end-of-wal.ts'
import { historyFileName, readTimelineHistory, segmentFileName } from './timeline-history.ts'
import { walRecords, type WalRecord } from './wal-reader.ts'

/** Commits in the WAL of a stopped instance behind a fork: what a take-over lost, or the proof that it lost nothing. */
export type LostTransactions = {
  readonly endLsn: string
  /** WAL between the fork and the end. */
  readonly bytes: number
  /** There is no WAL at the fork: what committed in these bytes is not known. */
  readonly isUnreadable: boolean
  readonly count: number
  /** In the order of their commits; all of them. The agent's own probes are left out. */
  readonly xids: readonly number[]
}

/** The prefix of our own messages in the WAL: their transactions are nobody's loss. */
export const PROBE_PREFIX = 'pg-metako'

const XACT_MANAGER = 1
const LOGICAL_MESSAGE_MANAGER = 21
const XACT_OPERATION = 0x70
const XACT_COMMIT = 0x00
const XACT_COMMIT_PREPARED = 0x30
const XACT_HAS_INFO = 0x80

/** xinfo, in the order in which the parts follow. */
const HAS_DATABASE = 1 << 0
const HAS_SUBTRANSACTIONS = 1 << 1
const HAS_FILES = 1 << 2
const HAS_INVALIDATIONS = 1 << 3
const HAS_TWO_PHASE = 1 << 4
const HAS_DROPPED_STATISTICS = 1 << 8

/** WAL of one timeline; without `until` to its end. */
type Stretch = { readonly timeline: number; readonly from: Lsn; readonly until?: Lsn }

/**
 * The way of this instance's WAL from the fork on. It may cross timelines: what a take-over passed over can begin on one that this
 * instance, or its primary, had left already.
 */
async function stretchesBehind(dataDir: string, timeline: number, fork: Lsn): Promise<readonly Stretch[]> {
  const stretches: Stretch[] = []
  let from = fork
  for (const ancestor of (await readTimelineHistory(dataDir, timeline)) ?? []) {
    if (ancestor.endLsn <= from) continue
    stretches.push({ timeline: ancestor.timeline, from, until: ancestor.endLsn })
    from = ancestor.endLsn
  }
  return [...stretches, { timeline, from }]
}

/**
 * Lists the transactions that committed behind `forkLsn` on the way to the end of `timeline`. The instance must be stopped.
 */
export async function lostTransactions(options: {
  dataDir: string
  timeline: number
  forkLsn: string
}): Promise<LostTransactions> {
  const { dataDir, timeline } = options
  const from = readFork(options.forkLsn)
  const control = await readControlFile(dataDir)
  const majorVersion = (await readMajorVersion(dataDir)) ?? 0
  if (await isRemoved(dataDir, segmentFileName(timeline, from, control.walSegmentBytes))) {
    const { endLsn } = await endOfWal({ dataDir })
    const bytes = lagBytes(from, readFork(endLsn))
    return { endLsn, bytes, isUnreadable: bytes > 0, count: 0, xids: [] }
  }
  const xids: number[] = []
  const probes = new Set<number>()
  let end: Lsn = from
  for (const stretch of await stretchesBehind(dataDir, timeline, from)) {
    const position = { dataDir, segmentBytes: control.walSegmentBytes, ...stretch }
    for await (const record of walRecords(position)) {
      if (stretch.until !== undefined && record.endLsn > stretch.until) break
      end = record.endLsn
      if (isProbe(record)) probes.add(record.xid)
      const xid = committedXid(record, majorVersion)
      if (xid !== undefined && !probes.has(xid)) xids.push(xid)
    }
  }
  return { endLsn: formatLsn(end), bytes: lagBytes(from, end), isUnreadable: false, count: xids.length, xids }
}

/** Segments go oldest first, whatever their timeline: one below the oldest is there on none. */
async function isRemoved(dataDir: string, segment: string): Promise<boolean> {
  const names = (await fs.readdir(join(dataDir, 'pg_wal'))).filter((name) => /^[0-9A-F]{24}$/.test(name))
  return names.every((name) => name.slice(8) > segment.slice(8))
}

/**
 * Keeps the WAL of the branch that is about to be thrown away, and the list of its transactions, in the folder `into`.
 * Returns what was found. The instance must be stopped.
 */
export async function keepDivergedWal(options: {
  dataDir: string
  timeline: number
  forkLsn: string
  into: string
}): Promise<LostTransactions> {
  const { dataDir, timeline, forkLsn, into } = options
  const lost = await lostTransactions({ dataDir, timeline, forkLsn })
  const { walSegmentBytes } = await readControlFile(dataDir)
  await fs.mkdir(into, { recursive: true, mode: 0o700 })
  const wal = join(dataDir, 'pg_wal')
  const branches = (await stretchesBehind(dataDir, timeline, readFork(forkLsn))).map((stretch) => ({
    first: segmentFileName(stretch.timeline, stretch.from, walSegmentBytes),
    last: segmentFileName(stretch.timeline, stretch.until ?? readFork(lost.endLsn), walSegmentBytes),
  }))
  for (const name of (await fs.readdir(wal)).sort()) {
    const isBranch =
      /^[0-9A-F]{24}$/.test(name) && branches.some(({ first, last }) => name >= first && name <= last)
    if (!isBranch && name !== historyFileName(timeline)) continue
    await fs.copyFile(join(wal, name), join(into, name), fsConstants.COPYFILE_FICLONE)
  }
  const report = `Transactions that committed behind ${forkLsn} on the way to the end of timeline ${timeline}.
end of WAL: ${lost.endLsn}
bytes: ${lost.bytes}
transactions: ${lost.isUnreadable ? 'not known, the WAL at the fork is not there any more' : lost.count}
${lost.xids.join('\n')}
`
  await writeFileDurably(join(into, 'lost-transactions.txt'), report)
  await syncFolder(into)
  return lost
}

function committedXid(record: WalRecord, majorVersion: number): number | undefined {
  if (record.resourceManager !== XACT_MANAGER) return undefined
  const operation = record.flags & XACT_OPERATION
  if (operation === XACT_COMMIT) return record.xid === 0 ? undefined : record.xid
  // The record of COMMIT PREPARED belongs to the session that said it; the transaction stands inside.
  return operation === XACT_COMMIT_PREPARED ? preparedXid(record, majorVersion) : undefined
}

function preparedXid(record: WalRecord, majorVersion: number): number | undefined {
  const data = mainData(record.content)
  if (!data || !(record.flags & XACT_HAS_INFO) || data.length < 12) return undefined
  const info = data.readUInt32LE(8)
  if (!(info & HAS_TWO_PHASE)) return undefined
  let offset = 12
  const skipCounted = (itemBytes: number) => {
    if (offset + 4 <= data.length) offset += 4 + data.readInt32LE(offset) * itemBytes
  }
  if (info & HAS_DATABASE) offset += 8
  if (info & HAS_SUBTRANSACTIONS) skipCounted(4)
  if (info & HAS_FILES) skipCounted(12)
  if (info & HAS_DROPPED_STATISTICS) skipCounted(majorVersion >= 18 ? 16 : 12)
  if (info & HAS_INVALIDATIONS) skipCounted(16)
  if (offset < 0 || offset + 4 > data.length) return undefined
  const xid = data.readUInt32LE(offset)
  return xid === 0 ? undefined : xid
}

function isProbe(record: WalRecord): boolean {
  if (record.resourceManager !== LOGICAL_MESSAGE_MANAGER) return false
  const data = mainData(record.content)
  if (!data || data.length < 24) return false
  const prefixBytes = Number(data.readBigUInt64LE(8))
  return data.toString('latin1', 24, 24 + prefixBytes) === `${PROBE_PREFIX}\0`
}

/** Skips what may stand before the main data of a record without block references; `undefined` when it has some. */
function mainData(content: Buffer): Buffer | undefined {
  let offset = 0
  while (offset < content.length) {
    const id = content[offset] as number
    if (id === 255) {
      const length = content[offset + 1] ?? 0
      return content.subarray(offset + 2, offset + 2 + length)
    }
    if (id === 254) {
      if (offset + 5 > content.length) return undefined
      return content.subarray(offset + 5, offset + 5 + content.readUInt32LE(offset + 1))
    }
    // Replication origin, top-level transaction id.
    if (id === 253) offset += 3
    else if (id === 252) offset += 5
    else return undefined
  }
  return undefined
}

function readFork(text: string): Lsn {
  const lsn = parseLsn(text)
  if (lsn === undefined) throw new Fault('LSN_INVALID', `Cannot read "${text}" as a WAL position`)
  return lsn
}
