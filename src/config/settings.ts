import { present } from '../std/assert.ts'
import type { Key, ListKey, MapKey, Records } from './key.ts'
import type { Place } from './problem.ts'
import { sectionOf } from './unknown-key.ts'

/** Where a value comes from. */
export type Origin =
  | { readonly kind: 'default' }
  /** Follows from other keys: `from` says from which, for people. */
  | { readonly kind: 'derived'; readonly from: string }
  | ({ readonly kind: 'file' } & Place)
  | { readonly kind: 'environment'; readonly name: string }
  /** Content of a file that a `_file` key or variable names. */
  | { readonly kind: 'secret-file'; readonly path: string; readonly namedBy: string }

type Slot = { readonly value: unknown; readonly origin: Origin; readonly place: Place | undefined }

/** Values that were read so far, with origins; what is not in here takes its default later. */
export class Settings {
  /** `cluster_members[1].` for a record, else empty. */
  readonly prefix: string
  /** Where the record or file as a whole stands. */
  readonly place: Place
  readonly #slots = new Map<string, Slot>()
  readonly #wrong = new Set<string>()
  /** Where a section or an empty key stands: the place for what is missing. */
  readonly #sections = new Map<string, Place>()
  readonly #records = new Map<string, readonly Settings[]>()

  constructor(prefix: string, place: Place) {
    this.prefix = prefix
    this.place = place
  }

  /** The value that was given or derived; else the key's fixed default; else undefined. */
  get<T>(key: Key<T>): T | undefined {
    const slot = this.#slots.get(key.name)
    if (slot !== undefined) return slot.value as T
    return key.fallback.kind === 'value' ? key.fallback.value : undefined
  }

  /** The value of a key that has one by now: given, derived or its fixed default. */
  need<T>(key: Key<T>): T {
    return present(this.get(key), this.prefix + key.name)
  }

  list(key: ListKey): readonly string[] {
    return (this.#slots.get(key.name)?.value as readonly string[] | undefined) ?? key.fallback
  }

  mapping(key: MapKey): ReadonlyMap<string, string> {
    return (this.#slots.get(key.name)?.value as ReadonlyMap<string, string> | undefined) ?? new Map()
  }

  records(key: Pick<Records, 'name'>): readonly Settings[] {
    return this.#records.get(key.name) ?? []
  }

  /** Stands in a file or in the environment. */
  isGiven(key: { readonly name: string }): boolean {
    const origin = this.origin(key)
    return origin.kind !== 'default' && origin.kind !== 'derived'
  }

  /** The key was given, and its value was refused: whatever stands in here for it means nothing. */
  isWrong(key: { readonly name: string }): boolean {
    return this.#wrong.has(key.name)
  }

  markWrong(key: { readonly name: string }): void {
    this.#wrong.add(key.name)
  }

  origin(key: { readonly name: string }): Origin {
    return this.#slots.get(key.name)?.origin ?? { kind: 'default' }
  }

  /** Where the value stands, or else its section, or else the whole. */
  placeOf(key: { readonly name: string }): Place {
    return this.#slots.get(key.name)?.place ?? this.#sections.get(sectionOf(key.name)) ?? this.place
  }

  putSection(name: string, place: Place): void {
    this.#sections.set(name, place)
  }

  put<T>(key: Key<T>, value: T, at: { origin: Origin; place?: Place }): void {
    this.#slots.set(key.name, { value, origin: at.origin, place: at.place })
  }

  /** Fills in what follows from other keys; keeps the place of a value that it replaces. */
  derive<T>(key: Key<T>, value: T, from: string): void {
    const place = this.#slots.get(key.name)?.place
    this.#slots.set(key.name, { value, origin: { kind: 'derived', from }, place })
  }

  putList(key: ListKey, value: readonly string[], at: { origin: Origin; place: Place }): void {
    this.#slots.set(key.name, { value, ...at })
  }

  putMap(key: MapKey, value: ReadonlyMap<string, string>, at: { origin: Origin; place: Place }): void {
    this.#slots.set(key.name, { value, ...at })
  }

  putRecords(key: Records, value: readonly Settings[], at: { origin: Origin; place: Place }): void {
    this.#records.set(key.name, value)
    this.#slots.set(key.name, { value: value.length, ...at })
  }
}
