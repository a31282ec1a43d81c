import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Diagnosis, NodeFacts } from '#client'
import { sampleDatabase, sampleFacts } from '../../test/support/sample-doctor.ts'
import { sampleMember, sampleRecord, sampleView, type MemberChanges } from '../../test/support/sample-view.ts'
import type { PlanFacts } from './checks/plan.ts'
import { diagnoseCluster, diagnoseNode, diagnosePlan } from './diagnose.ts'
import type { ClusterFacts } from './diagnosis.ts'

const MB = 1024 ** 2
const GB = 1024 ** 3

const member = (changes: MemberChanges) => sampleMember('n2', changes).facts
const database = (...changes: Parameters<typeof sampleDatabase>) => ({ database: sampleDatabase(...changes) })
const host = (changes: Partial<NodeFacts['host']>) => ({ host: { ...sampleFacts('n2').host, ...changes } })
const disk = (freeBytes: number, totalBytes = 100 * GB) =>
  host({ disks: [{ holds: ['WAL'], folder: '/wal', freeBytes, totalBytes }] })
const certificate = (expiresAt: string, days: number) =>
  host({
    certificates: [{ for: 'the router', file: '/r.crt', expiresAt, expiresInMs: days * 86_400_000 }],
  })
const slot = (changes: Partial<NonNullable<NodeFacts['database']>['slots'][number]>) =>
  database({ slots: [{ name: 'metako_n3', isActive: false, isOwn: true, ...changes }] })
const setup = (changes: Partial<NodeFacts['setup']>) => ({
  setup: { ...sampleFacts('n2').setup, ...changes },
})
const peer = (changes: Partial<NodeFacts['peers'][number]>) => ({
  peers: [{ name: 'n3', api: 'n3:8008', ...changes }],
})

function clusterFacts(changes: Partial<ClusterFacts> = {}): ClusterFacts {
  return {
    view: sampleView(),
    nodes: [sampleFacts('n1', database({ role: 'primary' })), sampleFacts('n2'), sampleFacts('n3')],
    clocks: [],
    unanswered: [],
    ...changes,
  }
}

const members = (second: MemberChanges) => ({
  view: sampleView({
    members: [
      sampleMember('n1', { instance: { role: 'primary' } }),
      sampleMember('n2', { ...second, instance: { streaming: true, ...second.instance } }),
      sampleMember('n3', { instance: { streaming: true } }),
    ],
  }),
})

function planFacts(changes: Partial<PlanFacts> = {}): PlanFacts {
  return {
    ports: [{ of: 'the API', port: 8008, isTaken: false }],
    dataDir: { folder: '/data', holds: 'nothing' },
    programs: { folder: '/usr/lib/postgresql/18/bin', version: 'postgres (PostgreSQL) 18.4' },
    peers: [{ name: 'n2', api: '10.0.0.2:8008', isThere: true }],
    problems: [],
    ...changes,
  }
}

const bad = (diagnoses: readonly Diagnosis[]) =>
  diagnoses.filter(({ severity }) => severity === 'warning' || severity === 'error')

describe('what is well', () => {
  it('of a node, a cluster and a plan draws no warning, and says what was looked at', () => {
    for (const diagnoses of [
      diagnoseNode(sampleFacts('n2')),
      diagnoseCluster(clusterFacts()),
      diagnosePlan(planFacts()),
    ]) {
      expect(bad(diagnoses)).toEqual([])
      expect(diagnoses.filter(({ severity }) => severity === 'ok').length).toBeGreaterThanOrEqual(3)
    }
    expect(diagnoseNode(sampleFacts('n2')).every((one) => one.member === 'n2')).toBe(true)
  })

  it('is not told of what could not be learnt', () => {
    const { database: _none, member: _neither, ...bare } = sampleFacts('n2')
    const facts = { ...bare, host: { disks: [], files: [], certificates: [] }, peers: [] }
    expect(diagnoseNode(facts).map(({ code }) => code)).toEqual(['RUNTIME'])
  })
})

