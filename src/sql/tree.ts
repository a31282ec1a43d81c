import type { QualifiedName } from './analysis.ts'

/** A node of PostgreSQL's parse tree as `libpg-query` gives it: `{ SelectStmt: { … } }`, zeros and empty lists left out. */
export type Tree = { readonly [field: string]: unknown }

/** One statement of a text: the name of its node and its fields. */
export type ParsedStatement = { readonly tag: string; readonly fields: Tree }

/** PostgreSQL's own grammar: the statements of a text, or why it refuses it. */
export type Grammar = (
  text: string,
) =>
  | { readonly kind: 'parsed'; readonly statements: readonly ParsedStatement[] }
  | { readonly kind: 'refused'; readonly message: string }

/** Reading of parse trees: a field that is absent is empty, and nothing throws. */

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function treeAt(tree: Tree, field: string): Tree {
  const value = tree[field]
  return isTree(value) ? value : {}
}

export function listAt(tree: Tree, field: string): readonly unknown[] {
  const value = tree[field]
  return Array.isArray(value) ? value : []
}

export function textAt(tree: Tree, field: string): string | undefined {
  const value = tree[field]
  return typeof value === 'string' ? value : undefined
}

/** The only node in a wrapper such as `{ SelectStmt: { … } }`, whatever it is. */
export function unwrap(value: unknown): { readonly tag: string; readonly fields: Tree } {
  if (!isTree(value)) return { tag: '', fields: {} }
  const [tag = ''] = Object.keys(value)
  return { tag, fields: treeAt(value, tag) }
}

/** Of a node that is a `tag`, else an empty one. */
export function fieldsOf(value: unknown, tag: string): Tree {
  return isTree(value) ? treeAt(value, tag) : {}
}

/** `[{ String: { sval: 'a' } }, …]` as names; what is no string is left out. */
export function namesIn(list: readonly unknown[]): readonly string[] {
  return list.flatMap((item) => {
    const name = textAt(fieldsOf(item, 'String'), 'sval')
    return name === undefined ? [] : [name]
  })
}

/** The last two parts of a dotted name. */
export function qualifiedName(names: readonly string[]): QualifiedName {
  const name = names.at(-1) ?? ''
  const schema = names.at(-2)
  return schema === undefined ? { name } : { schema, name }
}

/** Of a `RangeVar`. */
export function relationName(range: Tree): QualifiedName {
  const name = textAt(range, 'relname') ?? ''
  const schema = textAt(range, 'schemaname')
  return schema === undefined ? { name } : { schema, name }
}

/** A constant as text: `'a'`, `1`, `true`, an identifier; `undefined` where it is none. */
export function constantText(value: unknown): string | undefined {
  const constant = fieldsOf(value, 'A_Const')
  const text = textAt(treeAt(constant, 'sval'), 'sval') ?? textAt(treeAt(constant, 'fval'), 'fval')
  if (text !== undefined) return text
  if ('sval' in constant) return ''
  if ('ival' in constant) return String(Number(treeAt(constant, 'ival')['ival'] ?? 0))
  if ('boolval' in constant) return treeAt(constant, 'boolval')['boolval'] === true ? 'true' : 'false'
  return textAt(fieldsOf(value, 'String'), 'sval')
}
