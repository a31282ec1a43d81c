import { type AbsentFeature, absentFeature } from './absent-features.ts'
import { nearestKey } from './nearest-key.ts'
import type { Tree } from './yaml-tree.ts'

/** The names that are known in one table. */
export type KnownNames = {
  readonly scalars: readonly string[]
  /** Lists, mappings and records. */
  readonly compounds: readonly string[]
  readonly sections: readonly string[]
}

/** What to say about a key that nobody reads. `isTop`: not inside a record. */
export function unknownKey(name: string, tree: Tree, known: KnownNames & { isTop: boolean }): AbsentFeature {
  const absent = known.isTop ? absentFeature(name) : undefined
  if (absent !== undefined) return absent
  const meant = nearestMeant(name, tree, known)
  return {
    rule: 'there is no such key',
    remedy:
      meant === undefined ? `the keys here are ${keysHere(name, known).join(', ')}` : suggestion(name, meant),
  }
}

/** A mapping under an unknown word is probably a misspelt section; a scalar a misspelt key. */
function nearestMeant(name: string, tree: Tree, known: KnownNames): string | undefined {
  const wide = [...known.compounds, ...known.sections]
  if (tree.kind === 'scalar') return nearestKey(name, [...known.scalars, ...known.compounds])
  return nearestKey(name, wide) ?? nearestKey(name, known.scalars)
}

function keysHere(name: string, known: KnownNames): readonly string[] {
  const all = [...known.scalars, ...known.compounds, ...known.sections]
  return all.filter((other) => sectionOf(other) === sectionOf(name)).map(lastWord)
}

function suggestion(name: string, meant: string): string {
  if (sectionOf(name) === sectionOf(meant)) return `did you mean "${lastWord(meant)}"?`
  const section = sectionOf(meant)
  return `did you mean ${meant}? It stands ${section === '' ? 'at the top of the file' : `under ${section}:`}`
}

/** The part of a dotted name behind its last dot. */
export function lastWord(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

/** The part of a dotted name before its last dot; empty at the top. */
export function sectionOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('.')))
}
