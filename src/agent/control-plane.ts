import type { WhyDocument } from '#client'
import { present } from '../std/assert.ts'
import { messageOf } from '../std/fault.ts'
import { SECOND } from '../std/units.ts'
import type { NodeConfig } from '../config/node-config.ts'
import { nodeMode } from '../config/node-mode.ts'
import type { Decision } from '../ha/decision.ts'
import { keysOf, type Keys } from '../ha/keys.ts'
import { runsUntil, type Policy } from '../ha/policy.ts'
import type { Clock, Guard, Knocker, LocalInstance } from '../ha/ports.ts'
import type { Snapshot } from '../ha/snapshot.ts'
import type { ActivityFacts } from '../model/member.ts'
import { plus } from '../model/time.ts'
import type { Logger } from '../platform/log.ts'
import { Brain } from './brain.ts'
import { Founding } from './consensus.ts'
import { EtcdFounding, type EtcdFoundingDeps } from './etcd/etcd-founding.ts'
import { publishForPatroni } from './etcd/patroni-keys.ts'
import { withoutDifference } from './etcd/without-difference.ts'
import { Heartbeats } from './heartbeats.ts'
import { ClusterMembers } from './membership/cluster-members.ts'
import { pauseOn } from '../ha/pause-on.ts'
import type { ConsensusHost, NodeState, PeerWire } from './host-ports.ts'
import { publishAddress } from './publish-address.ts'
import { endLeftovers } from './leftovers.ts'
import { livePolicy } from './live-policy.ts'
import { ownTags, type OwnTags } from './hold.ts'
import { nodePolicy } from './node-policy.ts'
import { Orders } from './orders.ts'
import { Picture, type PictureParts } from './picture.ts'
import { Scheduler } from './scheduler.ts'
import type { Secrets } from './secrets.ts'
import { whyOf } from './why/why.ts'

/*
 * The part of a node that thinks: founding, consensus, heartbeats and the HA core on the ports of one host. It knows no
 * process, socket or file, so the cluster simulator runs it as it is; `node.ts` puts it between the real ones.
 */

const STOP_MS = 8 * SECOND
const MOVE_CONSENSUS_EVERY_MS = 5 * SECOND
const LOOK_WHILE_STOPPING_MS = 20

export type ControlPlanePorts = {
  readonly clock: Clock
  readonly log: Logger
  readonly link: PeerWire
  readonly guard: Guard & { readonly pid: number | undefined }
  readonly router: ReturnType<PictureParts['now']>['router']
  readonly instance: LocalInstance
  readonly state: NodeState
  readonly knocker: Knocker
  readonly consensus: ConsensusHost
  /** An etcd in the place of the built-in consensus. */
  readonly etcd?: Pick<EtcdFoundingDeps, 'notes' | 'openStore'>
  /** What PostgreSQL counts of its work, for people. */
  readonly activity?: () => ActivityFacts | undefined
}

export type ControlPlaneOptions = {
  readonly config: NodeConfig
  readonly ownHost: string
  /** The address was guessed: it must not replace one that the registry of members has. */
  readonly isOwnHostGuessed: boolean
  readonly secrets: Pick<Secrets, 'cluster'>
  /** For invitations; absent: real random ones. */
  readonly randomHex?: (bytes: number) => string
  readonly version: string
  readonly isTls: boolean
  /** Random id of this life of the agent. */
  readonly life: string
  readonly bootId: string
  readonly pid: number
  /** The routing table may be another than before. */
  readonly onTable: () => void
  /** A renewal of this life is through, of our own lease or of another's: whatever is not urgent may begin. */
  readonly onSettled: () => void
  /** This node was removed from the cluster and takes part in nothing any more; its PostgreSQL is stopped. */
  readonly onLeft: () => void
  /** This node cannot go on: its process should end with an error. */
  readonly onFatal: (what: string, thrown: unknown) => void
}

export class ControlPlane {
  readonly policy: Policy
  readonly keys: Keys
  readonly heartbeats: Heartbeats
  readonly picture: Picture
  readonly orders: Orders
  readonly #ports: ControlPlanePorts
  readonly #options: ControlPlaneOptions
  readonly #self: string
  /** Those of the first start. */
  readonly #configured: readonly string[]
  readonly #abort = new AbortController()
  readonly #tagsWith: (note: string | undefined) => OwnTags
  #founding: Founding | EtcdFounding | undefined
  #leftovers: Promise<void> | undefined
  #brain: Brain | undefined
  #members: ClusterMembers | undefined
  #seen: Snapshot | undefined
  #isStopping = false
  #left: { readonly at: string } | undefined
  #withdrawing: Promise<void> | undefined
  #lastTold = ''
  #mayMoveAt = 0

