import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import {
  FakeGuard,
  FakeInstance,
  FakeNotebook,
  FakePeers,
  MeddledStore,
  running,
  settle,
  silentKnocker,
  untriedPath,
  VirtualClock,
} from '../../../test/support/ha-fakes.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import { silentLogger } from '../../platform/log.ts'
import { Fault } from '../../std/fault.ts'
import { Jobs } from '../jobs.ts'
import { keysOf } from '../keys.ts'
import { Observer } from '../observe/observer.ts'
import { policyOf } from '../policy.ts'
import { RecordKeeper } from '../record-keeper.ts'
import { Executor } from './executor.ts'

const keys = keysOf('service', 'main')
const policy = policyOf('lan')
const record: EpochRecord = {
  epoch: 7,
  holder: 'n1',
  incarnation: 'disk-n1',
  seq: 10,
  ttlMs: 3000,
  state: 'open',
  reason: 'BOOTSTRAP',
  systemId: '42',
  timeline: 1,
  position: '0/5000',
  chain: [
    {
      epoch: 1,
      holder: 'n1',
      timeline: 1,
      forkLsn: '0/0',
      openedAt: '2026-01-01T00:00:00.000Z',
      reason: 'BOOTSTRAP',
      takeover: 'bootstrap',
    },
  ],
}

