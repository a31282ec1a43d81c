import { describe, expect, it } from 'vitest'
import { crc32c } from '../std/crc32c.ts'
import { parseControlFile } from './control-file.ts'

/** pg_control as PostgreSQL 15 (version 1300) or 18 (1800) would write it. */
function controlBytes(version: number): Buffer {
  const bytes = Buffer.alloc(8192)
  bytes.writeBigUInt64LE(7710525603515732165n, 0)
  bytes.writeUInt32LE(version, 8)
  bytes.writeInt32LE(5, 16)
  bytes.writeBigUInt64LE(0x1_0174_14f8n, 32)
  bytes.writeBigUInt64LE(0x1_0174_1400n, 40)
  bytes.writeUInt32LE(3, 48)
  bytes.writeBigUInt64LE(0x1_0200_0000n, 136)
  bytes.writeUInt32LE(4, 144)
  bytes.writeInt32LE(100, 180)
  bytes.writeInt32LE(10, 188)
  bytes.writeUInt32LE(16 * 1024 * 1024, 228)
  bytes.writeUInt32LE(1, 252)
  const crcAt = version >= 1800 ? 292 : 288
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, crcAt)), crcAt)
  return bytes
}

describe('pg_control', () => {
  it('is read in both layouts', () => {
    for (const version of [1300, 1800]) {
      expect(parseControlFile(controlBytes(version))).toMatchObject({
        systemId: '7710525603515732165',
        version,
        state: 'in archive recovery',
        checkpointLsn: 0x1_0174_14f8n,
        redoLsn: 0x1_0174_1400n,
        checkpointTimeline: 3,
        timeline: 4,
        minRecoveryTimeline: 4,
        walSegmentBytes: 16_777_216,
        checksumVersion: 1,
        primarySettings: { max_connections: 100, max_wal_senders: 10 },
      })
    }
  })

  it('is not believed when a bit is wrong, the file is short or the version unknown', () => {
    const damaged = controlBytes(1800)
    damaged[33] = 0xff
    expect(parseControlFile(damaged)).toContain('checksum')
    expect(parseControlFile(controlBytes(1300).subarray(0, 200))).toContain('too few')
    expect(parseControlFile(controlBytes(1201))).toContain('PostgreSQL 13 to 18')
  })
})
