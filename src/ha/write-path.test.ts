import { describe, expect, it } from 'vitest'
import { FakeInstance, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import { MiB } from '../std/units.ts'
import { goodWordMs, policyOf } from './policy.ts'
import type { CommitTry } from './ports.ts'
import { WritePath, type WritePathSubject } from './write-path.ts'

const { writePath: policy } = policyOf('lan')
const primary: WritePathSubject = { role: 'primary', postmasterPid: 1 }
const standby: WritePathSubject = { role: 'standby', postmasterPid: 1 }

function begin(subject: WritePathSubject | undefined) {
  const clock = new VirtualClock()
  const instance = new FakeInstance()
  const now = { subject }
  let changes = 0
  const path = new WritePath(
    { clock, instance },
    { policy, subject: () => now.subject, onChange: () => (changes += 1) },
  )
  path.start()
  return { clock, instance, now, path, changes: () => changes }
}

/** Comes back when it is told to. */
function held<T>(): { promise: Promise<T>; end: (value: T) => void } {
  let end: (value: T) => void = () => undefined
  const promise = new Promise<T>((resolve) => {
    end = resolve
  })
  return { promise, end }
}

describe('the tries of a primary', () => {
  it('say that it is good, and are small commits, ten of which make one connection anew', async () => {
    const { clock, instance, path } = begin(primary)
    await settle()
    expect(path.facts).toEqual({ state: 'good', latencyMs: 1 })
    await clock.advance(10 * policy.periodMs)
    expect(instance.done.filter((deed) => deed === 'try commit')).toHaveLength(10)
    expect(instance.done.filter((deed) => deed === 'try commit anew')).toHaveLength(1)
  })

  it('convict when the second in a row is missed, which is 1.2 s after the first began, and not earlier', async () => {
    const { clock, instance, path } = begin(primary)
    await settle()
    instance.commit = () => held<CommitTry>().promise
    await clock.advance(policy.periodMs)
    const begunAt = clock.monotonic()
    await clock.advance(policy.periodMs + policy.lateMs - 100)
    expect(path.state).toBe('good')
    await clock.advance(100)
    expect(path.state).toBe('stalled')
    expect(path.stalledSince).toBe(begunAt)
  })

  it('do not pile up at a disk that stalls: all of them wait for one commit', async () => {
    const { clock, instance } = begin(primary)
    await settle()
    instance.commit = () => held<CommitTry>().promise
    await clock.advance(20 * policy.periodMs)
    expect(instance.done).toEqual(['try commit', 'try commit'])
  })

  it('say that it is good again when what was out comes back', async () => {
    const { clock, instance, path, changes } = begin(primary)
    const commit = held<CommitTry>()
    instance.commit = () => commit.promise
    await clock.advance(3000)
    expect(path.state).toBe('stalled')
    const before = changes()
    instance.commit = () => Promise.resolve('committed')
    commit.end('committed')
    await clock.advance(policy.periodMs)
    expect(path.facts).toEqual({ state: 'good', latencyMs: 1 })
    expect(changes()).toBe(before + 1)
  })

  it('convict when each comes back, and two in a row too late', async () => {
    const { clock, instance, path } = begin(primary)
    await settle()
    instance.commit = () => new Promise((resolve) => clock.after(900, () => resolve('committed')))
    await clock.advance(policy.periodMs)
    await clock.advance(1000)
    expect(path.facts).toEqual({ state: 'slow', latencyMs: 1024 })
    await clock.advance(policy.lateMs)
    expect(path.state).toBe('stalled')
    instance.commit = () => Promise.resolve('committed')
    await clock.advance(1000)
    expect(path.state).toBe('good')
  })

  it('are not held against it when the agent itself stood still', async () => {
    const { clock, instance, path } = begin(primary)
    await settle()
    const commit = held<CommitTry>()
    instance.commit = () => commit.promise
    await clock.advance(policy.periodMs)
    // All timers that fell due meanwhile run late, at once, and before what came back is read.
    await clock.leap(5000)
    expect(path.state).toBe('good')
    await clock.advance(policy.periodMs + policy.lateMs - 200)
    expect(path.state).toBe('good')
    commit.end('committed')
    await settle()
    expect(path.stalledSince).toBeUndefined()
  })

  it('convict also after the agent stood still, once nothing has come back for as long again', async () => {
    const { clock, instance, path } = begin(primary)
    instance.commit = () => held<CommitTry>().promise
    await clock.advance(policy.periodMs)
    await clock.leap(5000)
    await clock.advance(policy.periodMs + policy.lateMs + 100)
    expect(path.state).toBe('stalled')
  })

  it.each([
    ['no-slot', 'no-slot'],
    ['refused', 'unknown'],
    ['no-room', 'full'],
  ] as const)('that end as %s say %s, and nothing of a stall', async (outcome, state) => {
    const { clock, instance, path } = begin(primary)
    instance.commit = () => Promise.resolve(outcome)
    await clock.advance(10_000)
    expect(path.facts).toEqual({ state })
    expect(path.stalledSince).toBeUndefined()
  })

  it('say that a disk is full only after others could have said that theirs fails as well, and take it back', async () => {
    const { clock, instance, path } = begin(primary)
    await settle()
    instance.room = 0
    await clock.advance(3 * policy.periodMs)
    expect(path.state).toBe('good')
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('full')
    instance.room = 2 * MiB
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
  })

  it('say no sooner that a disk is full when PostgreSQL itself says it', async () => {
    const { clock, instance, path } = begin(primary)
    instance.commit = () => Promise.resolve('no-room')
    await clock.advance(3 * policy.periodMs)
    expect(path.state).toBe('unknown')
    await clock.advance(2 * policy.periodMs)
    expect(path.state).toBe('full')
  })

  it('of one postmaster say nothing of the next, nor of one that is being stopped', async () => {
    const { clock, instance, now, path } = begin(primary)
    const commit = held<CommitTry>()
    instance.commit = () => commit.promise
    await clock.advance(3000)
    expect(path.state).toBe('stalled')
    instance.commit = () => Promise.resolve('committed')
    now.subject = undefined
    await clock.advance(policy.periodMs)
    expect(path.facts).toEqual({ state: 'unknown' })
    now.subject = { role: 'primary', postmasterPid: 2 }
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
    commit.end('refused')
    await settle()
    expect(path.state).toBe('good')
  })

  it('tell at once whoever waits for an answer of a PostgreSQL that stands still', async () => {
    const { clock, instance, path } = begin(primary)
    instance.commit = () => held<CommitTry>().promise
    await clock.advance(policy.periodMs)
    let isTold = false
    void path.untilStalled().stalled.then(() => (isTold = true))
    await clock.advance(1000)
    expect(isTold).toBe(false)
    await clock.advance(300)
    expect(isTold).toBe(true)
    await path.untilStalled().stalled
  })
})

describe('the tries of a standby', () => {
  it('are files made durable, without PostgreSQL, as often', async () => {
    const { clock, instance, path } = begin(standby)
    await settle()
    expect(path.facts).toEqual({ state: 'good', latencyMs: 1 })
    await clock.advance(4000)
    expect([...new Set(instance.done)]).toEqual(['sync disk'])
    expect(instance.done).toHaveLength(9)
  })

  it('say that it is good no longer before a primary is convicted whose disk began to stall in the same moment', async () => {
    const { clock, instance, path } = begin(standby)
    await settle()
    instance.sync = () => held<void>().promise
    const stalledAt = clock.monotonic()
    await clock.advance(policy.periodMs + policy.goodMs + 100)
    expect(path.state).toBe('slow')
    const convictedAt = stalledAt + policy.periodMs + policy.lateMs
    expect(clock.monotonic()).toBeLessThan(convictedAt)
    // What it said until then was too old by then.
    expect(convictedAt - clock.monotonic()).toBe(goodWordMs(policy))
  })

  it.each(['lan', 'noisy', 'wan'] as const)(
    'are told often enough to count where somebody is heard (%s)',
    (profile) => {
      const { heartbeatMs, silenceLimitMs, writePath } = policyOf(profile)
      expect(goodWordMs(writePath)).toBeGreaterThan(heartbeatMs)
      expect(goodWordMs(writePath)).toBeLessThan(silenceLimitMs)
    },
  )

  it('are too old to say anything when the agent stood still', async () => {
    const { clock, path } = begin(standby)
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
    const told = clock.monotonic() + 5000
    let stateThen = ''
    clock.after(1, () => (stateThen = path.state))
    await clock.leap(5000)
    expect([clock.monotonic(), stateThen]).toEqual([told, 'unknown'])
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
  })

  it('say nothing of before the host slept, whose clock stood still meanwhile', async () => {
    const { clock, instance, path } = begin(standby)
    await clock.advance(policy.periodMs)
    const { promise, end } = held<void>()
    instance.sync = () => promise
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
    path.distrustClock()
    expect(path.state).toBe('unknown')
    end()
    await settle()
    expect(path.state).toBe('unknown')
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
  })

  it('say slow, stalled and full of a disk that no primary should have', async () => {
    const { clock, instance, path } = begin(standby)
    await settle()
    const sync = held<void>()
    instance.sync = () => sync.promise
    await clock.advance(2 * policy.periodMs)
    await clock.advance(policy.lateMs)
    expect(path.state).toBe('stalled')
    sync.end()
    await settle()
    expect(path.state).toBe('stalled')
    instance.sync = () => new Promise((resolve) => clock.after(300, resolve))
    await clock.advance(2000)
    expect(path.facts).toEqual({ state: 'slow', latencyMs: 512 })
    instance.sync = () => Promise.resolve()
    instance.room = policy.roomBytes - 1
    await clock.advance(2000)
    expect(path.state).toBe('full')
  })

  it('never say good of room that came back when the disk answered no more', async () => {
    const { clock, instance, path } = begin(standby)
    instance.room = policy.roomBytes - 1
    await clock.advance(2 * policy.periodMs)
    expect(path.state).toBe('full')
    instance.room = policy.roomBytes
    instance.sync = () => held<void>().promise
    const said = new Set<string>()
    for (let ms = 0; ms < policy.periodMs + policy.lateMs; ms += 10) {
      await clock.advance(10)
      said.add(path.state)
    }
    expect([...said]).toEqual(['full', 'stalled'])
  })

  it('say nothing of the primary that the standby has become since', async () => {
    const { clock, instance, path, now } = begin(standby)
    instance.room = policy.roomBytes - 1
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('full')
    now.subject = primary
    expect(path.state).toBe('unknown')
    await clock.advance(policy.periodMs)
    expect(path.state).toBe('good')
  })

  it('say nothing where the disk gives an error', async () => {
    const { clock, instance, path } = begin(standby)
    instance.sync = () => Promise.reject(new Error('EIO'))
    await clock.advance(1000)
    expect(path.facts).toEqual({ state: 'unknown' })
  })
})
