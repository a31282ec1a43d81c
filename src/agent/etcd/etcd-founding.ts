import type { Keys } from '../../ha/keys.ts'
import { pauseOn } from '../../ha/pause-on.ts'
import type { Clock } from '../../ha/ports.ts'
import type { Registry } from '../../model/membership.ts'
import type { Logger } from '../../platform/log.ts'
import { messageOf } from '../../std/fault.ts'
import { SECOND } from '../../std/units.ts'
import type { SeenCluster } from '../../store/etcd/cluster-identity.ts'
import type { EtcdStore } from '../../store/etcd/etcd-store.ts'
import type { RaftStore } from '../../store/raft/raft-store.ts'
import type { GenesisHello } from '../genesis.ts'
import { beginOperations, isSameIdentity, putNode, readRegistry, removalOf } from '../membership/registry.ts'
import { EtcdGroup } from './etcd-group.ts'

const LOOK_EVERY_MS = 200
const WRITE_MS = 2 * SECOND
/** How old a note may be from which a restored etcd is recognised. */
const NOTE_EVERY_MS = 15 * SECOND

/** What this node keeps of the etcd that it belongs to; durable before each write returns. */
export interface EtcdNotes {
  readSeenEtcd(): Promise<SeenCluster | undefined>
  writeSeenEtcd(seen: SeenCluster): Promise<void>
}

export type EtcdFoundingDeps = {
  readonly clock: Clock
  readonly log: Logger
  readonly notes: EtcdNotes
  /** Opens the store; `known`: what an earlier life has seen of it. */
  readonly openStore: (known: SeenCluster | undefined) => EtcdStore
}

export type EtcdFoundingOptions = {
  readonly keys: Keys
  readonly self: string
  /** Random id of this node, made once. */
  readonly incarnation: string
  /** Where the others reach this agent. */
  readonly address: { readonly apiHost: string; readonly apiPort: number }
  readonly isDataEmpty: boolean
}

type Verdict = { readonly kind: 'member' | 'register' } | { readonly kind: 'refused'; readonly why: string }

/**
 * Where a node stands whose cluster lives in an etcd: it registers there, and belongs to the cluster. Whoever comes first
 * begins the registry by compare-and-swap, so it begins once. Order: a registry that was there once is never begun again by
 * a node that has seen it (safety.md 16): an etcd that forgot it was restored or set up anew, and the newest data is here.
 */
export class EtcdFounding {
  readonly #deps: EtcdFoundingDeps
  readonly #options: EtcdFoundingOptions
  readonly hello: GenesisHello
  #waiting: string | undefined = 'starts'
  #known: SeenCluster | undefined

  private constructor(deps: EtcdFoundingDeps, options: EtcdFoundingOptions, known: SeenCluster | undefined) {
    this.#deps = deps
    this.#options = options
    this.#known = known
    // One that founds consensus by itself must not take this node for one that waits to be founded with it.
    const group = { groupId: options.keys.root, nonces: {} }
    this.hello = { nonce: options.incarnation, list: 'etcd', isEmpty: false, group }
  }

  static async prepare(deps: EtcdFoundingDeps, options: EtcdFoundingOptions): Promise<EtcdFounding> {
    return new EtcdFounding(deps, options, await deps.notes.readSeenEtcd())
  }

  get incarnation(): string {
    return this.#options.incarnation
  }

  /** Why this node takes no part yet; `undefined` once it does. */
  get waiting(): string | undefined {
    return this.#waiting
  }