describe('Executor', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let instance: FakeInstance
  let guard: FakeGuard
  let notebook: FakeNotebook
  let keeper: RecordKeeper
  let observer: Observer
  let jobs: Jobs
  let executor: Executor
  let steps: number

  async function given(one: EpochRecord): Promise<void> {
    await store.put(keys.epoch, one)
    await keeper.refresh(1000)
    await observer.observe()
  }

  const renew = () => keeper.write((one) => one && { ...one, seq: one.seq + 1 }, { deadlineMs: 1000 })

  beforeEach(async () => {
    clock = new VirtualClock()
    store = new MeddledStore()
    instance = new FakeInstance()
    guard = new FakeGuard(instance.done)
    notebook = new FakeNotebook(instance.done)
    const log = silentLogger()
    keeper = new RecordKeeper({ store, clock, log }, { keys, policy, self: 'n1' })
    keeper.start()
    steps = 0
    jobs = new Jobs({ clock, log, onChange: () => undefined, onStep: () => void (steps += 1) })
    const shared = {
      clock,
      store,
      instance,
      guard,
      notebook,
      keeper,
      jobs,
      knocker: silentKnocker,
      writePath: untriedPath,
    }
    const options = {
      self: 'n1',
      members: () => ['n1', 'n2', 'n3'],
      leaving: () => [],
      initialiser: 'n1',
      policy,
      keys,
      managed: true,
    }
    observer = new Observer({ ...shared, peers: new FakePeers() }, options)
    executor = new Executor({ ...shared, log, observer, keys, policy, self: 'n1', writeDeadlineMs: 1500 })
    await given(record)
  })

  it('lets the guard hold the deadline before the instance can take a write', async () => {
    await renew()
    await executor.run({ kind: 'start', as: 'primary' })
    await settle()
    expect(instance.done).toEqual(['guard armed', 'start primary'])
    expect(guard.until).toBe(keeper.provenUntil)
  })

  it('does not start a primary without a proven lease', async () => {
    await executor.run({ kind: 'start', as: 'primary' })
    await settle()
    expect(instance.done).toEqual([])
    expect(jobs.trouble).toContain('not proven')
  })

  it('does not start a primary that its guard cannot end', async () => {
    await renew()
    guard.isAbsent = true
    await executor.run({ kind: 'start', as: 'primary' })
    await settle()
    expect(instance.done).toEqual([])
  })

  it('ends a primary that came up after its lease had run out', async () => {
    await renew()
    instance.before = (deed) => (deed === 'start primary' ? clock.advance(4000) : undefined)
    await executor.run({ kind: 'start', as: 'primary' })
    await eventually('the kill', () => instance.done.includes('kill'))
    await settle()
    expect(instance.done).toEqual(['guard armed', 'start primary', 'kill'])
    expect(jobs.startFailures).toBe(1)
  })

  it('ends an instance whose promotion finished after another member took the epoch', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    instance.now = running('standby')
    await renew()
    instance.before = async (deed) => {
      if (deed !== 'promote to 2') return
      await store.put(keys.epoch, { ...record, epoch: 9, holder: 'n2' })
      await settle()
    }
    await executor.run({ kind: 'promote', epoch: 8 })
    await eventually('the kill', () => instance.done.at(-1) === 'kill')
    expect(jobs.trouble).toContain('the lease ran out meanwhile')
  })

  it('writes a promotion down before it begins', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    await renew()
    await executor.run({ kind: 'promote', epoch: 8 })
    await settle()
    expect(instance.done).toEqual(['guard armed', 'promotion of epoch 8 noted', 'promote to 2'])
  })

  it('promotes again only to a timeline that no earlier try can have begun', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    await renew()
    await executor.run({ kind: 'promote', epoch: 8 })
    await settle()
    instance.now = running('standby')
    instance.done.length = 0
    await executor.run({ kind: 'promote', epoch: 8 })
    await settle()
    expect(instance.done).toEqual(['guard armed', 'promotion of epoch 8 noted', 'promote to 3'])
    expect(keeper.record).toMatchObject({ epoch: 8, state: 'authorised', givenTimeline: 3 })
  })

  it('ends an instance that was promoted to another timeline than its epoch was given', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    instance.now = running('standby')
    await renew()
    instance.afterwards = (deed) => {
      if (deed === 'promote to 2') throw new Fault('TIMELINE_REUSED', 'PostgreSQL chose timeline 3')
    }
    await executor.run({ kind: 'promote', epoch: 8 })
    await eventually('the kill', () => instance.done.at(-1) === 'kill')
    expect(jobs.trouble).toContain('chose timeline 3')
  })

  describe('of an epoch whose commits wait for others', () => {
    const rule = { k: 1, members: [{ name: 'n3', incarnation: 'disk-n3' }] }
    const acks = [{ epoch: 7, holder: { name: 'n2', incarnation: 'disk-n2' }, rule: { ...rule, k: 1 } }]

    /** Takes epoch 8 with WAL up to 0/5000, and is promoted there. */
    async function become(sharedTo: string | undefined, forkLsn: string): Promise<void> {
      await given({ ...record, holder: 'n2', state: 'released', acks, givenTimeline: 1 })
      instance.now = running('standby')
      await observer.observe()
      const taking = {
        kind: 'take-over',
        epoch: 8,
        revision: keeper.revision,
        reason: 'SWITCHOVER',
        rule,
      } as const
      await executor.run({ ...taking, ...(sharedTo === undefined ? {} : { sharedTo }) })
      instance.origin = { timeline: 2, forks: [{ timeline: 1, endLsn: forkLsn }] }
      await executor.run({ kind: 'promote', epoch: 8 })
      await settle()
      expect(instance.done.at(-1)).toBe('slots n3')
    }

    it('lets clients come before it is open when others have all that can be read here', async () => {
      await become('0/5000', '0/5000')
      expect(executor.admitsIn).toBe(8)
      expect(keeper.record).toMatchObject({
        state: 'authorised',
        chain: [{}, { epoch: 8, forkLsn: '0/5000' }],
      })
    })

    it('lets them come only when the record says where the branch really forked', async () => {
      await become('0/5000', '0/4FF0')
      expect(keeper.record).toMatchObject({
        state: 'authorised',
        chain: [{}, { epoch: 8, forkLsn: '0/4FF0' }],
      })
      expect(executor.admitsIn).toBe(8)
    })

    it('lets nobody come when that could not be written', async () => {
      instance.afterwards = (deed) => {
        if (deed !== 'promote to 2') return
        store.meddle = () => Promise.reject(new Fault('STORE_OUTCOME_UNKNOWN', 'no answer'))
      }
      await become('0/5000', '0/4FF0')
      expect(executor.admitsIn).toBeUndefined()
    })

    it('lets nobody come while only this node has what can be read here', async () => {
      await become('0/4FF0', '0/5000')
      expect(executor.admitsIn).toBeUndefined()
    })

    it('lets nobody come while nobody knows who has it', async () => {
      await become(undefined, '0/5000')
      expect(executor.admitsIn).toBeUndefined()
    })

    it('forgets it when it is promoted again, to another branch', async () => {
      await become('0/5000', '0/5000')
      instance.before = (deed) => {
        if (deed === 'promote to 3') throw new Fault('PG_PROMOTE_FAILED', 'it ended')
      }
      await executor.run({ kind: 'promote', epoch: 8 })
      await settle()
      expect(executor.admitsIn).toBeUndefined()
    })
  })

  it('gives each take-over a timeline above all that were ever given', async () => {
    await given({ ...record, holder: 'n2', givenTimeline: 6 })
    instance.now = running('standby')
    await observer.observe()
    const { revision } = keeper
    await executor.run({ kind: 'take-over', epoch: 8, revision, reason: 'LEASE_EXPIRED' })
    expect(keeper.record).toMatchObject({ epoch: 8, holder: 'n1', givenTimeline: 7 })
  })

  it('promotes in no other epoch than the one that was decided on', async () => {
    await renew()
    await executor.run({ kind: 'promote', epoch: 8 })
    await settle()
    expect(instance.done).toEqual([])
  })

  it('takes the guard’s deadline away before a standby starts, which it would kill', async () => {
    guard.until = clock.monotonic()
    await executor.run({ kind: 'start', as: 'standby', follow: { name: 'n2', host: 'n2', port: 5432 } })
    await settle()
    expect(instance.done).toEqual(['guard disarmed', 'start standby'])
  })

  it('restarts a primary behind a drain, under the deadline that its guard holds, and takes the order back', async () => {
    await renew()
    await store.put(keys.restart('n1'), { life: 'yesterday' })
    const announced: boolean[] = []
    instance.afterwards = (deed) => {
      if (deed === 'stop') announced.push(executor.isHandingOver)
    }
    instance.now = running('primary')
    await executor.run({ kind: 'restart', as: 'primary' })
    await clock.advance(200)
    await settle()
    expect(instance.done).toEqual(['checkpoint', 'stop', 'guard armed', 'start primary'])
    expect([announced, executor.isHandingOver]).toEqual([[true], false])
    expect(keeper.record).toMatchObject({ epoch: 7, state: 'open' })
    expect(store.peek(keys.restart('n1'))).toBeUndefined()
  })

  it('does not start a primary again whose lease ran out while it was down', async () => {
    await renew()
    instance.afterwards = (deed) => {
      if (deed === 'stop') keeper.distrustClock()
    }
    await executor.run({ kind: 'restart', as: 'primary' })
    await clock.advance(200)
    await settle()
    expect(instance.done).toEqual(['checkpoint', 'stop'])
  })

  it('gives the right up only after no process is left, and says where the WAL ends', async () => {
    await renew()
    instance.now = { state: 'crashed' }
    instance.wal = { timeline: 1, endLsn: '0/6100' }
    await executor.run({ kind: 'release', reason: 'PRIMARY_CRASHED' })
    await settle()
    expect(instance.done).toEqual(['kill', 'guard disarmed'])
    expect(keeper.record).toMatchObject({ state: 'released', release: { endLsn: '0/6100' } })
  })

  it('keeps the right when processes may be left', async () => {
    await renew()
    instance.before = (deed) => {
      if (deed === 'kill') throw new Fault('PG_NOT_DEAD', 'processes 1, 2 are left')
    }
    await executor.run({ kind: 'release', reason: 'PRIMARY_CRASHED' })
    await settle()
    expect(keeper.record?.state).toBe('open')
  })

  it('remembers, until another postmaster runs, that it ended a primary which could not write', async () => {
    const seen = async () => (await observer.observe()).local.convicted
    instance.now = { ...running('primary'), postmasterPid: 7 }
    await observer.observe()
    await executor.run({ kind: 'fence', reason: 'WRITE_PATH_STALLED' })
    await settle()
    expect(instance.done).toEqual(['kill'])
    expect(await seen()).toMatchObject({ epoch: 7, reason: 'WRITE_PATH_STALLED' })
    instance.now = { ...running('primary'), postmasterPid: 7 }
    expect(await seen(), 'an answer from before its end').toBeDefined()
    instance.now = { ...running('primary'), postmasterPid: 8 }
    expect(await seen()).toBeUndefined()
  })

  it('remembers it also when the end of a process cannot be seen, and never of a fence for another reason', async () => {
    instance.before = () => {
      throw new Fault('PG_NOT_DEAD', 'process 1 sleeps')
    }
    await executor.run({ kind: 'fence', reason: 'SUPERSEDED' })
    await settle()
    expect((await observer.observe()).local.convicted).toBeUndefined()
    await executor.run({ kind: 'fence', reason: 'DISK_FULL' })
    await settle()
    instance.before = () => undefined
    expect((await observer.observe()).local.convicted).toMatchObject({
      epoch: 7,
      reason: 'DISK_FULL',
    })
  })

  it('hands over after a clean shutdown, to the named member, with the end of the WAL', async () => {
    await renew()
    instance.wal = { timeline: 1, endLsn: '0/6100' }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(10)
    expect(instance.done).toEqual(['checkpoint', 'stop', 'guard disarmed'])
    expect(keeper.record).toMatchObject({
      state: 'released',
      release: { to: 'n2', endLsn: '0/6100', reason: 'SWITCHOVER' },
    })
    expect(executor.isHandingOver).toBe(false)
  })

  it('tells everybody first, and lets every statement that was begun end before it stops', async () => {
    await renew()
    instance.applications = { connected: 3, busy: 1 }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(1000)
    expect(instance.done).toEqual(['checkpoint'])
    expect(executor.isHandingOver).toBe(true)
    expect(steps).toBe(1)
    instance.applications = { connected: 2, busy: 0 }
    await clock.advance(10)
    expect(instance.done).toEqual(['checkpoint', 'stop', 'guard disarmed'])
  })

  it('gives idle sessions the time in which every router hears, and not more', async () => {
    await renew()
    instance.applications = { connected: 2, busy: 0 }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(70)
    expect(instance.done).toEqual(['checkpoint'])
    await clock.advance(20)
    expect(instance.done).toEqual(['checkpoint', 'stop', 'guard disarmed'])
  })

  it('cuts what does not end within its limit', async () => {
    await renew()
    instance.applications = { connected: 1, busy: 1 }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(policy.drainTimeoutMs - 10)
    expect(instance.done).toEqual(['checkpoint'])
    await clock.advance(20)
    expect(keeper.record?.state).toBe('released')
  })

  it('hands over also where nobody can say who still works', async () => {
    await renew()
    instance.before = (deed) => {
      if (deed === 'clients') throw new Fault('PG_UNREACHABLE', 'no connection is free')
    }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(10)
    expect(keeper.record?.state).toBe('released')
  })

  it('does not count as a planned move when PostgreSQL had to be killed', async () => {
    await renew()
    instance.how = 'unclean'
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(10)
    expect(keeper.record?.release?.reason).toBe('PRIMARY_CRASHED')
  })

  it('hands nothing over that another member has taken meanwhile', async () => {
    await renew()
    instance.before = async (deed) => {
      if (deed !== 'stop') return
      await store.put(keys.epoch, { ...record, epoch: 8, holder: 'n3' })
      await settle()
    }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(10)
    expect(keeper.record).toMatchObject({ epoch: 8, holder: 'n3', state: 'open' })
  })

  it('routes again after a hand-over that failed', async () => {
    await renew()
    instance.before = (deed) => {
      if (deed === 'stop') throw new Fault('PG_NOT_DEAD', 'left')
    }
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await clock.advance(10)
    expect(executor.isHandingOver).toBe(false)
    expect(keeper.record?.state).toBe('open')
  })

  it('takes an epoch only on the record that the decision was made on, and ends old requests with it', async () => {
    await given({ ...record, holder: 'n2', incarnation: 'disk-n2' })
    await store.put(keys.failover, { leader: 'n2', member: 'n3' })
    instance.now = running('standby', { timeline: 1 })
    await observer.observe()
    const stale = {
      kind: 'take-over',
      epoch: 8,
      revision: keeper.revision - 1,
      reason: 'LEASE_EXPIRED',
    } as const
    await executor.run(stale)
    expect(keeper.record?.holder).toBe('n2')
    await executor.run({ ...stale, revision: keeper.revision })
    expect(keeper.record).toMatchObject({
      epoch: 8,
      holder: 'n1',
      incarnation: 'disk-n1',
      state: 'authorised',
    })
    expect(store.peek(keys.failover)).toBeUndefined()
  })

  it('opens the epoch with the timeline that it began', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    await renew()
    instance.now = running('primary', { timeline: 2, flushLsn: '0/7000' })
    instance.origin = { timeline: 2, forks: [{ timeline: 1, endLsn: '0/6000' }] }
    await executor.run({ kind: 'mark-open', epoch: 8 })
    await settle()
    expect(keeper.record).toMatchObject({ state: 'open', timeline: 2, position: '0/7000' })
    expect(keeper.record?.chain.at(-1)).toMatchObject({ epoch: 8, timeline: 2, forkLsn: '0/6000' })
    expect(store.peek(keys.initialize)?.value).toBe('42')
  })

  it('does not open an epoch before it has committed under it', async () => {
    await given({ ...record, epoch: 8, state: 'authorised', givenTimeline: 2 })
    await renew()
    instance.before = (deed) => {
      if (deed === 'probe') throw new Fault('PG_PROBE_FAILED', 'disk full')
    }
    await executor.run({ kind: 'mark-open', epoch: 8 })
    await settle()
    expect(keeper.record?.state).toBe('authorised')
  })

  it('ends an instance that took a timeline which another branch has, to be promoted again', async () => {
    const [first] = record.chain
    const second = { ...first, epoch: 7, timeline: 2, forkLsn: '0/6000' } as EpochRecord['chain'][number]
    await given({ ...record, epoch: 8, state: 'authorised', timeline: 1, chain: [...record.chain, second] })
    await renew()
    instance.now = running('primary', { timeline: 2 })
    instance.origin = { timeline: 2, forks: [{ timeline: 1, endLsn: '0/6000' }] }
    await executor.run({ kind: 'mark-open', epoch: 8 })
    await settle()
    expect(instance.done).toEqual(['probe', 'kill'])
    expect(keeper.record?.state).toBe('authorised')
  })

  it('keeps the diverged WAL before it clones over it', async () => {
    const diverged = { timeline: 1, forkLsn: '0/6000', epoch: 8 }
    await executor.run({ kind: 'clone', from: { name: 'n2', host: 'n2', port: 5432 }, diverged })
    await settle()
    expect(instance.done).toEqual(['keepDiverged', 'clone n2', 'promotion forgotten'])
    expect(store.peek(keys.loss(8, 'n1'))).toBeDefined()
  })

  it('clones nothing when the diverged WAL cannot be kept', async () => {
    instance.before = (deed) => {
      if (deed === 'keepDiverged') throw new Error('no space left')
    }
    const diverged = { timeline: 1, forkLsn: '0/6000', epoch: 8 }
    await executor.run({ kind: 'clone', from: { name: 'n2', host: 'n2', port: 5432 }, diverged })
    await settle()
    expect(instance.done).toEqual(['keepDiverged'])
  })

  it('keeps the diverged WAL and tells of it before it rewinds', async () => {
    const diverged = { timeline: 1, forkLsn: '0/6000', epoch: 8 }
    instance.before = (deed) => {
      if (deed === 'rewind from n2') expect(store.peek(keys.loss(8, 'n1'))).toBeDefined()
    }
    await executor.run({ kind: 'rewind', from: { name: 'n2', host: 'n2', port: 5432 }, diverged })
    await settle()
    expect(instance.done).toEqual(['keepDiverged', 'rewind from n2', 'promotion forgotten'])
    expect(jobs.trouble).toBeUndefined()
  })

  it('rewinds nothing when the diverged WAL cannot be kept', async () => {
    instance.before = (deed) => {
      if (deed === 'keepDiverged') throw new Error('no space left')
    }
    const diverged = { timeline: 1, forkLsn: '0/6000', epoch: 8 }
    await executor.run({ kind: 'rewind', from: { name: 'n2', host: 'n2', port: 5432 }, diverged })
    await settle()
    expect(instance.done).toEqual(['keepDiverged'])
    expect(jobs.rewindFailure).toEqual({ times: 1, why: 'no space left' })
  })

  it('arms an idle guard of a running primary, and never for a right that is gone', async () => {
    await executor.run({ kind: 'arm-guard' })
    expect(guard.state()).toBe('idle')
    await renew()
    await executor.run({ kind: 'arm-guard' })
    expect(guard.state()).toBe('armed')
  })

  it('fences beside another job that hangs', async () => {
    instance.before = (deed) => (deed === 'checkpoint' ? new Promise(() => undefined) : undefined)
    await renew()
    await executor.run({ kind: 'hand-over', to: 'n2', reason: 'SWITCHOVER' })
    await executor.run({ kind: 'fence', reason: 'SUPERSEDED' })
    await settle()
    expect(instance.done).toEqual(['checkpoint', 'kill'])
    expect(jobs.running).toBe('hand-over')
  })
})
