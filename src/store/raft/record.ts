import { crc32c } from '../../std/crc32c.ts'

/**
 * One record is what one fsync made durable: mark (4 bytes), sequence number (4), payload length (4), CRC-32C of
 * sequence number, length and payload (4), payload. Numbers are big endian.
 * Invariant: record n + 1 is written only after the fsync of record n returned. So a broken record with a good one behind
 * it was durable once and has rotted; a broken one at the very end was never acknowledged.
 */
const HEADER_BYTES = 16

/** 0xff is in no UTF-8 text, so no payload can look like a record. */
const MARK = 0xff50474d

export type RecordScan = {
  readonly payloads: readonly Uint8Array[]
  /** End of the last good record. */
  readonly validBytes: number
  readonly end: 'clean' | 'torn' | 'corrupt'
}

export function encodeRecord(sequence: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MARK)
  view.setUint32(4, sequence)
  view.setUint32(8, payload.length)
  bytes.set(payload, HEADER_BYTES)
  view.setUint32(12, checksum(bytes.subarray(4, 12), payload))
  return bytes
}

/** Reads records 1, 2, 3 … as far as they are good and says what stands behind them. */
export function scanRecords(bytes: Uint8Array): RecordScan {
  const payloads: Uint8Array[] = []
  let offset = 0
  while (offset < bytes.length) {
    const record = recordAt(bytes, offset)
    if (record === undefined || record.sequence !== payloads.length + 1) {
      return { payloads, validBytes: offset, end: judgeRest(bytes, offset, payloads.length + 1) }
    }
    payloads.push(record.payload)
    offset += HEADER_BYTES + record.payload.length
  }
  return { payloads, validBytes: offset, end: 'clean' }
}

/**
 * The first record is never torn: its file came into being by a rename. In the rest any good record of this or a later
 * number proves that the broken one had been durable. Rot in the last record alone cannot be told from a torn write.
 */
function judgeRest(bytes: Uint8Array, offset: number, expected: number): 'torn' | 'corrupt' {
  if (expected === 1) return 'corrupt'
  const view = viewOf(bytes)
  for (let at = offset; at + HEADER_BYTES <= bytes.length; at += 1) {
    if (view.getUint32(at) !== MARK) continue
    const record = recordAt(bytes, at)
    if (record !== undefined && record.sequence >= expected) return 'corrupt'
  }
  return 'torn'
}

function recordAt(
  bytes: Uint8Array,
  offset: number,
): { readonly sequence: number; readonly payload: Uint8Array } | undefined {
  const view = viewOf(bytes)
  if (offset + HEADER_BYTES > bytes.length || view.getUint32(offset) !== MARK) return undefined
  const end = offset + HEADER_BYTES + view.getUint32(offset + 8)
  if (end > bytes.length) return undefined
  const payload = bytes.subarray(offset + HEADER_BYTES, end)
  if (checksum(bytes.subarray(offset + 4, offset + 12), payload) !== view.getUint32(offset + 12))
    return undefined
  return { sequence: view.getUint32(offset + 4), payload }
}

function checksum(head: Uint8Array, payload: Uint8Array): number {
  return crc32c(payload, crc32c(head))
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
