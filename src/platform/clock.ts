import { uptime } from 'node:os'

/** Milliseconds of CLOCK_MONOTONIC with fractions: shared by all processes of this boot. Stops while the host is suspended. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Milliseconds since this process began, on the same clock: costs a tenth, for statistics and for limits that nobody else judges. */
export function elapsedMs(): number {
  return performance.now()
}

/** Milliseconds since 1970. */
export function wallMs(): number {
  return Date.now()
}

/** Milliseconds since boot, suspend included (CLOCK_BOOTTIME), in steps of 10 ms. */
export function bootMs(): number {
  return uptime() * 1000
}
