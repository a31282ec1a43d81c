import { describe, expect, it } from 'vitest'
import { crc32c } from './crc32c.ts'

const text = (value: string) => new TextEncoder().encode(value)

describe('CRC-32C', () => {
  it('gives the published check values', () => {
    // RFC 3720, appendix B.4, and the usual check string.
    expect(crc32c(text('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e)
    expect(crc32c(new Uint8Array(0))).toBe(0)
  })

  it('goes on where a checksum of the part before ended', () => {
    expect(crc32c(text('6789'), crc32c(text('12345')))).toBe(0xe3069283)
  })
})
