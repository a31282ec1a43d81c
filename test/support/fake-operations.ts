import { judgeDynamicConfig, mergePatch, type JsonObject } from '../../src/model/dynamic-config.ts'
import type {
  ConfigDocument,
  DoctorDocument,
  EstimateDocument,
  LogDocument,
  MembersDocument,
  RecentDocument,
  WhyDocument,
} from '#client'
import type {
  ClusterOperations,
  InviteOrder,
  InviteOutcome,
  JoinOrder,
  JoinOutcome,
  ConfigChange,
  ConfigOutcome,
  ConfirmDownOutcome,
  HoldOutcome,
  HoldWish,
  ReinitOutcome,
  ReloadOutcome,
  RestartOutcome,
  RestartWish,
  ScheduleOutcome,
  ScheduleWish,
  RemoveOutcome,
  RouterRestartOutcome,
  SwitchoverOrder,
  SwitchoverOutcome,
  UnscheduleOutcome,
} from '../../src/api/ports.ts'
import type { ClusterView } from '../../src/model/cluster-view.ts'
import type { FailoverRecord } from '../../src/model/failover-record.ts'
import type { StatementLatency } from '../../src/model/statement-latency.ts'
import type { RoutingTableMessage } from '../../src/model/routing-table.ts'
import { sampleDoctor } from './sample-doctor.ts'

/** The port of the REST API with answers that a test sets, and a list of the changes that were asked for. */
export class FakeOperations implements ClusterOperations {
  current: ClusterView
  loopAge = 10
  outcome: SwitchoverOutcome = { kind: 'done', from: 'n1', to: 'n2', epoch: 3, tookMs: 90 }
  reloadOutcome: ReloadOutcome = {
    kind: 'applied',
    changed: ['logging.level'],
    needsRouterRestart: [],
    needsRestart: [],
  }
  inviteOutcome: InviteOutcome = {
    kind: 'done',
    name: 'n4',
    token: '0123456789abcdef.secret',
    expiresAt: '2026-05-04T04:02:01.000Z',
    urls: ['http://10.0.0.1:8008', 'http://10.0.0.2:8008'],
  }
  removeOutcome: RemoveOutcome = {
    kind: 'done',
    name: 'n3',
    removedAt: '2026-05-04T03:02:01.000Z',
    consensus: 'done',
    remaining: ['n1', 'n2'],
  }
  holdOutcome: HoldOutcome | undefined
  reinitOutcome: ReinitOutcome = { kind: 'asked', name: 'n2', from: 'n1' }
  scheduleOutcome: ScheduleOutcome = { kind: 'scheduled' }
  unscheduleOutcome: UnscheduleOutcome = { kind: 'deleted' }
  confirmDownOutcome: ConfirmDownOutcome = { kind: 'confirmed', name: 'n1', epoch: 2 }
  routerOutcome: RouterRestartOutcome = {
    kind: 'restarted',
    router: 12,
    retiring: 11,
    drainTimeoutMs: 300_000,
  }
  joinOutcome: JoinOutcome = { kind: 'done', name: 'n4', nonce: 'aa', sealed: 'bb' }
  membersDocument: MembersDocument = {
    scope: 'main',
    self: 'n1',
    isRegistered: true,
    members: [
      {
        name: 'n1',
        apiHost: '10.0.0.1',
        apiPort: 8008,
        consensus: 'voter',
        reachable: true,
        heardMsAgo: 0,
        state: 'running',
        role: 'primary',
      },
      {
        name: 'n2',
        apiHost: '10.0.0.2',
        apiPort: 8008,
        consensus: 'leader',
        reachable: true,
        heardMsAgo: 40,
      },
      { name: 'n4', apiHost: '10.0.0.4', apiPort: 8008, consensus: 'learner', behind: 12, reachable: false },
    ],
    invitations: [],
    removed: [],
  }
  recentDocument: RecentDocument = {
    self: 'n1',
    next: 2,
    everyMs: 2000,
    times: [1_777_863_721_000],
    series: [
      {
        name: 'n1',
        lagBytes: [null],
        walBytesPerSecond: [1200],
        transactionsPerSecond: [40],
        transactionMs: [1.5],
        connections: [7],
      },
    ],
    events: [
      {
        number: 2,
        at: '2026-05-04T03:02:01.000Z',
        severity: 'good',
        member: 'n2',
        text: 'n2 is heard again',
      },
    ],
  }
  estimateDocument: EstimateDocument = {
    takeover: 'revocation',
    crashMs: 180,
    silenceMs: 980,
    noticeMs: 800,
    measured: 3,
    lossBytes: 0,
    survives: 1,
    candidates: [{ name: 'n2' }, { name: 'n3', why: 'does not stream' }],
  }
  settings: JsonObject = {}
  restartOutcome: RestartOutcome | undefined
  doctorDocument: DoctorDocument = sampleDoctor('n1')
  whyDocument: WhyDocument = {
    self: 'n1',
    takenAt: '2026-05-04T03:02:01.000Z',
    cluster: [
      {
        question: 'FAILOVER',
        isWell: true,
        reason: 'HOLDS_LEASE',
        sentence: 'n1 is primary of epoch 2, timeline 2: its lease is proven for 2.4 s more',
      },
    ],
    members: [
      {
        name: 'n1',
        answers: [{ question: 'DOING', isWell: true, reason: 'HOLDS_LEASE', sentence: 'primary of epoch 2' }],
      },
      {
        name: 'n2',
        answers: [
          {
            question: 'READS',
            isWell: false,
            reason: 'NOT_IN_POOL',
            sentence: 'routers lead no reads there: it is tagged noloadbalance',
          },
        ],
      },
    ],
  }
  failure: Error | undefined
  readonly changes: string[] = []

