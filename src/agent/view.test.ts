import { expect, it } from 'vitest'
import { sampleMember, sampleRecord } from '../../test/support/sample-view.ts'
import type { InstanceFacts, MemberFacts } from '../model/member.ts'
import type { MonotonicMs } from '../model/time.ts'
import { clusterView } from './view.ts'

const NOW = 100_000 as MonotonicMs

function viewOf(own: MemberFacts, peers: readonly { facts: MemberFacts; heardMsAgo: number }[]) {
  return clusterView({
    scope: 'main',
    now: NOW,
    takenAt: '2026-05-04T03:02:01.000Z',
    own,
    peers: peers.map(({ facts, heardMsAgo }) => ({
      name: facts.name,
      facts,
      heardAt: (NOW - heardMsAgo) as MonotonicMs,
    })),
    silenceLimitMs: 800,
    record: sampleRecord(),
    leaseUntil: NOW,
    store: undefined,
    decision: undefined,
    waiting: undefined,
    left: undefined,
    losses: [],
    scheduled: undefined,
    queries: [],
    pids: { agent: 1 },
    mode: 'managed',
  })
}

const sender = (name: string, lsn: string) => ({
  name,
  pid: 9,
  state: 'streaming',
  flushLsn: lsn,
  replayLsn: '0/4FFF000',
  syncPriority: name.startsWith('n2') ? 1 : 0,
})
const primary = (walSenders: InstanceFacts['walSenders']) =>
  sampleMember('n1', { instance: { role: 'primary', ...(walSenders ? { walSenders } : {}) } }).facts

it('says who streams from whom by name and incarnation, and how far each is behind its sender', () => {
  const own = primary([sender('n2_i-n2', '0/5000000'), sender('n3_of-before', '0/4FFFF00')])
  const { streams } = viewOf(own, [{ facts: sampleMember('n2').facts, heardMsAgo: 40 }])
  expect(streams).toEqual([
    { from: 'n1', to: 'n2', state: 'streaming', isSync: true, flushLagBytes: 0, replayLagBytes: 4096 },
    { from: 'n1', to: 'n3', state: 'streaming', isSync: false, flushLagBytes: 256, replayLagBytes: 4096 },
  ])
})

it('says nothing of a connection for replication that streams nothing yet', () => {
  const look = { ...sender('pg-metako doctor', '0/0'), state: 'startup' }
  const own = primary([sender('n2_i-n2', '0/5000000'), look])
  expect(viewOf(own, []).streams.map(({ to }) => to)).toEqual(['n2'])
})

it('says nothing of streams that only a silent or dead sender told of', () => {
  const own = sampleMember('n2').facts
  const told = primary([sender('n2_i-n2', '0/5000000')])
  expect(viewOf(own, [{ facts: told, heardMsAgo: 40 }]).streams).toHaveLength(1)
  expect(viewOf(own, [{ facts: told, heardMsAgo: 900 }]).streams).toEqual([])
  const dead: MemberFacts = { ...told, instance: { ...told.instance, state: 'crashed' } }
  expect(viewOf(own, [{ facts: dead, heardMsAgo: 40 }]).streams).toEqual([])
})
