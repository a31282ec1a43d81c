import { describe, expect, it } from 'vitest'
import { settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import { silentLogger } from '../platform/log.ts'
import { Jobs } from './jobs.ts'

function given() {
  const clock = new VirtualClock()
  let changes = 0
  const jobs = new Jobs({ clock, log: silentLogger(), onChange: () => (changes += 1) })
  return { clock, jobs, changes: () => changes }
}
const fails = () => Promise.reject(new Error('no space left'))

describe('Jobs', () => {
  it('runs one at a time', async () => {
    const { jobs } = given()
    const done: string[] = []
    jobs.begin('start', () => new Promise(() => done.push('start')))
    jobs.begin('clone', async () => void done.push('clone'))
    await settle()
    expect(done).toEqual(['start'])
    expect(jobs.running).toBe('start')
  })

  it('fences beside whatever runs, once', async () => {
    const { jobs } = given()
    let fences = 0
    jobs.begin('clone', () => new Promise(() => undefined))
    jobs.begin('fence', () => new Promise(() => (fences += 1)))
    jobs.begin('fence', () => new Promise(() => (fences += 1)))
    await settle()
    expect(fences).toBe(1)
    expect(jobs.running).toBe('fence')
  })

  it('says why the last one failed, until one succeeds', async () => {
    const { jobs } = given()
    jobs.begin('start', fails)
    await settle()
    expect(jobs.trouble).toBe('no space left')
    expect(jobs.startFailures).toBe(1)
    jobs.begin('start', () => Promise.resolve())
    await settle()
    expect(jobs.trouble).toBeUndefined()
    expect(jobs.startFailures).toBe(0)
  })

  it('remembers that a clone failed until the instance is up again', async () => {
    const { jobs } = given()
    jobs.begin('clone', fails)
    await settle()
    jobs.begin('stop', () => Promise.resolve())
    await settle()
    expect(jobs.cloneFailures).toBe(1)
    jobs.begin('start', () => Promise.resolve())
    await settle()
    expect(jobs.cloneFailures).toBe(0)
  })

  it('counts rewinds that failed until the instance is up again', async () => {
    const { jobs } = given()
    for (let times = 1; times < 3; times += 1) {
      jobs.begin('rewind', fails)
      await settle()
      expect(jobs.rewindFailure).toEqual({ times, why: 'no space left' })
    }
    jobs.begin('clone', () => Promise.resolve())
    await settle()
    expect(jobs.rewindFailure).toBeUndefined()
  })

  it('waits twice as long after each failure, up to a bound', async () => {
    const { clock, jobs } = given()
    const waits: number[] = []
    for (let round = 0; round < 7; round += 1) {
      jobs.begin('clone', fails)
      await settle()
      waits.push(jobs.retryAt - clock.monotonic())
    }
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 10_000, 10_000])
  })

  it('wakes the loop when one has ended, however it ended', async () => {
    const { jobs, changes } = given()
    jobs.begin('start', fails)
    await settle()
    expect(jobs.running).toBeUndefined()
    expect(changes()).toBe(1)
  })
})
