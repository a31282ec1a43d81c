import type { ClusterView, MemberView } from '../../src/model/cluster-view.ts'
import type { EpochRecord } from '../../src/model/epoch-record.ts'
import type { InstanceFacts, MemberFacts } from '../../src/model/member.ts'

/** Three members: n1 is the primary and draws the picture, n2 and n3 stream from it. Change what the test is about. */
export function sampleView(changes: Partial<ClusterView> = {}): ClusterView {
  return {
    scope: 'main',
    self: 'n1',
    takenAt: '2026-05-04T03:02:01.000Z',
    members: [
      sampleMember('n1', { instance: { role: 'primary' } }),
      sampleMember('n2', { instance: { streaming: true } }),
      sampleMember('n3', { instance: { streaming: true, replayLsn: '0/4FFFF00' }, lagBytes: 256 }),
    ],
    streams: [
      { from: 'n1', to: 'n2', state: 'streaming', isSync: true, flushLagBytes: 0, replayLagBytes: 0 },
      { from: 'n1', to: 'n3', state: 'streaming', isSync: true, flushLagBytes: 0, replayLagBytes: 256 },
    ],
    record: sampleRecord(),
    leaseRemainingMs: 2400,
    consensus: { backend: 'raft', hasQuorum: true, leader: 'n2', term: 5, voters: ['n1', 'n2', 'n3'] },
    stance: 'holds the lease and serves writes',
    findings: [],
    history: [
      {
        epoch: 1,
        holder: 'n3',
        timeline: 1,
        forkLsn: '0/0',
        openedAt: '2026-05-04T01:00:00.000Z',
        reason: 'BOOTSTRAP',
        takeover: 'bootstrap',
      },
      {
        epoch: 2,
        holder: 'n1',
        timeline: 2,
        forkLsn: '0/3000148',
        openedAt: '2026-05-04T02:00:00.000Z',
        reason: 'PRIMARY_CRASHED',
        takeover: 'lease',
      },
    ],
    losses: [],
    queries: [
      { port: 'primary', listen: 5433, queries: 10, errors: 1, clients: 2, waiting: 0 },
      { port: 'replica', listen: 5434, queries: 20, errors: 0, clients: 3, waiting: 1 },
    ],
    pids: { agent: 100, postmaster: 101, guard: 102, router: 103 },
    mode: 'managed',
    ...changes,
  }
}

export function sampleRecord(changes: Partial<EpochRecord> = {}): EpochRecord {
  return {
    epoch: 2,
    holder: 'n1',
    incarnation: 'a1',
    seq: 41,
    ttlMs: 3000,
    state: 'open',
    reason: 'PRIMARY_CRASHED',
    systemId: '7710000000000000001',
    timeline: 2,
    position: '0/5000000',
    chain: [],
    ...changes,
  }
}

export type MemberChanges = Omit<Partial<MemberView>, 'facts'> & {
  readonly facts?: Partial<Omit<MemberFacts, 'instance'>>
  readonly instance?: Partial<InstanceFacts>
}

/** A healthy standby `nK` on host 10.0.0.K. */
export function sampleMember(name: string, changes: MemberChanges = {}): MemberView {
  const { facts, instance, ...rest } = changes
  const host = `10.0.0.${name.replace(/\D/g, '')}`
  return {
    reachable: true,
    heardMsAgo: 40,
    lagBytes: 0,
    ...rest,
    facts: {
      name,
      incarnation: `i-${name}`,
      host,
      port: 5432,
      apiUrl: `http://${host}:8008`,
      routerPorts: { primary: 5433, replica: 5434, pooled: 6432 },
      agentUptimeMs: 60_000,
      guard: 'armed',
      stopping: false,
      seen: { epoch: 2, seq: 41, state: 'open', expired: false, witnessed: true },
      version: '0.1.0',
      ...facts,
      instance: {
        state: 'running',
        role: 'standby',
        systemId: '7710000000000000001',
        timeline: 2,
        flushLsn: '0/5000000',
        replayLsn: '0/5000000',
        serverVersion: 180004,
        startedAt: '2026-05-04T02:00:00.500Z',
        ...(instance?.role === 'primary' ? {} : { upstreamHost: '10.0.0.1', upstreamPort: 5432 }),
        ...instance,
      },
    },
  }
}
