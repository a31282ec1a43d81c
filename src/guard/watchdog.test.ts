import { describe, expect, it } from 'vitest'
import { settle } from '../../test/support/ha-fakes.ts'
import type { WatchdogPlan, WatchdogState } from '../model/watchdog.ts'
import { Watchdog, type WatchdogDevice } from './watchdog.ts'
import type { WatchdogReading } from './watchdog-rule.ts'

const PLAN: WatchdogPlan = { device: '/dev/watchdog', timeoutMaxS: 2, afterDeadlineMs: 200 }

class PlayedDevice implements WatchdogDevice {
  readonly done: string[] = []
  reading: WatchdogReading | undefined = {
    timeoutS: 2,
    minS: 1,
    maxS: 60,
    isNowayout: false,
    isRunning: false,
  }
  refusal: string | undefined

  read(): WatchdogReading | undefined {
    return this.reading
  }

  changeTimeout(_device: string, seconds: number): Promise<void> {
    this.done.push(`set ${seconds}`)
    if (this.refusal !== undefined) return Promise.reject(new Error(this.refusal))
    if (this.reading) this.reading = { ...this.reading, timeoutS: seconds }
    return Promise.resolve()
  }

  open(): void {
    if (this.refusal !== undefined) throw new Error(this.refusal)
    this.done.push('open')
  }

  kick(): void {
    this.done.push('kick')
  }

  close(): void {
    this.done.push('close')
  }
}

function watched(change: Partial<WatchdogReading> = {}) {
  const device = new PlayedDevice()
  if (device.reading) device.reading = { ...device.reading, ...change }
  const told: WatchdogState[] = []
  const watchdog = new Watchdog(device, (state) => told.push(state))
  watchdog.use(PLAN, 0)
  return { device, watchdog, told }
}

describe('the watchdog in the hand of the guard', () => {
  it('is opened with the first deadline, kicked while that is far, and no more when the lease is as near as its timeout', () => {
    const { device, watchdog } = watched()
    watchdog.look(0, undefined)
    expect(device.done).toEqual([])
    watchdog.look(0, 2700)
    expect(device.done).toEqual(['open', 'kick'])
    watchdog.look(20, 2700)
    watchdog.look(60, 2700)
    watchdog.look(900, 2700)
    expect(device.done).toEqual(['open', 'kick', 'kick', 'kick'])
    watchdog.look(920, 2700)
    watchdog.look(2699, 2700)
    expect(device.done).toHaveLength(4)
    expect(watchdog.state.state).toBe('armed')
  })

  it('is kicked again once the deadline was prolonged', () => {
    const { device, watchdog } = watched()
    watchdog.look(0, 2700)
    watchdog.look(2000, 2700)
    watchdog.look(2020, 5000)
    expect(device.done).toEqual(['open', 'kick', 'kick'])
  })

  it('runs on through a fence, and is let go when nothing is left that could write', () => {
    const { device, watchdog } = watched()
    watchdog.look(0, 2700)
    watchdog.look(2720, 2700)
    expect(device.done).toEqual(['open', 'kick'])
    watchdog.look(2760, undefined)
    expect(device.done).toEqual(['open', 'kick', 'close'])
    expect(watchdog.state).toEqual({ state: 'usable' })
  })

  it('is not even opened for a deadline that it would outlive', () => {
    const { device, watchdog } = watched()
    watchdog.look(0, 1500)
    expect(device.done).toEqual([])
  })

  it('gets its timeout set where that does not fit, and is usable only then', async () => {
    const { device, watchdog, told } = watched({ timeoutS: 60 })
    watchdog.look(0, 2700)
    expect(device.done).toEqual(['set 2'])
    await settle()
    expect(told).toEqual([{ state: 'usable' }])
    watchdog.look(20, 2700)
    expect(device.done).toEqual(['set 2', 'open', 'kick'])
  })

  it('is unfit, with its numbers, where its timeout cannot be set', async () => {
    const device = new PlayedDevice()
    device.reading = { timeoutS: 60, minS: 1, maxS: 60, isNowayout: false, isRunning: false }
    device.refusal = 'wdctl: command not found'
    const watchdog = new Watchdog(device, () => undefined)
    watchdog.use(PLAN, 0)
    await settle()
    expect(watchdog.state).toEqual({
      state: 'unfit',
      why: 'its timeout is 60 s, and at most 2 s end before the lease; cannot set 2 s: wdctl: command not found',
    })
    watchdog.look(20, 2700)
    expect(device.done).toEqual(['set 2'])
  })

  it('says why it cannot be had, and is tried again', () => {
    const { device, watchdog } = watched()
    device.refusal = 'another program holds it'
    watchdog.look(0, 2700)
    expect(watchdog.state).toEqual({ state: 'unfit', why: 'another program holds it' })
    device.refusal = undefined
    watchdog.look(100, 2700)
    expect(watchdog.state.state).toBe('unfit')
    watchdog.look(600, 2700)
    expect(watchdog.state).toEqual({ state: 'armed' })
  })

  it('is found when its driver is loaded later', () => {
    const device = new PlayedDevice()
    const there = device.reading
    device.reading = undefined
    const watchdog = new Watchdog(device, () => undefined)
    watchdog.use(PLAN, 0)
    expect(watchdog.state.state).toBe('absent')
    device.reading = there
    watchdog.look(5000, undefined)
    expect(watchdog.state).toEqual({ state: 'usable' })
  })

  it('that a killed guard left running is stopped when nobody may write, and not before', () => {
    const { device, watchdog } = watched({ isRunning: true })
    watchdog.look(5000, undefined)
    expect(device.done).toEqual([])
    watchdog.stopLeftover()
    expect(device.done).toEqual(['open', 'close'])
  })

  it('is let go when it is not to be used any more', () => {
    const { device, watchdog } = watched()
    watchdog.look(0, 2700)
    watchdog.use(undefined, 10)
    watchdog.look(60, 2700)
    expect(device.done).toEqual(['open', 'kick', 'close'])
  })
})
