import type { Keys } from '../../ha/keys.ts'
import type { Clock, Store } from '../../ha/ports.ts'
import type { MembershipNotes, Registry } from '../../model/membership.ts'
import type { Logger } from '../../platform/log.ts'
import type { Membership } from '../../store/raft/membership.ts'
import { codeOf, messageOf } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import { pauseOn } from '../../ha/pause-on.ts'
import type { NodeState, PeerAddress, RemovedPeer } from '../host-ports.ts'
import {
  beginOperations,
  differenceInWords,
  isSameIdentity,
  putNode,
  readRegistry,
  removalOf,
  type Identity,
} from './registry.ts'

const WRITE_MS = SECOND
const AGAIN_MS = SECOND

export type ConfiguredNode = { readonly name: string; readonly apiHost: string; readonly apiPort: number }

export type MemberRegistryOptions = {
  readonly keys: Keys
  readonly self: Identity
  /** The members of the first start, this node included. */
  readonly configured: readonly ConfiguredNode[]
  /** Where this node is reached; absent where it had to be guessed: a guess must not replace what is known. */
  readonly ownAddress?: { readonly apiHost: string; readonly apiPort: number }
}

type Group = Store & { membership(): Membership; onStatusChange(listener: () => void): () => void }

/**
 * Who the members are, on this node: the registry in the store, a copy of it in the state folder for the time before consensus
 * answers, and before all of that the config. It decides nothing about the cluster.
 */
export class MemberRegistry {
  readonly #deps: { clock: Clock; log: Logger; state: NodeState }
  readonly #options: MemberRegistryOptions
  readonly #listeners = new Set<() => void>()
  readonly #cancels: (() => void)[] = []
  #notes: MembershipNotes | undefined
  #group: Group | undefined
  #saving: Promise<void> = Promise.resolve()
  #isDifferenceTold = false
  #isMismatchTold = false
  #left: { readonly at: string } | undefined

  private constructor(
    deps: { clock: Clock; log: Logger; state: NodeState },
    options: MemberRegistryOptions,
    notes: MembershipNotes | undefined,
  ) {
    this.#deps = deps
    this.#options = options
    this.#notes = notes
    this.#left = notes?.left
    this.#tellDifference()
  }

  static async open(
    deps: { clock: Clock; log: Logger; state: NodeState },
    options: MemberRegistryOptions,
  ): Promise<MemberRegistry> {
    return new MemberRegistry(deps, options, await deps.state.readMembership())
  }

  /** `undefined` until the registry was begun, or a copy of it lies here. */
  get registry(): Registry | undefined {
    return this.#notes
  }

  get self(): Identity {
    return this.#options.self
  }

  /** Names of the members, this one included while it is one. */
  get members(): readonly string[] {
    return this.#known.map(({ name }) => name).toSorted()
  }

  /** When this node was removed: the cluster goes on without it. */
  get removal(): { readonly at: string } | undefined {
    return this.#notes && removalOf(this.#notes, this.#options.self)
  }

  /** This node is out for good, also of consensus. */
  get left(): { readonly at: string } | undefined {
    return this.#left
  }

