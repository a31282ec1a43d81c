import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { shownKey } from './mask-secrets.ts'
import type { Place, Problems } from './problem.ts'

/** YAML as this room sees it: every value with its place; scalars as the text that was written. */
export type Tree = ScalarTree | MapTree | ListTree
/** `text` is what stands between the quotes; absent: nothing was written (`key:`, `~`, `null`). */
export type ScalarTree = { readonly kind: 'scalar'; readonly text: string | undefined; readonly place: Place }
export type MapTree = {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, Entry>
  readonly place: Place
}
export type ListTree = { readonly kind: 'list'; readonly items: readonly Tree[]; readonly place: Place }
/** `keyPlace` is where the key itself stands. */
export type Entry = { readonly keyPlace: Place; readonly tree: Tree }

/** Aliases can blow a small file up; a config never needs as much as this. */
const NODES_MAX = 20_000
const DEPTH_MAX = 24
/** Open brackets, or dashes of nested lists in one line. A line of dashes in a comment is shorter than this. */
const BRACKETS_MAX = 500

/** Reads one YAML document. Undefined when its form is broken; the problems say where. */
export function parseTree(text: string, options: { file: string; problems: Problems }): MapTree | undefined {
  const lines = new LineCounter()
  const deep = deepLine(text)
  if (deep !== undefined) {
    options.problems.error({ file: options.file, line: deep, column: 1 }, '', {
      rule: `lists and mappings are nested deeper than ${BRACKETS_MAX} levels`,
      remedy: 'check that this is a config file',
    })
    return undefined
  }
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
    stringKeys: true,
  })
  const reader = new TreeReader(document, lines, options)
  if (reader.tellFormErrors()) return undefined
  return reader.root()
}

/** The line at which nesting in one line leaves all bounds: the parser is recursive and would exhaust the stack. */
function deepLine(text: string): number | undefined {
  let depth = 0
  let line = 1
  let dashes = 0
  for (const sign of text) {
    if (sign === '\n') {
      line += 1
      dashes = 0
    } else if (sign === '[' || sign === '{') depth += 1
    else if (sign === ']' || sign === '}') depth = Math.max(0, depth - 1)
    else if (sign === '-' || sign === '?') dashes += 1
    else if (sign !== ' ') dashes = 0
    if (depth > BRACKETS_MAX || dashes > BRACKETS_MAX) return line
  }
  return undefined
}

class TreeReader {
  readonly #document: Document
  readonly #lines: LineCounter
  readonly #file: string
  readonly #problems: Problems
  #nodesLeft = NODES_MAX

  constructor(document: Document, lines: LineCounter, options: { file: string; problems: Problems }) {
    this.#document = document
    this.#lines = lines
    this.#file = options.file
    this.#problems = options.problems
  }

  /** Tells every broken line once; what the parser says after the first fault on a line is only its echo. */
  tellFormErrors(): boolean {
    const told = new Set<number>()
    for (const error of [...this.#document.errors, ...this.#document.warnings]) {
      const place = this.#placeAt(error.pos[0])
      if (told.size > 0 && (told.has(place.line) || error.code === 'UNEXPECTED_TOKEN')) continue
      told.add(place.line)
      this.#problems.error(place, '', formFault(error))
    }
    return told.size > 0
  }

  root(): MapTree | undefined {
    const contents = this.#document.contents
    const start: Place = { file: this.#file, line: 1, column: 1 }
    if (contents === null) return { kind: 'map', entries: new Map(), place: start }
    if (isMap(contents)) return this.#map(contents, 0)
    const place = this.#placeOf(contents)
    this.#problems.error(place, '', {
      rule: `the file must be a mapping of sections, not ${isSeq(contents) ? 'a list' : 'a single value'}`,
      remedy: 'write sections such as "identity:" with indented "key: value" lines below them',
    })
    return undefined
  }