  constructor(ports: ControlPlanePorts, options: ControlPlaneOptions) {
    this.#ports = ports
    this.#options = options
    const { config } = options
    const peers = config.members.map(({ nodeName }) => nodeName)
    this.#self = config.identity.nodeName
    this.#configured = [this.#self, ...peers].toSorted()
    this.keys = keysOf(config.namespace, config.scope)
    this.policy = livePolicy(nodePolicy(config), () => this.#brain?.store.peek(this.keys.config)?.value)
    this.#tagsWith = ownTags(config.tags)
    this.picture = this.#createPicture()
    this.orders = new Orders({
      clock: ports.clock,
      keys: this.keys,
      instance: ports.instance,
      isAttached: nodeMode(config) === 'attached',
      own: () => this.picture.ownFacts(),
      now: () => ({ brain: this.#brain, seen: this.#seen }),
    })
    const { clock, log, link } = ports
    this.heartbeats = new Heartbeats(
      { clock, log, link },
      {
        life: options.life,
        peers,
        periodMs: this.policy.heartbeatMs,
        describe: () => this.picture.heartbeat(),
      },
    )
  }

  get brain(): Brain | undefined {
    return this.#brain
  }

  /** Known once `prepare` has returned. */
  get members(): ClusterMembers {
    return present(this.#members, 'members of a prepared node')
  }

  /** When this node was removed from its cluster. */
  get left(): { readonly at: string } | undefined {
    return this.#left
  }

  get #tags(): OwnTags {
    return this.#tagsWith(this.#brain?.store.peek(this.keys.hold(this.#self))?.value)
  }

  get isManaged(): boolean {
    return nodeMode(this.#options.config) === 'managed'
  }

  /** Reads what this node was before and ends what an earlier PostgreSQL left; throws when it must not take part. */
  async prepare(): Promise<void> {
    const { log, instance } = this.#ports
    if (this.isManaged) this.#leftovers = endLeftovers(instance, log)
    const { directory } = await instance.inspect()
    this.#founding = await this.#prepareFounding(directory === 'absent' || directory === 'incomplete')
    this.#members = await this.#openMembers(this.#founding.incarnation)
    this.#left = this.#members.registry.left
  }

  async #prepareFounding(isDataEmpty: boolean): Promise<Founding | EtcdFounding> {
    const { clock, log, state, consensus, etcd } = this.#ports
    const { config, ownHost } = this.#options
    const { self, keys, policy } = { self: this.#self, keys: this.keys, policy: this.policy }
    if (etcd) {
      const address = { apiHost: ownHost, apiPort: config.identity.apiPort }
      const incarnation = await state.nonce()
      return EtcdFounding.prepare({ clock, log, ...etcd }, { keys, self, incarnation, address, isDataEmpty })
    }
    const options = { self, scope: config.scope, members: this.#configured, policy }
    return Founding.prepare({ clock, log, state, host: consensus }, options, isDataEmpty)
  }

  /** Speaks to the others from now on; consensus and PostgreSQL follow as soon as they allow. */
  start(): void {
    const { at } = this.#left ?? {}
    // Its agent may have died before PostgreSQL was down.
    if (at !== undefined) return void this.#withdraw(at).then(() => this.#stayOut(at))
    this.members.start()
    this.heartbeats.start()
    this.heartbeats.onChange(() => this.#options.onTable())
    void this.#startBrain().catch((error: unknown) => this.#options.onFatal('Cannot start consensus', error))
  }

  wake(): void {
    this.#brain?.loop.wake()
  }

  /** The host slept: what was proven before proves nothing now (safety.md 18). */
  distrustClock(): void {
    this.#brain?.keeper.distrustClock()
    this.#brain?.writePath.distrustClock()
  }

  /** An operator keeps everybody from acting: who stops this agent does not mean its PostgreSQL. */
  get isPaused(): boolean {
    return this.#brain?.observer.isPaused === true || this.#ports.state.isGuardReleased()
  }

  noteFencedByGuard(): void {
    this.#brain?.observer.noteFencedByGuard()
    this.wake()
  }

  /** Stops PostgreSQL on purpose; a primary hands over first when somebody can take over without loss. */
  async stopInstance(): Promise<void> {
    this.#isStopping = true
    const { clock, instance } = this.#ports
    const brain = this.#brain
    if (!brain) {
      await instance.stop(STOP_MS - 2 * SECOND)
      return
    }
    brain.observer.beginStopping()
    this.heartbeats.push()
    brain.loop.wake()
    const until = plus(clock.monotonic(), this.policy.drainTimeoutMs + STOP_MS - SECOND)
    while (!brain.isInstanceDown() && clock.monotonic() < until) await pauseOn(clock, LOOK_WHILE_STOPPING_MS)
    if (!brain.isInstanceDown()) await instance.kill()
  }

  /** Takes part no longer. PostgreSQL and guard are left as they are. */
  async leave(): Promise<void> {
    this.#isStopping = true
    this.#abort.abort()
    this.#members?.stop()
    this.heartbeats.stop()
    // Order: before the link goes that consensus needs to hand its leadership over.
    await this.#brain?.stop()
  }

  /** Why things are as they are, by what this node decided last. */
  why(): WhyDocument {
    const view = this.picture.view()
    const decision = this.#left ? undefined : this.#brain?.loop.decision
    const seen = this.#seen
    return whyOf({
      self: this.#self,
      takenAt: view.takenAt,
      last: seen && decision ? { seen, decision } : undefined,
      stance: view.stance,
      voters: view.consensus.voters,
      reads: this.picture.reads(this.members.names),
    })
  }

  async #startBrain(): Promise<void> {
    const { clock, log, instance, state, guard, link, knocker } = this.#ports
    // Order: this node votes meanwhile; but nothing is decided about an instance whose remains may still acknowledge.
    const { signal } = this.#abort
    const onFatal = (thrown: unknown) => this.#options.onFatal('Consensus cannot go on', thrown)
    const founding = this.#founding
    const store = await (founding instanceof EtcdFounding
      ? founding.open(signal)
      : founding?.open(this.heartbeats, link, { signal, onFatal }))
    await this.#leftovers
    if (!store) return
    if (this.#abort.signal.aborted) return store.stop()
    const brain = new Brain(
      { clock, log, store, instance, guard, peers: this.heartbeats, notebook: state, knocker },
      {
        self: this.#self,
        members: () => this.members.names,
        leaving: () => this.members.leaving,
        initialiser: this.#initialiser(),
        policy: this.policy,
        keys: this.keys,
        managed: this.isManaged,
        isWitness: nodeMode(this.#options.config) === 'witness',
        tags: () => this.#tags.tags,
        onDecision: (decision, seen) => this.#onDecision(brain, decision, seen),
        onRecord: () => this.#onRecord(brain),
        onStep: () => {
          this.#options.onTable()
          this.heartbeats.push()
        },
      },
    )
    this.#brain = brain
    // It was told that it is removed before there was a loop that could start its PostgreSQL.
    if (this.#withdrawing) brain.observer.beginStopping()
    this.members.attach(brain, this.#founding?.hello.group?.groupId ?? '')
    await brain.start(this.#abort.signal)
    this.#createScheduler(brain).start(signal)
    const { etcd } = this.#ports
    await Promise.all([
      etcd ? this.#publishForPatroni(brain) : this.#publishAddress(brain),
      this.members.registry.publish(this.#abort.signal),
    ])
  }

  #createScheduler({ store, keeper }: Brain): Scheduler {
    const { clock, log } = this.#ports
    const parts = { clock, log, store, keys: this.keys, self: this.#self, seen: () => this.#seen }
    return new Scheduler({ ...parts, own: () => this.picture.ownFacts(), record: () => keeper.record })
  }

  #openMembers(incarnation: string): Promise<ClusterMembers> {
    const { clock, state, link, etcd } = this.#ports
    const { config, ownHost, isOwnHostGuessed, secrets, randomHex } = this.#options
    // With etcd the configuration names no members: that it differs from the registry says nothing.
    const log = etcd ? withoutDifference(this.#ports.log) : this.#ports.log
    return ClusterMembers.open(
      { clock, log, state, link, heartbeats: this.heartbeats },
      {
        config,
        ownHost,
        isOwnHostGuessed,
        secrets,
        ...(randomHex ? { randomHex } : {}),
        ownApiUrl: this.picture.ownFacts().apiUrl,
        keys: this.keys,
        policy: this.policy,
        incarnation,
        onRemoved: (at) => void this.#withdraw(at),
        onLeft: (at) => void this.#leaveCluster(at),
      },
    )
  }

  /** Its PostgreSQL stops at once; in consensus it goes on until it is out of that too. */
  #withdraw(at: string): Promise<void> {
    this.#withdrawing ??= this.#stopRemoved(at)
    return this.#withdrawing
  }

  async #stopRemoved(at: string): Promise<void> {
    const { log } = this.#ports
    if (!this.isManaged) return
    log.error('This node was removed from the cluster: its PostgreSQL is stopped, its data is kept', { at })
    try {
      await this.stopInstance()
    } catch (error) {
      log.error('Cannot stop PostgreSQL of a node that was removed', { error })
    }
  }

  async #leaveCluster(at: string): Promise<void> {
    if (this.#left) return
    this.#left = { at }
    // Order: durable first. An agent that dies in the middle must not come back as a member that it is not.
    await this.members.registry.leave(at)
    await this.#withdraw(at)
    await this.leave()
    this.#stayOut(at)
  }

  /** Takes part in nothing, and says so to whoever asks. */
  #stayOut(at: string): void {
    const next = `to take it back, on another node: pg-metako member add ${this.#self} --api-host ADDRESS`
    this.#ports.log.warn(`This node was removed from the cluster on ${at} and stays out; ${next}`)
    this.members.cutOff()
    this.#options.onLeft()
  }

  /**
   * Exactly one member may create the cluster: the only one that is called primary in the config, else the first by name that has a
   * database.
   */
  #initialiser(): string {
    const { config } = this.#options
    const hinted = [
      { name: this.#self, hint: config.localDb.roleHint },
      ...config.members.map(({ nodeName, roleHint }) => ({ name: nodeName, hint: roleHint })),
    ]
    const primaries = hinted.filter(({ hint }) => hint === 'primary')
    const databases = hinted.filter(({ hint }) => hint !== 'witness').map(({ name }) => name)
    const only = primaries.length === 1 ? primaries[0]?.name : undefined
    return only ?? databases.toSorted()[0] ?? this.#self
  }

  #onRecord({ keeper }: Brain): void {
    const { provenUntil, record } = keeper
    const isProven = provenUntil > this.#ports.clock.monotonic()
    if (isProven) this.#ports.guard.arm(runsUntil(this.policy, record, provenUntil))
    if (isProven || keeper.witnessed) this.#options.onSettled()
    this.#options.onTable()
  }

  #onDecision(brain: Brain, decision: Decision, seen: Snapshot): void {
    this.#seen = seen
    this.#options.onTable()
    this.#moveConsensusAway(brain, decision)
    const news = newsOf(seen, decision, brain)
    if (news !== this.#lastTold) this.heartbeats.push()
    this.#lastTold = news
  }

  /** Losing the primary's host should not cost an election too, so consensus is led from another node (safety.md 21). */
  #moveConsensusAway(brain: Brain, decision: Decision): void {
    const now = this.#ports.clock.monotonic()
    const { state } = brain.keeper.record ?? {}
    // Order: a take-over is over first. An election in its middle is time in which nobody can write.
    if (decision.stance.kind !== 'primary' || state !== 'open')
      this.#mayMoveAt = now + MOVE_CONSENSUS_EVERY_MS
    if (now < this.#mayMoveAt || brain.store.status().leader !== this.#self) return
    this.#mayMoveAt = now + MOVE_CONSENSUS_EVERY_MS
    const { silenceLimitMs } = this.policy
    const heir = this.heartbeats.facts().find(({ heardAt }) => now - heardAt < silenceLimitMs)
    if (!heir) return
    const { log } = this.#ports
    brain.store.transferLeadership(heir.name).then(
      (outcome) => log.info('Consensus is led from another node', { to: heir.name, outcome }),
      (error: unknown) => log.warn('Cannot move consensus', { error: messageOf(error) }),
    )
  }

  #publishAddress({ store }: Brain): Promise<void> {
    const { ownHost: host, config } = this.#options
    const { apiUrl } = this.picture.ownFacts()
    const address = { host, port: config.localDb.port, apiUrl }
    return publishAddress(
      { clock: this.#ports.clock, store, key: this.keys.member(this.#self) },
      address,
      this.#abort.signal,
    )
  }

  #publishForPatroni({ store }: Brain): Promise<void> {
    const { clock, log } = this.#ports
    const { keys } = this
    const view = () => this.picture.view()
    return publishForPatroni({ clock, log, store, keys, self: this.#self, view }, this.#abort.signal)
  }

  #createPicture(): Picture {
    const { config, ownHost, version, isTls, bootId, pid } = this.#options
    const { clock, guard, router, activity } = this.#ports
    return new Picture({
      config,
      ownHost,
      version,
      isTls,
      bootId,
      pid,
      activity: () => activity?.(),
      clock,
      guard,
      silenceLimitMs: this.policy.silenceLimitMs,
      keys: this.keys,
      parameters: () => this.#ports.state.parameters(),
      tags: () => this.#tags,
      now: () => ({
        brain: this.#brain,
        founding: this.#founding,
        heartbeats: this.heartbeats,
        router,
        isStopping: this.#isStopping,
        left: this.#left,
        removing: this.#members?.removing ?? [],
      }),
    })
  }
}

/** What others should hear at once when it changes, as one comparable text. */
function newsOf(seen: Snapshot, decision: Decision, { observer, executor }: Brain): string {
  const under = observer.measuredUnder
  const { state, role, timeline, streaming } = seen.local.instance
  const { told } = decision
  return JSON.stringify([
    [state, role, timeline, streaming, seen.local.isClosed],
    [under.epoch, under.state, under.expired],
    [seen.local.writePath?.state, seen.local.convicted?.reason],
    executor.admitsIn,
    seen.store.paused,
    [seen.local.pledge?.epoch, told.suspects?.epoch, told.leavesAckRule],
  ])
}
