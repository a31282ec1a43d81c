/** Castagnoli's polynomial, bits reversed: what PostgreSQL's WAL and our own log are checked with. */
const POLYNOMIAL = 0x82f63b78

const TABLE = buildTable()

function buildTable(): Uint32Array {
  const table = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1
    table[byte] = value
  }
  return table
}

/** CRC-32C of `bytes` as an unsigned number. `seed` is the checksum of what came before: `crc32c(b, crc32c(a))` is that of `a` and `b`. */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed >>> 0
  for (let index = 0; index < bytes.length; index += 1) {
    crc = (TABLE[(crc ^ (bytes[index] as number)) & 0xff] as number) ^ (crc >>> 8)
  }
  return ~crc >>> 0
}
