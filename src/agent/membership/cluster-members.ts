import type { MembersDocument } from '#client'
import type {
  InviteOrder,
  InviteOutcome,
  JoinOrder,
  JoinOutcome,
  MemberRefused,
  RemoveOutcome,
} from '../../api/ports.ts'
import type { NodeConfig } from '../../config/node-config.ts'
import { nodeMode } from '../../config/node-mode.ts'
import { judgeLapse } from '../../ha/decide/lapse.ts'
import type { Keys } from '../../ha/keys.ts'
import type { Policy } from '../../ha/policy.ts'
import type { Clock } from '../../ha/ports.ts'
import { isNeverCounted } from '../../model/member-tags.ts'
import type { Logger } from '../../platform/log.ts'
import { randomHex } from '../../platform/random.ts'
import type { Brain } from '../brain.ts'
import type { Heartbeats } from '../heartbeats.ts'
import type { NodeState, PeerWire } from '../host-ports.ts'
import type { Secrets } from '../secrets.ts'
import { acceptJoin, invite, parseInvitation, type InvitationDeps } from './invitations.ts'
import { joinDocument } from './join-document.ts'
import { MemberRegistry } from './member-registry.ts'
import { membersDocument } from './members-document.ts'
import { heardRegistry, toldRegistry } from './registry.ts'
import { removeMember, type RemovalDeps } from './removal.ts'
import { VoterLoop } from './voter-loop.ts'

export type ClusterMembersDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly state: NodeState
  readonly link: PeerWire
  readonly heartbeats: Heartbeats
}

export type ClusterMembersOptions = {
  readonly config: NodeConfig
  readonly ownHost: string
  /** The address was guessed: it must not replace one that the registry has. */
  readonly isOwnHostGuessed: boolean
  readonly ownApiUrl: string
  readonly keys: Keys
  readonly policy: Policy
  readonly secrets: Pick<Secrets, 'cluster'>
  /** Absent: real random ones. */
  readonly randomHex?: (bytes: number) => string
  /** Who this node is: the random id of its consensus log. */
  readonly incarnation: string
  /** The registry says that this node is none of them; consensus may still need it. */
  readonly onRemoved: (at: string) => void
  /** It is out of consensus as well. */
  readonly onLeft: (at: string) => void
}

/** The members of the cluster as this node knows and changes them: one object for the control plane. */
export class ClusterMembers {
  readonly registry: MemberRegistry
  readonly #deps: ClusterMembersDeps
  readonly #options: ClusterMembersOptions
  #brain: Brain | undefined
  #groupId = ''
  #loop: VoterLoop | undefined
  #isRemovalTold = false
  /** Whom this node takes out now, at the wish of an operator who waits. */
  readonly #removing = new Set<string>()
  /** Of the registry that all peers were told. */
  #toldRevision = 0

  private constructor(deps: ClusterMembersDeps, options: ClusterMembersOptions, registry: MemberRegistry) {
    this.#deps = deps
    this.#options = options
    this.registry = registry
  }

  static async open(deps: ClusterMembersDeps, options: ClusterMembersOptions): Promise<ClusterMembers> {
    const { config, keys, incarnation, ownHost, isOwnHostGuessed } = options
    const { nodeName: name, apiPort } = config.identity
    const own = { apiHost: ownHost, apiPort }
    const registry = await MemberRegistry.open(deps, {
      keys,
      self: { name, incarnation },
      configured: [
        { name, ...own },
        ...config.members.map((node) => ({
          name: node.nodeName,
          apiHost: node.apiHost,
          apiPort: node.apiPort,
        })),
      ],
      ...(isOwnHostGuessed ? {} : { ownAddress: own }),
    })
    return new ClusterMembers(deps, options, registry)
  }

  get names(): readonly string[] {
    return this.registry.members
  }

