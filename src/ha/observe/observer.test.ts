import { beforeEach, describe, expect, it } from 'vitest'
import {
  FakeGuard,
  FakeInstance,
  FakeNotebook,
  FakePeers,
  silentKnocker,
  untriedPath,
  MeddledStore,
  running,
  settle,
  VirtualClock,
} from '../../../test/support/ha-fakes.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { silentLogger } from '../../platform/log.ts'
import { Jobs } from '../jobs.ts'
import { keysOf } from '../keys.ts'
import { policyOf } from '../policy.ts'
import { RecordKeeper } from '../record-keeper.ts'
import { Observer } from './observer.ts'

const keys = keysOf('service', 'main')
const policy = policyOf('lan')

describe('Observer', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let instance: FakeInstance
  let notebook: FakeNotebook
  let observer: Observer
  let keeper: RecordKeeper
  let path: { -readonly [Key in keyof typeof untriedPath]: (typeof untriedPath)[Key] }

  beforeEach(() => {
    clock = new VirtualClock()
    store = new MeddledStore()
    instance = new FakeInstance()
    notebook = new FakeNotebook()
    path = { ...untriedPath }
    const log = silentLogger()
    keeper = new RecordKeeper({ store, clock, log }, { keys, policy, self: 'n1' })
    const jobs = new Jobs({ clock, log, onChange: () => undefined })
    observer = new Observer(
      {
        clock,
        store,
        instance,
        guard: new FakeGuard(),
        peers: new FakePeers(),
        notebook,
        keeper,
        jobs,
        knocker: silentKnocker,
        writePath: path,
      },
      {
        self: 'n1',
        members: () => ['n1', 'n2'],
        leaving: () => [],
        initialiser: 'n1',
        policy,
        keys,
        managed: true,
      },
    )
  })

  it('takes its snapshot although PostgreSQL hangs, and calls that unknown', async () => {
    instance.facts = () => new Promise(() => undefined)
    const snapshot = observer.observe()
    await clock.advance(3000)
    expect((await snapshot).local.instance).toMatchObject({
      state: 'unknown',
      trouble: 'Cannot ask PostgreSQL: no answer within 3000 ms',
    })
  })

  it('says whether all of what is set for the whole cluster was taken in', async () => {
    expect(observer.isUnconfigured).toBe(false)
    await store.put(keys.config, JSON.stringify({ postgresql: { parameters: { work_mem: '8MB' } } }))
    expect(observer.isUnconfigured).toBe(true)
    await notebook.writeParameters({ work_mem: '8MB' })
    expect(observer.isUnconfigured).toBe(false)
    await store.put(keys.config, '{}')
    expect(observer.isUnconfigured).toBe(true)
  })

  it('waits for no answer of a PostgreSQL that is known to stand still, and remembers what it was', async () => {
    instance.now = { ...running('primary'), postmasterPid: 7 }
    await observer.observe()
    instance.facts = () => new Promise(() => undefined)
    let stalls: () => void = () => undefined
    const stalled = new Promise<void>((resolve) => {
      stalls = resolve
    })
    path.untilStalled = () => ({ stalled, cancel: () => undefined })
    const snapshot = observer.observe()
    stalls()
    await clock.advance(50)
    expect((await snapshot).local.instance).toEqual({
      state: 'unknown',
      role: 'primary',
      postmasterPid: 7,
      systemId: '42',
    })
  })

  it('waits for a PostgreSQL whose disk alone is known to stall: it answers, if slowly', async () => {
    path.stalledSince = clock.monotonic()
    path.untilStalled = () => ({ stalled: Promise.resolve(), cancel: () => undefined })
    instance.facts = () => new Promise((resolve) => clock.after(200, () => resolve(running('primary'))))
    const snapshot = observer.observe()
    await clock.advance(200)
    expect((await snapshot).local.instance.state).toBe('running')
  })

  it('takes its snapshot although the disk hangs, and calls the directory unknown, not absent', async () => {
    instance.before = (deed) => (deed === 'inspect' ? new Promise(() => undefined) : undefined)
    const snapshot = observer.observe()
    await clock.advance(1000)
    expect((await snapshot).local.directory).toBe('unknown')
  })

  it('takes its snapshot although the data directory cannot be read', async () => {
    instance.before = (deed) => {
      if (deed === 'inspect') throw new Error('EIO')
    }
    const { local } = await observer.observe()
    expect(local.directory).toBe('unknown')
    expect(local.instance.trouble).toContain('EIO')
  })

  it('hears an order to clone anew for this copy in this epoch only', async () => {
    const asked = async (order: unknown) => {
      await store.put(keys.reinit('n1'), order)
      return (await observer.observe()).local.reinitAsked === true
    }
    await store.put(keys.epoch, { epoch: 7, holder: 'n2', seq: 1, ttlMs: 3000, chain: [] })
    await keeper.refresh(1000)
    expect(await asked({ incarnation: 'disk-n1', epoch: 7 })).toBe(true)
    expect(await asked({ incarnation: 'disk-of-before', epoch: 7 })).toBe(false)
    expect(await asked({ incarnation: 'disk-n1', epoch: 6 })).toBe(false)
    expect(await asked('no order')).toBe(false)
  })

  it('stays the instance that it was while its directory is read again', async () => {
    expect((await observer.observe()).local.incarnation).toBe('disk-n1')
    observer.forgetDirectory()
    instance.before = () => {
      throw new Error('EIO')
    }
    const { local } = await observer.observe()
    expect(local).toMatchObject({ directory: 'instance', incarnation: 'disk-n1' })
  })

  it('goes on while the end of a long WAL is looked for, and tells it when it is found', async () => {
    let found: (wal: { timeline: number; endLsn: string }) => void = () => undefined
    instance.endOfWal = () => new Promise((resolve) => (found = resolve))
    expect((await observer.observe()).local.stoppedWal).toBeUndefined()
    found({ timeline: 1, endLsn: '0/6000' })
    await settle()
    expect((await observer.observe()).local.stoppedWal).toEqual({ timeline: 1, endLsn: '0/6000' })
  })

  it('does not take an end of WAL for news that was measured before the instance ran again', async () => {
    let found: (wal: { timeline: number; endLsn: string }) => void = () => undefined
    instance.endOfWal = () => new Promise((resolve) => (found = resolve))
    await observer.observe()
    observer.forgetDirectory()
    found({ timeline: 1, endLsn: '0/6000' })
    await settle()
    instance.endOfWal = () => Promise.resolve({ timeline: 2, endLsn: '0/7000' })
    expect((await observer.observe()).local.stoppedWal).toBeUndefined()
    await settle()
    expect((await observer.observe()).local.stoppedWal).toEqual({ timeline: 2, endLsn: '0/7000' })
  })

  it('remembers what a postmaster was that does not answer any more', async () => {
    instance.now = running('primary', { postmasterPid: 7 })
    await observer.observe()
    instance.now = { state: 'unknown', postmasterPid: 7 }
    expect((await observer.observe()).local.instance.role).toBe('primary')
    instance.now = { state: 'starting', postmasterPid: 8 }
    expect((await observer.observe()).local.instance.role).toBeUndefined()
  })

  it('survives what other tools write into the store', async () => {
    await store.put(keys.failover, 'not json')
    await store.put(keys.member('n2'), '17')
    await store.put(keys.member('n3'), { host: 'c', port: 5432 })
    const seen = await observer.observe()
    expect(seen.store.request).toMatchObject({ isUnreadable: true })
    expect(seen.store.addresses).toEqual({ n3: { host: 'c', port: 5432 } })
  })

  it('reads a switchover request as Patroni writes it', async () => {
    await store.put(keys.failover, { leader: 'n1', member: 'n2' })
    expect((await observer.observe()).store.request).toMatchObject({ from: 'n1', to: 'n2' })
  })

  it('has no quorum before the record was read with one', async () => {
    expect((await observer.observe()).store.hasQuorum).toBe(false)
  })

  it('takes a promotion for its own only in the very data directory that it was written for', async () => {
    notebook.promotion = { epoch: 8, incarnation: 'disk-n1' }
    expect((await observer.observe()).local.promotedInEpoch).toBe(8)
    notebook.promotion = { epoch: 8, incarnation: 'another' }
    expect((await observer.observe()).local.promotedInEpoch).toBeUndefined()
  })

  it('counts how often a standby was stopped that did not stream, until it streams', async () => {
    const looks = async (now: InstanceFacts) => {
      instance.now = now
      return (await observer.observe()).local
    }
    instance.upstream = { host: 'n2', port: 5432 }
    const unstreamed = running('standby', { streaming: false })
    const since = clock.monotonic()
    expect(await looks(unstreamed)).toMatchObject({ unstreamedSince: since, unstreamedStops: 0 })
    await clock.advance(1000)
    await looks({ state: 'stopping' })
    expect((await looks({ state: 'stopped' })).unstreamedStops).toBe(1)
    await looks({ state: 'starting' })
    expect(await looks(unstreamed)).toMatchObject({ unstreamedSince: since + 1000, unstreamedStops: 1 })
    const streams = await looks(running('standby', { streaming: true }))
    expect(streams.unstreamedSince).toBeUndefined()
    expect(streams.unstreamedStops).toBe(0)
  })

  it('does not call a standby stuck that is fed from an archive', async () => {
    instance.upstream = { host: 'n2', port: 5432 }
    const looks = async (replayLsn: string) => {
      instance.now = running('standby', { streaming: false, replayLsn })
      return (await observer.observe()).local.unstreamedSince
    }
    await looks('0/5000')
    await clock.advance(9000)
    const fedAt = clock.monotonic()
    expect(await looks('0/6000')).toBe(fedAt)
    await clock.advance(9000)
    expect(await looks('0/6000')).toBe(fedAt)
  })

  it('knows of a crash until the instance runs again, and not of what the guard did', async () => {
    instance.crash()
    expect((await observer.observe()).local.crashedAt).toBe(clock.monotonic())
    instance.now = running('primary')
    expect((await observer.observe()).local.crashedAt).toBeUndefined()
    instance.crash()
    observer.noteFencedByGuard()
    expect((await observer.observe()).local.crashedAt).toBeUndefined()
  })
})
