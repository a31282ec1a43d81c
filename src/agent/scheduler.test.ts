import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { MeddledStore, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import { sampleMember } from '../../test/support/sample-view.ts'
import { keysOf } from '../ha/keys.ts'
import type { InstanceFacts } from '../model/member.ts'
import type { LogFields, Logger } from '../platform/log.ts'
import { schedule, scheduleOf, unschedule, type ScheduleDeps } from './schedule.ts'
import { Scheduler } from './scheduler.ts'

const keys = keysOf('service', 'main')
const HOUR_MS = 3_600_000

describe('orders for later', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let world: ReturnType<typeof newWorld>
  let instance: InstanceFacts
  let told: string[]
  let agent: AbortController

  beforeEach(() => {
    clock = new VirtualClock()
    store = new MeddledStore()
    world = newWorld()
    told = []
    agent = new AbortController()
    instance = {
      state: 'running',
      role: 'primary',
      startedAt: 'yesterday',
      postmasterPid: 7,
      serverVersion: 180004,
    }
    for (const line of [
      'member n1 primary',
      'member n2 standby',
      'member n3 standby',
      'record holder=n1 epoch=7 open',
    ])
      runCommand(world, line)
  })

  const log: Logger = {
    debug: () => {},
    info: (message) => void told.push(message),
    warn: (message, fields: LogFields = {}) => void told.push(`${message}: ${String(fields['why'])}`),
    error: () => {},
    with: () => log,
    setLevel: () => {},
  }
  const deps = (self = 'n1'): ScheduleDeps => ({
    store,
    keys,
    seen: () => snapshotOf(world, self),
    own: () => ({ ...sampleMember(self).facts, name: self, instance }),
  })
  const startAgent = (self = 'n1') =>
    new Scheduler({
      ...deps(self),
      clock,
      log,
      self,
      record: () => snapshotOf(world, self).store.record,
    }).start(agent.signal)
  const inAnHour = () => new Date(clock.wall() + HOUR_MS).toISOString()
  const orderSwitchover = (to?: string) =>
    schedule(deps(), { kind: 'switchover', at: inAnHour(), from: 'n1', ...(to === undefined ? {} : { to }) })
  const request = () => store.peek(keys.failover)?.value

  it('are given when their time has come, not before, and once', async () => {
    startAgent()
    expect(await orderSwitchover('n2')).toEqual({ kind: 'scheduled' })
    await clock.advance(HOUR_MS - 50)
    expect(request()).toBeUndefined()
    expect(scheduleOf(store, keys)).toMatchObject({ switchover: { from: 'n1', to: 'n2' }, restarts: {} })
    await clock.advance(50)
    expect(request()).toBe('{"leader":"n1","member":"n2"}')
    expect(scheduleOf(store, keys)).toBeUndefined()
    await store.put(keys.failover, 'taken')
    await clock.advance(60_000)
    expect([request(), told]).toEqual(['taken', ['A scheduled switchover begins']])
  })

  it('outlive the agent: the next one finds them', async () => {
    startAgent()
    await orderSwitchover()
    agent.abort()
    await clock.advance(HOUR_MS + 1000)
    expect(request()).toBeUndefined()
    agent = new AbortController()
    startAgent()
    await clock.advance(10)
    expect(request()).toBe('{"leader":"n1"}')
  })

  it('are given by nobody else than the holder', async () => {
    startAgent('n2')
    await orderSwitchover()
    await clock.advance(2 * HOUR_MS)
    expect([request(), told]).toEqual([undefined, []])
  })

  it('wait for a switchover that is under way', async () => {
    startAgent()
    await orderSwitchover()
    await store.put(keys.failover, 'of another')
    await clock.advance(HOUR_MS + 5000)
    expect([request(), told]).toEqual(['of another', []])
    await store.inner.transact(
      { compares: [], operations: [{ kind: 'delete', key: keys.failover }] },
      { deadlineMs: 1000 },
    )
    await clock.advance(1000)
    expect(request()).toBe('{"leader":"n1"}')
  })

  it.each([
    ['it was meant for another primary', 'record holder=n2 epoch=8 open', 'n2', 'The primary is n2, not n1'],
    ['nobody can take over', 'member n2 standby streaming=no', 'n1', 'n2 '],
  ])('are dropped when %s', async (_why, line, self, said) => {
    await orderSwitchover('n2')
    runCommand(world, line)
    startAgent(self)
    await clock.advance(HOUR_MS)
    expect(request()).toBeUndefined()
    expect(scheduleOf(store, keys)).toBeUndefined()
    expect(told).toEqual([expect.stringContaining(`A scheduled switchover is dropped: ${said}`)])
  })

  it('wait for the end of a pause, and are dropped when that comes too late', async () => {
    await orderSwitchover()
    startAgent()
    runCommand(world, 'cluster paused=yes')
    await clock.advance(HOUR_MS + 14_000)
    expect(scheduleOf(store, keys)).toBeDefined()
    await clock.advance(3000)
    expect(request()).toBeUndefined()
    expect(told).toEqual(['A scheduled switchover is dropped: its time is over for more than 15 s'])
  })

  it('are not given after their time when no agent was there', async () => {
    await orderSwitchover()
    await clock.advance(HOUR_MS + 60_000)
    startAgent()
    await settle()
    expect([request(), scheduleOf(store, keys), told.length]).toEqual([undefined, undefined, 1])
  })

  it('of a restart are for the PostgreSQL that ran then, and their conditions are looked at when it is time', async () => {
    const order = () => schedule(deps(), { kind: 'restart', at: inAnHour(), role: 'primary' })
    startAgent()
    await order()
    expect(await order()).toMatchObject({ kind: 'refused', reason: 'EXISTS' })
    await clock.advance(HOUR_MS)
    expect(store.peek(keys.restart('n1'))?.value).toBe('{"life":"yesterday 7"}')
    await order()
    instance = { ...instance, role: 'standby' }
    await clock.advance(HOUR_MS)
    instance = { ...instance, role: 'primary' }
    await order()
    instance = { ...instance, startedAt: 'today' }
    await clock.advance(HOUR_MS)
    expect(told).toEqual([
      'A scheduled restart begins',
      'A scheduled restart is dropped: it is a standby, not a primary',
      'A scheduled restart is dropped: PostgreSQL was started anew meanwhile',
    ])
    expect(scheduleOf(store, keys)).toBeUndefined()
  })

  it('are called off, by whoever asks', async () => {
    startAgent()
    expect(await unschedule(deps(), 'switchover')).toEqual({ kind: 'none' })
    await orderSwitchover()
    expect(await unschedule(deps('n3'), 'switchover')).toEqual({ kind: 'deleted' })
    await schedule(deps(), { kind: 'restart', at: inAnHour() })
    expect(await unschedule(deps('n3'), 'restart')).toEqual({ kind: 'none' })
    expect(await unschedule(deps(), 'restart')).toEqual({ kind: 'deleted' })
    await clock.advance(2 * HOUR_MS)
    expect([request(), store.peek(keys.restart('n1')), told]).toEqual([undefined, undefined, []])
  })

  it('are refused in a pause, and without a majority', async () => {
    runCommand(world, 'cluster paused=yes')
    expect(await orderSwitchover()).toMatchObject({ kind: 'refused', reason: 'PAUSED' })
    runCommand(world, 'set n1 quorum=no')
    expect(await orderSwitchover()).toMatchObject({ kind: 'refused', reason: 'NO_QUORUM' })
    expect(await unschedule(deps(), 'switchover')).toMatchObject({ reason: 'NO_QUORUM' })
  })

  it('that somebody else wrote are dropped, and harm nobody', async () => {
    await store.put(keys.scheduledSwitchover, 'at midnight')
    startAgent()
    await clock.advance(1000)
    expect(told).toEqual(['A scheduled switchover is dropped: it cannot be read'])
    expect(scheduleOf(store, keys)).toBeUndefined()
  })
})
