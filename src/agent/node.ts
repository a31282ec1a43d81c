import { codeOf, messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import { createApiServer, type ApiServer } from '../api/server.ts'
import type { ClusterOperations, ReloadOutcome } from '../api/ports.ts'
import type { NodeConfig } from '../config/node-config.ts'
import type { Decision } from '../ha/decision.ts'
import { keysOf, type Keys } from '../ha/keys.ts'
import { policyOf, type Policy } from '../ha/policy.ts'
import type { LocalInstance } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { SeenByMember } from '../model/member.ts'
import { plus } from '../model/time.ts'
import { join } from '../platform/disk.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { every, pause } from '../platform/timers.ts'
import { Brain } from './brain.ts'
import { realClock, watchSuspend } from './clock.ts'
import { Founding } from './consensus.ts'
import { startDetached } from './detached-process.ts'
import { GuardClient } from './guard-client.ts'
import { Heartbeats } from './heartbeats.ts'
import { endLeftovers } from './leftovers.ts'
import { PEER_PROTOCOL, PeerLink } from './peer-link.ts'
import { Picture } from './picture.ts'
import { RouterLink } from './router-link.ts'
import { agentSocketOf, routerOptions } from './router-options.ts'
import type { Secrets } from './secrets.ts'
import type { StateFolder } from './state-folder.ts'
import { statusReport } from './status-report.ts'
import { requestSwitchover } from './switchover.ts'

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
  readonly #picture: Picture
  readonly #abort = new AbortController()
  readonly #cancels: (() => void)[] = []
  #api: ApiServer | undefined
  #founding: Founding | undefined
  #brain: Brain | undefined
  #seen: Snapshot | undefined
  #isStopping = false
  #lastTold = ''
  #movedAt = 0
  #fatal: ((error: unknown) => void) | undefined

  constructor(parts: NodeParts) {
    this.#parts = parts
    const { config, log, secrets, state } = parts
    const peers = config.members.map(({ nodeName }) => nodeName)
    this.#self = config.identity.nodeName
    this.#members = [this.#self, ...peers].toSorted()
    this.#policy = policyOf(config.ha.profile, {
      ...(config.ha.leaseTtlMs === undefined ? {} : { leaseTtlMs: config.ha.leaseTtlMs }),
      maximumLagBytes: config.replication.maximumLagOnFailoverBytes,
      primaryStartTimeoutMs: config.ha.primaryStartTimeoutMs,
    })
    this.#keys = keysOf(config.namespace, config.scope)
    this.#guard = new GuardClient(
      { log, onFenced: () => this.#onFenced(), onState: () => this.#wake() },
      {
        socketPath: join(config.paths.runDir, 'guard.sock'),
        dataDir: config.postgresql.dataDir ?? '',
        logFile: state.logFile('guard'),
      },
    )
    this.#picture = this.#createPicture()
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
        scope: config.scope,
        ...(parts.tls ? { tls: parts.tls } : {}),
      },
    )
    this.#heartbeats = new Heartbeats(
      { clock: realClock, log, link: this.#link },
      { peers, periodMs: this.#policy.heartbeatMs, describe: () => this.#picture.heartbeat() },
    )
    this.#router = new RouterLink(
      { log, table: () => this.#picture.routing(), startRouter: () => this.#startRouter() },
      agentSocketOf(config),
    )
  }

  /** Called when this node cannot go on: its process should end with an error. */
  onFatal(listener: (error: unknown) => void): void {
    this.#fatal = listener
  }

  /** Returns when the node serves its API; consensus and PostgreSQL follow as soon as the other members allow. */
  async start(): Promise<void> {
    const { config, log, state, instance } = this.#parts
    if (this.#isManaged) await endLeftovers(instance, log)
    const { directory } = await instance.inspect()
    this.#founding = await Founding.prepare(
      { state, log },
      { self: this.#self, scope: config.scope, members: this.#members, policy: this.#policy },
      directory === 'absent' || directory === 'incomplete',
    )
    this.#api = await this.#createApi()
    this.#api.onUpgrade(PEER_PROTOCOL, (socket, head, headers) => this.#link.accept(socket, head, headers))
    const { address, port } = await this.#api.listen()
    log.info('API listening', { address, port })
    if (this.#isManaged) this.#guard.start()
    if (config.router.enabled) await this.#router.start(ROUTER_GRACE_MS)
    this.#link.start()
    this.#heartbeats.start()
    this.#heartbeats.onChange(() => this.#router.push())
    this.#cancels.push(
      watchSuspend((ms) => {
        log.warn('The host slept: the lease counts as lost until it is renewed', { ms: Math.round(ms) })
        this.#brain?.keeper.distrustClock()
      }),
    )
    if (config.logging.statusIntervalMs > 0) {
      const report = () => log.info('Cluster status', statusReport(this.#picture.view()))
      this.#cancels.push(every(config.logging.statusIntervalMs, report))
    }
    void this.#startBrain().catch((error: unknown) => this.#fail('Cannot start consensus', error))
    log.info('Application started successfully', { node: this.#self, members: this.#members.length })
  }

  /** Stops everything of this node; a primary hands over first when somebody can take over without loss. */
  async stop(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    const { log, instance } = this.#parts
    log.info('Stopping this node')
    const brain = this.#brain
    if (brain && this.#isManaged) {
      brain.observer.beginStopping()
      this.#heartbeats.push()
      brain.loop.wake()
      const until = plus(realClock.monotonic(), STOP_MS - SECOND)
      while (!brain.isInstanceDown() && realClock.monotonic() < until) await pause(20)
      if (!brain.isInstanceDown()) await instance.kill()
    } else if (this.#isManaged) {
      await instance.stop(STOP_MS - 2 * SECOND)
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

  get #isManaged(): boolean {
    return this.#parts.config.postgresql.dataDir !== undefined
  }

  async #leave(): Promise<void> {
    this.#abort.abort()
    for (const cancel of this.#cancels) cancel()
    this.#heartbeats.stop()
    // Order: consensus before the link that it needs to hand its leadership over.
    await this.#brain?.stop()
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

  async #startBrain(): Promise<void> {
    const { log, instance, state } = this.#parts
    const store = await this.#founding?.open(this.#heartbeats, this.#link, {
      signal: this.#abort.signal,
      onFatal: (thrown) => this.#fail('Consensus cannot go on', thrown),
    })
    if (!store) return
    const brain = new Brain(
      { log, store, instance, guard: this.#guard, peers: this.#heartbeats, notebook: state },
      {
        self: this.#self,
        members: this.#members,
        initialiser: this.#initialiser(),
        policy: this.#policy,
        keys: this.#keys,
        managed: this.#isManaged,
        onDecision: (decision, seen) => this.#onDecision(brain, decision, seen),
        onRecord: () => this.#onRecord(brain),
      },
    )
    this.#brain = brain
    await brain.start(this.#abort.signal)
    await this.#publishAddress(brain)
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

  #fail(what: string, error: unknown): void {
    this.#parts.log.error(what, { error })
    this.#fatal?.(error)
  }

  #onFenced(): void {
    this.#brain?.observer.noteFencedByGuard()
    this.#wake()
  }

  #wake(): void {
    this.#brain?.loop.wake()
  }

  #onRecord({ keeper }: Brain): void {
    const { provenUntil } = keeper
    if (provenUntil > realClock.monotonic()) this.#guard.arm(provenUntil)
    this.#router.push()
  }

  #onDecision(brain: Brain, decision: Decision, seen: Snapshot): void {
    this.#seen = seen
    this.#router.push()
    this.#moveConsensusAway(brain, decision)
    const news = newsOf(seen, brain.observer.measuredUnder)
    if (news !== this.#lastTold) this.#heartbeats.push()
    this.#lastTold = news
  }

  /** Losing the primary's host should not cost an election too, so consensus is led from another node (safety.md 21). */
  #moveConsensusAway(brain: Brain, decision: Decision): void {
    const now = realClock.monotonic()
    if (decision.stance.kind !== 'primary' || brain.store.status().leader !== this.#self) return
    if (now - this.#movedAt < MOVE_CONSENSUS_EVERY_MS) return
    this.#movedAt = now
    const { silenceLimitMs } = this.#policy
    const heir = this.#heartbeats.facts().find(({ heardAt }) => now - heardAt < silenceLimitMs)
    if (!heir) return
    const { log } = this.#parts
    brain.store.transferLeadership(heir.name).then(
      (outcome) => log.info('Consensus is led from another node', { to: heir.name, outcome }),
      (error: unknown) => log.warn('Cannot move consensus', { error: messageOf(error) }),
    )
  }

  /** Where this node's PostgreSQL is, for members that cannot hear this agent later. */
  async #publishAddress({ store }: Brain): Promise<void> {
    const { ownHost, config } = this.#parts
    const { port } = config.localDb
    const key = this.#keys.member(this.#self)
    const value = JSON.stringify({
      conn_url: `postgres://${ownHost}:${port}/postgres`,
      api_url: this.#picture.ownFacts().apiUrl,
      host: ownHost,
      port,
    })
    while (!this.#abort.signal.aborted && store.peek(key)?.value !== value) {
      try {
        const put = { compares: [], operations: [{ kind: 'put', key, value } as const] }
        await store.transact(put, { deadlineMs: SECOND })
      } catch (error) {
        if (codeOf(error) === 'STORE_STOPPED') return
        await pause(SECOND, this.#abort.signal)
      }
    }
  }

  #createPicture(): Picture {
    const { config, ownHost, version, tls } = this.#parts
    return new Picture({
      config,
      ownHost,
      version,
      isTls: tls !== undefined,
      silenceLimitMs: this.#policy.silenceLimitMs,
      keys: this.#keys,
      guard: this.#guard,
      now: () => ({
        brain: this.#brain,
        founding: this.#founding,
        heartbeats: this.#heartbeats,
        router: this.#router,
        isStopping: this.#isStopping,
      }),
    })
  }

  #createApi(): Promise<ApiServer> {
    const { config, log, metrics, secrets, token, tls } = this.#parts
    return createApiServer(
      { operations: this.#operations(), log, metrics },
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

  #operations(): ClusterOperations {
    return {
      view: () => this.#picture.view(),
      loopAgeMs: () => {
        const loop = this.#brain?.loop
        return loop?.decision ? realClock.monotonic() - loop.decidedAt : 0
      },
      routing: () => this.#picture.routing(),
      switchover: async (order, { deadlineMs }) => {
        const brain = this.#brain
        if (!this.#isManaged) {
          return { kind: 'refused', reason: 'ATTACHED', message: 'This agent only watches its PostgreSQL' }
        }
        if (!brain) {
          return { kind: 'refused', reason: 'NO_QUORUM', message: 'Consensus does not run yet' }
        }
        const { store, keeper } = brain
        const deps = { clock: realClock, store, keeper, keys: this.#keys, seen: () => this.#seen }
        return requestSwitchover(deps, order, deadlineMs)
      },
      reload: this.#parts.reload,
    }
  }

  #startRouter(): void {
    const { config, secrets, state, log, tls } = this.#parts
    const logFile = state.logFile('router')
    const options = routerOptions(config, {
      routingToken: secrets.routing,
      logFile,
      isTls: tls !== undefined,
    })
    const started = startDetached('router', { logFile, options })
    if (started) log.info('Started a router', { router: started.pid })
    else log.error('Cannot start a router')
  }
}

/** What others should hear at once when it changes, as one comparable text. */
function newsOf(seen: Snapshot, under: SeenByMember): string {
  const { state, role, timeline, streaming } = seen.local.instance
  return JSON.stringify([state, role, timeline, streaming, under.epoch, under.state, under.expired])
}
