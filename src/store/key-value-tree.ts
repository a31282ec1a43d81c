import type {
  Compare,
  KeyValue,
  Operation,
  Transaction,
  TransactionResult,
  WatchEvent,
} from '../model/key-value.ts'
import { assert } from '../std/assert.ts'
import { jsonLength } from './json-length.ts'
import { HISTORY_EVENTS_MAX, HISTORY_LENGTH_MAX, TREE_LENGTH_MAX } from './limits.ts'

/** What an entry costs besides its texts: without it a million tiny keys would make a snapshot that nobody takes. */
const FRAME_LENGTH = 100

/** What a snapshot holds of the tree. Arrays are in the order of change, so that equal trees have equal texts. */
export type TreeImage = {
  readonly revision: number
  readonly compacted: number
  readonly entries: readonly KeyValue[]
  readonly history: readonly WatchEvent[]
}

export type TreeOutcome = ({ readonly kind: 'done' } & TransactionResult) | { readonly kind: 'full' }

/**
 * The tree and its recent changes. Invariant: the same transactions in the same order give the same tree on every member:
 * no clock, no chance, no order of a hash decides anything here.
 */
export class KeyValueTree {
  #entries = new Map<string, KeyValue>()
  #length = 0
  /** As in etcd an empty tree has revision 1. */
  #revision = 1
  #history: WatchEvent[] = []
  #historyLength = 0
  /** Changes up to this revision are no longer in the history. */
  #compacted = 0

  get revision(): number {
    return this.#revision
  }

  get(key: string): KeyValue | undefined {
    return this.#entries.get(key)
  }

  list(prefix: string): readonly KeyValue[] {
    const found: KeyValue[] = []
    for (const entry of this.#entries.values()) if (entry.key.startsWith(prefix)) found.push(entry)
    return found.sort((left, right) => (left.key < right.key ? -1 : 1))
  }

  apply({ compares, operations }: Transaction): TreeOutcome {
    const succeeded = compares.every((compare) => this.#holds(compare))
    const changes = succeeded ? operations.filter((operation) => this.#changes(operation)) : []
    if (changes.length === 0) return { kind: 'done', succeeded, revision: this.#revision }
    if (this.#length + this.#growth(changes) > TREE_LENGTH_MAX) return { kind: 'full' }
    this.#revision += 1
    for (const operation of changes) this.#change(operation)
    this.#trimHistory()
    return { kind: 'done', succeeded, revision: this.#revision }
  }

  /** Takes over what another tree has done: whole revisions in order, which are its own. `revision` is where it stands now. */
  follow(events: readonly WatchEvent[], revision: number): void {
    for (const event of events) {
      const key = event.kind === 'put' ? event.entry.key : event.key
      const old = this.#entries.get(key)
      if (old !== undefined) this.#length -= lengthOf(old)
      this.#entries.delete(key)
      if (event.kind === 'put') {
        this.#entries.set(key, event.entry)
        this.#length += lengthOf(event.entry)
      }
      this.#history.push(event)
      this.#historyLength += eventLength(event)
    }
    this.#revision = revision
    this.#trimHistory()
  }

  hasRoomFor(operations: readonly Operation[]): boolean {
    const changes = operations.filter((operation) => this.#changes(operation))
    const growth = this.#growth(changes)
    return growth <= 0 || this.#length + growth <= TREE_LENGTH_MAX
  }

  /** Changes with a revision in (`after`, now]; `undefined` when some of them are gone. */
  eventsAfter(after: number): readonly WatchEvent[] | undefined {
    if (after < this.#compacted) return undefined
    // Nearly always the last few of thousands.
    let first = this.#history.length
    while (first > 0 && revisionOf(this.#history[first - 1] as WatchEvent) > after) first -= 1
    return this.#history.slice(first)
  }

  image(): TreeImage {
    const entries = [...this.#entries.values()]
    return { revision: this.#revision, compacted: this.#compacted, entries, history: [...this.#history] }
  }

  /** Takes the content of `image` in place of everything here. */
  restore(image: TreeImage): void {
    this.#revision = image.revision
    this.#compacted = image.compacted
    this.#entries = new Map(image.entries.map((entry) => [entry.key, entry]))
    this.#history = [...image.history]
    this.#length = image.entries.reduce((sum, entry) => sum + lengthOf(entry), 0)
    this.#historyLength = image.history.reduce((sum, event) => sum + eventLength(event), 0)
  }

  #holds(compare: Compare): boolean {
    const entry = this.#entries.get(compare.key)
    switch (compare.kind) {
      case 'mod':
        return (entry?.modRevision ?? 0) === compare.revision
      case 'create':
        return (entry?.createRevision ?? 0) === compare.revision
      case 'value':
        return entry !== undefined && entry.value === compare.value
    }
  }

  /** Every put is a change, also one with the same value; deleting nothing is none. */
  #changes(operation: Operation): boolean {
    return operation.kind === 'put' || this.#entries.has(operation.key)
  }

  #growth(operations: readonly Operation[]): number {
    return operations.reduce((sum, operation) => {
      const old = this.#entries.get(operation.key)
      const added = operation.kind === 'put' ? lengthOf(operation) : 0
      return sum + added - (old === undefined ? 0 : lengthOf(old))
    }, 0)
  }

  #change(operation: Operation): void {
    const { key } = operation
    const old = this.#entries.get(key)
    if (old !== undefined) this.#length -= lengthOf(old)
    // Order of change, not of creation: two members agree on it without sorting.
    this.#entries.delete(key)
    if (operation.kind === 'delete') {
      this.#remember({ kind: 'delete', key, modRevision: this.#revision })
      return
    }
    const createRevision = old?.createRevision ?? this.#revision
    const entry = { key, value: operation.value, createRevision, modRevision: this.#revision }
    known.set(entry, lengthOf(operation))
    this.#entries.set(key, entry)
    this.#length += lengthOf(entry)
    this.#remember({ kind: 'put', entry })
  }

  #remember(event: WatchEvent): void {
    this.#history.push(event)
    this.#historyLength += eventLength(event)
  }

  /** Whole revisions go, oldest first: a watcher never gets half of one. The newest one stays whatever its size. */
  #trimHistory(): void {
    let gone = 0
    while (this.#history.length - gone > HISTORY_EVENTS_MAX || this.#historyLength > HISTORY_LENGTH_MAX) {
      const oldest = this.#history[gone]
      assert(oldest !== undefined, 'The history is too long and empty')
      const revision = revisionOf(oldest)
      if (revision === this.#revision) break
      while (gone < this.#history.length) {
        const event = this.#history[gone]
        if (event === undefined || revisionOf(event) !== revision) break
        this.#historyLength -= eventLength(event)
        gone += 1
      }
      this.#compacted = revision
    }
    if (gone > 0) this.#history = this.#history.slice(gone)
  }
}

/** The revision at which the change was made. */
function revisionOf(event: WatchEvent): number {
  return event.kind === 'put' ? event.entry.modRevision : event.modRevision
}

/** Each is asked for several times, and none ever changes. */
const known = new WeakMap<object, number>()

function lengthOf(entry: { readonly key: string; readonly value: string }): number {
  let length = known.get(entry)
  if (length === undefined) {
    length = jsonLength(entry.key) + jsonLength(entry.value) + FRAME_LENGTH
    known.set(entry, length)
  }
  return length
}

function eventLength(event: WatchEvent): number {
  return event.kind === 'put' ? lengthOf(event.entry) : jsonLength(event.key) + FRAME_LENGTH
}
