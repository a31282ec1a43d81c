import { describe, expect, it } from 'vitest'
import type { LossReport } from '#client'
import { checkHistory, longestGap, type Write } from './write-history.ts'

function acknowledged(id: number, at: number, on: { timeline: number; server?: string }): Write {
  return {
    id,
    invokedMs: at,
    endedMs: at + 1,
    outcome: 'acknowledged',
    xid: 700 + id,
    server: `server${on.timeline}`,
    ...on,
  }
}

function lossOf(timeline: number, xids: readonly number[]): LossReport {
  return {
    epoch: timeline + 1,
    member: 'node1',
    timeline,
    forkLsn: '0/4000',
    endLsn: '0/5000',
    bytes: 4096,
    transactions: xids.length,
    xids,
    keptIn: '/x',
    foundAt: '2026-01-01T00:00:00Z',
  }
}

const calm = [
  acknowledged(1, 0, { timeline: 1 }),
  acknowledged(2, 10, { timeline: 1 }),
  acknowledged(3, 20, { timeline: 2 }),
]

describe('the checker of a write history', () => {
  it('finds nothing in a history without faults', () => {
    expect(checkHistory({ writes: calm, rows: [1, 2, 3], losses: [] })).toMatchObject({
      acknowledged: 3,
      duplicates: [],
      invented: [],
      missing: [],
      unreported: [],
      falselyReported: [],
      dual: [],
      shared: [],
    })
  })

  it('finds an acknowledged row that is gone, and whether the product said so', () => {
    const silent = checkHistory({ writes: calm, rows: [1, 3], losses: [] })
    expect(silent.missing.map(({ id }) => id)).toEqual([2])
    expect(silent.unreported.map(({ id }) => id)).toEqual([2])
    const honest = checkHistory({ writes: calm, rows: [1, 3], losses: [lossOf(1, [702, 9999])] })
    expect(honest.missing.map(({ id }) => id)).toEqual([2])
    expect(honest.unreported).toEqual([])
    // The same transaction id on another timeline is another transaction.
    const wrong = checkHistory({ writes: calm, rows: [1, 3], losses: [lossOf(2, [702])] })
    expect(wrong.unreported.map(({ id }) => id)).toEqual([2])
  })

  it('finds a loss that was reported and did not happen', () => {
    const { falselyReported } = checkHistory({ writes: calm, rows: [1, 2, 3], losses: [lossOf(1, [701])] })
    expect(falselyReported.map(({ id }) => id)).toEqual([1])
  })

  it('finds rows that are there twice, and rows that nobody wrote', () => {
    const verdict = checkHistory({ writes: calm, rows: [1, 2, 2, 3, 77], losses: [] })
    expect(verdict.duplicates).toEqual([2])
    expect(verdict.invented).toEqual([77])
  })

  it('finds an old primary that acknowledges after a new one has', () => {
    const late = acknowledged(4, 30, { timeline: 1 })
    const { dual } = checkHistory({ writes: [...calm, late], rows: [1, 2, 3, 4], losses: [] })
    expect(dual).toEqual([{ older: late, newer: calm[2] }])
  })

  it('does not blame an answer that was on its way when the new primary acknowledged', () => {
    const slow: Write = { ...acknowledged(4, 15, { timeline: 1 }), endedMs: 40 }
    expect(checkHistory({ writes: [...calm, slow], rows: [1, 2, 3, 4], losses: [] }).dual).toEqual([])
  })

  it('finds two servers on one timeline', () => {
    const twin = acknowledged(4, 30, { timeline: 2, server: 'other' })
    const { shared } = checkHistory({ writes: [...calm, twin], rows: [1, 2, 3, 4], losses: [] })
    expect(shared).toEqual([{ timeline: 2, servers: ['other', 'server2'] }])
  })

  it('measures the longest time without an acknowledgement, the ends of the range included', () => {
    expect(longestGap(calm, 0, 21)).toBe(10)
    expect(longestGap(calm, 0, 100)).toBe(79)
    expect(longestGap([], 5, 25)).toBe(20)
  })
})
