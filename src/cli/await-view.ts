import type { Client, ClusterView } from '#client'
import { monotonicMs } from '../platform/clock.ts'
import { pause } from '../platform/timers.ts'

const LOOK_EVERY_MS = 200

/** Looks at the cluster until `isThere`; whether it was, within so many milliseconds. */
export async function awaitView(
  client: Client,
  withinMs: number,
  isThere: (view: ClusterView) => boolean,
): Promise<boolean> {
  const until = monotonicMs() + withinMs
  for (;;) {
    if (isThere(await client.view())) return true
    if (monotonicMs() >= until) return false
    await pause(LOOK_EVERY_MS)
  }
}
