import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import type { MonotonicMs } from '../model/time.ts'
import { silentLogger } from '../platform/log.ts'
import { keysOf } from './keys.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { policyOf } from './policy.ts'
import { RecordKeeper } from './record-keeper.ts'

const keys = keysOf('service', 'main')
const policy = policyOf('lan')
const record = {
  epoch: 7,
  holder: 'n1',
  incarnation: 'disk-n1',
  seq: 10,
  ttlMs: 9000,
  state: 'open',
  position: '0/5000',
  chain: [],
} as unknown as EpochRecord

describe('LeaseKeeper', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let keeper: RecordKeeper
  let lease: LeaseKeeper
  let keepLease: boolean
  let decidedAt: () => MonotonicMs
  let position: string | undefined
  let isUnfenced: boolean

  beforeEach(async () => {
    clock = new VirtualClock()
    store = new MeddledStore()
    await store.put(keys.epoch, record)
    const log = silentLogger()
    keeper = new RecordKeeper({ store, clock, log }, { keys, policy, self: 'n1' })
    keeper.start()
    await keeper.refresh(1000)
    keepLease = true
    decidedAt = clock.monotonic
    position = undefined
    isUnfenced = false
    const wanted = () => ({ keepLease, decidedAt: decidedAt() })
    lease = new LeaseKeeper(
      { clock, keeper },
      { policy, self: 'n1', wanted, isUnfenced: () => isUnfenced, position: () => position },
    )
    lease.start()
  })

  const seq = () => keeper.record?.seq

  it('renews ten times in each life of the lease, with the time to live that is configured now', async () => {
    await clock.advance(3000)
    expect(seq()).toBe(20)
    expect(keeper.record?.ttlMs).toBe(3000)
  })

  it('says in the record that nothing else would fence, for as long as that is so', async () => {
    isUnfenced = true
    await clock.advance(500)
    expect(keeper.record?.isUnfenced).toBe(true)
    isUnfenced = false
    await clock.advance(500)
    expect(keeper.record).not.toHaveProperty('isUnfenced')
  })

  it('publishes the position that the primary has reached, and keeps the last one while it is unknown', async () => {
    position = '0/9000'
    await clock.advance(500)
    position = undefined
    await clock.advance(500)
    expect(keeper.record?.position).toBe('0/9000')
  })

  it('stops when the decision does not want the lease any more', async () => {
    await clock.advance(500)
    keepLease = false
    await clock.advance(5000)
    expect(seq()).toBe(11)
  })

  it('stops when the loop hangs: an old decision does not speak for the lease', async () => {
    const last = clock.monotonic()
    decidedAt = () => last
    await clock.advance(2000)
    const then = seq()
    await clock.advance(5000)
    expect(seq()).toBe(then)
  })

  it.each([
    ['taken by another member', { epoch: 8, holder: 'n2' }],
    ['given up', { state: 'released', seq: 11 }],
  ])('never renews what was %s', async (_, change) => {
    await store.put(keys.epoch, { ...record, ...change })
    await settle()
    const before = keeper.revision
    await clock.advance(3000)
    expect(keeper.revision).toBe(before)
  })

  it('has one renewal under way at a time, and goes on after one that hung', async () => {
    let release: () => void = () => undefined
    store.meddle = async (_, commit) => {
      await new Promise<void>((resolve) => (release = resolve))
      return commit()
    }
    await clock.advance(3000)
    expect(store.transactions).toHaveLength(1)
    store.meddle = undefined
    release()
    await clock.advance(1000)
    expect(seq()).toBe(14)
  })

  it('renews at once when a lease is wanted that is not proven yet', async () => {
    lease.nudge()
    await settle()
    expect(seq()).toBe(11)
    lease.nudge()
    await settle()
    expect(seq()).toBe(11)
  })

  it('renews nothing after it was stopped', async () => {
    lease.stop()
    lease.nudge()
    await clock.advance(3000)
    expect(seq()).toBe(10)
  })
})
