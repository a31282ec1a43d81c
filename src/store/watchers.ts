import type { KeyValueTree } from './key-value-tree.ts'
import type { WatchListener } from './store.ts'

type Watcher = { readonly prefix: string; readonly listener: WatchListener; told: number }

/**
 * Delivers the tree's changes. Each watcher has its own position and catches up from the history, so that a late one, a
 * throwing one and a snapshot that skips revisions are one and the same case.
 */
export class Watchers {
  readonly #tree: KeyValueTree
  readonly #soon: (task: () => void) => void
  readonly #onError: (thrown: unknown) => void
  readonly #watchers = new Set<Watcher>()

  constructor(deps: {
    readonly tree: KeyValueTree
    readonly soon: (task: () => void) => void
    /** What a listener threw: its bug must not stop the others, nor the tree. */
    readonly onError: (thrown: unknown) => void
  }) {
    this.#tree = deps.tree
    this.#soon = deps.soon
    this.#onError = deps.onError
  }

  /** The first delivery comes after the caller has the cancel function. */
  add(prefix: string, after: number, listener: WatchListener): () => void {
    const watcher: Watcher = { prefix, listener, told: after }
    this.#watchers.add(watcher)
    this.#soon(() => this.#deliver(watcher))
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  /** To be called after the tree has changed. */
  deliver(): void {
    for (const watcher of this.#watchers) this.#deliver(watcher)
  }

  clear(): void {
    this.#watchers.clear()
  }

  #deliver(watcher: Watcher): void {
    const { revision } = this.#tree
    if (watcher.told >= revision || !this.#watchers.has(watcher)) return
    const since = watcher.told
    watcher.told = revision
    const events = this.#tree.eventsAfter(since)
    try {
      if (events === undefined) {
        const entries = this.#tree.list(watcher.prefix)
        watcher.listener(
          entries.map((entry) => ({ kind: 'put', entry })),
          revision,
          { since },
        )
        return
      }
      const seen = events.filter((event) =>
        (event.kind === 'put' ? event.entry.key : event.key).startsWith(watcher.prefix),
      )
      if (seen.length > 0) watcher.listener(seen, revision)
    } catch (thrown) {
      this.#onError(thrown)
    }
  }
}
