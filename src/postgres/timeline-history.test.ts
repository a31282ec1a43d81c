import { describe, expect, it } from 'vitest'
import { MiB } from '../std/units.ts'
import { forkOf, historyFileName, parseTimelineHistory, segmentFileName } from './timeline-history.ts'

describe('timeline history', () => {
  it('names each ancestor and where it was left', () => {
    const text =
      '1\t0/5000000\tno recovery target specified\n\n# a comment\n2\t1/A0\tno recovery target specified\n'
    const links = parseTimelineHistory(text)
    expect(links).toEqual([
      { timeline: 1, endLsn: 0x5000000n },
      { timeline: 2, endLsn: 0x1_0000_00a0n },
    ])
    expect(forkOf(links, 2)).toBe('1/A0')
    expect(forkOf(links, 3)).toBeUndefined()
  })

  it('gives files the names that PostgreSQL gives them', () => {
    expect(historyFileName(10)).toBe('0000000A.history')
    expect(segmentFileName(1, 0x2_ff00_0000n, 16 * MiB)).toBe('0000000100000002000000FF')
    expect(segmentFileName(2, 0x2_ff00_0000n, 64 * MiB)).toBe('00000002000000020000003F')
  })
})
