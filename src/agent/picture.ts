import { timeSpan } from '../std/quantity-text.ts'
import { SECOND } from '../std/units.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { nodeMode } from '../config/node-mode.ts'
import type { Keys } from '../ha/keys.ts'
import type { ClusterView, LossReport, PortTotals } from '../model/cluster-view.ts'
import { SAW_NONE, type ActivityFacts, type MemberFacts } from '../model/member.ts'
import type { FailoverRecord } from '../model/failover-record.ts'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import type { MonotonicMs } from '../model/time.ts'
import type { Clock, Guard } from '../ha/ports.ts'
import type { Brain } from './brain.ts'
import type { Founding } from './consensus.ts'
import { NEVER } from './host-ports.ts'
import type { Heartbeat, Heartbeats } from './heartbeats.ts'
import type { OwnTags } from './hold.ts'
import { keptParameters } from './own-parameters.ts'
import { messageOf, readObstacle, routingTable, type RoutedMember } from './routing.ts'
import { scheduleOf } from './schedule.ts'
import { clusterView } from './view.ts'

export type PictureParts = {
  readonly config: NodeConfig
  readonly ownHost: string
  readonly version: string
  readonly isTls: boolean
  readonly silenceLimitMs: number
  readonly keys: Keys
  readonly clock: Clock
  readonly guard: Pick<Guard, 'state' | 'watchdog'> & { readonly pid: number | undefined }
  readonly bootId: string
  readonly pid: number
  readonly activity: () => ActivityFacts | undefined
  /** What was taken in of the parameters of the whole cluster. */
  readonly parameters: () => Readonly<Record<string, string>>
  readonly tags: () => OwnTags
  /** What comes into being later, or changes. */
  readonly now: () => {
    readonly brain: Brain | undefined
    readonly founding: Pick<Founding, 'hello' | 'waiting'> | undefined
    readonly heartbeats: Heartbeats
    readonly router: { readonly totals: readonly PortTotals[]; readonly pid: number | undefined }
    readonly isStopping: boolean
    /** This node was removed from the cluster. */
    readonly left: { readonly at: string } | undefined
    readonly removing: readonly string[]
  }
}

/** How this node shows itself and the cluster: in heartbeats, to routers and to people. Reads, never changes. */
export class Picture {
  readonly #parts: PictureParts
  readonly #startedAt: MonotonicMs
  readonly #keptParameters: (settings: string | undefined) => readonly string[]

  constructor(parts: PictureParts) {
    this.#parts = parts
    this.#startedAt = parts.clock.monotonic()
    this.#keptParameters = keptParameters(parts.config.postgresql.parameters)
  }

