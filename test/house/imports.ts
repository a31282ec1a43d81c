import { posix } from 'node:path'
import { importTable, roomOf, ruleOf, type RoomRule } from './import-table.ts'
import { codeWithSpecifiers } from './source-text.ts'
import { isProduct, type SourceTree, type Violation } from './source-tree.ts'

/** One arrow of the tree: a static or dynamic import, a re-export, or a type taken by `import('…')`. */
export type Import = { readonly from: string; readonly specifier: string; readonly line: number }

const SPECIFIER =
  /\bfrom\s*(['"])([^'"]+)\1|\bimport\s*(['"])([^'"]+)\3|\bimport\s*\(\s*(['"])([^'"]+)\5|\brequire\s*\(\s*(['"])([^'"]+)\7/g

export function importsOf(file: string, text: string): readonly Import[] {
  const code = codeWithSpecifiers(text)
  return [...code.matchAll(SPECIFIER)].map((match) => ({
    from: file,
    specifier: match[2] ?? match[4] ?? match[6] ?? match[8] ?? '',
    line: code.slice(0, match.index).split('\n').length,
  }))
}

/** Path of the imported file; `undefined` for a package. */
function targetOf(one: Import): string | undefined {
  if (one.specifier === '#client') return 'client/index.ts'
  if (!one.specifier.startsWith('.')) return undefined
  return posix.normalize(posix.join(posix.dirname(one.from), one.specifier))
}

/** Every import of the product that the table does not allow, and every file that lies in no room. */
export function forbiddenImports(tree: SourceTree): readonly Violation[] {
  return [...tree]
    .filter(([file]) => isProduct(file))
    .flatMap(([file, text]) => {
      const rule = ruleOf(file)
      if (!rule) return [{ file, message: 'lies in no room of test/house/import-table.ts' }]
      return importsOf(file, text).flatMap((one) => {
        const message = objectionTo(one, rule)
        return message === undefined ? [] : [{ file: `${file}:${one.line}`, message }]
      })
    })
}

function objectionTo(one: Import, rule: RoomRule): string | undefined {
  const { specifier } = one
  if (specifier === '#client') {
    return rule.speaksToApi ? undefined : `${rule.path} may not import the API contract`
  }
  if (specifier.startsWith('node:')) {
    return rule.touchesNode ? undefined : `imports ${specifier}: only src/platform may import node:*`
  }
  const target = targetOf(one)
  if (target === undefined) {
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
    return rule.packages.includes(name)
      ? undefined
      : `imports the package ${name}: ${rule.path} does not adapt it`
  }
  if (!/\.tsx?$/.test(target)) return `imports ${specifier}: a path ends in .ts`
  return objectionToTarget(one.from, target, rule)
}

function objectionToTarget(from: string, target: string, rule: RoomRule): string | undefined {
  const targetRule = ruleOf(target)
  if (!targetRule) return `imports ${target}, which lies in no room`
  if (roomOf(from) === roomOf(target)) {
    return rule.pure && !targetRule.pure ? `is pure and imports ${target}, which is not` : undefined
  }
  if (target.startsWith('client/')) return `imports ${target} by its path: use #client`
  if (!rule.rooms.includes(roomOf(target))) return `${rule.path} may not import ${roomOf(target)} (${target})`
  return undefined
}

/** Arrows between rooms as they are in the tree: `from` to the rooms that it imports, both in the order of the table. */
export function roomArrows(tree: SourceTree): ReadonlyMap<string, readonly string[]> {
  const order = [...new Set(importTable.map((rule) => roomOf(rule.path)))]
  const arrows = new Map<string, Set<string>>()
  for (const [file, text] of tree) {
    if (!isProduct(file)) continue
    for (const one of importsOf(file, text)) {
      const target = targetOf(one)
      if (target === undefined || roomOf(target) === roomOf(file)) continue
      const known = arrows.get(roomOf(file)) ?? new Set()
      arrows.set(roomOf(file), known.add(roomOf(target)))
    }
  }
  const byTable = (left: string, right: string) => order.indexOf(left) - order.indexOf(right)
  return new Map(
    [...arrows.keys()]
      .toSorted(byTable)
      .map((room) => [room, [...(arrows.get(room) ?? [])].toSorted(byTable)]),
  )
}

/**
 * Files of the product that nothing reaches from its entries; a file that only its own test imports is dead as well.
 * `forTests`: folders of adapters that stand in for real ones.
 */
export function orphans(
  tree: SourceTree,
  entries: readonly string[],
  forTests: readonly string[] = [],
): readonly Violation[] {
  const reached = new Set<string>()
  const pending = [...entries]
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    const text = tree.get(file)
    if (text === undefined || reached.has(file)) continue
    reached.add(file)
    for (const one of importsOf(file, text)) {
      const target = targetOf(one)
      if (target !== undefined) pending.push(target)
    }
  }
  return [...tree.keys()]
    .filter((file) => isProduct(file) && !reached.has(file))
    .filter((file) => !forTests.some((folder) => file.startsWith(folder)))
    .map((file) => ({ file, message: `is reached from none of ${entries.join(', ')}` }))
}

/** Import cycles between files, one path for each; type-only imports count, since they tie two files together as well. */
export function cycles(tree: SourceTree): readonly Violation[] {
  const state = new Map<string, 'open' | 'done'>()
  const found: Violation[] = []
  const visit = (file: string, path: readonly string[]): void => {
    const text = tree.get(file)
    if (text === undefined || state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      const cycle = [...path.slice(path.indexOf(file)), file]
      found.push({ file, message: `is in a cycle: ${cycle.join(' → ')}` })
      return
    }
    state.set(file, 'open')
    for (const one of importsOf(file, text)) {
      const target = targetOf(one)
      if (target !== undefined) visit(target, [...path, file])
    }
    state.set(file, 'done')
  }
  for (const file of tree.keys()) if (isProduct(file)) visit(file, [])
  return found
}
