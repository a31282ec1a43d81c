import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import { silentLogger } from '../platform/log.ts'
import { Fault } from '../std/fault.ts'
import { keysOf } from './keys.ts'
import { policyOf } from './policy.ts'
import { RecordKeeper } from './record-keeper.ts'

const keys = keysOf('service', 'main')
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
  chain: [],
}
const renew = (one: EpochRecord | undefined) => one && { ...one, seq: one.seq + 1 }
const release = (one: EpochRecord | undefined): EpochRecord | undefined =>
  one && { ...one, seq: one.seq + 1, state: 'released', release: { endLsn: '0/6000', reason: 'SWITCHOVER' } }
const unknown = () => Promise.reject(new Fault('STORE_OUTCOME_UNKNOWN', 'no answer came in time'))

describe('RecordKeeper', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let keeper: RecordKeeper

  beforeEach(async () => {
    clock = new VirtualClock()
    store = new MeddledStore()
    await store.put(keys.epoch, record)
    keeper = new RecordKeeper(
      { store, clock, log: silentLogger() },
      { keys, policy: policyOf('lan'), self: 'n1' },
    )
    keeper.start()
    await keeper.refresh(1000)
    await settle()
  })

  it('counts the proof of a renewal from before it was sent', async () => {
    const sentAt = clock.monotonic()
    store.meddle = async (_, commit) => {
      await clock.advance(1000)
      return commit()
    }
    await keeper.write(renew, { deadlineMs: 2000 })
    expect(keeper.provenUntil).toBe(sentAt + 3000 - 300)
  })

  it('proves nothing with a renewal that was on its way when the host slept', async () => {
    store.meddle = async (_, commit) => {
      const result = await commit()
      keeper.distrustClock()
      return result
    }
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(keeper.provenUntil).toBe(0)
    store.meddle = undefined
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(keeper.provenUntil).toBeGreaterThan(clock.monotonic())
  })

  it('leaves it to the guard after the host slept, rather than count as proven in this life', async () => {
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(keeper.hasProved).toBe(true)
    keeper.distrustClock()
    expect(keeper.hasProved).toBe(false)
  })

  it('has no proven lease from the moment that a release may be committed', async () => {
    await keeper.write(renew, { deadlineMs: 1000 })
    let during = Number.NaN
    store.meddle = () => {
      during = keeper.provenUntil
      return unknown()
    }
    const outcome = await keeper.write(release, { deadlineMs: 1000 })
    expect(outcome.kind).toBe('unknown')
    expect(during).toBe(0)
    // The release may still be applied: only a change of the same revision shuts it out.
    expect(keeper.provenUntil).toBe(0)
    store.meddle = undefined
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(keeper.provenUntil).toBeGreaterThan(clock.monotonic())
  })

  it('a release that was lost on its way is shut out by the next renewal', async () => {
    let late: () => Promise<unknown> = () => Promise.resolve()
    store.meddle = (_, commit) => {
      late = commit
      return unknown()
    }
    await keeper.write(release, { deadlineMs: 1000 })
    store.meddle = undefined
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(await late()).toMatchObject({ succeeded: false })
    expect(keeper.record?.state).toBe('open')
  })

  it('finds out by reading what became of a change whose outcome is unknown', async () => {
    store.meddle = async (_, commit) => {
      await commit()
      return unknown()
    }
    const outcome = await keeper.write(renew, { deadlineMs: 1000 })
    expect(outcome.kind).toBe('unknown')
    expect(keeper.record?.seq).toBe(11)
    // It was made, but when it was sent is not known to have been in time: it proves nothing.
    expect(keeper.provenUntil).toBe(0)
  })

  it('loses its proof when another member takes the epoch', async () => {
    await keeper.write(renew, { deadlineMs: 1000 })
    await store.put(keys.epoch, { ...record, epoch: 8, holder: 'n2', seq: 0 })
    await settle()
    expect(keeper.record?.holder).toBe('n2')
    expect(keeper.provenUntil).toBe(0)
  })

  it('does not let its own answer undo newer news', async () => {
    store.meddle = async (_, commit) => {
      const result = await commit()
      await store.put(keys.epoch, { ...record, epoch: 8, holder: 'n2', seq: 0 })
      await settle()
      return result
    }
    await keeper.write(renew, { deadlineMs: 1000 })
    expect(keeper.record?.epoch).toBe(8)
    expect(keeper.provenUntil).toBe(0)
  })

  it('writes on the revision that the change before left', async () => {
    const outcomes = await Promise.all([
      keeper.write(renew, { deadlineMs: 1000 }),
      keeper.write(renew, { deadlineMs: 1000 }),
    ])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['committed', 'committed'])
    expect(keeper.record?.seq).toBe(12)
  })

  it('reads again after somebody else was first, and says so', async () => {
    store.meddle = async (_, commit) => {
      await store.put(keys.epoch, { ...record, seq: 40 })
      return commit()
    }
    expect(await keeper.write(renew, { deadlineMs: 1000 })).toEqual({ kind: 'conflict' })
    expect(keeper.record?.seq).toBe(40)
  })

  it('counts a judge’s wait from its first sight of a renewal, not from looking again', async () => {
    const firstSeen = keeper.firstSeenAt
    await clock.advance(500)
    await keeper.refresh(1000)
    expect(keeper.firstSeenAt).toBe(firstSeen)
    await store.put(keys.epoch, { ...record, seq: 11 })
    await settle()
    expect(keeper.firstSeenAt).toBe(clock.monotonic())
  })

  it('has witnessed a holder only when it saw a renewal after its own first read', async () => {
    expect(keeper.witnessed).toBe(false)
    await store.put(keys.epoch, { ...record, seq: 11 })
    await settle()
    expect(keeper.witnessed).toBe(true)
    await store.put(keys.epoch, { ...record, epoch: 8, holder: 'n2', seq: 0 })
    await settle()
    expect(keeper.witnessed).toBe(false)
  })

  it('takes what it was not told about over from a compacted watch', async () => {
    const other = new RecordKeeper(
      { store, clock, log: silentLogger() },
      { keys, policy: policyOf('lan'), self: 'n2' },
    )
    for (let seq = 11; seq < 40; seq += 1) await store.put(keys.epoch, { ...record, seq })
    other.start()
    await settle()
    expect(other.record?.seq).toBe(39)
    expect(other.isRead).toBe(false)
    expect(other.witnessed).toBe(false)
  })

  it('does not believe in an absent record before it was read with a quorum', async () => {
    store.inner.setConnected(false)
    const other = new RecordKeeper(
      { store, clock, log: silentLogger() },
      { keys, policy: policyOf('lan'), self: 'n2' },
    )
    expect(await other.refresh(1000)).toBe(false)
    expect(other.isRead).toBe(false)
  })
})