  ownFacts(): MemberFacts {
    const { config, ownHost, version, isTls, guard } = this.#parts
    const { brain, isStopping, removing } = this.#parts.now()
    const activity = this.#parts.activity()
    const watchdog = guard.watchdog()
    const { held } = this.#parts.tags()
    const kept = this.#keptParameters(brain?.store.peek(this.#parts.keys.config)?.value)
    // Until there is a store nothing is set for the whole cluster.
    const isUnconfigured = brain
      ? brain.observer.isUnconfigured
      : Object.keys(this.#parts.parameters()).length > 0
    const incarnation = brain?.observer.incarnation
    const pledge = brain?.observer.pledge
    const { enabled, primaryPort, replicaPort, pooledPort } = config.router
    return {
      // Before the first spread, for what `messageOf` says of properties behind one.
      apiUrl: `${isTls ? 'https' : 'http'}://${ownHost}:${config.identity.apiPort}`,
      ...this.#routed(),
      ...(incarnation === undefined ? {} : { incarnation }),
      ...(enabled ? { routerPorts: { primary: primaryPort, replica: replicaPort, pooled: pooledPort } } : {}),
      // In whole seconds: a heartbeat that says what the last one said costs its receiver little.
      agentUptimeMs: SECOND * Math.floor((this.#parts.clock.monotonic() - this.#startedAt) / SECOND),
      guard: guard.state(),
      ...(watchdog ? { watchdog } : {}),
      ...(nodeMode(config) === 'witness' ? { witness: true } : {}),
      ...(brain && nodeMode(config) === 'managed' ? { writePath: brain.writePath.facts } : {}),
      ...(activity ? { activity } : {}),
      ...(held ? { held } : {}),
      ...(isUnconfigured && nodeMode(config) === 'managed' ? { unconfigured: true } : {}),
      ...(kept.length > 0 ? { keptParameters: kept } : {}),
      ...(brain?.observer.isPaused ? { paused: true } : {}),
      stopping: isStopping,
      ...(pledge ? { pledge } : {}),
      ...(removing.length > 0 ? { removing } : {}),
      ...brain?.loop.decision?.told,
      version,
    }
  }

  /** What goes into every heartbeat. */
  heartbeat(): Pick<Heartbeat, 'facts' | 'genesis'> & { lease?: Heartbeat['lease'] | undefined } {
    const { brain, founding } = this.#parts.now()
    const remainingMs = (brain?.keeper.provenUntil ?? 0) - this.#parts.clock.monotonic()
    const record = brain?.keeper.record
    const holds = record?.holder === this.#parts.config.identity.nodeName && remainingMs > 0
    return {
      facts: this.ownFacts(),
      genesis: founding?.hello ?? { nonce: '', list: '', isEmpty: false },
      ...(holds ? { lease: { epoch: record.epoch, remainingMs } } : {}),
    }
  }

  /** Tables are drawn much more often than heartbeats are sent. */
  #routed(): RoutedMember {
    const { config, ownHost } = this.#parts
    const { tags } = this.#parts.tags()
    const { observer, executor } = this.#parts.now().brain ?? {}
    return {
      name: config.identity.nodeName,
      host: ownHost,
      port: config.localDb.port,
      instance: observer?.instance ?? { state: 'unknown' },
      seen: observer?.measuredUnder ?? SAW_NONE,
      ...(tags ? { tags } : {}),
      ...(observer?.isClosed ? { closed: true } : {}),
      ...(executor?.isHandingOver ? { handsOver: true } : {}),
      ...(executor?.admitsIn === undefined ? {} : { admits: { epoch: executor.admitsIn } }),
    }
  }

  routing(): RoutingTableMessage {
    const { brain, heartbeats } = this.#parts.now()
    const now = this.#parts.clock.monotonic()
    const table = routingTable({
      now,
      self: this.#parts.config.identity.nodeName,
      record: brain?.keeper.record,
      provenUntil: brain?.keeper.provenUntil ?? NEVER,
      own: this.#routed(),
      reachable: heartbeats
        .facts()
        .filter(({ heardAt }) => now - heardAt <= this.#parts.silenceLimitMs)
        .map(({ facts }) => facts),
      leaseOf: (member) => heartbeats.lease(member),
    })
    return messageOf(table, now, this.#parts.bootId)
  }

  /** Of every member, why routers lead no reads there; absent: they do. */
  reads(members: readonly string[]): readonly { readonly name: string; readonly obstacle?: string }[] {
    const { brain, heartbeats } = this.#parts.now()
    const record = brain?.keeper.record
    if (!record) return []
    const now = this.#parts.clock.monotonic()
    const obstacleOf = (name: string): string | undefined => {
      if (name === this.#parts.config.identity.nodeName) return readObstacle(this.#routed(), record)
      const peer = heartbeats.facts().find((one) => one.name === name)
      if (!peer) return 'was never heard'
      const isHeard = now - peer.heardAt <= this.#parts.silenceLimitMs
      return isHeard
        ? readObstacle(peer.facts, record)
        : `was not heard for ${timeSpan(now - peer.heardAt)} (limit ${timeSpan(this.#parts.silenceLimitMs)})`
    }
    return members.map((name) => {
      const obstacle = obstacleOf(name)
      return obstacle === undefined ? { name } : { name, obstacle }
    })
  }

  failovers(): readonly FailoverRecord[] {
    const { brain } = this.#parts.now()
    const entries = brain?.store.peekPrefix(this.#parts.keys.failovers) ?? []
    return entries
      .map(({ value }) => JSON.parse(value) as FailoverRecord)
      .toSorted((one, other) => one.epoch - other.epoch)
  }

  view(): ClusterView {
    const { config, guard, silenceLimitMs, keys } = this.#parts
    const { brain, founding, heartbeats, router, left } = this.#parts.now()
    const record = brain?.keeper.record
    const isOwn = record?.holder === config.identity.nodeName
    const leaseUntil = isOwn
      ? brain?.keeper.provenUntil
      : record && heartbeats.lease(record.holder)?.validUntil
    const { postmasterPid } = brain?.observer.instance ?? {}
    const losses = brain?.store.peekPrefix(keys.losses) ?? []
    return clusterView({
      scope: config.scope,
      now: this.#parts.clock.monotonic(),
      takenAt: new Date(this.#parts.clock.wall()).toISOString(),
      own: this.ownFacts(),
      peers: heartbeats.facts(),
      silenceLimitMs,
      record,
      leaseUntil: leaseUntil ?? NEVER,
      store: brain?.store.status(),
      decision: brain?.loop.decision,
      waiting: founding?.waiting,
      left,
      losses: losses.map(({ value }) => JSON.parse(value) as LossReport),
      scheduled: scheduleOf(brain?.store, keys),
      queries: router.totals,
      pids: {
        agent: this.#parts.pid,
        ...(postmasterPid === undefined ? {} : { postmaster: postmasterPid }),
        ...(guard.pid === undefined ? {} : { guard: guard.pid }),
        ...(router.pid === undefined ? {} : { router: router.pid }),
      },
      mode: nodeMode(config),
    })
  }
}
