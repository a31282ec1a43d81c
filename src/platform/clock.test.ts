import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { monotonicMs } from './clock.ts'

/** The kernel's own, to the nanosecond. */
const kernelMs = (): number => Number(process.hrtime.bigint()) / 1e6
/** What the beginning of the process may be off by. */
const DOUBT_MS = 0.1

it('is the clock of the kernel that all processes of a boot share', () => {
  for (let count = 0; count < 1000; count += 1) {
    const before = kernelMs()
    const now = monotonicMs()
    const after = kernelMs()
    expect(now).toBeGreaterThan(before - DOUBT_MS)
    expect(now).toBeLessThan(after + DOUBT_MS)
  }
})

it('orders what two processes did', () => {
  const before = monotonicMs()
  const there = Number(
    execFileSync(process.execPath, ['-p', 'process.hrtime.bigint().toString()'], { encoding: 'utf8' }),
  )
  expect(there / 1e6).toBeGreaterThan(before)
  expect(there / 1e6).toBeLessThan(monotonicMs())
})
