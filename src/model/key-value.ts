/**
 * The shapes of the cluster's key-value tree: what `store/*` implements and `ha` asks for.
 * Revisions are those of etcd: one counter for the whole tree, raised by every committed change.
 */
export type KeyValue = {
  readonly key: string
  readonly value: string
  /** Revision that created the key. */
  readonly createRevision: number
  /** Revision of the last change; 0 means absent. */
  readonly modRevision: number
}

/** A condition of a transaction. An absent key has `mod` and `create` revision 0 and never equals a value. */
export type Compare =
  | { readonly kind: 'mod' | 'create'; readonly key: string; readonly revision: number }
  | { readonly kind: 'value'; readonly key: string; readonly value: string }

export type Operation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly key: string }

/** All operations are applied at one revision when every comparison holds; otherwise nothing is. */
export type Transaction = {
  readonly compares: readonly Compare[]
  readonly operations: readonly Operation[]
}

export type TransactionResult = {
  readonly succeeded: boolean
  /** Revision of the tree after the transaction. */
  readonly revision: number
}

export type WatchEvent =
  | { readonly kind: 'put'; readonly entry: KeyValue }
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: number }
