import type { Clock } from '../ha/ports.ts'
import type { MonotonicMs } from '../model/time.ts'
import { bootMs, monotonicMs, wallMs } from '../platform/clock.ts'
import { after, every } from '../platform/timers.ts'

/** The boot clock has steps of 10 ms. */
const SUSPEND_NOTICED_MS = 100
const LOOK_EVERY_MS = 50

export const realClock: Clock = {
  monotonic: () => monotonicMs() as MonotonicMs,
  wall: wallMs,
  after,
}

/** Calls `onSuspend` when the host slept: the monotonic clock stood still meanwhile, leases did not (safety.md 18). */
export function watchSuspend(onSuspend: (ms: number) => void): () => void {
  let offset = bootMs() - monotonicMs()
  return every(LOOK_EVERY_MS, () => {
    const now = bootMs() - monotonicMs()
    if (now - offset > SUSPEND_NOTICED_MS) onSuspend(now - offset)
    if (Math.abs(now - offset) > SUSPEND_NOTICED_MS) offset = now
  })
}
