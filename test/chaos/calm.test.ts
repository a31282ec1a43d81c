import { describe, expect, it } from 'vitest'
import { drawPauses } from './calm.ts'

const HALF_AN_HOUR_MS = 30 * 60_000
const seeds = Array.from({ length: 50 }, (_, index) => index + 1)
const draw = (seed: number, profile: 'lan' | 'noisy') =>
  drawPauses({ seed, profile, nodes: 3, lastsMs: HALF_AN_HOUR_MS })

describe('pauses that are no reason for a failover', () => {
  it('are a value of their seed', () => {
    for (const seed of seeds) expect(draw(seed, 'lan')).toEqual(draw(seed, 'lan'))
    expect(new Set(seeds.map((seed) => JSON.stringify(draw(seed, 'lan')))).size).toBe(seeds.length)
  })

  it('come often, one at a time, and end within the run', () => {
    for (const pauses of seeds.map((seed) => draw(seed, 'noisy'))) {
      expect(pauses.length).toBeGreaterThan(100)
      const gaps = pauses.slice(1).map(({ atMs }, index) => atMs - (pauses[index]?.atMs ?? 0))
      // Two seconds each, and longer than any profile waits for a member that is silent.
      expect(Math.min(...gaps)).toBeGreaterThan(2000 + 3000)
      expect((pauses.at(-1)?.atMs ?? 0) + 2000).toBeLessThan(HALF_AN_HOUR_MS)
    }
  })

  it("hit standbys and Raft leaders, and the primary's host only where the profile is made for that", () => {
    const hit = (profile: 'lan' | 'noisy') =>
      new Set(seeds.flatMap((seed) => draw(seed, profile).map(({ who }) => who)))
    expect(hit('lan')).toEqual(new Set(['standby', 'leader']))
    expect(hit('noisy')).toEqual(new Set(['standby', 'leader', 'primary']))
    const ranks = new Set(seeds.flatMap((seed) => draw(seed, 'lan').map(({ rank }) => rank)))
    expect(ranks).toEqual(new Set([1, 2]))
  })
})
