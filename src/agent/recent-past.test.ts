import { beforeEach, describe, expect, it } from 'vitest'
import { sampleMember, sampleRecord, sampleView } from '../../test/support/sample-view.ts'
import type { ActivityFacts } from '../model/member.ts'
import { RecentPast } from './recent-past.ts'

const counted = (atMs: number, changes: Partial<ActivityFacts> = {}): ActivityFacts => ({
  atMs,
  transactions: 1000,
  busyMs: 500,
  connections: 7,
  active: 1,
  connectionsMax: 100,
  walLsn: '0/1000',
  ...changes,
})
const viewWith = (activity: ActivityFacts | undefined) =>
  sampleView({
    members: [sampleMember('n1', { instance: { role: 'primary' }, facts: activity ? { activity } : {} })],
  })

let past: RecentPast

beforeEach(() => {
  past = new RecentPast({ self: 'n1', everyMs: 2000 })
})

describe('the samples', () => {
  it('have rates between two answers of PostgreSQL, by the time that its own agent took', () => {
    past.sample(viewWith(counted(10_000)))
    past.sample(viewWith(counted(14_000, { transactions: 1200, busyMs: 900, walLsn: '0/3000' })))
    expect(past.document(0).series).toEqual([
      {
        name: 'n1',
        lagBytes: [null, null],
        walBytesPerSecond: [null, 2048],
        transactionsPerSecond: [null, 50],
        transactionMs: [null, 2],
        connections: [7, 7],
      },
    ])
  })

  it('repeat a rate as long as there is no newer answer', () => {
    past.sample(viewWith(counted(10_000)))
    past.sample(viewWith(counted(12_000, { transactions: 1100 })))
    past.sample(viewWith(counted(12_000, { transactions: 1100 })))
    expect(past.document(0).series[0]?.transactionsPerSecond).toEqual([null, 50, 50])
  })

  it('have no rate over a restart, of PostgreSQL or of its agent', () => {
    past.sample(viewWith(counted(10_000)))
    past.sample(viewWith(counted(12_000, { transactions: 3 })))
    past.sample(viewWith(counted(5, { transactions: 9 })))
    past.sample(viewWith(undefined))
    past.sample(viewWith(counted(9_000, { transactions: 5000 })))
    expect(past.document(0).series[0]?.transactionsPerSecond).toEqual([null, null, null, null, null])
    expect(past.document(0).series[0]?.connections).toEqual([7, 7, 7, null, 7])
  })

  it('know a lag from the sender, and nothing old of who is silent', () => {
    past.sample(
      sampleView({
        members: [sampleMember('n3', { reachable: false, facts: { activity: counted(1) } })],
        streams: [{ from: 'n1', to: 'n3', state: 'streaming', isSync: true, flushLagBytes: 256 }],
      }),
    )
    expect(past.document(0).series[0]).toMatchObject({ lagBytes: [256], connections: [null] })
  })

  it('come once to who asks for what is behind the last number', () => {
    past.sample(viewWith(counted(1)))
    const { next } = past.document(0)
    expect(past.document(next)).toMatchObject({ next, times: [], series: [], events: [] })
    past.sample(viewWith(counted(2)))
    expect(past.document(next).times).toHaveLength(1)
  })

  it('are those of the last quarter of an hour', () => {
    for (let index = 0; index < 500; index += 1) past.sample(viewWith(counted(index)))
    expect(past.document(0).times).toHaveLength(450)
  })
})

describe('the events', () => {
  const texts = () => past.document(0).events.map(({ text }) => text)

  it('are what changed from one view to the next, and nothing of the first', () => {
    past.look(sampleView())
    expect(texts()).toEqual([])
    past.look(sampleView())
    expect(texts()).toEqual([])
  })

  it('tell a failover from its first sign to its end', () => {
    past.look(sampleView())
    const crashed = sampleMember('n1', { instance: { role: 'primary', state: 'crashed' } })
    const members = [crashed, sampleMember('n2'), sampleMember('n3')]
    past.look(sampleView({ members, streams: [] }))
    const record = { epoch: 3, reason: 'PRIMARY_CRASHED' as const }
    past.look(sampleView({ members, streams: [], record: sampleRecord({ ...record, state: 'pledging' }) }))
    const held = sampleRecord({ ...record, holder: 'n2', timeline: 3 })
    past.look(sampleView({ members, streams: [], record: { ...held, state: 'authorised' } }))
    past.look(sampleView({ members, streams: [], record: held }))
    expect(texts()).toEqual([
      'PostgreSQL of n1 is crashed',
      'n2 streams from n1 no more',
      'n3 streams from n1 no more',
      'Epoch 3 has begun: a take-over is under way (PRIMARY_CRASHED)',
      'n2 may take over, epoch 3 (PRIMARY_CRASHED)',
      'n2 is primary: epoch 3, timeline 3 (PRIMARY_CRASHED)',
    ])
  })

  it('tell who is lost and comes back, losses, findings and the end of them', () => {
    past.look(sampleView())
    const silent = sampleMember('n3', { reachable: false })
    const findings = [
      { code: 'FEW_ACKNOWLEDGERS', severity: 'warning' as const, message: 'Too few: 1, 2 are wanted' },
    ]
    past.look(sampleView({ members: [silent], findings }))
    past.look(sampleView())
    expect(past.document(0).events.map(({ severity, text }) => [severity, text])).toEqual([
      ['warning', 'n3 is not heard any more'],
      ['warning', 'Too few: 1, 2 are wanted'],
      ['info', 'n1 is heard for the first time'],
      ['info', 'n2 is heard for the first time'],
      ['good', 'n3 is heard again'],
      ['good', 'Over: Too few'],
    ])
  })

  it('tell what a take-over left behind', () => {
    const loss = {
      epoch: 2,
      member: 'n3',
      timeline: 1,
      forkLsn: '0/3000148',
      endLsn: '0/3000200',
      bytes: 184,
      transactions: 1,
      xids: [7],
      keptIn: '/somewhere',
      foundAt: '2026-05-04T02:00:05.000Z',
    }
    past.look(sampleView())
    past.look(sampleView({ losses: [loss] }))
    past.look(sampleView({ losses: [loss] }))
    expect(texts()).toEqual([
      'The take-over of epoch 2 left 1 transaction behind that only n3 had; their WAL is kept',
    ])
  })

  it('do not call a copy crashed that was not started yet', () => {
    const view = (state: 'cloning' | 'crashed') =>
      sampleView({ members: [sampleMember('n3', { instance: { state } })] })
    past.look(view('cloning'))
    past.look(view('crashed'))
    expect(texts()).toEqual(['The data of n3 is there'])
  })

  it('are bounded', () => {
    for (let index = 0; index < 800; index += 1)
      past.look(sampleView({ members: [sampleMember('n3', { reachable: index % 2 === 0 })] }))
    expect(past.document(0).events).toHaveLength(300)
  })
})
