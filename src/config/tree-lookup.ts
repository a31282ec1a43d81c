import type { MapTree, Tree } from './yaml-tree.ts'

/** The value under `path`, if every step is a mapping that has it. */
export function treeAt(tree: Tree | undefined, ...path: readonly string[]): Tree | undefined {
  let at = tree
  for (const word of path) at = at?.kind === 'map' ? at.entries.get(word)?.tree : undefined
  return at
}

/** The text under `path`; undefined when there is none, or none that is a single value. */
export function textAt(tree: Tree | undefined, ...path: readonly string[]): string | undefined {
  const found = treeAt(tree, ...path)
  return found?.kind === 'scalar' ? found.text : undefined
}

/** The scalar entries of the mapping under `path`, in order. */
export function textsAt(
  tree: Tree | undefined,
  ...path: readonly string[]
): readonly (readonly [string, string])[] {
  const found = treeAt(tree, ...path)
  if (found?.kind !== 'map') return []
  return [...found.entries].flatMap(([name, { tree: value }]) =>
    value.kind === 'scalar' && value.text !== undefined ? [[name, value.text] as const] : [],
  )
}

/** A config in a form that is not ours: what to say about it. */
export type ForeignForm = {
  readonly place: { readonly file: string; readonly line: number; readonly column: number }
  readonly key: string
  readonly rule: string
  readonly remedy: string
  readonly replacement: string
}

/** Where the key itself stands. */
export function keyPlaceAt(tree: MapTree, name: string): ForeignForm['place'] {
  return tree.entries.get(name)?.keyPlace ?? tree.place
}
