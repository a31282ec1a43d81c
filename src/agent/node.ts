import { Fault, messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import { createApiServer, type ApiServer } from '../api/server.ts'
import type { ClusterOperations, ReloadOutcome } from '../api/ports.ts'
import type { NodeConfig } from '../config/node-config.ts'
import type { ClusterView, LossReport } from '../model/cluster-view.ts'
import type { MemberFacts, SeenByMember } from '../model/member.ts'
import { plus, type MonotonicMs } from '../model/time.ts'
import { Executor } from '../ha/act/executor.ts'
import type { World } from '../ha/act/world.ts'
import type { Decision } from '../ha/decision.ts'
import { Jobs } from '../ha/jobs.ts'
import { keysOf, type Keys } from '../ha/keys.ts'
import { LeaseKeeper } from '../ha/lease-keeper.ts'
import { HaLoop } from '../ha/loop.ts'
import { Observer } from '../ha/observe/observer.ts'
import { policyOf, type Policy } from '../ha/policy.ts'
import type { LocalInstance } from '../ha/ports.ts'
import { RecordKeeper } from '../ha/record-keeper.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { join } from '../platform/disk.ts'
import { bootId, pid } from '../platform/process.ts'
import { every, pause } from '../platform/timers.ts'
import type { RaftStore } from '../store/raft/raft-store.ts'
import { realClock, watchSuspend } from './clock.ts'
import { Founding } from './consensus.ts'
import { startDetached } from './detached-process.ts'
import { GuardClient } from './guard-client.ts'
import { Heartbeats } from './heartbeats.ts'
import { PEER_PROTOCOL, PeerLink } from './peer-link.ts'
import { RouterLink } from './router-link.ts'
import { messageOf as tableMessage, routingTable } from './routing.ts'
import type { Secrets } from './secrets.ts'
import type { StateFolder } from './state-folder.ts'
import { statusReport } from './status-report.ts'
import { requestSwitchover } from './switchover.ts'
import { clusterView } from './view.ts'

/*
 * One node, built once from its parts, with one lifetime. Here ports meet adapters; nothing is decided here.
 */

/** A router of an earlier life comes back within this; then a new one is started. */
const ROUTER_GRACE_MS = 400
const STOP_MS = 8 * SECOND
const MOVE_CONSENSUS_EVERY_MS = 5 * SECOND

export type NodeParts = {
  readonly config: NodeConfig
  readonly log: Logger
  readonly metrics: Metrics
  readonly state: StateFolder
  readonly secrets: Secrets
  readonly token: string
  readonly ownHost: string
  readonly version: string
  readonly instance: LocalInstance
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string } | undefined
  /** Reads the configuration again and says what changed. */
  readonly reload: () => Promise<ReloadOutcome>
}

/** What exists only once consensus runs. */
type Brain = {
  readonly store: RaftStore
  readonly keeper: RecordKeeper
  readonly lease: LeaseKeeper
  readonly observer: Observer
  readonly executor: Executor
  readonly jobs: Jobs
  readonly loop: HaLoop
}

export class Node {
  readonly #parts: NodeParts
  readonly #policy: Policy
  readonly #keys: Keys
  readonly #members: readonly string[]
  readonly #self: string
  readonly #link: PeerLink
  readonly #heartbeats: Heartbeats
  readonly #guard: GuardClient
  readonly #router: RouterLink
  readonly #startedAt: MonotonicMs = realClock.monotonic()
  readonly #abort = new AbortController()
  readonly #cancels: (() => void)[] = []
  readonly #bootId = bootId()
  #api: ApiServer | undefined
  #founding: Founding | undefined
  #brain: Brain | undefined
  #seen: Snapshot | undefined
  #isStopping = false

