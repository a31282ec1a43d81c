import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, running, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { SwitchoverOutcome } from '../api/ports.ts'
import { keysOf } from '../ha/keys.ts'
import { policyOf } from '../ha/policy.ts'
import { RecordKeeper } from '../ha/record-keeper.ts'
import type { PeerFacts, Snapshot } from '../ha/snapshot.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import type { InstanceFacts } from '../model/member.ts'
import { silentLogger } from '../platform/log.ts'
import { requestSwitchover } from './switchover.ts'

const keys = keysOf('service', 'main')
const policy = policyOf('lan')
const record: EpochRecord = {
  epoch: 7,
  holder: 'n1',
  incarnation: 'disk-n1',
  seq: 1,
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

describe('requestSwitchover', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let keeper: RecordKeeper
  let standby: InstanceFacts
  let hasQuorum: boolean

  beforeEach(async () => {
    clock = new VirtualClock()
    store = new MeddledStore()
    keeper = new RecordKeeper({ store, clock, log: silentLogger() }, { keys, policy, self: 'n1' })
    keeper.start()
    await given(record)
    standby = running('standby', { streaming: true })
    hasQuorum = true
  })

  async function given(one: EpochRecord): Promise<void> {
    await store.put(keys.epoch, one)
    await keeper.refresh(1000)
  }

  function seen(): Snapshot {
    const peer = {
      name: 'n2',
      heardAt: clock.monotonic(),
      facts: { guard: 'idle', stopping: false, instance: standby, seen: { epoch: 7 } },
    } as unknown as PeerFacts
    return {
      takenAt: clock.monotonic(),
      self: 'n1',
      members: ['n1', 'n2', 'n3'],
      policy,
      stopping: false,
      store: { hasQuorum },
      local: { instance: running('primary'), guard: 'armed' },
      peers: [peer],
    } as unknown as Snapshot
  }

  const ask = (order: { from?: string; to?: string } = {}): Promise<SwitchoverOutcome> =>
    requestSwitchover({ clock, store, keeper, keys, seen }, { requestedBy: 'test', ...order }, 10_000)

  it.each([
    ['another primary is meant', { from: 'n3' }, 'PRIMARY_IS_ANOTHER'],
    ['the candidate is the primary', { to: 'n1' }, 'CANDIDATE_IS_PRIMARY'],
    ['nobody knows the candidate', { to: 'n9' }, 'CANDIDATE_UNKNOWN'],
    ['the candidate was never heard', { to: 'n3' }, 'CANDIDATE_NOT_ELIGIBLE'],
  ])('refuses when %s, and writes nothing', async (_, order, reason) => {
    expect(await ask(order)).toMatchObject({ kind: 'refused', reason })
    expect(store.transactions).toEqual([])
  })

  it('refuses without a majority, without a primary and without a candidate', async () => {
    hasQuorum = false
    expect(await ask()).toMatchObject({ reason: 'NO_QUORUM' })
    hasQuorum = true
    standby = { state: 'stopped' }
    expect(await ask()).toMatchObject({ reason: 'NO_ELIGIBLE_CANDIDATE' })
    await given({ ...record, state: 'released' })
    expect(await ask()).toMatchObject({ reason: 'NO_PRIMARY' })
  })

  it('refuses a second one while the first is under way', async () => {
    await store.put(keys.failover, { leader: 'n1' })
    expect(await ask()).toMatchObject({ reason: 'IN_PROGRESS' })
  })

  it('is done when another member has opened the next epoch, not when it was authorised', async () => {
    const outcome = ask({ to: 'n2' })
    await settle()
    expect(JSON.parse(store.peek(keys.failover)?.value ?? '')).toEqual({ leader: 'n1', member: 'n2' })
    await given({ ...record, epoch: 8, holder: 'n2', state: 'authorised' })
    let isAnswered = false
    void outcome.then(() => (isAnswered = true))
    await clock.advance(200)
    expect(isAnswered).toBe(false)
    await given({ ...record, epoch: 8, holder: 'n2', state: 'open' })
    await clock.advance(50)
    expect(await outcome).toMatchObject({ kind: 'done', from: 'n1', to: 'n2', epoch: 8 })
  })

  it('has failed when another member than the wanted one opened the next epoch', async () => {
    const outcome = ask({ to: 'n2' })
    await settle()
    await given({ ...record, epoch: 8, holder: 'n3', state: 'open' })
    await clock.advance(50)
    expect(await outcome).toMatchObject({
      kind: 'failed',
      message: expect.stringContaining('n3 is the primary'),
    })
  })

  it('has failed when the holder took the request away and stayed', async () => {
    const outcome = ask()
    await settle()
    await store.inner.transact(
      { compares: [], operations: [{ kind: 'delete', key: keys.failover }] },
      { deadlineMs: 1000 },
    )
    await clock.advance(50)
    expect(await outcome).toMatchObject({ kind: 'failed' })
  })

  it('says at its deadline that it may still happen', async () => {
    const outcome = ask()
    await clock.advance(10_100)
    expect(await outcome).toMatchObject({ kind: 'unknown' })
  })
})
