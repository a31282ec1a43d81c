import type { WatchdogPlan } from '../model/watchdog.ts'

/*
 * When a watchdog fits, and when it may be kicked, without device, file or clock: the cluster simulator runs it as it is.
 */

/** What the kernel says of a watchdog; 0 where it names no limit. */
export type WatchdogReading = {
  readonly timeoutS: number
  readonly minS: number
  readonly maxS: number
  /** Once it runs it cannot be stopped. */
  readonly isNowayout: boolean
  /** It runs, whoever opened it. */
  readonly isRunning: boolean
}

export type WatchdogFit =
  | { readonly kind: 'fits'; readonly timeoutS: number }
  | { readonly kind: 'set'; readonly timeoutS: number }
  | { readonly kind: 'unfit'; readonly why: string }

export function fitWatchdog(
  { timeoutS, minS, maxS, isNowayout }: Omit<WatchdogReading, 'isRunning'>,
  { timeoutMaxS }: WatchdogPlan,
): WatchdogFit {
  if (isNowayout) {
    return unfit(
      'it cannot be stopped once it runs (nowayout), so an orderly stop would reset the host; load its driver with nowayout=0',
    )
  }
  if (timeoutMaxS < 1) return unfit('the lease is too short for a device that counts whole seconds')
  if (minS > timeoutMaxS) {
    return unfit(
      `its shortest timeout is ${minS} s, and at most ${timeoutMaxS} s end before the lease; set a longer ha.lease_ttl or ha.profile on all nodes`,
    )
  }
  if (timeoutS >= 1 && timeoutS <= timeoutMaxS) return { kind: 'fits', timeoutS }
  return { kind: 'set', timeoutS: maxS > 0 ? Math.min(maxS, timeoutMaxS) : timeoutMaxS }
}

/**
 * Whether the host may live for another timeout. Invariant: what the device was kicked last for is over before the lease is, whatever
 * becomes of guard and agent after the kick. `until`: the deadline that the guard holds, if any.
 */
export function mayKick(
  now: number,
  until: number | undefined,
  device: { readonly timeoutS: number; readonly afterDeadlineMs: number },
): boolean {
  return until !== undefined && now + device.timeoutS * 1000 <= until + device.afterDeadlineMs
}

function unfit(why: string): WatchdogFit {
  return { kind: 'unfit', why }
}
