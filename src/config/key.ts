import type { ValueKind } from './value-kinds.ts'

/** What holds when a key is not given. */
export type Fallback<T> =
  | { readonly kind: 'value'; readonly value: T }
  /** Must be given; `why` completes "is missing: …". */
  | { readonly kind: 'required'; readonly why: string }
  /** Nothing, or something that follows from other keys: `means` says what. */
  | { readonly kind: 'open'; readonly means: string }

/** One key of the config: how it is read, what holds without it, what it is for. */
export type Key<T> = {
  /** Canonical dotted name; in a record only the field's name. */
  readonly name: string
  readonly type: ValueKind<T>
  readonly fallback: Fallback<NoInfer<T>>
  /** For the reference and for people: one or two sentences. */
  readonly doc: string
  /** Has a `_file` twin; its value is never shown. */
  readonly secret?: true
  /** Other names that are read as this one, silently. */
  readonly aliases?: readonly string[]
  /** Names of older versions: read as this one, with a note that names it. */
  readonly oldNames?: readonly string[]
  /** Read and checked, and nothing follows from it so far: the reference says so. */
  readonly isWithoutEffect?: true
  /** Further environment variables, beside those made from the names. */
  readonly env?: readonly string[]
}

/** A list of texts. `separator`: how it is written in one scalar and in the environment. */
export type ListKey = {
  readonly name: string
  readonly doc: string
  readonly item: ValueKind<string>
  readonly fallback: readonly string[]
  readonly separator?: RegExp
  /** Items of the form `{word: value}` are read as `word=value` (the form of Patroni's `initdb`). */
  readonly pairs?: true
}

/** A free mapping of names to scalar values. */
export type MapKey = {
  readonly name: string
  readonly doc: string
  /** The rule that a name or value breaks, if any. */
  readonly check: (name: string, value: string) => { rule: string; remedy: string } | undefined
}

/** A list of small mappings that all have the same fields. */
export type RecordsKey<Fields extends Readonly<Record<string, Key<unknown>>>> = {
  readonly name: string
  readonly doc: string
  readonly fields: Fields
  /** Lists of texts inside a record. */
  readonly lists?: readonly ListKey[]
  /** The mapping form `{NAME: {…}}` is read too; NAME becomes this field. */
  readonly keyedBy?: string
  /** What holds when it is not given. */
  readonly means: string
}

export type Records = RecordsKey<Readonly<Record<string, Key<unknown>>>>

/** All that a config may hold. */
export type KeyTable = {
  readonly scalars: readonly Key<unknown>[]
  readonly lists: readonly ListKey[]
  readonly maps: readonly MapKey[]
  readonly records: readonly Records[]
}

/** `local_db.password` → `PG_METAKO_LOCAL_DB_PASSWORD`. */
export function environmentName(key: string): string {
  return `PG_METAKO_${key.toUpperCase().replaceAll('.', '_')}`
}
