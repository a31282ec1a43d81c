import { describe, expect, it } from 'vitest'
import { cleanSeeds } from './ledger.ts'

const row = (rules: string, seeds: string, clean: number, mode = 'any'): string =>
  `| 2026-11-25 | abc1234 | ${rules} | ${seeds} | 5 | storms | any | ${mode} | ${clean} | 0 | 100 |`

describe('the ledger', () => {
  it('adds sessions up that ran under the same safety rules, and forgets those before a change', () => {
    expect(
      cleanSeeds([row('old', '1–500', 500), row('new', '1–100', 100), row('new', '101–300', 200)], 'new'),
    ).toBe(300)
  })

  it('counts a seed that was run twice once, and not what was run with other options as the same', () => {
    expect(cleanSeeds([row('new', '1–100', 100), row('new', '51–150', 100)], 'new')).toBe(150)
    expect(cleanSeeds([row('new', '1–100', 100), row('new', '1–100', 100, 'sync')], 'new')).toBe(200)
  })

  it('counts no more than what was clean', () => {
    expect(cleanSeeds([row('new', '1–100', 97)], 'new')).toBe(97)
  })
})
