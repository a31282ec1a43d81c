import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeOperations } from '../../../test/support/fake-operations.ts'
import { sampleMember, sampleRecord, sampleView } from '../../../test/support/sample-view.ts'
import type { ClusterView } from '../../model/cluster-view.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { silentLogger } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import type { ScheduleOutcome, SwitchoverOutcome, UnscheduleOutcome } from '../ports.ts'
import { createApiServer, type ApiServer } from '../server.ts'

let operations: FakeOperations
let server: ApiServer
let base: string

beforeAll(async () => {
  operations = new FakeOperations(sampleView())
  server = await createApiServer(
    { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
    { host: '127.0.0.1', port: 0, token: 'right-token', routingToken: 'routing-token' },
  )
  base = `http://127.0.0.1:${(await server.listen()).port}`
})
afterAll(() => server.stop())

type Setting = 'FIRST 1 ("n2_x")' | 'ANY 1 ("n2_x")'

/** n2's own picture: a standby of n1, which is at 0/5000000. With a setting, commits wait for n2. */
function standby(instance: Partial<InstanceFacts> = {}, setting?: Setting): ClusterView {
  const rule = { k: 1, members: [{ name: 'n2', incarnation: 'x' }] }
  return sampleView({
    self: 'n2',
    members: [
      sampleMember('n1', {
        instance: { role: 'primary', ...(setting ? { synchronousNames: setting } : {}) },
      }),
      sampleMember('n2', { instance: { streaming: true, ...instance } }),
    ],
    record: sampleRecord(
      setting ? { acks: [{ epoch: 2, holder: { name: 'n1', incarnation: 'a1' }, rule }] } : {},
    ),
  })
}

const withoutMajority = (view: ClusterView): ClusterView => ({
  ...view,
  consensus: { ...view.consensus, hasQuorum: false },
})

/** A letter for each role and state that a node can have. */
const STATES: Readonly<Record<string, ClusterView>> = {
  'P primary': sampleView(),
  'R replica': standby(),
  'B replica that does not stream': standby({ streaming: false }),
  'S synchronous standby': standby({}, 'FIRST 1 ("n2_x")'),
  'Q quorum standby': standby({}, 'ANY 1 ("n2_x")'),
  'T starting': standby({ state: 'starting' }),
  'D stopped': standby({ state: 'stopped' }),
  'C being cloned': standby({ state: 'cloning' }),
  'U replica while nobody holds the lease': { ...standby(), leaseRemainingMs: 0 },
  'L primary whose lease is over': sampleView({ leaseRemainingMs: 0 }),
  'p primary in a pause': sampleView({ paused: true }),
  'r replica in a pause': { ...standby(), paused: true },
  'N synchronous standby without a majority': withoutMajority(standby({}, 'FIRST 1 ("n2_x")')),
}

/** Which letters of the states get a 200; all others get a 503. */
const TABLE: Readonly<Record<string, string>> = {
  '/': 'Pp',
  '/primary': 'Pp',
  '/master': 'Pp',
  '/leader': 'Pp',
  '/read-write': 'Pp',
  '/standby-leader': '',
  '/standby_leader': '',
  '/replica': 'RBSQUrN',
  '/replica?lag=0': 'RBSQUrN',
  '/replica?replication_state=streaming': 'RSQUrN',
  '/replica?tag_zone=a': '',
  '/read-only': 'PpRBSQUrN',
  '/sync': 'S',
  '/synchronous': 'S',
  '/read-only-sync': 'PpS',
  '/read-only-synchronous': 'PpS',
  '/quorum': 'Q',
  '/read-only-quorum': 'PpQ',
  '/async': 'RBUr',
  '/asynchronous': 'RBUr',
  '/health': 'PLpRBSQUrN',
  '/readiness': 'PpRSQUrN',
  '/liveness': 'PRBSQTDCULprN',
  '/patroni': 'PRBSQTDCULprN',
}

describe('the status code of every endpoint in every role and state', () => {
  for (const [path, letters] of Object.entries(TABLE)) {
    it.each(['GET', 'HEAD', 'OPTIONS'])(`%s ${path}`, async (method) => {
      const found: Record<string, number> = {}
      const wanted: Record<string, number> = {}
      for (const [state, view] of Object.entries(STATES)) {
        operations.current = view
        const answer = await fetch(base + path, { method })
        const body = await answer.text()
        expect(body === '', `${method} ${path} has no body`).toBe(method !== 'GET' || path === '/liveness')
        found[state] = answer.status
        wanted[state] = letters.includes(state[0] as string) ? 200 : 503
      }
      expect(found).toEqual(wanted)
    })
  }

  it('503 of /liveness when the loop does not turn any more', async () => {
    operations.loopAge = 60_000
    expect((await fetch(`${base}/liveness`)).status).toBe(503)
    operations.loopAge = 10
  })
})

describe('the documents', () => {
  const json = async (path: string) => (await fetch(base + path)).json() as Promise<Record<string, unknown>>

  it('say of a replica which way commits wait for it', async () => {
    operations.current = STATES['S synchronous standby'] as ClusterView
    expect(await json('/patroni')).toMatchObject({ sync_standby: true })
    expect(await json('/cluster')).toMatchObject({ members: [{ role: 'leader' }, { role: 'sync_standby' }] })
    operations.current = STATES['Q quorum standby'] as ClusterView
    expect(await json('/patroni')).toMatchObject({ quorum_standby: true })
    expect(await json('/cluster')).toMatchObject({
      members: [{ role: 'leader' }, { role: 'quorum_standby' }],
    })
    operations.current = STATES['R replica'] as ClusterView
    expect(Object.keys(await json('/patroni')).filter((key) => key.endsWith('_standby'))).toEqual([])
  })

  it('have every name that dashboards for Patroni ask for', async () => {
    operations.current = STATES['Q quorum standby'] as ClusterView
    const text = await (await fetch(`${base}/metrics`)).text()
    const names = text.match(/^patroni_\w+(?=\{)/gm) ?? []
    expect(names.toSorted()).toEqual(
      [
        'patroni_cluster_unlocked',
        'patroni_dcs_last_seen',
        'patroni_failover_priority',
        'patroni_failsafe_mode_enabled',
        'patroni_failsafe_mode_is_active',
        'patroni_is_paused',
        'patroni_pending_restart',
        'patroni_postgres_in_archive_recovery',
        'patroni_postgres_running',
        'patroni_postgres_server_version',
        'patroni_postgres_state',
        'patroni_postgres_streaming',
        'patroni_postgres_timeline',
        'patroni_postmaster_start_time',
        'patroni_primary',
        'patroni_quorum_standby',
        'patroni_replica',
        'patroni_standby_leader',
        'patroni_sync_standby',
        'patroni_version',
        'patroni_xlog_location',
        'patroni_xlog_paused',
        'patroni_xlog_received_location',
        'patroni_xlog_replayed_location',
      ].toSorted(),
    )
    expect(text).toMatch(/^patroni_quorum_standby\{scope="main",name="n2"\} 1$/m)
  })
})

describe('what changes the cluster', () => {
  const send = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(base + path, {
      method,
      headers: { authorization: `Basic ${Buffer.from('admin:right-token').toString('base64')}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return `${answer.status} ${await answer.text()}`
  }
  const done: SwitchoverOutcome = { kind: 'done', from: 'n1', to: 'n2', epoch: 3, tookMs: 90 }

  it.each<[string, unknown, SwitchoverOutcome, string]>([
    ['/switchover', { leader: 'n1', candidate: 'n2' }, done, '200 Successfully switched over to "n2"'],
    ['/switchover', { leader: 'n1', candidate: 'n3' }, done, '200 Switched over to "n2" instead of "n3"'],
    ['/failover', { candidate: 'n2' }, done, '200 Successfully failed over to "n2"'],
    ['/failover', { candidate: 'n3' }, done, '200 Failed over to "n2" instead of "n3"'],
    ['/failover', { leader: 'n1', candidate: 'n2' }, done, '200 Successfully switched over to "n2"'],
    ['/failover', {}, done, '400 Failover could be performed only to a specific candidate'],
    [
      '/failover',
      { candidate: 'n9' },
      { kind: 'refused', reason: 'CANDIDATE_UNKNOWN', message: 'there is no member "n9"' },
      '412 there is no member "n9"',
    ],
    ['/failover', { candidate: 'n2' }, { kind: 'failed', message: 'n1 is' }, '503 Failover failed: n1 is'],
    [
      '/switchover',
      { leader: 'n1' },
      { kind: 'unknown', message: 'after 30 s' },
      '503 Switchover status unknown: after 30 s',
    ],
  ])('POST %s %j', async (path, body, outcome, wanted) => {
    operations.current = sampleView()
    operations.outcome = outcome
    expect(await send('POST', path, body)).toBe(wanted)
  })

  it('answers for modes that are off', async () => {
    expect(await send('POST', '/failsafe', { name: 'n2' })).toBe('502 failsafe mode is off')
    expect((await fetch(`${base}/failsafe`)).status).toBe(502)
  })

  const LATER = '2099-01-01T00:00+00'
  it.each<[string, unknown, string]>([
    ['/switchover', { leader: 'n1', candidate: 'n2', scheduled_at: LATER }, '202 Switchover scheduled'],
    ['/switchover', { leader: 'n1', scheduled_at: LATER }, '202 Switchover scheduled'],
    ['/failover', { leader: 'n1', candidate: 'n2', scheduled_at: LATER }, '202 Switchover scheduled'],
    ['/failover', { candidate: 'n2', scheduled_at: LATER }, "400 Failover can't be scheduled"],
    [
      '/switchover',
      { candidate: 'n2', scheduled_at: LATER },
      '400 Switchover could be performed only from a specific leader',
    ],
    [
      '/switchover',
      { leader: 'n1', candidate: 'n1', scheduled_at: LATER },
      '400 Switchover target and source are the same',
    ],
    [
      '/switchover',
      { leader: 'n1', scheduled_at: '2099-01-01T00:00' },
      '400 Timezone information is mandatory for the scheduled switchover',
    ],
    [
      '/switchover',
      { leader: 'n1', scheduled_at: '2020-01-01T00:00Z' },
      '422 Cannot schedule switchover in the past',
    ],
    [
      '/switchover',
      { leader: 'n1', scheduled_at: 'soon' },
      '422 Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601',
    ],
    ['/restart', { schedule: LATER }, '202 Restart scheduled'],
    ['/restart', { schedule: '2020-01-01T00:00Z' }, '422 Cannot schedule restart in the past'],
    ['/restart', { schedule: LATER, role: 'replica', restart_pending: true }, '202 Restart scheduled'],
  ])('for later: POST %s %j', async (path, body, wanted) => {
    operations.changes.length = 0
    expect(await send('POST', path, body)).toBe(wanted)
    expect(operations.changes.map((change) => change.split(' ')[0])).toEqual(
      wanted.startsWith('202') ? ['schedule'] : [],
    )
  })

  it.each<[ScheduleOutcome, string, string]>([
    [
      { kind: 'refused', reason: 'PAUSED', message: '' },
      "400 Can't schedule switchover in the paused state",
      "500 Can't schedule restart in the paused state",
    ],
    [
      { kind: 'refused', reason: 'NO_QUORUM', message: 'no majority' },
      '503 failed to write failover key into DCS',
      '503 no majority',
    ],
    [
      { kind: 'refused', reason: 'EXISTS', message: '' },
      '503 failed to write failover key into DCS',
      '409 Another restart is already scheduled',
    ],
  ])('for later, when it is %j', async (outcome, switchover, restart) => {
    operations.scheduleOutcome = outcome
    expect(await send('POST', '/switchover', { leader: 'n1', scheduled_at: LATER })).toBe(switchover)
    expect(await send('POST', '/restart', { schedule: LATER })).toBe(restart)
  })

  it.each<[UnscheduleOutcome, string, string]>([
    [{ kind: 'deleted' }, '200 scheduled switchover deleted', '200 scheduled restart deleted'],
    [{ kind: 'none' }, '404 no switchover is scheduled', '404 no restarts are scheduled'],
    [{ kind: 'refused', reason: 'BUSY', message: 'given' }, '409 given', '409 given'],
    [{ kind: 'refused', reason: 'NO_QUORUM', message: 'none' }, '503 none', '503 none'],
  ])('called off, when it is %j', async (outcome, switchover, restart) => {
    operations.unscheduleOutcome = outcome
    expect(await send('DELETE', '/switchover')).toBe(switchover)
    expect(await send('DELETE', '/restart')).toBe(restart)
  })

  it('shows what is to be done later, of the cluster and of each member', async () => {
    operations.current = sampleView({
      scheduled: {
        switchover: { at: '2099-01-01T00:00:00+00:00', from: 'n1', to: 'n2' },
        restarts: { n1: { at: '2099-01-02T00:00:00+00:00', life: 'x', role: 'primary', version: 180005 } },
      },
    })
    const restart = {
      schedule: '2099-01-02T00:00:00+00:00',
      role: 'primary',
      postgres_version: '18.5',
    }
    const cluster = (await (await fetch(`${base}/cluster`)).json()) as { members: readonly object[] }
    expect(cluster).toMatchObject({
      scheduled_switchover: { at: '2099-01-01T00:00:00+00:00', from: 'n1', to: 'n2' },
    })
    expect(cluster.members[0]).toMatchObject({ name: 'n1', scheduled_restart: restart })
    expect(cluster.members[1]).not.toHaveProperty('scheduled_restart')
    expect(await (await fetch(`${base}/patroni`)).json()).toMatchObject({ scheduled_restart: restart })
  })

  it('says 501 for what is not there, as an older server would', async () => {
    for (const path of ['/citus', '/mpp'])
      expect(await send('POST', path, {})).toMatch(/^501 .*API_NOT_THERE_YET/)
  })

  it('says on the primary why it is not cloned anew', async () => {
    operations.reinitOutcome = { kind: 'refused', reason: 'IS_PRIMARY', message: '"n1" is the primary' }
    expect(await send('POST', '/reinitialize', {})).toBe('503 "n1" is the primary, can not reinitialize')
  })
})
