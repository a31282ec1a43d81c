/**
 * This room keeps the cluster's small key-value tree: `store/raft` on our own consensus, `store/etcd` on an etcd that runs
 * already, `store/memory` for tests. All promise the same (see test/conformance/store.test.ts): committed compare-and-swap,
 * linearizable reads, a watch without gaps. A lease is no business of this room: it is a record that others write by compare-and-swap.
 * It must never: say that a transaction was applied when it was not, or was not when it may have been.
 */
import type { KeyValue, Transaction, TransactionResult, WatchEvent } from '../model/key-value.ts'

export type Store = {
  /**
   * Linearizable: sees every transaction that was acknowledged before the call, anywhere. Keys in code unit order.
   * Rejects with `STORE_NO_QUORUM`, `STORE_TIMEOUT`, `STORE_OVERLOADED` or `STORE_STOPPED`; on etcd also with
   * `STORE_RESTORED` or `STORE_ACCESS_DENIED`.
   */
  read(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead>
  /** What this node has applied so far: may be old; never waits. */
  peek(key: string): KeyValue | undefined
  peekPrefix(prefix: string): readonly KeyValue[]
  /**
   * A committed compare-and-swap, applied at most once however often it had to be sent. Rejects with a fault whose
   * `details.applied` is `false` when it certainly was not applied; `STORE_OUTCOME_UNKNOWN` when nobody can say.
   * The result is visible to `peek` when this resolves.
   */
  transact(transaction: Transaction, options: { readonly deadlineMs: number }): Promise<TransactionResult>
  /** Tells every change with a revision above `after`, in order, without gaps. Returns the cancel function. */
  watch(prefix: string, after: number, listener: WatchListener): () => void
  status(): StoreStatus
  /** Called after `status()` has changed in anything but `appliedRevision`. Returns the cancel function. */
  onStatusChange(listener: () => void): () => void
  /** Ends everything that waits with `STORE_STOPPED`. May be called again. */
  stop(): Promise<void>
}

export type StoreRead = { readonly revision: number; readonly entries: readonly KeyValue[] }

/**
 * `revision` is that of the tree after these events; all events of one revision come in one call. With `compacted` the
 * events between are gone: forget what was known, `events` now hold every key with the prefix as it is.
 */
export type WatchListener = (
  events: readonly WatchEvent[],
  revision: number,
  compacted?: { readonly since: number },
) => void

export type StoreStatus = {
  readonly backend: 'raft' | 'memory' | 'etcd'
  /** This node hears a majority, itself or through its leader. False says that reads and writes will not work now. */
  readonly hasQuorum: boolean
  readonly leader?: string
  readonly term: number
  readonly voters: readonly string[]
  readonly appliedRevision: number
  /** Why the store will not answer before somebody has acted, where that is so. */
  readonly problem?: { readonly code: string; readonly message: string }
}
