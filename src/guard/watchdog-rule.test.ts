import { describe, expect, it } from 'vitest'
import { policyOf, watchdogPlan, type ProfileName } from '../ha/policy.ts'
import type { WatchdogPlan } from '../model/watchdog.ts'
import { fitWatchdog, mayKick } from './watchdog-rule.ts'

const PLAN: WatchdogPlan = { device: '/dev/watchdog', timeoutMaxS: 2, afterDeadlineMs: 200 }
const SOFTDOG = { timeoutS: 60, minS: 1, maxS: 65_535, isNowayout: false }

describe('a watchdog', () => {
  it('keeps a timeout that ends before the lease, and gets the longest that does where its own is longer', () => {
    expect(fitWatchdog({ ...SOFTDOG, timeoutS: 1 }, PLAN)).toEqual({ kind: 'fits', timeoutS: 1 })
    expect(fitWatchdog({ ...SOFTDOG, timeoutS: 2 }, PLAN)).toEqual({ kind: 'fits', timeoutS: 2 })
    expect(fitWatchdog(SOFTDOG, PLAN)).toEqual({ kind: 'set', timeoutS: 2 })
    expect(fitWatchdog({ ...SOFTDOG, maxS: 5 }, { ...PLAN, timeoutMaxS: 7 })).toEqual({
      kind: 'set',
      timeoutS: 5,
    })
    expect(fitWatchdog({ ...SOFTDOG, maxS: 0 }, PLAN)).toEqual({ kind: 'set', timeoutS: 2 })
  })

  it('is refused with its numbers where its shortest timeout outlives the lease', () => {
    expect(fitWatchdog({ ...SOFTDOG, minS: 10 }, PLAN)).toEqual({
      kind: 'unfit',
      why: 'its shortest timeout is 10 s, and at most 2 s end before the lease; set a longer ha.lease_ttl or ha.profile on all nodes',
    })
  })

  it('is refused where it cannot be stopped, since an orderly stop would reset the host', () => {
    expect(fitWatchdog({ ...SOFTDOG, isNowayout: true }, PLAN)).toMatchObject({ kind: 'unfit' })
  })
})

describe('a kick', () => {
  const device = { timeoutS: 2, afterDeadlineMs: 200 }

  it('is allowed as long as the host would end before the lease, and no longer', () => {
    expect(mayKick(8200, 10_000, device)).toBe(true)
    expect(mayKick(8201, 10_000, device)).toBe(false)
    expect(mayKick(0, undefined, device)).toBe(false)
  })

  it.each(['lan', 'noisy', 'wan'] satisfies ProfileName[])(
    'ends the host of %s after its guard could fence and before its lease can be taken, whenever it was the last',
    (profile) => {
      const policy = policyOf(profile, { watchdogMarginMs: 100 })
      const plan = watchdogPlan(policy, '/dev/watchdog') as WatchdogPlan
      const renewed = 1000
      const until = renewed + policy.leaseTtlMs - policy.killMarginMs
      for (let timeoutS = 1; timeoutS <= plan.timeoutMaxS; timeoutS += 1) {
        const times = Array.from({ length: policy.leaseTtlMs }, (_, ms) => renewed + ms)
        const last = times.findLast((now) => mayKick(now, until, { ...plan, timeoutS })) ?? 0
        expect(last + timeoutS * 1000).toBeLessThanOrEqual(renewed + policy.leaseTtlMs - 100)
        expect(last + timeoutS * 1000).toBeGreaterThan(until)
        // One renewal of ten may be late, and the device is kicked on.
        expect(last).toBeGreaterThanOrEqual(renewed + policy.leaseTtlMs / 5)
      }
    },
  )

  it('leaves the guard its time also where the margin is longer than that', () => {
    const policy = policyOf('wan', { watchdogMarginMs: 2000 })
    expect(policy.killMarginMs).toBe(2200)
    expect(watchdogPlan(policy, '/dev/watchdog')).toMatchObject({ timeoutMaxS: 6, afterDeadlineMs: 200 })
  })
})
