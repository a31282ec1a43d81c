import type { KeyValue, Transaction, TransactionResult } from '../../model/key-value.ts'
import { soon as realSoon } from '../../platform/timers.ts'
import { Fault } from '../../std/fault.ts'
import { KeyValueTree } from '../key-value-tree.ts'
import type { Store, StoreRead, StoreStatus, WatchListener } from '../store.ts'
import { checkTransaction } from '../transaction-rules.ts'
import { Watchers } from '../watchers.ts'

/** One tree in this process, and the handles that look at it as members of a group would. */
export type MemoryTree = {
  readonly tree: KeyValueTree
  readonly handles: Set<MemoryHandle>
  readonly members: readonly string[]
}

export type MemoryStore = Store & {
  /** Cuts this handle off from the tree, or lets it back: what a partition does to a member. */
  setConnected(isConnected: boolean): void
}

type MemoryHandle = {
  /** The tree has changed. */
  changed(): void
  /** Leader or connections have changed. */
  statusChanged(): void
}

export function createMemoryTree(members: readonly string[]): MemoryTree {
  return { tree: new KeyValueTree(), handles: new Set(), members }
}

/** A store for tests: the promises of the real one without its network and disk. Every answer comes in a later turn. */
export function createMemoryStore(
  tree: MemoryTree,
  options: {
    readonly self: string
    readonly soon?: (task: () => void) => void
    readonly onError?: (thrown: unknown) => void
  },
): MemoryStore {
  return new InProcessStore(tree, options)
}

class InProcessStore implements MemoryStore {
  readonly #shared: MemoryTree
  readonly #soon: (task: () => void) => void
  /** What this handle has seen: stands still while it is cut off. */
  readonly #seen = new KeyValueTree()
  readonly #watchers: Watchers
  readonly #statusListeners = new Set<() => void>()
  readonly #handle: MemoryHandle
  #isConnected = true
  #isStopped = false

  constructor(shared: MemoryTree, options: Parameters<typeof createMemoryStore>[1]) {
    this.#shared = shared
    this.#soon = options.soon ?? realSoon
    const onError =
      options.onError ??
      ((thrown: unknown): void => {
        // Not into the face of whoever happened to commit.
        this.#soon(() => {
          throw thrown
        })
      })
    this.#watchers = new Watchers({ tree: this.#seen, soon: this.#soon, onError })
    this.#handle = { changed: () => this.#catchUp(), statusChanged: () => this.#tellStatus() }
    shared.handles.add(this.#handle)
    this.#catchUp()
  }

  async read(prefix: string, options: { readonly deadlineMs: number }): Promise<StoreRead> {
    await this.#turn(`read "${prefix}"`, options.deadlineMs)
    const { tree } = this.#shared
    return { revision: tree.revision, entries: tree.list(prefix) }
  }

  peek(key: string): KeyValue | undefined {
    return this.#seen.get(key)
  }

  peekPrefix(prefix: string): readonly KeyValue[] {
    return this.#seen.list(prefix)
  }

  async transact(
    transaction: Transaction,
    options: { readonly deadlineMs: number },
  ): Promise<TransactionResult> {
    checkTransaction(transaction)
    await this.#turn('commit the transaction', options.deadlineMs)
    const outcome = this.#shared.tree.apply(transaction)
    if (outcome.kind === 'full') {
      throw new Fault('STORE_FULL', 'Cannot commit the transaction: the store is full', {
        details: { applied: false },
      })
    }
    for (const handle of this.#shared.handles) handle.changed()
    return { succeeded: outcome.succeeded, revision: outcome.revision }
  }

  watch(prefix: string, after: number, listener: WatchListener): () => void {
    return this.#watchers.add(prefix, after, listener)
  }

  status(): StoreStatus {
    const { members } = this.#shared
    const leader = members[0]
    const hasQuorum = this.#isConnected && !this.#isStopped
    return {
      backend: 'memory',
      hasQuorum,
      ...(hasQuorum && leader !== undefined ? { leader } : {}),
      term: 1,
      voters: members,
      appliedRevision: this.#seen.revision,
    }
  }

  onStatusChange(listener: () => void): () => void {
    this.#statusListeners.add(listener)
    return () => {
      this.#statusListeners.delete(listener)
    }
  }

  setConnected(isConnected: boolean): void {
    if (this.#isConnected === isConnected) return
    this.#isConnected = isConnected
    this.#catchUp()
    this.#tellStatus()
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#shared.handles.delete(this.#handle)
    this.#watchers.clear()
    this.#tellStatus()
    this.#statusListeners.clear()
  }

  /** One turn of the event loop later, where the tree can be reached then. */
  async #turn(action: string, deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.#soon(resolve))
    const details = { applied: false }
    if (this.#isStopped)
      throw new Fault('STORE_STOPPED', `Cannot ${action}: the store was stopped`, { details })
    if (this.#isConnected) return
    throw new Fault('STORE_NO_QUORUM', `Cannot ${action}: no leader within ${deadlineMs} ms`, {
      retryable: true,
      details,
    })
  }

  #catchUp(): void {
    if (!this.#isConnected || this.#isStopped) return
    this.#seen.restore(this.#shared.tree.image())
    this.#watchers.deliver()
  }

  #tellStatus(): void {
    for (const listener of this.#statusListeners) listener()
  }
}