  #tree(node: unknown, at: Place, depth: number): Tree {
    this.#nodesLeft -= 1
    if (this.#nodesLeft < 0 || depth > DEPTH_MAX) {
      this.#problems.error(at, '', {
        rule: `the file holds more than ${NODES_MAX} values once its aliases are followed, or is nested deeper than ${DEPTH_MAX} levels`,
        remedy: 'write the values out instead of nesting aliases',
      })
      return { kind: 'scalar', text: undefined, place: at }
    }
    if (isAlias(node)) return this.#alias(node, depth)
    if (isMap(node)) return this.#map(node, depth)
    if (isSeq(node)) return this.#list(node, depth)
    if (isScalar(node)) {
      const plainNull = node.value === null
      const text = plainNull ? undefined : (node.source ?? String(node.value))
      return { kind: 'scalar', text, place: this.#placeOf(node) }
    }
    return { kind: 'scalar', text: undefined, place: at }
  }

  #alias(node: Alias, depth: number): Tree {
    const place = this.#placeOf(node)
    const target = node.resolve(this.#document)
    if (target !== undefined) return this.#tree(target, place, depth + 1)
    this.#problems.error(place, '', { ...NO_ANCHOR })
    return { kind: 'scalar', text: undefined, place }
  }

  #list(node: YAMLSeq, depth: number): ListTree {
    const place = this.#placeOf(node)
    if (this.#nodesLeft < 0) return { kind: 'list', items: [], place }
    return { kind: 'list', items: node.items.map((item) => this.#tree(item, place, depth + 1)), place }
  }

  #map(node: YAMLMap, depth: number): MapTree {
    const entries = new Map<string, Entry>()
    const merged: Entry[] = []
    for (const pair of node.items) {
      if (this.#nodesLeft < 0) break
      const key = pair.key
      const keyPlace = isScalar(key) || isAlias(key) ? this.#placeOf(key) : this.#placeOf(node)
      if (!isScalar(key)) {
        this.#problems.error(keyPlace, '', {
          rule: 'a key must be a plain word',
          remedy: 'quote values that hold { or [, for instance "{{ name }}"',
        })
        continue
      }
      const name = key.source ?? String(key.value)
      const entry: Entry = { keyPlace, tree: this.#tree(pair.value, keyPlace, depth + 1) }
      if (name === '<<') merged.push(entry)
      else if (entries.has(name)) this.#tellDuplicate(name, keyPlace, entries.get(name) as Entry)
      else entries.set(name, entry)
    }
    for (const entry of merged) this.#merge(entries, entry)
    return { kind: 'map', entries, place: this.#placeOf(node) }
  }

  /** YAML's merge key: what the map itself says wins. */
  #merge(entries: Map<string, Entry>, from: Entry): void {
    const trees = from.tree.kind === 'list' ? from.tree.items : [from.tree]
    for (const tree of trees) {
      if (tree.kind !== 'map') {
        this.#problems.error(from.keyPlace, '', {
          rule: '"<<" takes the keys of another mapping, and this is none',
          remedy: 'name an anchor of a mapping ("<<: *shared"), or use "include:" for what all nodes share',
        })
        continue
      }
      for (const [name, entry] of tree.entries) if (!entries.has(name)) entries.set(name, entry)
    }
  }

  #tellDuplicate(name: string, place: Place, first: Entry): void {
    this.#problems.error(place, shownKey(name), {
      rule: `"${shownKey(name)}" stands here a second time; the first is in line ${first.keyPlace.line}`,
      remedy: 'keep one of the two and put all its keys there',
    })
  }

  #placeOf(node: Node): Place {
    return this.#placeAt(node.range?.[0] ?? 0)
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
}

/** The parser's own sentences may quote the file, and with it a secret: only its codes are used. */
function formFault(error: YAMLError): { rule: string; remedy: string } {
  const known = FORM_FAULTS[error.code]
  if (known !== undefined) return known
  return {
    rule: `this is not valid YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`,
    remedy: 'check the indentation, the colons and the quotes of this line and of the one before it',
  }
}

const QUOTES = {
  rule: 'a quote or a bracket is opened and not closed, or a list item lacks its "- "',
  remedy: 'close it on the same line, and line list items up under each other',
}
const INDENT = {
  rule: 'the indentation does not fit what stands above',
  remedy: 'indent keys of one section by the same number of spaces',
}
const NO_ANCHOR = {
  rule: '"*" starts a reference to an anchor, and there is no such anchor',
  remedy: 'put the value in double quotes if the * belongs to it',
}
const FORM_FAULTS: Readonly<Partial<Record<YAMLError['code'], { rule: string; remedy: string }>>> = {
  TAB_AS_INDENT: { rule: 'YAML does not allow tabs as indentation', remedy: 'replace the tab by spaces' },
  BAD_INDENT: INDENT,
  UNEXPECTED_TOKEN: INDENT,
  MISSING_CHAR: QUOTES,
  MULTIPLE_DOCS: {
    rule: 'the file holds more than one YAML document',
    remedy: 'remove the line "---"; use "include:" to bring in other files',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    rule: 'a second ": " stands in one line',
    remedy: 'put the value in quotes, or start a new line',
  },
  MULTILINE_IMPLICIT_KEY: {
    rule: 'this line is no "key: value"',
    remedy: 'write a colon and a space between key and value',
  },
  BAD_SCALAR_START: {
    rule: 'a value cannot start with this character',
    remedy: 'put the value in double quotes',
  },
  BAD_ALIAS: NO_ANCHOR,
  TAG_RESOLVE_FAILED: {
    rule: '"!" starts a YAML tag, and this one has no meaning here',
    remedy: 'put the value in double quotes if the ! belongs to it',
  },
  BAD_DQ_ESCAPE: {
    rule: 'a backslash in double quotes starts an escape, and this one does not exist',
    remedy: "use single quotes ('…') or write the backslash twice",
  },
  NON_STRING_KEY: {
    rule: 'a key must be a plain word',
    remedy: 'quote values that hold { or [, for instance "{{ name }}"',
  },
  RESOURCE_EXHAUSTION: {
    rule: 'the file is nested too deeply to be read',
    remedy: 'check that this is a config file',
  },
  KEY_OVER_1024_CHARS: { rule: 'a key is longer than 1024 characters', remedy: 'check the quotes above it' },
}