  constructor(view: ClusterView) {
    this.current = view
  }

  view(): ClusterView {
    if (this.failure) throw this.failure
    return this.current
  }

  loopAgeMs(): number {
    return this.loopAge
  }

  failovers(): readonly FailoverRecord[] {
    return [
      {
        epoch: 2,
        from: 'n2',
        to: 'n1',
        reason: 'PRIMARY_CRASHED',
        takeover: 'revocation',
        startedAt: '2026-05-04T01:02:03.000Z',
        steps: [
          { atMs: 0, step: 'noticed', detail: 'n2 says that its PostgreSQL is crashed' },
          { atMs: 12, step: 'begun', detail: 'PRIMARY_CRASHED' },
          { atMs: 160, step: 'open' },
        ],
        passedOver: [{ name: 'n3', why: 'is as good, and ranks behind' }],
      },
    ]
  }

  latencies(): readonly StatementLatency[] {
    return [
      {
        database: 'app',
        user: 'me',
        counts: [3, 0, 2, ...Array.from({ length: 16 }, () => 0), 1],
        sumMs: 1500,
      },
    ]
  }

  routing(): RoutingTableMessage {
    return {
      epoch: 2,
      primary: { name: 'n1', host: '10.0.0.1', port: 5432 },
      replicas: [],
      validForMs: 900,
      bootId: 'boot',
    }
  }

  switchover(order: SwitchoverOrder): Promise<SwitchoverOutcome> {
    this.changes.push(`switchover ${order.from ?? '*'} ${order.to ?? '*'}`)
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(this.outcome)
  }

  schedule(wish: ScheduleWish): Promise<ScheduleOutcome> {
    this.changes.push(`schedule ${JSON.stringify(wish)}`)
    return Promise.resolve(this.scheduleOutcome)
  }

  unschedule(what: ScheduleWish['kind']): Promise<UnscheduleOutcome> {
    this.changes.push(`unschedule ${what}`)
    return Promise.resolve(this.unscheduleOutcome)
  }

  reload(): Promise<ReloadOutcome> {
    this.changes.push('reload')
    return Promise.resolve(this.reloadOutcome)
  }

  recent(after: number): RecentDocument {
    return {
      ...this.recentDocument,
      events: this.recentDocument.events.filter(({ number }) => number > after),
    }
  }

  estimate(): EstimateDocument {
    return this.estimateDocument
  }

  doctor(): Promise<DoctorDocument> {
    return Promise.resolve(this.doctorDocument)
  }

  why(): WhyDocument {
    return this.whyDocument
  }

  config(): ConfigDocument {
    return {
      node: 'n1',
      settings: [
        { key: 'cluster.scope', value: 'main', from: 'node.yaml:2' },
        { key: 'postgresql.bin_dir', from: 'default' },
      ],
    }
  }

  log(after: number): LogDocument {
    const lines = ['{"time":"2026-05-04T03:02:01.000Z","level":"INFO","msg":"Promoted"}'].slice(after)
    return { node: 'n1', next: 1, lines }
  }

  members(): MembersDocument {
    return this.membersDocument
  }

  invite({ name, apiHost, apiPort }: InviteOrder): Promise<InviteOutcome> {
    this.changes.push(`invite ${name} ${apiHost}:${apiPort}`)
    return Promise.resolve(this.inviteOutcome)
  }

  removeMember({ name }: { readonly name: string }): Promise<RemoveOutcome> {
    this.changes.push(`remove ${name}`)
    return Promise.resolve(this.removeOutcome)
  }

  reinit(name: string): Promise<ReinitOutcome> {
    this.changes.push(`reinit ${name}`)
    return Promise.resolve(this.reinitOutcome)
  }

  hold({ name, isHeld, reason }: HoldWish): Promise<HoldOutcome> {
    this.changes.push(`${isHeld ? 'hold' : 'unhold'} ${name}${reason === undefined ? '' : ` ${reason}`}`)
    return Promise.resolve(this.holdOutcome ?? { kind: 'done', name })
  }

  restart({ name, ...conditions }: RestartWish): Promise<RestartOutcome> {
    this.changes.push(`restart ${name} ${JSON.stringify(conditions)}`)
    return Promise.resolve(this.restartOutcome ?? { kind: 'done', name, tookMs: 412 })
  }

  restartRouter(): Promise<RouterRestartOutcome> {
    this.changes.push('restart router')
    return Promise.resolve(this.routerOutcome)
  }

  dynamicConfig(): JsonObject {
    return this.settings
  }

  /** Judged and merged as an agent does it. */
  changeConfig(change: ConfigChange): Promise<ConfigOutcome> {
    const config = change.kind === 'replace' ? change.config : mergePatch(this.settings, change.patch)
    const [problem] = judgeDynamicConfig(config)
    if (problem) {
      return Promise.resolve({
        kind: 'refused',
        reason: 'INVALID',
        message: `"${problem.key}" ${problem.rule}`,
      })
    }
    this.changes.push(`config ${JSON.stringify(config)}`)
    this.settings = config
    const { paused: _before, ...view } = this.current
    this.current = { ...view, ...(config['pause'] === true ? { paused: true } : {}) }
    return Promise.resolve({ kind: 'done', config })
  }

  confirmDown(name: string): Promise<ConfirmDownOutcome> {
    this.changes.push(`confirm-down ${name}`)
    return Promise.resolve(this.confirmDownOutcome)
  }

  join({ invitation }: JoinOrder): Promise<JoinOutcome> {
    this.changes.push(`join ${invitation}`)
    return Promise.resolve(this.joinOutcome)
  }
}
