import { beforeEach, describe, expect, it } from 'vitest'
import { settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { MonotonicMs } from '../model/time.ts'
import { silentLogger } from '../platform/log.ts'
import type { Executor } from './act/executor.ts'
import type { Action } from './decision.ts'
import { HaLoop } from './loop.ts'
import type { Observer } from './observe/observer.ts'
import { policyOf } from './policy.ts'
import type { Snapshot } from './snapshot.ts'

/** A primary whose epoch is another's: the shortest way to a decision that acts. */
const superseded: Snapshot = {
  takenAt: 0 as MonotonicMs,
  self: 'n1',
  members: ['n1', 'n2'],
  leaving: [],
  policy: policyOf('lan'),
  attentiveSince: 0 as MonotonicMs,
  agentUptimeMs: 60_000,
  initialiser: 'n1',
  stopping: false,
  stoppingForMs: 0,
  store: {
    hasQuorum: true,
    quorumChangedAt: 0 as MonotonicMs,
    record: {
      epoch: 8,
      holder: 'n2',
      incarnation: 'disk-n2',
      seq: 1,
      ttlMs: 3000,
      state: 'open',
      reason: 'LEASE_EXPIRED',
      systemId: '42',
      timeline: 2,
      position: '0/1',
      chain: [],
    },
    recordRevision: 9,
    firstSeenAt: 0 as MonotonicMs,
    paused: false,
    provenUntil: 0 as MonotonicMs,
    addresses: {},
  },
  local: {
    managed: true,
    directory: 'instance',
    incarnation: 'disk-n1',
    instance: { state: 'running', role: 'primary' },
    startFailures: 0,
    cloneFailures: 0,
    unstreamedStops: 0,
    retryAt: 0 as MonotonicMs,
    guard: 'armed',
    provedLease: true,
    setAside: 0,
    streamedAt: {},
  },
  peers: [],
}

describe('HaLoop', () => {
  let clock: VirtualClock
  let looks: number
  let look: () => Promise<Snapshot>
  let act: (action: Action) => Promise<void>
  let listen: () => void
  let acted: string[]
  let loop: HaLoop

  beforeEach(() => {
    clock = new VirtualClock()
    looks = 0
    acted = []
    look = () => Promise.resolve({ ...superseded, takenAt: clock.monotonic() })
    act = () => Promise.resolve()
    listen = () => undefined
    const observer = {
      observe: () => {
        looks += 1
        return look()
      },
    } as unknown as Observer
    const executor = {
      run: (action: Action) => {
        acted.push(action.kind)
        return act(action)
      },
    } as unknown as Executor
    loop = new HaLoop({ clock, log: silentLogger(), observer, executor }, () => listen())
  })

  it('looks, decides and acts at once, and again at least twice a second', async () => {
    loop.start()
    await clock.advance(0)
    expect(acted).toEqual(['fence'])
    await clock.advance(1000)
    expect(looks).toBeGreaterThanOrEqual(3)
  })

  it('looks again at once after something happened, also in the middle of a turn', async () => {
    let go: () => void = () => undefined
    act = () => new Promise((resolve) => (go = resolve))
    loop.start()
    await clock.advance(0)
    loop.wake()
    loop.wake()
    await clock.advance(100)
    expect(looks).toBe(1)
    act = () => Promise.resolve()
    go()
    await clock.advance(5)
    expect(looks).toBe(2)
  })

  it('goes on after a turn that failed', async () => {
    look = () => Promise.reject(new Error('bug'))
    loop.start()
    await clock.advance(0)
    look = () => Promise.resolve(superseded)
    await clock.advance(500)
    expect(acted).toEqual(['fence'])
  })

  it('acts although a listener to its decision throws', async () => {
    listen = () => {
      throw new Error('bug')
    }
    loop.start()
    await clock.advance(0)
    expect(acted).toEqual(['fence'])
  })

  it('goes on after a deed that failed', async () => {
    act = () => Promise.reject(new Error('no space left'))
    loop.start()
    await clock.advance(600)
    expect(acted.length).toBeGreaterThan(1)
  })

  it('dates a decision by when it was made, so that a hung loop is seen', async () => {
    act = () => new Promise(() => undefined)
    loop.start()
    await clock.advance(0)
    const { decidedAt } = loop
    await clock.advance(10_000)
    expect(loop.decidedAt).toBe(decidedAt)
  })

  it('looks no more after it was stopped', async () => {
    loop.start()
    await clock.advance(0)
    loop.stop()
    loop.wake()
    await clock.advance(5000)
    await settle()
    expect(looks).toBe(1)
  })
})