/** Code, severity, the facts that it is planted in, and what of the numbers has to be said. */
type Planted<Facts> = readonly (readonly [string, Diagnosis['severity'], Facts, RegExp])[]

const nodeFaults: Planted<Partial<NodeFacts>> = [
  ['RUNTIME_TOO_OLD', 'error', { software: { agent: '0.1.0', runtime: '18.20.1' } }, /18\.20\.1.*20\.19/],
  [
    'INSTANCE_DOWN',
    'error',
    { member: member({ instance: { state: 'crashed', trouble: 'no space' } }) },
    /crashed: no space/,
  ],
  ['INSTANCE_BUSY', 'note', { member: member({ instance: { state: 'cloning' } }) }, /cloning/],
  [
    'INSTANCE_SILENT',
    'error',
    { database: undefined as never, databaseTrouble: 'no answer within 3000 ms' },
    /3000 ms/,
  ],
  [
    'INSTANCE_TROUBLE',
    'note',
    { member: member({ instance: { trouble: 'the last clone failed' } }) },
    /clone failed/,
  ],
  ['ATTACHED', 'warning', setup({ mode: 'attached' }), /only watches/],
  [
    'WRITES_SLOWLY',
    'warning',
    { member: member({ facts: { writePath: { state: 'slow', latencyMs: 512 } } }) },
    /512 ms/,
  ],
  [
    'WRITE_STALLED',
    'error',
    { member: member({ facts: { writePath: { state: 'stalled' } } }) },
    /does not come back/,
  ],
  ['DISK_FULL', 'error', { member: member({ facts: { writePath: { state: 'full' } } }) }, /too little room/],
  [
    'NO_CONNECTION_SLOTS',
    'error',
    { member: member({ facts: { writePath: { state: 'no-slot' } } }) },
    /nobody in/,
  ],
  ['NOT_DURABLE', 'error', database({ settings: { fsync: 'off' } }), /fsync is off/],
  ['NOT_DURABLE', 'error', database({ settings: { full_page_writes: 'off' } }), /full_page_writes is off/],
  [
    'COMMITS_NOT_FLUSHED',
    'warning',
    database({ settings: { synchronous_commit: 'off' } }),
    /before it is on any disk/,
  ],
  [
    'CANNOT_REWIND',
    'warning',
    database({ settings: { wal_log_hints: 'off', data_checksums: 'off' } }),
    /cloned anew/,
  ],
  ['NO_CHECKSUMS', 'note', database({ settings: { data_checksums: 'off' } }), /wrong bytes/],
  ['WAL_LEVEL', 'error', database({ settings: { wal_level: 'minimal' } }), /minimal/],
  [
    'TOO_FEW_SENDERS',
    'error',
    database({ settings: { max_wal_senders: '3' } }),
    /is 3, and 3 members need 4/,
  ],
  [
    'TOO_FEW_SENDERS',
    'error',
    database({ settings: { max_replication_slots: '1' } }),
    /is 1, and 3 members need 2/,
  ],
  ['SLOTS_UNBOUNDED', 'warning', database({ settings: { max_slot_wal_keep_size: '-1' } }), /-1/],
  [
    'NO_WAL_KEPT',
    'warning',
    { ...setup({ useSlots: false }), ...database({ settings: { wal_keep_size: '0' } }) },
    /wal_keep_size is 0/,
  ],
  ['PENDING_RESTART', 'warning', database({ pendingRestart: ['max_connections'] }), /max_connections/],
  [
    'HBA_ERROR',
    'error',
    database({ accessErrors: ['line 4: invalid connection type "hots"'] }),
    /line 4.*hots/,
  ],
  [
    'REPLICATION_REFUSED',
    'error',
    peer({ roundTripMs: 1, replication: 'refused', replicationTrouble: 'no pg_hba.conf entry' }),
    /stream from n3.*pg_hba/,
  ],
  ['SECRET_DERIVED', 'note', setup({ isSecretDerived: true }), /derived/],
  ['SLOT_LOST', 'error', slot({ walStatus: 'lost' }), /metako_n3 stood for is gone/],
  [
    'SLOT_UNUSED',
    'warning',
    slot({ name: 'cdc', isOwn: false, keepsBytes: 3 * MB }),
    /cdc is used by nobody and keeps 3 MB/,
  ],
  ['SLOT_BEHIND', 'warning', slot({ keepsBytes: 5 * GB }), /5\.0 GB/],
  ['SLOT_BEHIND', 'warning', slot({ walStatus: 'unreserved' }), /about to lose it/],
  ['ARCHIVING_FAILS', 'error', database({ archiving: { failed: 7, isFailing: true } }), /7 times/],
  ['XIDS_OLD', 'warning', database({ oldestXidAge: 1_200_000_000 }), /1200 million/],
  ['XIDS_RUN_OUT', 'error', database({ oldestXidAge: 2_000_000_000 }), /2000 million/],
  ['TRANSACTION_OLD', 'warning', database({ oldestTransactionMs: 7 * 3_600_000 }), /420 min/],
  ['PREPARED_TRANSACTIONS', 'note', database({ preparedTransactions: 2 }), /2 prepared/],
  [
    'CONNECTIONS_SCARCE',
    'warning',
    {
      member: member({
        facts: {
          activity: { atMs: 0, transactions: 0, busyMs: 0, active: 0, connections: 95, connectionsMax: 100 },
        },
      }),
    },
    /95 of 100/,
  ],
  ['DISK_FULL', 'error', disk(64 * MB), /64 MB of 100\.0 GB/],
  ['DISK_NEARLY_FULL', 'warning', disk(1 * GB), /1\.0 GB of 100\.0 GB \(1 %\)/],
  [
    'FLUSH_UNKNOWN',
    'note',
    { host: { disks: [], files: [], certificates: [], flushTrouble: 'EACCES' } },
    /EACCES/,
  ],
  ['DISK_SLOW', 'warning', host({ flush: { medianMs: 31, worstMs: 90, times: 20 } }), /31 ms/],
  ['DISK_TOO_SLOW', 'error', host({ flush: { medianMs: 2, worstMs: 900, times: 20 } }), /900 ms/],
  ['FILES_SCARCE', 'error', host({ files: [{ process: 'agent', open: 900, max: 1024 }] }), /900 of 1024/],
  [
    'FILES_LIMIT_LOW',
    'warning',
    host({ files: [{ process: 'router', open: 60, max: 1024 }] }),
    /1024 files, and 1000 clients need 2100/,
  ],
  [
    'CERTIFICATE_UNUSABLE',
    'error',
    host({
      certificates: [{ for: 'the API', file: '/a.crt', trouble: 'the key belongs to another certificate' }],
    }),
    /another certificate/,
  ],
  ['CERTIFICATE_EXPIRED', 'error', certificate('2026-05-01T00:00:00.000Z', -3), /expired on 2026-05-01/],
  ['CERTIFICATE_EXPIRES', 'warning', certificate('2026-05-10T12:00:00.000Z', 6.4), /in 6 days/],
  ['GUARD_ABSENT', 'error', { member: member({ facts: { guard: 'absent' } }) }, /no guard runs/],
  ['NO_WATCHDOG', 'note', {}, /no watchdog/],
  [
    'WATCHDOG_UNUSABLE',
    'warning',
    { member: member({ facts: { watchdog: { mode: 'automatic', state: 'absent', why: 'no device' } } }) },
    /no device/,
  ],
  [
    'WATCHDOG_UNUSABLE',
    'error',
    { member: member({ facts: { watchdog: { mode: 'required', state: 'unfit', why: 'too long' } } }) },
    /does not become primary/,
  ],
  ['PEER_UNREACHABLE', 'error', peer({ apiTrouble: 'ECONNREFUSED' }), /n3 at n3:8008: ECONNREFUSED/],
  ['ROUND_TRIP_LONG', 'warning', peer({ roundTripMs: 130 }), /130 ms/],
  ['ROUND_TRIP', 'note', peer({ roundTripMs: 30 }), /30 ms/],
  ['API_IS_PLAIN', 'note', setup({ isApiTls: false }), /without TLS/],
]

