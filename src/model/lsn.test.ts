import { describe, expect, it } from 'vitest'
import { formatLsn, lagBytes, parseLsn, type Lsn } from './lsn.ts'

describe('LSN', () => {
  it('reads and writes the text form of PostgreSQL', () => {
    for (const text of ['0/0', '0/5000', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) {
      expect(formatLsn(parseLsn(text) as Lsn)).toBe(text)
    }
  })

  it('refuses what is not an LSN', () => {
    for (const text of ['', '5000', '0/', '/1', '0/G', '0/123456789', ' 0/1']) {
      expect(parseLsn(text)).toBeUndefined()
    }
  })

  it('never reports a negative lag', () => {
    expect(lagBytes(0x2000n as Lsn, 0x1000n as Lsn)).toBe(0)
    expect(lagBytes(0x1000n as Lsn, 0x2000n as Lsn)).toBe(4096)
  })
})
