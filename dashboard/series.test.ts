import type { MemberSeries } from '#client'
import { describe, expect, it } from 'vitest'
import { appended, linePath, nearestIndex, NOTHING_CHARTED, roundTop } from './series.ts'

function seriesOf(name: string, lagBytes: readonly (number | null)[]): MemberSeries {
  const nothing = lagBytes.map(() => null)
  return {
    name,
    lagBytes,
    walBytesPerSecond: nothing,
    transactionsPerSecond: nothing,
    transactionMs: nothing,
    connections: nothing,
  }
}

describe('what is charted', () => {
  it('grows by each answer, with gaps for who was not there', () => {
    const first = appended(NOTHING_CHARTED, { times: [1, 2], series: [seriesOf('n1', [5, 6])] })
    const both = appended(first, { times: [3], series: [seriesOf('n2', [7])] })
    expect(both.times).toEqual([1, 2, 3])
    expect(both.series.map(({ name, lagBytes }) => [name, lagBytes])).toEqual([
      ['n1', [5, 6, null]],
      ['n2', [null, null, 7]],
    ])
    expect(appended(both, { times: [], series: [] })).toBe(both)
  })

  it('holds a quarter of an hour', () => {
    const times = Array.from({ length: 500 }, (_, index) => index)
    const { times: kept, series } = appended(NOTHING_CHARTED, { times, series: [seriesOf('n1', times)] })
    expect([kept.length, kept[0], series[0]?.lagBytes.length]).toEqual([450, 50, 450])
  })
})

describe('a line', () => {
  const frame = { from: 0, to: 10_000, top: 100 }

  it('is drawn to scale, from the top left', () => {
    expect(linePath([0, 2000, 4000], [0, 50, 100], frame)).toBe('M0.0 100.0L200.0 50.0L400.0 0.0')
  })

  it('has a gap where nothing was known, and where nobody looked', () => {
    expect(linePath([0, 2000, 4000], [0, null, 100], frame)).toBe('M0.0 100.0M400.0 0.0')
    expect(linePath([0, 9000], [0, 0], frame)).toBe('M0.0 100.0M900.0 100.0')
  })

  it('begins inside of the frame', () => {
    expect(linePath([0, 2000], [0, 0], { ...frame, from: 1000, to: 3000 })).toBe('M500.0 100.0')
  })
})

it('a scale ends at a round number, and never below what is noise', () => {
  expect([roundTop(0, 10), roundTop(11, 10), roundTop(51, 10), roundTop(200, 10)]).toEqual([10, 20, 100, 200])
  expect(roundTop(3 * 1024 * 1024, 10_240, 1024)).toBe(5 * 1024 * 1024)
  expect(roundTop(0, 10_240, 1024)).toBe(10_240)
})

it('the nearest sample is found', () => {
  expect([nearestIndex([10, 20, 30], 24), nearestIndex([10, 20, 30], 99), nearestIndex([], 1)]).toEqual([
    1,
    2,
    undefined,
  ])
})
