import { KiB } from '../std/units.ts'
import { folderOf, resolvePath } from './path-text.ts'
import type { Place, Problems } from './problem.ts'
import { type Entry, type MapTree, parseTree, type Tree } from './yaml-tree.ts'

/** Includes nested deeper than this are a mistake, not a need. */
const DEPTH_MAX = 8
const FILES_MAX = 32
/** Characters of one file. */
const FILE_LENGTH_MAX = 256 * KiB

/** The main file and all that it includes, merged; and the text of every file that was read. */
export type LoadedTree = {
  /** Undefined when the form of a file is broken. */
  readonly tree: MapTree | undefined
  /** Every file that was asked for, also those that are not there. */
  readonly files: readonly string[]
  readonly sources: ReadonlyMap<string, string>
}

/** Reads a config file and what it includes. What a file says itself wins over what it includes; later includes win over earlier ones. */
export function loadTree(
  path: string,
  options: {
    readText: (path: string) => string | undefined
    /** Names in a folder; undefined for what is none. */
    listFolder?: ((path: string) => readonly string[] | undefined) | undefined
    problems: Problems
  },
): LoadedTree {
  const loader = new TreeLoader(options)
  const from = { file: path, line: 0, column: 0 }
  const names = options.listFolder?.(path)
  // As Patroni reads a folder: in the order of their names, the later ones win.
  const paths = names
    ? names
        .filter(isConfigName)
        .toSorted()
        .map((name) => resolvePath(path, name))
    : [path]
  const trees = paths.flatMap((one) => loader.file(one, { from, written: one, above: [] }) ?? [])
  if (names && paths.length === 0) loader.refuseEmptyFolder(from)
  const tree = trees.reduceRight<MapTree | undefined>(
    (late, early) => (late ? mergeTrees(late, early) : early),
    undefined,
  )
  return { tree: loader.broken ? undefined : tree, files: [...loader.files], sources: loader.sources }
}

function isConfigName(name: string): boolean {
  return /\.ya?ml$/.test(name) && !name.startsWith('.')
}

class TreeLoader {
  readonly files = new Set<string>()
  readonly sources = new Map<string, string>()
  broken = false
  readonly #readText: (path: string) => string | undefined
  readonly #problems: Problems

  constructor(options: { readText: (path: string) => string | undefined; problems: Problems }) {
    this.#readText = options.readText
    this.#problems = options.problems
  }

  /** `from`: where the file is named, and as what it is `written` there; `above`: the files that lead to this one. */
  file(path: string, at: { from: Place; written: string; above: readonly string[] }): MapTree | undefined {
    this.files.add(path)
    const text = this.sources.get(path) ?? this.#readText(path)
    if (text === undefined) {
      return this.#refuse(
        at.from,
        at.above.length === 0 ? cannotReadConfig(path) : { ...cannotReadInclude(path), value: at.written },
      )
    }
    if (text.length > FILE_LENGTH_MAX) {
      return this.#refuse(at.from, {
        rule: `${path} has ${text.length} characters, more than ${FILE_LENGTH_MAX}`,
        remedy: 'check that this is a config file',
      })
    }
    this.sources.set(path, text)
    const tree = parseTree(text, { file: path, problems: this.#problems })
    if (tree === undefined) {
      this.broken = true
      return undefined
    }
    return this.#withIncludes(tree, [...at.above, path])
  }

  refuseEmptyFolder(place: Place): void {
    this.#refuse(place, {
      rule: `there is no file that ends in .yml or .yaml in the folder ${place.file}`,
      remedy: 'name a config file, or put one into this folder',
    })
  }

  #withIncludes(tree: MapTree, above: readonly string[]): MapTree {
    const entry = tree.entries.get('include')
    if (entry === undefined) return tree
    let merged: MapTree = {
      ...tree,
      entries: new Map([...tree.entries].filter(([name]) => name !== 'include')),
    }
    for (const item of this.#includeItems(entry).toReversed()) {
      const included = this.#include(item, above)
      if (included !== undefined) merged = mergeTrees(merged, included)
    }
    return merged
  }

  #include(item: Tree, above: readonly string[]): MapTree | undefined {
    const text = item.kind === 'scalar' ? item.text : undefined
    if (text === undefined || text === '') {
      return this.#refuse(item.place, {
        rule: '"include:" takes the path of a file, or a list of paths',
        remedy: 'write for instance "include: common.yaml"',
      })
    }
    const path = resolvePath(folderOf(item.place.file), text)
    if (above.some((file) => resolvePath('.', file) === resolvePath('.', path))) {
      return this.#refuse(item.place, {
        value: text,
        rule: `the file includes itself: ${[...above, path].join(' → ')}`,
        remedy: 'remove one of these includes',
      })
    }
    if (above.length >= DEPTH_MAX || this.sources.size >= FILES_MAX) {
      return this.#refuse(item.place, {
        value: text,
        rule: `includes go ${DEPTH_MAX} levels deep and to ${FILES_MAX} files at most`,
        remedy: 'put what is shared into one file',
      })
    }
    return this.file(path, { from: item.place, written: text, above })
  }

  #includeItems(entry: Entry): readonly Tree[] {
    return entry.tree.kind === 'list' ? entry.tree.items : [entry.tree]
  }

  #refuse(place: Place, finding: { rule: string; remedy: string; value?: string }): undefined {
    this.broken = true
    this.#problems.error(place, place.line === 0 ? '' : 'include', finding)
    return undefined
  }
}

function cannotReadConfig(path: string): { rule: string; remedy: string } {
  return {
    rule: `cannot read the config file ${path}`,
    remedy:
      'name it with --config FILE; a first one needs three things: identity.node_name, local_db.password and cluster_members (examples/three-hosts shows them)',
  }
}

function cannotReadInclude(path: string): { rule: string; remedy: string } {
  return {
    rule: `cannot read the included file ${path}`,
    remedy:
      'the path starts at the folder of the file that names it; check the path and who may read the file',
  }
}

/** Both mappings in one; what `first` says wins. Lists are taken whole. */
export function mergeTrees(first: MapTree, second: MapTree): MapTree {
  const entries = new Map(first.entries)
  for (const [name, theirs] of second.entries) {
    const ours = entries.get(name)
    if (ours === undefined) {
      if (!entries.has(twinOf(name))) entries.set(name, theirs)
    } else if (ours.tree.kind === 'map' && theirs.tree.kind === 'map') {
      entries.set(name, { keyPlace: ours.keyPlace, tree: mergeTrees(ours.tree, theirs.tree) })
    } else if (isEmpty(ours.tree) && theirs.tree.kind === 'map') entries.set(name, theirs)
  }
  return { ...first, entries }
}

/** `password` and `password_file` are one setting: the nearer file's form of it wins. */
function twinOf(name: string): string {
  return name.endsWith('_file') ? name.slice(0, -'_file'.length) : `${name}_file`
}

function isEmpty(tree: Tree): boolean {
  return tree.kind === 'scalar' && tree.text === undefined
}