  constructor(parts: NodeParts) {
    this.#parts = parts
    const { config, log, secrets, state } = parts
    this.#self = config.identity.nodeName
    this.#members = [this.#self, ...config.members.map(({ nodeName }) => nodeName)].toSorted()
    this.#policy = policyOf(config.ha.profile, {
      ...(config.ha.leaseTtlMs === undefined ? {} : { leaseTtlMs: config.ha.leaseTtlMs }),
      maximumLagBytes: config.replication.maximumLagOnFailoverBytes,
      primaryStartTimeoutMs: config.ha.primaryStartTimeoutMs,
    })
    this.#keys = keysOf(config.namespace, config.scope)
    this.#link = new PeerLink(
      { log, now: realClock.monotonic },
      {
        self: this.#self,
        peers: config.members.map((peer) => ({
          name: peer.nodeName,
          host: peer.apiHost,
          port: peer.apiPort,
        })),
        secret: secrets.cluster,
        ...(parts.tls ? { tls: parts.tls } : {}),
      },
    )
    this.#heartbeats = new Heartbeats(
      { clock: realClock, log, link: this.#link },
      {
        peers: config.members.map(({ nodeName }) => nodeName),
        periodMs: this.#policy.heartbeatMs,
        describe: () => this.#describe(),
      },
    )
    this.#guard = new GuardClient(
      { log, onFenced: () => this.#wake(), onState: () => this.#wake() },
      {
        socketPath: join(config.paths.runDir, 'guard.sock'),
        dataDir: config.postgresql.dataDir ?? '',
        logFile: state.logFile('guard'),
      },
    )
    this.#router = new RouterLink(
      { log, table: () => this.#routingMessage(), startRouter: () => this.#startRouter() },
      join(config.paths.runDir, 'agent.sock'),
    )
  }

  /** Returns when the node serves its API; consensus and PostgreSQL follow as soon as the other members allow. */
  async start(): Promise<void> {
    const { config, log, state, instance } = this.#parts
    const directory = await instance.inspect()
    this.#founding = await Founding.prepare(
      { state, log },
      { self: this.#self, scope: config.scope, members: this.#members, policy: this.#policy },
      directory.directory === 'absent' || directory.directory === 'incomplete',
    )
    this.#api = await this.#createApi()
    this.#api.onUpgrade(PEER_PROTOCOL, (socket, head, headers) => this.#link.accept(socket, head, headers))
    const { address, port } = await this.#api.listen()
    log.info('API listening', { address, port })
    if (this.#isManaged) this.#guard.start()
    if (config.router.enabled) await this.#router.start(ROUTER_GRACE_MS)
    this.#link.start()
    this.#heartbeats.start()
    this.#cancels.push(
      watchSuspend((ms) => {
        log.warn('The host was suspended: the lease counts as lost until it is renewed', {
          suspendedMs: Math.round(ms),
        })
        this.#brain?.keeper.distrustClock()
      }),
    )
    if (config.logging.statusIntervalMs > 0) {
      this.#cancels.push(
        every(config.logging.statusIntervalMs, () => log.info('Cluster status', statusReport(this.view()))),
      )
    }
    void this.#startBrain().catch((error: unknown) => {
      log.error('Cannot start consensus', { error })
      this.#fatal?.(error)
    })
    log.info('Application started successfully', { node: this.#self, members: this.#members.length })
  }

  #fatal: ((error: unknown) => void) | undefined

  /** Called when this node cannot go on: its process should end with an error. */
  onFatal(listener: (error: unknown) => void): void {
    this.#fatal = listener
  }

  get #isManaged(): boolean {
    return this.#parts.config.postgresql.dataDir !== undefined
  }

  /** Stops everything of this node; a primary hands over first when somebody can take over without loss. */
  async stop(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    const { log } = this.#parts
    log.info('Stopping this node')
    const brain = this.#brain
    if (brain && this.#isManaged) {
      brain.observer.beginStopping()
      this.#heartbeats.push()
      brain.loop.wake()
      await this.#instanceDown(brain, STOP_MS - SECOND)
    } else if (this.#isManaged) {
      await this.#parts.instance.stop(STOP_MS - 2 * SECOND)
    }
    await Promise.all([this.#router.stop(), this.#isManaged ? this.#stopGuard() : undefined])
    await this.#leave()
    log.info('Stopped')
  }

  /** Ends this agent only: PostgreSQL, router and guard go on, and the next agent adopts them. */
  async detach(): Promise<void> {
    this.#isStopping = true
    this.#router.detach()
    this.#guard.detach()
    await this.#leave()
  }

  async #leave(): Promise<void> {
    this.#abort.abort()
    for (const cancel of this.#cancels) cancel()
    this.#brain?.loop.stop()
    this.#brain?.lease.stop()
    this.#brain?.keeper.stop()
    this.#heartbeats.stop()
    this.#link.stop()
    await this.#api?.stop()
    await this.#brain?.store.stop()
  }

  async #stopGuard(): Promise<void> {
    try {
      await this.#guard.disarmAndConfirm()
    } catch (error) {
      this.#parts.log.warn('The guard did not answer', { error: messageOf(error) })
    }
    await this.#guard.stop()
  }

  async #instanceDown(brain: Brain, deadlineMs: number): Promise<void> {
    const until = plus(realClock.monotonic(), deadlineMs)
    const isDown = () => {
      const { state } = brain.observer.instance
      return (
        brain.jobs.running === undefined && (state === 'stopped' || state === 'crashed' || state === 'absent')
      )
    }
    while (!isDown() && realClock.monotonic() < until) await pause(20)
    if (!isDown()) await this.#parts.instance.kill()
  }

  async #startBrain(): Promise<void> {
    const { log } = this.#parts
    const store = await this.#founding?.open(this.#heartbeats, this.#link, {
      signal: this.#abort.signal,
      onFatal: (thrown) => {
        log.error('Consensus cannot go on', { error: thrown })
        this.#fatal?.(thrown)
      },
    })
    if (!store) return
    const brain = this.#buildBrain(store)
    this.#brain = brain
    brain.keeper.start()
    store.onStatusChange(() => this.#wake())
    store.watch(this.#keys.failover, 0, () => brain.loop.wake())
    brain.keeper.onChange(() => this.#onRecord(brain))
    this.#heartbeats.onChange(() => {
      brain.loop.wake()
      this.#router.push()
    })
    this.#parts.instance.onCrash(() => this.#wake())
    while (!this.#abort.signal.aborted && !(await brain.keeper.refresh(SECOND)))
      await pause(20, this.#abort.signal)
    if (this.#abort.signal.aborted) return
    log.info('Consensus answers', { voters: store.status().voters, leader: store.status().leader })
    brain.loop.start()
    brain.lease.start()
    void this.#publishAddress(store)
  }

  #buildBrain(store: RaftStore): Brain {
    const { log, instance, state } = this.#parts
    const deps = { clock: realClock, log, store }
    const keeper = new RecordKeeper(deps, { keys: this.#keys, policy: this.#policy, self: this.#self })
    const jobs = new Jobs({ clock: realClock, log, onChange: () => this.#wake() })
    const observer = new Observer(
      { ...deps, instance, guard: this.#guard, peers: this.#heartbeats, notebook: state, keeper, jobs },
      {
        self: this.#self,
        members: this.#members,
        initialiser: this.#initialiser(),
        policy: this.#policy,
        keys: this.#keys,
        managed: this.#isManaged,
      },
    )
    const world: World = {
      ...deps,
      instance,
      guard: this.#guard,
      notebook: state,
      keeper,
      jobs,
      observer,
      keys: this.#keys,
      policy: this.#policy,
      self: this.#self,
      writeDeadlineMs: this.#policy.leaseTtlMs / 2,
    }
    const executor = new Executor(world)
    const loop = new HaLoop({ clock: realClock, log, observer, executor }, (decision, seen) =>
      this.#onDecision(decision, seen),
    )
    const lease = new LeaseKeeper(
      { clock: realClock, keeper },
      {
        policy: this.#policy,
        self: this.#self,
        wanted: () => ({
          keepLease: loop.decision?.stance.keepLease ?? false,
          decidedAt: loop.decidedAt,
        }),
        position: () => (observer.instance.role === 'primary' ? observer.instance.flushLsn : undefined),
      },
    )
    return { store, keeper, jobs, observer, executor, loop, lease }
  }

  /** Exactly one member may create the cluster: the only one that is called primary in the config, else the first by name. */
  #initialiser(): string {
    const { config } = this.#parts
    const hinted = [
      { name: this.#self, hint: config.localDb.roleHint },
      ...config.members.map(({ nodeName, roleHint }) => ({ name: nodeName, hint: roleHint })),
    ].filter(({ hint }) => hint === 'primary')
    const only = hinted.length === 1 ? hinted[0]?.name : undefined
    return only ?? this.#members[0] ?? this.#self
  }

  #wake(): void {
    this.#brain?.loop.wake()
  }

  #onRecord(brain: Brain): void {
    const { provenUntil } = brain.keeper
    if (provenUntil > realClock.monotonic() && this.#guard.state() === 'armed') this.#guard.arm(provenUntil)
    brain.loop.wake()
    this.#router.push()
  }

  #onDecision(decision: Decision, seen: Snapshot): void {
    this.#seen = seen
    if (decision.stance.keepLease) this.#brain?.lease.nudge()
    this.#router.push()
    this.#moveConsensusAway(decision)
    const news = newsOf(seen, this.#brain?.observer.measuredUnder)
    if (news !== this.#lastTold) this.#heartbeats.push()
    this.#lastTold = news
  }

  #lastTold = ''
  #movedAt = 0

  /** Losing the primary's host should not cost an election too, so consensus is led from another node (safety.md 21). */
  #moveConsensusAway(decision: Decision): void {
    const brain = this.#brain
    const now = realClock.monotonic()
    if (decision.stance.kind !== 'primary' || brain?.store.status().leader !== this.#self) return
    if (now - this.#movedAt < MOVE_CONSENSUS_EVERY_MS) return
    this.#movedAt = now
    const heir = this.#heartbeats.facts().find(({ heardAt }) => now - heardAt < this.#policy.silenceLimitMs)
    if (!heir) return
    brain.store.transferLeadership(heir.name).then(
      (outcome) => this.#parts.log.info('Consensus is led from another node', { to: heir.name, outcome }),
      (error: unknown) => this.#parts.log.warn('Cannot move consensus', { error: messageOf(error) }),
    )
  }

  /** What goes into every heartbeat. */
  #describe(): ReturnType<ConstructorParameters<typeof Heartbeats>[1]['describe']> {
    const brain = this.#brain
    const provenUntil = brain?.keeper.provenUntil ?? 0
    const record = brain?.keeper.record
    const remainingMs = provenUntil - realClock.monotonic()
    const holds = record?.holder === this.#self && remainingMs > 0
    return {
      facts: this.#ownFacts(),
      genesis: this.#founding?.hello ?? { nonce: '', list: '', isEmpty: false },
      ...(holds ? { lease: { epoch: record.epoch, remainingMs } } : {}),
    }
  }

  #ownFacts(): MemberFacts {
    const { config, ownHost, version, tls } = this.#parts
    const brain = this.#brain
    const incarnation = brain?.observer.incarnation
    return {
      name: this.#self,
      ...(incarnation === undefined ? {} : { incarnation }),
      host: ownHost,
      port: config.localDb.port,
      apiUrl: `${tls ? 'https' : 'http'}://${ownHost}:${config.identity.apiPort}`,
      ...(config.router.enabled
        ? {
            routerPorts: {
              primary: config.router.primaryPort,
              replica: config.router.replicaPort,
              pooled: config.router.pooledPort,
            },
          }
        : {}),
      agentUptimeMs: Math.round(realClock.monotonic() - this.#startedAt),
      guard: this.#guard.state(),
      instance: brain?.observer.instance ?? { state: 'unknown' },
      stopping: this.#isStopping,
      seen: brain?.observer.measuredUnder ?? {
        epoch: 0,
        seq: 0,
        state: 'none',
        expired: false,
        witnessed: false,
      },
      version,
    }
  }

  #routingMessage(): ReturnType<typeof tableMessage> {
    const brain = this.#brain
    const now = realClock.monotonic()
    const table = routingTable({
      now,
      self: this.#self,
      record: brain?.keeper.record,
      provenUntil: brain?.keeper.provenUntil ?? (0 as MonotonicMs),
      isHandingOver: brain?.executor.isHandingOver ?? false,
      own: this.#ownFacts(),
      reachable: this.#heartbeats
        .facts()
        .filter(({ heardAt }) => now - heardAt <= this.#policy.silenceLimitMs)
        .map(({ facts }) => facts),
      leaseOf: (member) => this.#heartbeats.lease(member),
    })
    return tableMessage(table, now, this.#bootId)
  }

  view(): ClusterView {
    const brain = this.#brain
    const now = realClock.monotonic()
    const record = brain?.keeper.record
    const isOwn = record?.holder === this.#self
    const leaseUntil = isOwn
      ? brain?.keeper.provenUntil
      : record && this.#heartbeats.lease(record.holder)?.validUntil
    const { postmasterPid } = brain?.observer.instance ?? {}
    const router = this.#router.pid
    const guard = this.#guard.pid
    return clusterView({
      scope: this.#parts.config.scope,
      now,
      takenAt: new Date(realClock.wall()).toISOString(),
      own: this.#ownFacts(),
      peers: this.#heartbeats.facts(),
      silenceLimitMs: this.#policy.silenceLimitMs,
      record,
      leaseUntil: leaseUntil ?? (0 as MonotonicMs),
      store: brain?.store.status(),
      decision: brain?.loop.decision,
      waiting: this.#founding?.waiting,
      losses:
        brain?.store.peekPrefix(this.#keys.losses).map(({ value }) => JSON.parse(value) as LossReport) ?? [],
      queries: this.#router.totals,
      pids: {
        agent: pid,
        ...(postmasterPid === undefined ? {} : { postmaster: postmasterPid }),
        ...(guard === undefined ? {} : { guard }),
        ...(router === undefined ? {} : { router }),
      },
      mode: this.#isManaged ? 'managed' : 'attached',
    })
  }

  #createApi(): Promise<ApiServer> {
    const { config, log, metrics, secrets, token, tls, reload } = this.#parts
    const operations: ClusterOperations = {
      view: () => this.view(),
      loopAgeMs: () => (this.#brain?.loop.decision ? realClock.monotonic() - this.#brain.loop.decidedAt : 0),
      routing: () => this.#routingMessage(),
      switchover: async (order, { deadlineMs }) => {
        const brain = this.#brain
        if (!brain) return { kind: 'refused', reason: 'NO_QUORUM', message: 'Consensus does not run yet' }
        if (!this.#isManaged) {
          return { kind: 'refused', reason: 'ATTACHED', message: 'This agent only watches its PostgreSQL' }
        }
        const deps = { clock: realClock, store: brain.store, keeper: brain.keeper, keys: this.#keys }
        return requestSwitchover({ ...deps, seen: () => this.#seen }, order, deadlineMs)
      },
      reload,
    }
    return createApiServer(
      { operations, log, metrics },
      {
        host: config.identity.apiHost,
        port: config.identity.apiPort,
        ...(tls ? { tls } : {}),
        token,
        routingToken: secrets.routing,
        maximumLagBytes: this.#policy.maximumLagBytes,
      },
    )
  }

  #startRouter(): void {
    const { config, secrets, state, log, tls } = this.#parts
    const started = startDetached('router', {
      logFile: state.logFile('router'),
      options: {
        nodeName: this.#self,
        listenHost: config.router.listenHost,
        ports: {
          primary: config.router.primaryPort,
          replica: config.router.replicaPort,
          pooled: config.router.pooledPort,
        },
        holdTimeoutMs: config.router.holdTimeoutMs,
        maxClientConnections: config.router.maxClientConnections,
        agentSocket: join(config.paths.runDir, 'agent.sock'),
        members: config.members.map((peer) => ({
          name: peer.nodeName,
          apiUrl: `${tls ? 'https' : 'http'}://${peer.apiHost}:${peer.apiPort}`,
        })),
        routingToken: secrets.routing,
        ...(config.security.caFile === undefined ? {} : { caFile: config.security.caFile }),
        logging: { level: config.logging.level, file: state.logFile('router') },
      },
    })
    if (started) log.info('Started a router', { router: started.pid })
    else log.error('Cannot start a router')
  }

  /** Where this node's PostgreSQL is, for members that cannot hear this agent later. */
  async #publishAddress(store: RaftStore): Promise<void> {
    const { ownHost, config } = this.#parts
    const value = JSON.stringify({
      conn_url: `postgres://${ownHost}:${config.localDb.port}/postgres`,
      api_url: this.#ownFacts().apiUrl,
      host: ownHost,
      port: config.localDb.port,
    })
    while (!this.#abort.signal.aborted && store.peek(this.#keys.member(this.#self))?.value !== value) {
      try {
        const key = this.#keys.member(this.#self)
        await store.transact(
          { compares: [], operations: [{ kind: 'put', key, value }] },
          { deadlineMs: SECOND },
        )
      } catch (error) {
        if (error instanceof Fault && error.code === 'STORE_STOPPED') return
        await pause(SECOND, this.#abort.signal)
      }
    }
  }
}

/** What others should hear at once when it changes, as one comparable text. */
function newsOf(seen: Snapshot, under: SeenByMember | undefined): string {
  const { state, role, timeline, streaming } = seen.local.instance
  return JSON.stringify([state, role, timeline, streaming, under?.epoch, under?.state, under?.expired])
}
