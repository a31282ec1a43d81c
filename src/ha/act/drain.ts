import { messageOf } from '../../std/fault.ts'
import { pauseOn } from '../pause-on.ts'
import type { World } from './world.ts'

const LOOK_EVERY_MS = 4
/** Within this every router has heard, and has ended the sessions that had nothing to do. */
const HEARD_WITHIN_MS = 80

/**
 * Waits until nobody is in a statement or a transaction on this primary, for `ha.drain_timeout` at most: what was begun is finished and
 * acknowledged before the primary stops. Routers, which have been told, begin nothing and end each session behind its transaction;
 * who came past them is waited for as well. Where only idle sessions are left it waits until no router can be among them.
 */
export async function drain({ clock, instance, log, policy }: World): Promise<void> {
  const begunAt = clock.monotonic()
  let isEmpty = false
  for (;;) {
    let clients: { connected: number; busy: number }
    try {
      clients = await instance.clients()
    } catch (error) {
      log.warn('Hand-over: nobody can say who still works', { error: messageOf(error) })
      return
    }
    const waitedMs = clock.monotonic() - begunAt
    const { connected, busy } = clients
    // Twice in a row: a router that had not heard yet may just have let one in.
    if (connected === 0 && isEmpty) return
    isEmpty = connected === 0
    if (busy === 0 && waitedMs >= HEARD_WITHIN_MS) return
    if (waitedMs >= policy.drainTimeoutMs) {
      log.warn('Hand-over: statements that did not end in time are cut', {
        busy,
        waitedMs: Math.round(waitedMs),
      })
      return
    }
    await pauseOn(clock, LOOK_EVERY_MS)
  }
}
