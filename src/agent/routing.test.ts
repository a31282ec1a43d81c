import { describe, expect, it } from 'vitest'
import { running } from '../../test/support/ha-fakes.ts'
import type { EpochRecord } from '../model/epoch-record.ts'
import type { InstanceFacts, MemberFacts } from '../model/member.ts'
import type { MonotonicMs } from '../model/time.ts'
import { messageOf, routingTable, type RoutingFacts } from './routing.ts'

const NOW = 1000 as MonotonicMs
const record: EpochRecord = {
  epoch: 7,
  holder: 'n1',
  incarnation: 'disk-n1',
  seq: 1,
  ttlMs: 3000,
  state: 'open',
  reason: 'BOOTSTRAP',
  systemId: '42',
  timeline: 2,
  position: '0/6000',
  chain: [],
}

function member(name: string, instance: InstanceFacts, epoch = 7): MemberFacts {
  return {
    name,
    host: `${name}.db`,
    port: 5432,
    apiUrl: '',
    agentUptimeMs: 1,
    guard: 'armed',
    instance,
    stopping: false,
    seen: { epoch, seq: 1, state: 'open', expired: false, witnessed: true },
    version: '0',
  }
}

const primary = running('primary', { timeline: 2, flushLsn: '0/6000' })
const standby = running('standby', { timeline: 2, flushLsn: '0/5F00', streaming: true })

function table(change: Partial<RoutingFacts> = {}) {
  return routingTable({
    now: NOW,
    self: 'n1',
    record,
    provenUntil: 3000 as MonotonicMs,
    own: member('n1', primary),
    reachable: [member('n2', standby)],
    leaseOf: () => undefined,
    ...change,
  })
}

describe('routingTable', () => {
  it('names the primary for as long as its own renewals prove the lease', () => {
    expect(table()).toMatchObject({
      epoch: 7,
      primary: { name: 'n1', host: 'n1.db' },
      validUntil: 3000,
      replicas: [{ name: 'n2', lagBytes: 0x100 }],
    })
  })

  it('relies on another holder’s lease only for the very epoch', () => {
    const elsewhere = { self: 'n2', own: member('n2', standby), reachable: [member('n1', primary)] }
    const leaseOf = () => ({ epoch: 7, validUntil: 2500 as MonotonicMs })
    expect(table({ ...elsewhere, leaseOf }).validUntil).toBe(2500)
    const old = () => ({ epoch: 6, validUntil: 2500 as MonotonicMs })
    expect(table({ ...elsewhere, leaseOf: old }).validUntil).toBe(0)
    expect(table(elsewhere).validUntil).toBe(0)
  })

  it('sends nobody to a primary that measured itself under an older epoch', () => {
    expect(table({ own: member('n1', primary, 6) })).toMatchObject({ holding: 'NO_PRIMARY', validUntil: 0 })
  })

  it('sends nobody to a primary that came up again before others have what it recovered', () => {
    const closed = { ...member('n1', primary), closed: true } as const
    expect(table({ own: closed })).toMatchObject({ holding: 'NO_PRIMARY', validUntil: 0 })
  })

  it('sends nobody to a cluster whose creation is not recorded', () => {
    const young = { ...record, state: 'authorised', systemId: '', incarnation: '' } as const
    expect(table({ record: young }).primary).toBeUndefined()
  })

  it.each([
    ['released', { record: { ...record, state: 'released' as const } }],
    ['silent', { self: 'n2', own: member('n2', standby), reachable: [] }],
    ['down', { own: member('n1', { state: 'stopped' }) }],
    ['a standby still', { own: member('n1', standby) }],
  ])('holds connections while the primary is %s', (_, change) => {
    expect(table(change)).toMatchObject({ holding: 'NO_PRIMARY', validUntil: 0 })
    expect(table(change).primary).toBeUndefined()
  })

  it('leads to a primary whose epoch is not open yet when it takes clients in that epoch, and its commits wait for others', () => {
    const holder = { name: 'n1', incarnation: 'disk-n1' }
    const acks = [{ epoch: 7, holder, rule: { k: 1, members: [] } }]
    const young = { ...record, state: 'authorised', acks } as const
    const admitting = (epoch: number) => ({ ...member('n1', primary), admits: { epoch } })
    expect(table({ record: young, own: admitting(7) }).primary?.name).toBe('n1')
    expect(table({ record: young, own: admitting(6) }).primary).toBeUndefined()
    expect(table({ record: young }).primary).toBeUndefined()
    const { acks: _none, ...async } = young
    expect(table({ record: async, own: admitting(7) }).primary).toBeUndefined()
    expect(table({ record: { ...young, state: 'pledging' }, own: admitting(7) }).primary).toBeUndefined()
  })

  it('says that a switchover is why, from its first step to the next holder', () => {
    const leaving = { ...member('n1', primary), handsOver: true } as const
    // What runs there may end: its right is proven for as long as before.
    expect(table({ own: leaving })).toMatchObject({ holding: 'SWITCHOVER', validUntil: 3000 })
    expect(table({ own: leaving }).primary).toBeUndefined()
    const down = { ...leaving, instance: { state: 'stopped' } } as const
    expect(table({ own: down })).toMatchObject({ holding: 'SWITCHOVER', validUntil: 0 })
    const elsewhere = { self: 'n2', own: member('n2', standby), reachable: [leaving] }
    expect(table(elsewhere)).toMatchObject({ holding: 'SWITCHOVER' })
    const release = { endLsn: '0/6000', reason: 'SWITCHOVER', to: 'n2' } as const
    expect(table({ record: { ...record, state: 'released', release } }).holding).toBe('SWITCHOVER')
  })

  it('reads only from who streams on the authorised timeline', () => {
    const others = [
      member('n2', { ...standby, streaming: false }),
      member('n3', { ...standby, timeline: 1 }),
      member('n4', { ...standby, state: 'starting' }),
      member('n5', primary),
    ]
    expect(table({ reachable: others }).replicas).toEqual([])
  })

  it('knows nothing without a record', () => {
    expect(table({ record: undefined })).toEqual({
      epoch: 0,
      replicas: [],
      validUntil: 0,
      holding: 'NO_PRIMARY',
    })
  })

  it('tells another process how much is left now, never less than nothing', () => {
    expect(messageOf(table(), NOW, 'boot').validForMs).toBe(2000)
    expect(messageOf(table(), 9000 as MonotonicMs, 'boot').validForMs).toBe(0)
  })
})
