import { describe, expect, it } from 'vitest'
import { benchRow, mergeRows, percentile } from './bench-report.ts'

const what = { system: 'pg-metako', case: 'kill', metric: 'write_window_ms', unit: 'ms' }
const none = { lost: 0, dual: 0 }

describe('bench report', () => {
  it('takes the maximum as p99 of fewer than 100 runs, and the median as p50', () => {
    const runs = Array.from({ length: 10 }, (_, index) => index + 1)
    expect(benchRow(what, runs, none)).toMatchObject({ p50: 5, p99: 10, runs })
    const many = Array.from({ length: 200 }, (_, index) => 200 - index)
    expect(percentile(many, 99)).toBe(198)
    expect(percentile([7], 50)).toBe(7)
  })

  it('replaces the rows that were measured again and keeps the others', () => {
    const older = [benchRow(what, [1], none), benchRow({ ...what, case: 'crash' }, [2], none)]
    const merged = mergeRows(older, [benchRow(what, [3], none)])
    expect(merged.map((row) => [row.case, row.p50])).toEqual([
      ['crash', 2],
      ['kill', 3],
    ])
  })
})
