import { messageOf } from '../std/fault.ts'
import { openApiPort, type ApiPort } from '../api/api-port.ts'
import type { TlsFiles } from '../api/listener.ts'
import type { ConfigDocument } from '#client'
import type { ClusterOperations, MemberRefused, ReloadOutcome, RouterRestartOutcome } from '../api/ports.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { join } from '../platform/disk.ts'
import type { KeptLogger } from '../platform/log.ts'
import { knock } from '../platform/net.ts'
import { findDatabaseUser } from '../platform/os-user.ts'
import { bootId, pid } from '../platform/process.ts'
import { randomHex } from '../platform/random.ts'
import { after, every, pause } from '../platform/timers.ts'
import { buildSslRequest } from '../wire/startup.ts'
import { ACTIVITY_EVERY_MS, ActivityWatch, type CountedInstance } from './activity-watch.ts'
import { CallbackCaller } from './callbacks/callback-caller.ts'
import { CancelRelay } from './cancel-relay.ts'
import { realClock, watchSuspend } from './clock.ts'
import { ControlPlane, type ControlPlanePorts } from './control-plane.ts'
import { readDashboard } from './dashboard-files.ts'
import { routerProgram, startDetached } from './detached-process.ts'
import { NodeExaminer } from './doctor/examine-node.ts'
import { reachablePeers } from './doctor/peer-reach.ts'
import { estimateOf } from './estimate.ts'
import { GuardClient } from './guard-client.ts'
import { guardDoor } from './guard-door.ts'
import { watchdogOf } from './node-policy.ts'
import { PEER_PROTOCOL, PeerLink } from './peer-link.ts'
import { RecentPast } from './recent-past.ts'
import type { RouterOptions } from '../proxy/router-process.ts'
import type { ReloadNews } from '../proxy/router/agent-link.ts'
import { refused } from './refused.ts'
import { RouterLink } from './router-link.ts'
import { agentSocketOf, poolOptions, routerOptions } from './router-options.ts'
import type { Secrets } from './secrets.ts'
import type { StateFolder } from './state-folder.ts'
import { statusReport } from './status-report.ts'

/*
 * One node, built once from its parts, with one lifetime. Here the control plane meets sockets and processes; nothing is
 * decided here.
 */

/** A router of an earlier life comes back within this; then a new one is started. */
const ROUTER_GRACE_MS = 400
/** Where the lease cannot be renewed now, people are told why after this: what it takes three agents on two busy cores to begin. */
const ANSWER_WITHIN_MS = 1500
/** In a pause a guard lets go once a renewal has said so: a store that answers commits one within this. */
const GUARDS_LET_GO_MS = 5000
const GUARD_LOOK_MS = 20
/** How long a node that is stopped waits for the program that is told of it, so that its words get into the log. */
const CALLBACKS_AT_STOP_MS = 3000
/** Changes that come together are looked at once. */
const LOOK_AFTER_MS = 100

const WHY_NO_OTHER_ROUTER = {
  NO_ROUTER: 'No router of this node is connected to its agent',
  BUSY: 'A router of this node is being replaced already',
  FAILED: 'The next router could not begin',
  SILENT: 'The router did not say in time that another has its ports',
} as const

const NO_INVITATIONS: MemberRefused = {
  kind: 'refused',
  reason: 'NOT_READY',
  message: 'Members of a cluster in etcd come without an invitation',
  remedy: 'Start pg-metako on the new node with the same scope and the same etcd',
}

/** The certificates of the API, and what this node shows when it asks another's. */
export type NodeTls = TlsFiles & { readonly shown: { readonly cert: string; readonly key: string } }

export type NodeParts = {
  readonly config: NodeConfig
  readonly log: KeptLogger
  readonly state: StateFolder
  readonly secrets: Secrets
  readonly token: string
  readonly ownHost: string
  readonly isOwnHostGuessed: boolean
  readonly version: string
  readonly instance: CountedInstance
  readonly tls?: NodeTls | undefined
  /** An etcd in the place of the built-in consensus. */
  readonly etcd?: ControlPlanePorts['etcd']
  /** Reads the configuration again and says what changed. */
  readonly reload: () => Promise<ReloadOutcome>
  /** The configuration that counts, secrets masked. */
  readonly settings: () => ConfigDocument['settings']
}

export class Node {
  readonly #parts: NodeParts
  readonly #link: PeerLink
  readonly #guard: GuardClient
  readonly #router: RouterLink
  readonly #control: ControlPlane
  readonly #activity: ActivityWatch
  readonly #past: RecentPast
  readonly #examiner: NodeExaminer
  /** With what was read again since: what the router is told. */
  #routerConfig: NodeConfig
  readonly #callbacks: CallbackCaller
  #isLooking = false
  /** Whatever is not urgent may begin: a renewal of this life is through, of our own lease or of another's. */
  readonly #settled = new AbortController()
  readonly #cancels: (() => void)[] = []
  #api: Pick<ApiPort, 'stop'> | undefined
  #isStopping = false
  #fatal: ((error: unknown) => void) | undefined

