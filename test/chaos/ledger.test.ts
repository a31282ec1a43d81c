import { expect, it } from 'vitest'
import { WITH_WITNESS, withEntry } from './ledger.ts'

const entry = {
  date: '2026-11-25',
  commit: 'abc',
  rules: 'r1',
  mode: 'quorum',
  nodes: '3',
  postgres: '18',
  from: 1,
  to: 20,
  clean: 19,
  violations: 1,
  acknowledged: 5000,
  missing: 0,
  staleReads: 0,
  seconds: 612.3,
} as const

it('the ledger of chaos adds up each mode, and what was made with the newest rules', () => {
  const first = withEntry('', entry)
  expect(first).toContain('| 2026-11-25 | abc | r1 | quorum | 3 | 18 | 1–20 | 19 | 1 | 5000 | 0 | 0 | 612 |')
  const second = withEntry(first, { ...entry, rules: 'r2', clean: 5, violations: 0 })
  const third = withEntry(second, { ...entry, mode: 'async', rules: 'r2', clean: 7, violations: 0 })
  expect(third.split('\n').filter((line) => line.startsWith('| 2026'))).toHaveLength(3)
  expect(third).toContain('- quorum: 24 clean, 1 violations; with the newest rules 5 clean, 0 violations')
  expect(third).toContain('- async: 7 clean, 0 violations; with the newest rules 7 clean, 0 violations')
  expect(third).toContain('- sync: 0 clean')
  const fourth = withEntry(third, { ...entry, nodes: WITH_WITNESS, clean: 3, violations: 0 })
  expect(fourth).toContain('- two databases and a witness, of these: 3 clean, 0 violations')
})
