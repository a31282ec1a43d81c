import { describe, expect, it } from 'vitest'
import { countOf } from '../../model/statement-latency.ts'
import { addLatencies, latencyOf, LatencyHistogram, quantileMs } from './latency-histogram.ts'

function histogram(...times: readonly number[]): LatencyHistogram {
  const latency = new LatencyHistogram()
  for (const ms of times) latency.add(ms)
  return latency
}

describe('a histogram of latencies', () => {
  it('tells the bound that a part of them stays within, and never more than the longest', () => {
    const latency = histogram(...Array.from({ length: 98 }, () => 0.9), 3.5, 700)
    expect(countOf(latency)).toBe(100)
    expect([0.5, 0.98, 0.99, 1].map((part) => quantileMs(latency, part))).toEqual([1, 1, 4, 700])
  })

  it.each([
    [0, 0],
    [0.25, 0.25],
    [0.26, 0.26],
    [1, 1],
    [1.01, 1.01],
    [1e9, 1e9],
  ])('has a place for %s ms', (ms, shown) => {
    const latency = histogram(ms)
    expect(countOf(latency)).toBe(1)
    expect(quantileMs(latency, 0.5)).toBe(shown)
  })

  it('puts each time under a bound that is at most twice as long', () => {
    for (let ms = 0.3; ms < 60_000; ms *= 1.37) {
      const bound = quantileMs(histogram(ms, 1e6), 0.5)
      expect(bound).toBeGreaterThanOrEqual(ms)
      expect(bound).toBeLessThan(ms * 2)
    }
  })

  it('of nothing says nothing', () => {
    expect([countOf(histogram()), quantileMs(histogram(), 0.99)]).toEqual([0, 0])
  })

  it('adds up to one of several workers', () => {
    const sum = addLatencies(histogram(1, 2), histogram(3, 90))
    expect([countOf(sum), quantileMs(sum, 0.75), sum.maxMs]).toEqual([4, 4, 90])
  })

  it('is one for all users beyond a bound', () => {
    const users = new Map<string, LatencyHistogram>()
    for (let number = 0; number < 1500; number += 1) latencyOf(users, `user${number}`).add(1)
    expect(users.size).toBe(1001)
    expect(countOf(latencyOf(users, 'user1400'))).toBe(500)
    expect(countOf(latencyOf(users, 'user3'))).toBe(1)
  })
})
