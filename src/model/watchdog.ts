import { SECOND } from '../std/units.ts'

/*
 * The last step of fencing: a device that resets the host unless it is kicked. Every number about it is in milliseconds, but a
 * watchdog's own timeout, which the kernel counts in whole seconds.
 */

/** What a node says of its watchdog; it says nothing where `watchdog.mode` is off. */
export type WatchdogFacts = WatchdogState & {
  /** `required`: without it this node does not become primary. */
  readonly mode: 'automatic' | 'required'
}

export type WatchdogState = {
  /**
   * `armed`: it runs, and the guard of this node kicks it. `usable`: it would. `absent`: there is none. `unfit`: there is one, and it
   * cannot fence in time.
   */
  readonly state: 'armed' | 'usable' | 'absent' | 'unfit'
  /** Of the one that is absent or unfit, with the remedy. */
  readonly why?: string
}

/** What a guard has to know to use one. */
export type WatchdogPlan = {
  readonly device: string
  /** A longer timeout could not be kicked any more as soon as a renewal is late. */
  readonly timeoutMaxS: number
  /** So long after the guard's deadline the host may still run: it ends before the lease does. */
  readonly afterDeadlineMs: number
}

/** Of the lease's life: a kick must be possible although one renewal of ten came late. */
const LEASE_SHARE = 0.8

/** Between the guard's deadline and the end of the device: time to end PostgreSQL, so that the host need not go. */
export const FENCE_BEFORE_RESET_MS = 200

/**
 * The longest timeout that fits the lease; 0: none does. A kick postpones the end of the host by this much, and is allowed only while
 * that ends `marginMs` before the lease.
 */
export function watchdogTimeoutMaxS(leaseTtlMs: number, marginMs: number): number {
  return Math.max(0, Math.floor((leaseTtlMs * LEASE_SHARE - marginMs) / SECOND))
}

/** Why this node must not become primary for its watchdog's sake. */
export function watchdogObstacle(watchdog: WatchdogFacts | undefined): string | undefined {
  if (watchdog?.mode !== 'required' || watchdog.state === 'armed' || watchdog.state === 'usable')
    return undefined
  return `its watchdog, which is required, is ${watchdog.state}: ${watchdog.why ?? 'nothing is known of it'}`
}