  /** Whom this node talks to: the other members, and who was removed for as long as consensus still needs its answers. */
  get peers(): readonly PeerAddress[] {
    const leaving = (this.#notes?.removed ?? []).filter((one) => this.#isInGroup(one))
    const names = new Set(this.#known.map(({ name }) => name))
    return [...this.#known, ...leaving.filter(({ name }) => !names.has(name))]
      .filter(({ name }) => name !== this.#options.self.name)
      .map((node) => ({
        name: node.name,
        host: node.apiHost,
        port: node.apiPort,
        ...(node.incarnation === undefined ? {} : { incarnation: node.incarnation }),
      }))
  }

  /** Who is told that it is a member no more. */
  get removedPeers(): readonly RemovedPeer[] {
    const registry = this.#notes
    if (!registry) return []
    return registry.removed
      .filter((one) => removalOf(registry, one) !== undefined && !this.#isInGroup(one))
      .map(({ name, incarnation, at }) => ({ name, incarnation, at }))
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Follows the registry in the store from now on. */
  attach(group: Group): void {
    this.#group = group
    const { keys } = this.#options
    const look = () => this.#adopt()
    for (const prefix of [keys.membership, keys.nodes, keys.removedNodes]) {
      this.#cancels.push(group.watch(prefix, 0, look))
    }
    // Who is in the group counts too: one that was removed is answered until it is out.
    this.#cancels.push(group.onStatusChange(() => this.#announce()))
    this.#adopt()
  }

  stop(): void {
    for (const cancel of this.#cancels.splice(0)) cancel()
  }

  /**
   * Begins the registry where there is none yet, and corrects this node's own address in it. Ends when both are done; for a
   * group whose members the config does not name it never does, and says so.
   */
  async publish(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.#tryToPublish())) {
      await pauseOn(this.#deps.clock, AGAIN_MS, signal)
    }
  }

  /** This node is no member any more: durable, so that it does not take part after a restart either. */
  async leave(at: string): Promise<void> {
    if (this.#left) return
    this.#left = { at }
    this.#save((notes) => ({ ...notes, left: { at } }))
    await this.#saving
  }

  get #known(): readonly (ConfiguredNode & { readonly incarnation?: string })[] {
    return this.#notes?.nodes ?? this.#options.configured
  }

  #isInGroup(who: Identity): boolean {
    const membership = this.#group?.membership()
    if (!membership) return false
    return [...membership.voters, ...membership.learners].some((one) => isSameIdentity(one, who))
  }

  /** What another member has applied already. */
  learn(registry: Registry): void {
    this.#take(registry)
  }

  #adopt(): void {
    this.#take(this.#group && readRegistry(this.#group, this.#options.keys))
  }

  #take(registry: Registry | undefined): void {
    // What was applied so far may be older than the copy: a log is read from its beginning at each start.
    if (!registry || registry.revision <= (this.#notes?.revision ?? 0)) return
    const { joined, left } = this.#notes ?? {}
    this.#notes = { ...registry, ...(joined ? { joined } : {}), ...(left ? { left } : {}) }
    this.#tellDifference()
    this.#save(() => this.#notes ?? { ...registry })
    this.#announce()
  }

  /** One after the other, each with what is newest when its turn comes. */
  #save(change: (notes: MembershipNotes) => MembershipNotes): void {
    const { state, log } = this.#deps
    this.#saving = this.#saving.then(async () => {
      this.#notes = change(this.#notes ?? { revision: 0, nodes: [], removed: [] })
      try {
        await state.writeMembership(this.#notes)
      } catch (error) {
        log.error('Cannot keep the list of members: after a restart this node may look for the wrong ones', {
          error,
        })
      }
    })
  }

  async #tryToPublish(): Promise<boolean> {
    const group = this.#group
    if (!group) return false
    const { keys, self } = this.#options
    try {
      const { entries } = await group.read(keys.membership, { deadlineMs: WRITE_MS })
      if (entries.length === 0) return await this.#begin(group)
      const own = group.peek(keys.node(self.name))
      return own === undefined || (await this.#correctOwn(group, own.modRevision))
    } catch (error) {
      if (codeOf(error) === 'STORE_STOPPED') return true
      this.#deps.log.debug('Cannot publish this node yet', { error: messageOf(error) })
      return false
    }
  }

  async #begin(group: Group): Promise<boolean> {
    const { keys, configured } = this.#options
    const { voters } = group.membership()
    const names = configured.map(({ name }) => name).toSorted()
    const voting = voters.map(({ name }) => name).toSorted()
    if (names.join() !== voting.join()) {
      this.#tellMismatch(names, voting)
      return false
    }
    const since = new Date(this.#deps.clock.wall()).toISOString()
    const nodes = configured.map((node) => ({
      ...node,
      incarnation: voters.find(({ name }) => name === node.name)?.incarnation ?? '',
      since,
    }))
    await group.transact(
      {
        compares: [{ kind: 'mod', key: keys.membership, revision: 0 }],
        operations: beginOperations(keys, nodes),
      },
      { deadlineMs: WRITE_MS },
    )
    // Whoever was first: the next look corrects this node's own address where it has to.
    return false
  }

  async #correctOwn(group: Group, revision: number): Promise<boolean> {
    const { keys, self, ownAddress } = this.#options
    const registry = readRegistry(group, keys)
    const own = registry?.nodes.find((node) => isSameIdentity(node, self))
    if (!own || !ownAddress) return true
    if (own.apiHost === ownAddress.apiHost && own.apiPort === ownAddress.apiPort) return true
    const key = keys.node(self.name)
    const { succeeded } = await group.transact(
      { compares: [{ kind: 'mod', key, revision }], operations: [putNode(keys, { ...own, ...ownAddress })] },
      { deadlineMs: WRITE_MS },
    )
    return succeeded
  }

  /** Of the registry as it is first known after a start: what changes later was somebody's will. */
  #tellDifference(): void {
    const registry = this.#notes
    if (this.#isDifferenceTold || !registry) return
    this.#isDifferenceTold = true
    const difference = differenceInWords(this.#options.configured, registry)
    if (difference === undefined) return
    this.#deps.log.warn(
      'The configuration names other members than the cluster has: the registry of the cluster counts, cluster_members is for the first start alone',
      { difference },
    )
  }

  /** It is looked at again every second, and said once. */
  #tellMismatch(configured: readonly string[], voters: readonly string[]): void {
    if (this.#isMismatchTold) return
    this.#isMismatchTold = true
    this.#deps.log.warn(
      'Cannot begin the registry of members: the configuration names others than consensus has',
      { configured, voters },
    )
  }

  #announce(): void {
    for (const listener of this.#listeners) listener()
  }
}