  constructor(parts: NodeParts) {
    this.#parts = parts
    this.#routerConfig = parts.config
    const { config, log, state, instance } = parts
    this.#guard = this.#createGuard()
    this.#link = this.#createLink()
    this.#past = new RecentPast({ self: config.identity.nodeName, everyMs: ACTIVITY_EVERY_MS })
    this.#activity = new ActivityWatch(
      instance,
      () => this.#control.brain?.observer.instance.state === 'running',
    )
    const members = () => this.#control.members.pollable(parts.tls !== undefined)
    const cancels = new CancelRelay({
      link: this.#link,
      peers: () => members().map(({ name }) => name),
      cancelHere: (order) => this.#router.cancel(order),
    })
    this.#router = new RouterLink(
      {
        log,
        table: () => this.#control.picture.routing(),
        members,
        settings: () => poolOptions(this.#routerConfig),
        reload: () => this.#reloadForRouter(),
        startRouter: () => this.#startRouter(),
        cancelElsewhere: (order) => cancels.elsewhere(order),
      },
      agentSocketOf(config),
    )
    this.#control = new ControlPlane(
      {
        clock: realClock,
        log,
        link: this.#link,
        guard: this.#guard,
        router: this.#router,
        instance,
        state,
        // PostgreSQL answers it before it asks who is there, and writes no line about one that leaves then.
        knocker: { knock: (at) => knock(at, buildSslRequest()) },
        consensus: {},
        ...(parts.etcd ? { etcd: parts.etcd } : {}),
        activity: () => this.#activity.facts,
      },
      {
        config,
        ownHost: parts.ownHost,
        isOwnHostGuessed: parts.isOwnHostGuessed,
        secrets: parts.secrets,
        version: parts.version,
        isTls: parts.tls !== undefined,
        life: randomHex(8),
        bootId: bootId(),
        pid,
        onTable: () => {
          this.#router.push()
          this.#callbacks.look()
          this.#lookSoon()
        },
        onSettled: () => this.#settled.abort(),
        onLeft: () => void this.#stayOut(),
        onFatal: (what, thrown) => this.#fail(what, thrown),
      },
    )
    this.#examiner = this.#createExaminer()
    this.#callbacks = this.#createCallbacks()
    instance.onConfigured(() => this.#callbacks.reloaded())
  }

  #createCallbacks(): CallbackCaller {
    const { config, log } = this.#parts
    const { dataDir, osUser, callbacks } = config.postgresql
    const glance = () => {
      const { brain } = this.#control
      return brain && { instance: brain.observer.instance, job: brain.jobs.running }
    }
    return new CallbackCaller(
      { log, osUser: findDatabaseUser({ dataDir, configured: osUser }), scope: config.scope, glance },
      callbacks,
    )
  }

  #createGuard(): GuardClient {
    const { config, log, state } = this.#parts
    return new GuardClient({
      clock: realClock,
      log,
      door: guardDoor(log, {
        socketPath: join(config.paths.runDir, 'guard.sock'),
        dataDir: config.postgresql.dataDir ?? '',
        logFile: state.logFile('guard'),
      }),
      onFenced: () => this.#control.noteFencedByGuard(),
      onState: () => this.#control.wake(),
      watchdog: watchdogOf(config),
    })
  }

  #createExaminer(): NodeExaminer {
    const { config, version, secrets, instance } = this.#parts
    const control = this.#control
    return new NodeExaminer({
      config,
      version,
      secrets,
      own: () => control.picture.ownFacts(),
      takenAt: () => new Date(realClock.wall()).toISOString(),
      peers: () => reachablePeers(control.members.registry.peers, control.heartbeats.facts()),
      routerPid: () => this.#router.pid,
      database: () => instance.report(),
    })
  }

  /** Called when this node cannot go on: its process should end with an error. */
  onFatal(listener: (error: unknown) => void): void {
    this.#fatal = listener
  }

  /**
   * What takes effect while the node runs; the router reads its certificates and its list of users again, and takes its settings from this
   * configuration.
   */
  applyReload(next: NodeConfig): void {
    const { config } = this.#parts
    const { enabled, listenHost, primaryPort, replicaPort, pooledPort } = config.router
    // Order: addresses stay, since everybody was told them.
    this.#routerConfig = {
      ...config,
      pool: {
        ...next.pool,
        ...(config.pool.listenAddr === undefined ? {} : { listenAddr: config.pool.listenAddr }),
      },
      router: { ...next.router, enabled, listenHost, primaryPort, replicaPort, pooledPort },
    }
    this.#router.reload()
    this.#callbacks.use(next.postgresql.callbacks)
    this.#callbacks.reloaded()
  }

  /** For RELOAD in the router's console. */
  async #reloadForRouter(): Promise<ReloadNews> {
    const outcome = await this.#parts.reload()
    if (outcome.kind === 'refused') return { refusal: outcome.message }
    return { pool: poolOptions(this.#routerConfig), waiting: outcome.needsRouterRestart }
  }

  /** Returns when the node serves its API; consensus and PostgreSQL follow as soon as the other members allow. */
  async start(): Promise<void> {
    const { config, log } = this.#parts
    await this.#control.prepare()
    const api = this.#openApi()
    this.#api = api
    api.onUpgrade(PEER_PROTOCOL, (socket, head, headers) => this.#link.accept(socket, head, headers))
    const { address, port } = await api.listen()
    log.info('API listening', { address, port })
    const isOut = this.#control.left !== undefined
    if (this.#control.isManaged && !isOut) this.#guard.start()
    if (config.router.enabled && !isOut) await this.#router.start(ROUTER_GRACE_MS)
    if (!isOut) this.#link.start()
    this.#cancels.push(
      watchSuspend((ms) => {
        log.warn('The host slept: the lease counts as lost until it is renewed', { ms: Math.round(ms) })
        this.#control.distrustClock()
      }),
    )
    this.#activity.start()
    this.#cancels.push(
      () => this.#activity.stop(),
      every(ACTIVITY_EVERY_MS, () => this.#past.sample(this.#control.picture.view())),
    )
    if (config.logging.statusIntervalMs > 0) {
      const report = () => log.info('Cluster status', statusReport(this.#control.picture.view()))
      this.#cancels.push(every(config.logging.statusIntervalMs, report))
    }
    this.#control.start()
    void this.#answerRequests(api).catch((error: unknown) => this.#fail('Cannot answer requests', error))
    log.info('Application started successfully', {
      node: config.identity.nodeName,
      members: config.members.length + 1,
    })
  }

  /**
   * Stops everything of this node; a primary hands over first when somebody can take over without loss. In a pause it ends itself alone:
   * PostgreSQL, guard and router go on.
   */
  async stop(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    const { log } = this.#parts
    const { isManaged } = this.#control
    if (this.#control.isPaused && (await this.#awaitReleasedGuards())) {
      log.info('The cluster is paused: this agent ends alone')
      return this.detach()
    }
    log.info('Stopping this node')
    if (isManaged) await this.#control.stopInstance()
    this.#callbacks.look()
    await Promise.all([this.#router.stop(), isManaged ? this.#stopGuard() : undefined])
    await Promise.all([this.#leave(), this.#callbacks.settle(CALLBACKS_AT_STOP_MS)])
    log.info('Stopped')
  }

  /**
   * An armed guard ends its primary once the lease is not renewed any more, and for it to let go the store must commit: so this agent,
   * and its vote, stay until no guard that is heard of holds a deadline. False when the pause ended meanwhile.
   */
  async #awaitReleasedGuards(): Promise<boolean> {
    const isArmed = () =>
      this.#guard.state() === 'armed' ||
      this.#control.picture.view().members.some((one) => one.reachable && one.facts.guard === 'armed')
    const giveUpAt = realClock.monotonic() + GUARDS_LET_GO_MS
    while (isArmed() && realClock.monotonic() < giveUpAt) {
      await pause(GUARD_LOOK_MS)
      if (!this.#control.isPaused) return false
    }
    if (isArmed())
      this.#parts.log.warn('A guard has not let go: it ends its PostgreSQL when the lease runs out', {
        remedy: 'The store commits nothing now: see "pg-metako why"',
      })
    return true
  }

  /** Ends this agent only: PostgreSQL, router and guard go on, and the next agent adopts them. */
  async detach(): Promise<void> {
    this.#isStopping = true
    this.#router.detach()
    this.#guard.detach()
    await this.#leave()
  }

  async #leave(): Promise<void> {
    this.#settled.abort()
    for (const cancel of this.#cancels) cancel()
    await this.#control.leave()
    this.#link.stop()
    await this.#api?.stop()
  }

  async #stopGuard(): Promise<void> {
    try {
      await this.#guard.disarmAndConfirm()
    } catch (error) {
      this.#parts.log.warn('The guard did not answer', { error: messageOf(error) })
    }
    await this.#guard.stop()
  }

  /** Removed from the cluster: the agent stays to say so; what serves applications ends. */
  async #stayOut(): Promise<void> {
    const hasGuard = this.#guard.state() !== 'absent'
    await Promise.all([this.#router.stop(), hasGuard ? this.#stopGuard() : undefined])
  }

  #fail(what: string, error: unknown): void {
    this.#parts.log.error(what, { error })
    this.#fatal?.(error)
  }

  #createLink(): PeerLink {
    const { config, log, secrets, tls } = this.#parts
    return new PeerLink(
      { log, now: realClock.monotonic },
      {
        self: config.identity.nodeName,
        secret: secrets.cluster,
        scope: config.scope,
        ...(tls ? { tls: { ...tls.shown, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } } : {}),
      },
    )
  }

  #openApi(): ApiPort {
    const { config, tls } = this.#parts
    const { apiHost, apiPort } = config.identity
    return openApiPort({ host: apiHost, port: apiPort, ...(tls ? { tls } : {}) })
  }

  /** People wait for a moment so that the lease need not: what answers them is loaded once consensus has begun. */
  async #answerRequests(port: ApiPort): Promise<void> {
    const { config, log, secrets, token, tls } = this.#parts
    await pause(ANSWER_WITHIN_MS, this.#settled.signal)
    const { createApiServer } = await import('../api/server.ts')
    const { createMetrics } = await import('../platform/metrics.ts')
    if (this.#isStopping) return
    const { apiHost, apiPort } = config.identity
    const { allowlist, allowlistIncludeMembers, extraHeaders } = config.security
    this.#api = await createApiServer(
      {
        operations: this.#operations(),
        log,
        metrics: createMetrics({ ofProcess: true }),
        dashboard: readDashboard(),
      },
      {
        host: apiHost,
        port: apiPort,
        token,
        routingToken: secrets.routing,
        ...(tls ? { tls } : {}),
        allowlist: { entries: allowlist, includeMembers: allowlistIncludeMembers },
        extraHeaders,
        maximumLagBytes: this.#control.policy.maximumLagBytes,
      },
      port,
    )
  }

  #lookSoon(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    after(LOOK_AFTER_MS, () => {
      this.#isLooking = false
      if (!this.#isStopping) this.#past.look(this.#control.picture.view())
    })
  }

  #operations(): ClusterOperations {
    const control = this.#control
    const { log, settings } = this.#parts
    const node = this.#parts.config.identity.nodeName
    return {
      view: () => control.picture.view(),
      loopAgeMs: () => {
        const loop = control.brain?.loop
        return loop?.decision ? realClock.monotonic() - loop.decidedAt : 0
      },
      routing: () => control.picture.routing(),
      latencies: () => this.#router.latencies,
      failovers: () => control.picture.failovers(),
      switchover: (order, { deadlineMs }) => control.orders.switchover(order, deadlineMs),
      reload: this.#parts.reload,
      restartRouter: () => this.#restartRouter(),
      members: () => control.members.document(),
      invite: async (order) => (this.#parts.etcd ? NO_INVITATIONS : control.members.invite(order)),
      removeMember: ({ name }) => control.members.remove(name),
      reinit: (name) => control.orders.reinit(name),
      hold: (wish) => control.orders.hold(wish),
      confirmDown: (name) => control.orders.confirmDown(name),
      restart: (wish, { deadlineMs }) => control.orders.restart(wish, deadlineMs),
      schedule: (wish) => control.orders.schedule(wish),
      unschedule: (what) => control.orders.unschedule(what),
      dynamicConfig: () => control.orders.dynamicConfig,
      changeConfig: (change) => control.orders.changeConfig(change),
      join: (order) => control.members.join(order),
      recent: (behind) => this.#past.document(behind),
      estimate: () =>
        estimateOf({
          view: control.picture.view(),
          failovers: control.picture.failovers(),
          candidates: control.orders.candidates(),
          policy: control.policy,
        }),
      why: () => control.why(),
      config: () => ({ node, settings: settings() }),
      doctor: () => this.#examiner.examine(),
      log: (behind) => {
        const lines = log.tail(behind)
        return { node, next: lines.at(-1)?.number ?? behind, lines: lines.map(({ text }) => text) }
      },
    }
  }

  async #restartRouter(): Promise<RouterRestartOutcome> {
    const { drainTimeoutMs } = this.#routerConfig.router
    const order = { ...routerProgram(), options: this.#routerOptions(), withinMs: drainTimeoutMs }
    const outcome = await this.#router.restart(order)
    if (outcome.kind === 'restarted') return { ...outcome, drainTimeoutMs }
    return refused(outcome.reason, WHY_NO_OTHER_ROUTER[outcome.reason])
  }

  #routerOptions(): RouterOptions {
    const { secrets, state, tls } = this.#parts
    return routerOptions(this.#routerConfig, {
      routingToken: secrets.routing,
      logFile: state.logFile('router'),
      members: this.#control.members.pollable(tls !== undefined),
    })
  }

  #startRouter(): void {
    const { state, log } = this.#parts
    const [logFile, options] = [state.logFile('router'), this.#routerOptions()]
    const started = startDetached('router', { logFile, options })
    if (started) log.info('Started a router', { router: started.pid })
    else log.error('Cannot start a router')
  }
}