const { consensus } = sampleView()
const clusterFaults: Planted<Partial<ClusterFacts>> = [
  ['PAUSED', 'warning', { view: sampleView({ paused: true }) }, /nobody takes over/],
  [
    'NO_QUORUM',
    'error',
    { view: sampleView({ consensus: { ...consensus, hasQuorum: false }, members: [sampleMember('n1')] }) },
    /1 of 3 voters answer n1, n2 and n3 not; 2 are needed/,
  ],
  ['NO_MARGIN', 'warning', members({ reachable: false }), /2 of 3 voters.*not one more may fail/],
  [
    'VOTERS_EVEN',
    'note',
    { view: sampleView({ consensus: { ...consensus, voters: ['n1', 'n2', 'n3', 'n4'] } }) },
    /4 voters/,
  ],
  ['ONE_VOTER', 'note', { view: sampleView({ consensus: { ...consensus, voters: ['n1'] } }) }, /one voter/],
  [
    'NOT_LOOKED_AT',
    'error',
    { unanswered: [{ name: 'n3', why: 'ECONNREFUSED', isForWantOfToken: false }] },
    /ECONNREFUSED/,
  ],
  [
    'NO_TOKEN',
    'warning',
    { unanswered: [{ name: 'n3', why: 'Cannot do this without a token', isForWantOfToken: true }] },
    /without a token/,
  ],
  [
    'LOSS_RECORDED',
    'note',
    {
      view: sampleView({
        losses: [
          {
            epoch: 2,
            member: 'n3',
            timeline: 1,
            forkLsn: '0/1',
            endLsn: '0/2',
            bytes: 9,
            transactions: 3,
            xids: [],
            keptIn: '/lost',
            foundAt: '',
          },
        ],
      }),
    },
    /3 transactions.*n3/,
  ],
  [
    'NO_PRIMARY',
    'error',
    { view: sampleView({ record: sampleRecord({ state: 'pledging' }) }) },
    /epoch 2 of n1 is pledging/,
  ],
  ['NOT_STREAMING', 'error', members({ instance: { streaming: false } }), /does not stream/],
  ['WRONG_TIMELINE', 'error', members({ instance: { timeline: 1 } }), /timeline 1, the primary on 2/],
  ['REPLAY_PAUSED', 'warning', members({ instance: { walReplayPaused: true } }), /paused/],
  [
    'LAGS',
    'warning',
    {
      view: {
        ...members({}).view,
        streams: [
          {
            from: 'n1',
            to: 'n2',
            state: 'streaming',
            isSync: true,
            flushLagBytes: 40 * MB,
            replayLagBytes: 41 * MB,
          },
        ],
      },
    },
    /40 MB are not on its disk, 41 MB/,
  ],
  [
    'COMMITS_UNPROTECTED',
    'error',
    {
      view: sampleView({
        record: sampleRecord({
          acks: [{ epoch: 2, holder: { name: 'n1', incarnation: 'a' }, rule: { k: 0, members: [] } }],
        }),
      }),
    },
    /no standby has/,
  ],
  [
    'RELEASES_DIFFER',
    'warning',
    { nodes: [sampleFacts('n1'), sampleFacts('n2', { software: { agent: '0.2.0', runtime: '20.19.5' } })] },
    /0\.1\.0 on n1, 0\.2\.0 on n2/,
  ],
  [
    'POSTGRES_MAJORS_DIFFER',
    'error',
    members({ instance: { serverVersion: 170002 } }),
    /18 on n1 and n3, 17 on n2/,
  ],
  ['POSTGRES_MINORS_DIFFER', 'note', members({ instance: { serverVersion: 180002 } }), /18\.2 on n2/],
  [
    'POSTGRES_TOO_OLD',
    'warning',
    {
      view: sampleView({
        members: [sampleMember('n1', { instance: { role: 'primary', serverVersion: 130009 } })],
      }),
    },
    /PostgreSQL 13/,
  ],
  [
    'STANDBY_HAS_LESS',
    'error',
    {
      nodes: [
        sampleFacts('n1', database({ role: 'primary', settings: { max_connections: '300' } })),
        sampleFacts('n2'),
      ],
    },
    /max_connections is 100 on n2 and 300 on the primary n1/,
  ],
  [
    'CLOCKS_APART',
    'warning',
    {
      clocks: [
        { name: 'n1', offsetMs: -4000, errorMs: 10 },
        { name: 'n2', offsetMs: 1000, errorMs: 10 },
      ],
    },
    /n2 is at least 5\.0 s ahead of that of n1/,
  ],
  ['NO_BACKUPS', 'note', {}, /no backups yet/],
]