  get removing(): readonly string[] {
    return [...this.#removing]
  }

  /** Whom anybody who is heard takes out now. */
  get leaving(): readonly string[] {
    const heard = this.#deps.heartbeats.facts().filter(({ name }) => this.#isReachable(name))
    return [...this.#removing, ...heard.flatMap(({ facts }) => facts.removing ?? [])]
  }

  /** Whom a router may ask for its table: as in the registry, so that it needs no start when they change. */
  pollable(isTls: boolean): readonly { readonly name: string; readonly apiUrl: string }[] {
    return this.registry.peers.map(({ name, host, port }) => ({
      name,
      apiUrl: `${isTls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    }))
  }

  /** Tells wire and heartbeats who the others are, now and whenever that changes. */
  start(): void {
    const { link } = this.#deps
    link.onRemoved((at) => this.#options.onLeft(at))
    // Who was away while members changed may know none of those that lead consensus now, and they do not reach who refuses them as
    // strangers: any member that both know passes on where they are.
    link.onFrame('registry', (peer, payload) => this.#hear(peer, payload))
    link.onConnected((peer) => this.#tell(peer))
    this.registry.onChange(() => this.#apply())
    this.#apply()
  }

  /** From here on the registry in the store counts, and this node works on it where it leads consensus. */
  attach(brain: Brain, groupId: string): void {
    const { clock, log } = this.#deps
    this.#brain = brain
    this.#groupId = groupId
    this.registry.attach(brain.store)
    for (const { name } of this.registry.peers) this.#tell(name)
    brain.store.onRemoved(() => this.#options.onLeft(this.registry.removal?.at ?? this.#now()))
    this.#loop = new VoterLoop(
      {
        clock,
        log,
        group: brain.store,
        registry: () => this.registry.registry,
        onRegistry: (listener) => this.registry.onChange(listener),
        isSettled: () => this.#isSettled(),
      },
      this.registry.self.name,
    )
    this.#loop.start()
  }

  stop(): void {
    this.#loop?.stop()
    this.registry.stop()
  }

  /** Nobody is talked to any more. */
  cutOff(): void {
    this.stop()
    this.#deps.link.setPeers({ ownIncarnation: this.registry.self.incarnation, peers: [], removed: [] })
    this.#deps.heartbeats.setPeers([])
  }

  document(): MembersDocument {
    const brain = this.#brain
    const invitations = brain?.store.peekPrefix(this.#options.keys.invitations) ?? []
    return membersDocument({
      scope: this.#options.config.scope,
      now: this.#deps.clock.monotonic(),
      silenceLimitMs: this.#options.policy.silenceLimitMs,
      self: this.registry.self,
      registry: this.registry.registry,
      names: this.names,
      own: brain?.observer.instance ?? { state: 'unknown' },
      ownAddress: { apiHost: this.#options.ownHost, apiPort: this.#options.config.identity.apiPort },
      peers: this.registry.peers,
      facts: this.#deps.heartbeats.facts(),
      store: brain && { ...brain.store.status(), ...brain.store.membership() },
      invitations: invitations.flatMap((entry) => parseInvitation(entry) ?? []),
    })
  }

  async invite(order: InviteOrder): Promise<InviteOutcome> {
    const deps = this.#invitationDeps()
    return deps ? invite(deps, order) : NOT_RUNNING
  }

  async join(order: JoinOrder): Promise<JoinOutcome> {
    const deps = this.#invitationDeps()
    return deps ? acceptJoin(deps, order) : NOT_RUNNING
  }

  async remove(name: string): Promise<RemoveOutcome> {
    const brain = this.#brain
    if (!brain) return NOT_RUNNING
    const { keeper, store } = brain
    const deps: RemovalDeps = {
      clock: this.#deps.clock,
      store,
      keys: this.#options.keys,
      record: () => keeper.record && { record: keeper.record, revision: keeper.revision },
      // Whoever goes may be the last one with what a primary without its data has acknowledged.
      isSettled: () => this.#isSettled() && this.#isServed(),
      isStrict: this.#options.policy.acks?.isStrict ?? false,
      mayAcknowledge: (member) => this.#mayAcknowledge(member),
      isReachable: (member) => this.#isReachable(member),
      announce: () => this.#announce(name),
    }
    try {
      return await removeMember(deps, name)
    } finally {
      this.#removing.delete(name)
    }
  }

  /** The primary hears of it, which may be this node. */
  #announce(name: string): void {
    this.#removing.add(name)
    this.#brain?.loop.wake()
    this.#deps.heartbeats.push()
  }

  #apply(): void {
    const { link, heartbeats } = this.#deps
    const { registry } = this
    const { incarnation, name } = registry.self
    link.setPeers({
      ownIncarnation: incarnation,
      peers: registry.peers,
      removed: registry.removedPeers,
    })
    heartbeats.setPeers(registry.members.filter((member) => member !== name))
    const revision = registry.registry?.revision ?? 0
    if (revision > this.#toldRevision) {
      this.#toldRevision = revision
      for (const peer of registry.peers) this.#tell(peer.name)
    }
    const { removal } = registry
    if (!removal || this.#isRemovalTold) return
    this.#isRemovalTold = true
    this.#options.onRemoved(removal.at)
  }

  #tell(peer: string): void {
    const { registry } = this.registry
    if (!registry || this.#groupId === '') return
    this.#deps.link.send(peer, 'registry', Buffer.from(toldRegistry(this.#groupId, registry)))
  }

  #hear(peer: string, payload: Uint8Array): void {
    const registry = heardRegistry(this.#groupId, Buffer.from(payload).toString('utf8'))
    if (!registry) return
    if (registry.revision < (this.registry.registry?.revision ?? 0)) this.#tell(peer)
    else this.registry.learn(registry)
  }

  #isSettled(): boolean {
    const { keeper } = this.#brain ?? {}
    const { policy } = this.#options
    if (keeper?.record?.state !== 'open') return false
    const seen = { takenAt: this.#deps.clock.monotonic(), policy, self: this.registry.self.name }
    return judgeLapse({ ...seen, store: { firstSeenAt: keeper.firstSeenAt } }, keeper.record).kind === 'held'
  }

  /** The PostgreSQL of the one that holds the right is up as a primary. */
  #isServed(): boolean {
    const { keeper, observer } = this.#brain ?? {}
    const holder = keeper?.record?.holder
    const instance =
      holder === this.registry.self.name
        ? observer?.instance
        : this.#deps.heartbeats.facts().find(({ name }) => name === holder)?.facts.instance
    return instance?.state === 'running' && instance.role === 'primary'
  }

  /** Of one that was never heard nobody knows better. */
  #mayAcknowledge(name: string): boolean {
    const { config } = this.#options
    if (name === this.registry.self.name)
      return nodeMode(config) !== 'witness' && !isNeverCounted(config.tags)
    const facts = this.#deps.heartbeats.facts().find((one) => one.name === name)?.facts
    return !facts?.witness && !isNeverCounted(facts?.tags)
  }

  #isReachable(name: string): boolean {
    if (name === this.registry.self.name) return true
    const now = this.#deps.clock.monotonic()
    const peer = this.#deps.heartbeats.facts().find((one) => one.name === name)
    return peer !== undefined && now - peer.heardAt <= this.#options.policy.silenceLimitMs
  }

  #invitationDeps(): InvitationDeps | undefined {
    const brain = this.#brain
    if (!brain) return undefined
    const { config, secrets, keys } = this.#options
    return {
      clock: this.#deps.clock,
      store: brain.store,
      keys,
      clusterSecret: secrets.cluster,
      randomHex: this.#options.randomHex ?? randomHex,
      urls: () => this.#urls(),
      document: (name, registry) => joinDocument(config, secrets, { name, groupId: this.#groupId, registry }),
    }
  }

  /** This agent first: it answers, which is how it was asked. */
  #urls(): readonly string[] {
    const others = this.#deps.heartbeats
      .facts()
      .filter(({ name }) => this.#isReachable(name))
      .map(({ facts }) => facts.apiUrl)
    return [this.#options.ownApiUrl, ...others]
  }

  #now(): string {
    return new Date(this.#deps.clock.wall()).toISOString()
  }
}

const NOT_RUNNING: MemberRefused = {
  kind: 'refused',
  reason: 'NO_QUORUM',
  message: 'Consensus does not run on this node',
  remedy: 'Ask another member',
}
