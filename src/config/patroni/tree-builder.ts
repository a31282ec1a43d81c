import type { Place } from '../problem.ts'
import type { Entry, MapTree, Tree } from '../yaml-tree.ts'

type Branch = { readonly place: Place; readonly entries: Map<string, Entry | Branch> }

/** A tree that is put together from entries of another one, which keep their places. */
export class TreeBuilder {
  readonly #root: Branch

  constructor(place: Place) {
    this.#root = { place, entries: new Map() }
  }

  /** Puts what stands somewhere else under a dotted key, unless there is something already. */
  put(key: string, entry: Entry): void {
    const words = key.split('.')
    const last = words.pop() ?? ''
    let at = this.#root
    for (const word of words) {
      const found = at.entries.get(word) ?? { place: entry.keyPlace, entries: new Map() }
      // Somebody wrote something else where a section belongs: whoever reads it tells.
      if (!('entries' in found)) return
      at.entries.set(word, found)
      at = found
    }
    if (!at.entries.has(last)) at.entries.set(last, entry)
  }

  /** A section with its keys, to which others may be added. */
  putSection(name: string, entry: Entry): void {
    if (entry.tree.kind !== 'map') return this.put(name, entry)
    for (const [word, below] of entry.tree.entries) this.put(`${name}.${word}`, below)
  }

  /** The same for a text that follows from what stands at `place`. */
  putText(key: string, text: string, place: Place): void {
    this.put(key, { keyPlace: place, tree: { kind: 'scalar', text, place } })
  }

  get tree(): MapTree {
    return grown(this.#root)
  }
}

function grown({ place, entries }: Branch): MapTree {
  const all = [...entries].map(([name, found]): [string, Entry] => {
    const entry: Entry = 'entries' in found ? { keyPlace: found.place, tree: grown(found) } : found
    return [name, entry]
  })
  return { kind: 'map', place, entries: new Map(all) }
}

/** The texts of a list, or of one text with commas between them. */
export function textsOf(tree: Tree): readonly { readonly text: string; readonly place: Place }[] {
  if (tree.kind === 'list') return tree.items.flatMap((item) => textsOf(item))
  if (tree.kind !== 'scalar' || tree.text === undefined) return []
  const { place } = tree
  return tree.text
    .split(',')
    .map((text) => ({ text: text.trim(), place }))
    .filter(({ text }) => text !== '')
}