const planFaults: Planted<Partial<PlanFacts>> = [
  [
    'CONFIG_INVALID',
    'error',
    {
      problems: [
        {
          severity: 'error',
          place: 'node.yaml line 3',
          what: 'nonsense: there is no such key',
          remedy: 'Remove the key',
        },
      ],
    },
    /node\.yaml line 3: nonsense/,
  ],
  [
    'CONFIG_DOUBTFUL',
    'warning',
    { problems: [{ severity: 'warning', place: 'node.yaml', what: 'is odd', remedy: 'Look at it again' }] },
    /odd/,
  ],
  ['PORT_TAKEN', 'warning', { ports: [{ of: 'the API', port: 8008, isTaken: true }] }, /8008.*the API/],
  ['ATTACHED', 'note', { dataDir: undefined as never }, /data_dir is not set/],
  ['FOREIGN_FILES', 'error', { dataDir: { folder: '/data', holds: 'other files' } }, /\/data/],
  ['PROGRAMS_SEARCHED', 'note', { programs: undefined as never }, /looks for PostgreSQL itself/],
  ['PROGRAMS_MISSING', 'error', { programs: { folder: '/none', trouble: 'ENOENT' } }, /\/none: ENOENT/],
  [
    'OTHERS_SILENT',
    'note',
    { peers: [{ name: 'n2', api: '10.0.0.2:8008', isThere: false }] },
    /n2 at 10\.0\.0\.2:8008/,
  ],
]

