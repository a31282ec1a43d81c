import type { Keys } from '../../ha/keys.ts'
import type { Transaction, TransactionResult } from '../../model/key-value.ts'
import type { EtcdStore } from '../../store/etcd/etcd-store.ts'
import type { Membership } from '../../store/raft/membership.ts'
import type { RaftStore } from '../../store/raft/raft-store.ts'
import type { StoreRead, StoreStatus, WatchListener } from '../../store/store.ts'
import { readRegistry, removalOf, type Identity } from '../membership/registry.ts'

type Changed = Awaited<ReturnType<RaftStore['changeMembership']>>
type Transferred = Awaited<ReturnType<RaftStore['transferLeadership']>>

/**
 * An etcd in the place of the built-in consensus. Who belongs to the cluster is who stands in its registry there: nobody votes, so
 * whoever registers belongs to it at once, and whoever is removed is out at once.
 */
export class EtcdGroup implements RaftStore {
  readonly #store: EtcdStore
  readonly #keys: Keys
  readonly #self: Identity
  readonly #onStop: () => Promise<void>

  constructor(store: EtcdStore, options: { keys: Keys; self: Identity; onStop: () => Promise<void> }) {
    this.#store = store
    this.#keys = options.keys
    this.#self = options.self
    this.#onStop = options.onStop
  }

  read(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead> {
    return this.#store.read(prefix, options)
  }

  peek(key: string): ReturnType<RaftStore['peek']> {
    return this.#store.peek(key)
  }

  peekPrefix(prefix: string): ReturnType<RaftStore['peekPrefix']> {
    return this.#store.peekPrefix(prefix)
  }

  transact(transaction: Transaction, options: { readonly deadlineMs: number }): Promise<TransactionResult> {
    return this.#store.transact(transaction, options)
  }

  watch(prefix: string, after: number, listener: WatchListener): () => void {
    return this.#store.watch(prefix, after, listener)
  }

  /** Without the leader of etcd: its members have names of their own, and one may be called like a member of ours. */
  status(): StoreStatus {
    const { leader: _ofEtcd, ...status } = this.#store.status()
    return status
  }

  onStatusChange(listener: () => void): () => void {
    return this.#store.onStatusChange(listener)
  }

  /** Nobody here leads anything. */
  async transferLeadership(): Promise<Transferred> {
    return { kind: 'refused', reason: 'NOT_LEADER' }
  }

  /** The registry is all that there is to change. */
  async changeMembership(): Promise<Changed> {
    return { kind: 'refused', reason: 'NOT_LEADER', message: 'Consensus is the business of etcd' }
  }

  membership(): Membership {
    const registry = readRegistry(this.#store, this.#keys)
    return {
      voters: (registry?.nodes ?? [this.#self]).map(({ name, incarnation }) => ({ name, incarnation })),
      learners: [],
      commitIndex: this.#store.status().appliedRevision,
      isRemoved: this.#isRemoved(),
    }
  }

  onRemoved(listener: () => void): () => void {
    const look = () => {
      if (this.#isRemoved()) listener()
    }
    return this.#store.watch(this.#keys.removedNodes, 0, look)
  }

  async stop(): Promise<void> {
    await this.#onStop()
    await this.#store.stop()
  }

  #isRemoved(): boolean {
    const registry = readRegistry(this.#store, this.#keys)
    return registry !== undefined && removalOf(registry, this.#self) !== undefined
  }
}