  /** Resolves when this node stands in the registry; waits for as long as that takes. */
  async open(signal: AbortSignal): Promise<RaftStore | undefined> {
    const { clock, log } = this.#deps
    const store = this.#deps.openStore(this.#known)
    while (!(await this.#tryToRegister(store))) {
      await pauseOn(clock, LOOK_EVERY_MS, signal)
      if (!signal.aborted) continue
      await store.stop()
      return undefined
    }
    await this.#note(store)
    const stopNotes = this.#noteAgain(store)
    this.#waiting = undefined
    log.info('Belongs to the cluster in etcd', { registry: this.#options.keys.root })
    const { keys, self, incarnation } = this.#options
    return new EtcdGroup(store, {
      keys,
      self: { name: self, incarnation },
      onStop: async () => {
        stopNotes()
        await this.#note(store)
      },
    })
  }

  async #tryToRegister(store: EtcdStore): Promise<boolean> {
    try {
      const { keys } = this.#options
      const { entries } = await store.read(keys.root, { deadlineMs: WRITE_MS })
      // What was read with a quorum: the mirror may be a moment behind it.
      const read = {
        peek: (wanted: string) => entries.find(({ key }) => key === wanted),
        peekPrefix: (prefix: string) => entries.filter(({ key }) => key.startsWith(prefix)),
      }
      const registry = readRegistry(read, keys)
      const verdict = this.#judge(registry, entries[0]?.key)
      if (verdict.kind === 'member') return true
      if (verdict.kind === 'refused') {
        this.#say('error', verdict.why)
        return false
      }
      // Whoever was first: the next look finds it.
      await this.#write(store, read.peek(keys.membership)?.modRevision ?? 0)
      return false
    } catch (error) {
      const { problem } = store.status()
      this.#say(problem ? 'error' : 'info', problem?.message ?? `waits for etcd: ${messageOf(error)}`)
      return false
    }
  }

  #judge(registry: Registry | undefined, anyKey: string | undefined): Verdict {
    const { self, incarnation, keys, address, isDataEmpty } = this.#options
    const me = { name: self, incarnation }
    if (!registry) {
      if (this.#known) return refused(forgotten(keys.root))
      if (anyKey !== undefined) return refused(foreignCluster(keys.root, anyKey))
      return isDataEmpty ? { kind: 'register' } : refused(foreignData)
    }
    const own = registry.nodes.find(({ name }) => name === self)
    // One that was removed is told by its registry, which is on disk before it stays out.
    if ((own && isSameIdentity(own, me)) || removalOf(registry, me)) return { kind: 'member' }
    if (own) return refused(sameName(self, own.since))
    const there = registry.nodes.find((node) => isAt(node, address))
    if (there) return refused(`${address.apiHost}:${address.apiPort} is the address of ${there.name}`)
    return isDataEmpty ? { kind: 'register' } : refused(foreignData)
  }

  /** `begun`: the revision of the registry's beginning; 0 where nobody has begun it. */
  async #write(store: EtcdStore, begun: number): Promise<void> {
    const { keys, self, incarnation, address } = this.#options
    const since = new Date(this.#deps.clock.wall()).toISOString()
    const node = { name: self, ...address, incarnation, since }
    const { succeeded } = await store.transact(
      {
        compares: [
          { kind: 'mod', key: keys.membership, revision: begun },
          { kind: 'mod', key: keys.node(self), revision: 0 },
        ],
        operations: begun === 0 ? beginOperations(keys, [node]) : [putNode(keys, node)],
      },
      { deadlineMs: WRITE_MS },
    )
    if (succeeded) this.#deps.log.info('Registered in etcd', { as: self, isFirst: begun === 0 })
  }

  async #note(store: EtcdStore): Promise<void> {
    const seen = store.seen()
    if (
      seen === undefined ||
      (seen.clusterId === this.#known?.clusterId && seen.revision === this.#known.revision)
    )
      return
    try {
      await this.#deps.notes.writeSeenEtcd(seen)
      this.#known = seen
    } catch (error) {
      this.#deps.log.error('Cannot note which etcd this is: one that was restored would not be recognised', {
        error,
      })
    }
  }

  #noteAgain(store: EtcdStore): () => void {
    const { clock } = this.#deps
    let cancel = (): void => undefined
    const later = (): void => {
      cancel = clock.after(NOTE_EVERY_MS, () => {
        void this.#note(store)
        later()
      })
    }
    later()
    return () => cancel()
  }

  /** Five times a second the same sentence helps nobody. */
  #say(level: 'info' | 'error', why: string): void {
    if (this.#waiting === why) return
    this.#waiting = why
    if (level === 'error') this.#deps.log.error('Cannot join the cluster in etcd', { why })
    else this.#deps.log.info('Takes no part yet', { why })
  }
}

function refused(why: string): Verdict {
  return { kind: 'refused', why }
}

function isAt(
  node: { readonly apiHost: string; readonly apiPort: number },
  address: { readonly apiHost: string; readonly apiPort: number },
): boolean {
  return node.apiHost === address.apiHost && node.apiPort === address.apiPort
}

const foreignData =
  'the data directory is not empty, but this node is none of the members in etcd: move the data directory away to begin empty, or restore the state folder that belongs to it'

function forgotten(root: string): string {
  return `etcd has no registry of members below ${root} any more, which this node has seen there: it was restored or set up anew; restore it from its newest backup, nothing is begun here a second time`
}

function foreignCluster(root: string, key: string): string {
  return `etcd holds keys of another program below ${root} ("${key}"): a cluster that Patroni runs is not taken over; stop it and remove its keys, or use another scope or namespace`
}

function sameName(self: string, since: string): string {
  return `another node is called ${self} in etcd since ${since}: give this one a name of its own; where it is this node, which lost its state folder, run "pg-metako member remove ${self}" on another member first`
}
