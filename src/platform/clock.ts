import { uptime } from 'node:os'

/**
 * What `performance.now` is short of CLOCK_MONOTONIC: it is the same clock, counted from the beginning of the process. Where the process
 * stood still between the two looks, the next try is better.
 */
const BEGAN_AT = findBeginning()

/** Milliseconds of CLOCK_MONOTONIC with fractions: shared by all processes of this boot. Stops while the host is suspended. */
export function monotonicMs(): number {
  return performance.now() + BEGAN_AT
}

function findBeginning(): number {
  const tries = Array.from({ length: 10 }, () => {
    const before = process.hrtime.bigint()
    const elapsed = performance.now()
    const after = process.hrtime.bigint()
    return { doubtNs: Number(after - before), beganAt: Number(before + after) / 2e6 - elapsed }
  })
  return tries.reduce((best, next) => (next.doubtNs < best.doubtNs ? next : best)).beganAt
}

/** Milliseconds since 1970. */
export function wallMs(): number {
  return Date.now()
}

/** Milliseconds since boot, suspend included (CLOCK_BOOTTIME), in steps of 10 ms. */
export function bootMs(): number {
  return uptime() * 1000
}
