import type { MemberTags } from '../../model/member-tags.ts'
import { describe, expect, it } from 'vitest'
import { sampleMember, sampleRecord, sampleView } from '../../../test/support/sample-view.ts'
import type { ClusterView } from '../../model/cluster-view.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { healthChecks, isAlive, type HealthQuery } from './health-checks.ts'

const MAXIMUM_LAG_BYTES = 1024 * 1024

function ask(path: string, view: ClusterView, query: HealthQuery = {}): boolean {
  const check = healthChecks[path]
  if (!check) throw new Error(`No check ${path}`)
  return check({ view, loopAgeMs: 0, maximumLagBytes: MAXIMUM_LAG_BYTES }, query)
}

/** n2's own view; the primary n1 is at 0/5000000. */
function standby(instance: Partial<InstanceFacts> = {}): ClusterView {
  return sampleView({
    self: 'n2',
    members: [
      sampleMember('n1', { instance: { role: 'primary' } }),
      sampleMember('n2', { instance: { streaming: true, ...instance } }),
    ],
  })
}

describe('/primary', () => {
  it('is about the lease, which ends by the clock and by a release', () => {
    expect(ask('/primary', sampleView())).toBe(true)
    expect(ask('/primary', sampleView({ leaseRemainingMs: 0 }))).toBe(false)
    expect(ask('/primary', sampleView({ record: sampleRecord({ state: 'released' }) }))).toBe(false)
    expect(ask('/primary', sampleView({ record: sampleRecord({ holder: 'n2' }) }))).toBe(false)
  })

  it('is 503 before there is a cluster', () => {
    const { record: _none, ...view } = sampleView()
    expect(ask('/primary', view)).toBe(false)
  })
})

describe('/replica', () => {
  it('wants a running standby', () => {
    expect(ask('/replica', standby())).toBe(true)
    expect(ask('/replica', standby({ state: 'starting' }))).toBe(false)
    expect(ask('/replica', standby({ state: 'cloning' }))).toBe(false)
    expect(ask('/replica', sampleView())).toBe(false)
  })

  it('keeps to the lag that is asked for, in all of its units', () => {
    const behind = standby({ flushLsn: '0/4FFC000' })
    for (const lag of ['16384', '16kB', '16KB', '1MB', '1GB', '16384B'])
      expect(ask('/replica', behind, { lag }), lag).toBe(true)
    for (const lag of ['16383', '15kB', '0']) expect(ask('/replica', behind, { lag }), lag).toBe(false)
  })

  it('takes an unknown lag for too much, when a lag is asked for', () => {
    const { flushLsn: _unknown, ...instance } = standby().members[1]?.facts.instance ?? {
      state: 'unknown' as const,
    }
    const view = {
      ...standby(),
      members: [{ ...sampleMember('n2'), facts: { ...sampleMember('n2').facts, instance } }],
    }
    expect(ask('/replica', view)).toBe(true)
    expect(ask('/replica', view, { lag: '1GB' })).toBe(false)
  })

  it('refuses a lag that is none', () => {
    for (const lag of ['', '-1', '1.5MB', '1 PB', 'MB', ['1', '2'], '9'.repeat(20)])
      expect(() => ask('/replica', standby(), { lag }), String(lag)).toThrow('query parameter "lag"')
  })

  it('honours tags, as Patroni compares them', () => {
    const tagged = (tags: MemberTags): ClusterView => {
      const view = standby()
      return {
        ...view,
        members: view.members.map((member) => ({ ...member, facts: { ...member.facts, tags } })),
      }
    }
    const preferred = tagged({ nosync: true, failover_priority: 7 })
    expect(ask('/replica', preferred)).toBe(true)
    expect(ask('/replica', preferred, { tag_nosync: 'True', tag_failover_priority: '7' })).toBe(true)
    expect(ask('/replica', preferred, { tag_nosync: 'false' })).toBe(false)
    expect(ask('/replica', preferred, { tag_zone: 'a' })).toBe(false)
    expect(ask('/replica', tagged({ noloadbalance: true }))).toBe(false)
    expect(ask('/health', tagged({ noloadbalance: true }))).toBe(true)
  })

  it('honours replication_state, and a tag that nobody has', () => {
    expect(ask('/replica', standby(), { replication_state: 'streaming' })).toBe(true)
    expect(ask('/replica', standby({ streaming: false }), { replication_state: 'streaming' })).toBe(false)
    expect(ask('/replica', standby(), { tag_zone: 'a' })).toBe(false)
  })
})

describe('/read-only', () => {
  it('is any node that can be read from', () => {
    expect(ask('/read-only', sampleView())).toBe(true)
    expect(ask('/read-only', standby())).toBe(true)
    expect(ask('/read-only', standby({ state: 'crashed' }))).toBe(false)
  })
})

describe('/readiness', () => {
  it('wants a standby to stream and to have replayed', () => {
    expect(ask('/readiness', sampleView())).toBe(true)
    expect(ask('/readiness', standby())).toBe(true)
    expect(ask('/readiness', standby({ streaming: false }))).toBe(false)
    const slow = standby({ replayLsn: '0/4000000' })
    expect(ask('/readiness', slow)).toBe(false)
    expect(ask('/readiness', slow, { mode: 'write' })).toBe(true)
    expect(ask('/readiness', slow, { lag: '16MB' })).toBe(true)
    expect(() => ask('/readiness', slow, { mode: 'fast' })).toThrow('"apply" or "write"')
  })
})

describe('/liveness', () => {
  it('is patient with a standby, and never quicker than an orchestrator needs', () => {
    const alive = (view: ClusterView, loopAgeMs: number) =>
      isAlive({ view, loopAgeMs, maximumLagBytes: MAXIMUM_LAG_BYTES }, {})
    expect(alive(sampleView(), 9_000)).toBe(true)
    expect(alive(sampleView(), 11_000)).toBe(false)
    expect(alive(standby(), 19_000)).toBe(true)
    expect(alive(standby(), 21_000)).toBe(false)
    expect(alive(sampleView({ record: sampleRecord({ ttlMs: 30_000 }) }), 29_000)).toBe(true)
  })
})