function expectFound(
  diagnoses: readonly Diagnosis[],
  [code, severity, , evidence]: Planted<unknown>[number],
): void {
  const found = diagnoses.filter((one) => one.code === code && one.severity === severity)
  expect(found.map((one) => one.evidence).join('\n'), code).toMatch(evidence)
  if (severity === 'warning' || severity === 'error')
    for (const one of found) expect(one.fix?.length, code).toBeGreaterThan(10)
}

describe('a planted fault', () => {
  it.each(nodeFaults)('of a node: %s (%s)', (...planted) => {
    expectFound(diagnoseNode(sampleFacts('n2', planted[2])), planted)
  })

  it.each(clusterFaults)('of the cluster: %s (%s)', (...planted) => {
    expectFound(diagnoseCluster(clusterFacts(planted[2])), planted)
  })

  it.each(planFaults)('before the start: %s (%s)', (...planted) => {
    expectFound(diagnosePlan(planFacts(planted[2])), planted)
  })

  it('is planted here for everything that a check can say', () => {
    const folder = new URL('checks/', import.meta.url)
    const sayable = readdirSync(folder).flatMap((file) => {
      const text = readFileSync(new URL(file, folder), 'utf8')
      return [...text.matchAll(/\b(note|warning|error)\(\s*'([A-Z_]+)'/g)].map(
        (match) => `${match[2]} ${match[1]}`,
      )
    })
    const planted = [...nodeFaults, ...clusterFaults, ...planFaults].map(
      ([code, severity]) => `${code} ${severity}`,
    )
    expect(sayable.length).toBeGreaterThan(50)
    expect([...new Set(sayable)].filter((one) => !planted.includes(one))).toEqual([])
  })

  it('of one kind draws no diagnosis of another kind', () => {
    const codes = bad(diagnoseNode(sampleFacts('n2', slot({ walStatus: 'lost' })))).map(({ code }) => code)
    expect(codes).toEqual(['SLOT_LOST'])
  })
})
