import { describe, expect, it } from 'vitest'
import { sampleMember, sampleRecord, sampleView } from '../../../test/support/sample-view.ts'
import { clusterDocument } from '../coordination/node-status.ts'
import { patroniHistory, patroniMembers } from './cluster-members.ts'
import { statusDocument } from './status-document.ts'
import { patroniTimestamp, patroniVersionNumber } from './words.ts'

describe('GET /patroni', () => {
  it('of a primary has its position, who streams from it, and what waits for a restart', () => {
    const walSenders = [
      { name: 'n2_ab12', pid: 7, syncPriority: 1, state: 'streaming', flushLsn: '0/5000000' },
    ]
    const own = sampleMember('n1', {
      instance: {
        role: 'primary',
        walSenders,
        synchronousNames: 'ANY 1 ("n2_ab12", "n3_cd34")',
        pendingRestart: ['max_connections'],
      },
    })
    expect(statusDocument(sampleView({ members: [own] }))).toEqual({
      state: 'running',
      postmaster_start_time: '2026-05-04 02:00:00.500000+00:00',
      role: 'primary',
      server_version: 180004,
      xlog: { location: 0x5000000 },
      timeline: 2,
      replication: [{ application_name: 'n2', state: 'streaming', sync_state: 'quorum', sync_priority: 1 }],
      dcs_last_seen: Date.parse('2026-05-04T03:02:01.000Z') / 1000,
      database_system_identifier: '7710000000000000001',
      pending_restart: true,
      patroni: { version: '0.1.0', scope: 'main', name: 'n1' },
    })
  })

  it('of a node whose PostgreSQL is down has no position: others must not take it for alive', () => {
    const own = sampleMember('n1', { instance: { state: 'crashed' } })
    expect(statusDocument(sampleView({ members: [own] }))).not.toHaveProperty('xlog')
  })

  it('says when nobody holds the lease, and nothing of consensus without a majority', () => {
    const { consensus } = sampleView()
    const view = sampleView({ leaseRemainingMs: 0, consensus: { ...consensus, hasQuorum: false } })
    expect(statusDocument(view)).toMatchObject({ cluster_unlocked: true })
    expect(statusDocument(view)).not.toHaveProperty('dcs_last_seen')
  })

  it('can be drawn before the agent knows itself', () => {
    expect(statusDocument(sampleView({ members: [] }))).toMatchObject({
      state: 'unknown',
      patroni: { scope: 'main', name: 'n1' },
    })
  })
})

describe('GET /cluster', () => {
  it('gives no old lag for a member that is silent', () => {
    const view = sampleView({ members: [sampleMember('n3', { reachable: false, heardMsAgo: 90_000 })] })
    expect(patroniMembers(view)[0]).toMatchObject({
      state: 'unknown',
      lag: 'unknown',
      lsn: 'unknown',
      replay_lag: 'unknown',
    })
  })

  it('never gives a negative lag', () => {
    const ahead = sampleMember('n2', { instance: { flushLsn: '0/6000000', streaming: true } })
    expect(patroniMembers(sampleView({ members: [ahead] }))[0]).toMatchObject({ lag: 0, lsn: '0/6000000' })
  })

  it('calls nobody the leader while nobody holds the lease', () => {
    const view = sampleView({ record: sampleRecord({ state: 'released' }) })
    expect(patroniMembers(view).map(({ role }) => role)).toEqual(['replica', 'replica', 'replica'])
    expect(clusterDocument(view).current_master).toBe('')
  })

  it('sorts by name, and keeps a member with a strange one', () => {
    const view = sampleView({ members: [sampleMember('n2'), sampleMember('__proto__'), sampleMember('n1')] })
    expect(clusterDocument(view).members.map(({ name }) => name)).toEqual(['__proto__', 'n1', 'n2'])
    expect(Object.keys(clusterDocument(view).nodes)).toContain('__proto__')
  })

  it('knows nothing of a member that was never heard', () => {
    const { heardMsAgo: _never, ...silent } = sampleMember('n3', { reachable: false })
    expect(clusterDocument(sampleView({ members: [silent] })).nodes['n3']).toMatchObject({
      is_healthy: false,
      last_heartbeat: null,
    })
  })
})

describe('GET /history', () => {
  it('names the timeline that ended, also where the one before is not in the list', () => {
    const [, second] = sampleView().history
    expect(patroniHistory(sampleView({ history: second ? [second] : [] }))).toEqual([
      [1, 0x3000148, 'PRIMARY_CRASHED', '2026-05-04T02:00:00.000Z', 'n1'],
    ])
  })
})

it('writes times and versions as Patroni does', () => {
  expect(patroniTimestamp('2026-05-04T03:02:01.123Z')).toBe('2026-05-04 03:02:01.123000+00:00')
  expect(patroniTimestamp('2026-05-04T05:02:01+02:00')).toBe('2026-05-04 03:02:01.000000+00:00')
  expect(patroniTimestamp('soon')).toBeUndefined()
  expect([patroniVersionNumber('4.1.4'), patroniVersionNumber('0.1.0'), patroniVersionNumber('x')]).toEqual([
    40104, 100, 0,
  ])
})
