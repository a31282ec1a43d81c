import type { Lsn } from '../model/lsn.ts'
import { fs, join } from '../platform/disk.ts'
import { pause } from '../platform/timers.ts'
import { crc32c } from '../std/crc32c.ts'
import { Fault } from '../std/fault.ts'

/** DBState of pg_control, in its order. */
const STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const

export type ControlState = (typeof STATES)[number]

/** What we read from pg_control. */
export type ControlFile = {
  /** Decimal, as `IDENTIFY_SYSTEM` and `pg_control_system()` print it. */
  readonly systemId: string
  readonly version: number
  readonly state: ControlState
  /** Where the newest checkpoint record begins. */
  readonly checkpointLsn: Lsn
  readonly redoLsn: Lsn
  readonly checkpointTimeline: number
  /** The newest timeline that the instance is known to have replayed or written. */
  readonly timeline: number
  /**
   * A standby has replayed at least up to here; on a primary that was just promoted, the end of its first record. `0/0` when a
   * checkpoint says more.
   */
  readonly minRecoveryLsn: Lsn
  readonly minRecoveryTimeline: number
  readonly walSegmentBytes: number
  /** `data_checksum_version`; 0 is off. */
  readonly checksumVersion: number
  /** As the server wrote with them: `pg_rewind` needs them. */
  readonly walLogHints: boolean
  readonly fullPageWrites: boolean
  /** A standby refuses to start with less than its primary had: the values that came with the WAL. */
  readonly primarySettings: Readonly<Record<string, number>>
}

/** A read that races with PostgreSQL's own write sees half of each: the next one will not. */
const READ_ATTEMPTS = 5

/**
 * Reads `global/pg_control` of PostgreSQL 13 to 18, without needing `pg_controldata`.
 * Throws `PG_CONTROL_UNREADABLE` when it is missing, damaged or of another version.
 */
export async function readControlFile(dataDir: string): Promise<ControlFile> {
  const path = join(dataDir, 'global', 'pg_control')
  for (let attempt = 1; ; attempt += 1) {
    let bytes: Buffer
    try {
      bytes = await fs.readFile(path)
    } catch (error) {
      throw unreadable(path, 'cannot open it', error)
    }
    const parsed = parseControlFile(bytes)
    if (typeof parsed !== 'string') return parsed
    if (attempt === READ_ATTEMPTS) throw unreadable(path, parsed)
    await pause(attempt)
  }
}

/** Reads the bytes of pg_control; a sentence says what is wrong with them. */
export function parseControlFile(bytes: Buffer): ControlFile | string {
  if (bytes.length < 296) return `${bytes.length} bytes are too few`
  const version = bytes.readUInt32LE(8)
  if (version < 1300 || version > 1899) return `version ${version} is not one of PostgreSQL 13 to 18`
  // PostgreSQL 18 put one more flag before the nonce, and the checksum behind it moved.
  const crcAt = version >= 1800 ? 292 : 288
  if (crc32c(bytes.subarray(0, crcAt)) !== bytes.readUInt32LE(crcAt)) return 'its checksum is wrong'
  const state = STATES[bytes.readInt32LE(16)]
  if (state === undefined) return `state ${bytes.readInt32LE(16)} is unknown`
  return {
    systemId: bytes.readBigUInt64LE(0).toString(),
    version,
    state,
    checkpointLsn: bytes.readBigUInt64LE(32) as Lsn,
    redoLsn: bytes.readBigUInt64LE(40) as Lsn,
    checkpointTimeline: bytes.readUInt32LE(48),
    timeline: Math.max(bytes.readUInt32LE(48), bytes.readUInt32LE(144)),
    minRecoveryLsn: bytes.readBigUInt64LE(136) as Lsn,
    minRecoveryTimeline: bytes.readUInt32LE(144),
    walSegmentBytes: bytes.readUInt32LE(228),
    checksumVersion: bytes.readUInt32LE(252),
    walLogHints: bytes.readUInt8(176) !== 0,
    fullPageWrites: bytes.readUInt8(56) !== 0,
    primarySettings: {
      max_connections: bytes.readInt32LE(180),
      max_worker_processes: bytes.readInt32LE(184),
      max_wal_senders: bytes.readInt32LE(188),
      max_prepared_transactions: bytes.readInt32LE(192),
      max_locks_per_transaction: bytes.readInt32LE(196),
    },
  }
}

function unreadable(path: string, why: string, cause?: unknown): Fault {
  return new Fault('PG_CONTROL_UNREADABLE', `Cannot read "${path}": ${why}`, { details: { path }, cause })
}
