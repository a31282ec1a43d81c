import type { EffectiveSetting } from './effective-settings.ts'
import type { PgBouncerImport } from '../model/pgbouncer-setting.ts'
import { counted, formatProblems } from './format-problems.ts'
import { SECTIONS } from './keys/key-table.ts'
import type { LoadedConfig } from './load-config.ts'
import { maskSecrets } from './mask-secrets.ts'
import { showPlace } from './problem.ts'
import type { Origin } from './settings.ts'
import { yamlScalar } from './yaml-text.ts'

/** Column in which the origins start, where the value leaves room. */
const COMMENT_COLUMN = 56

/**
 * What `--validate` prints. A good config: all keys as YAML with the origin of each value as a comment, then the
 * warnings, then what of PgBouncer's file is not honoured, then `config is valid`. A refused one: its problems. Secrets are `(set)`.
 */
export function describeConfig(loaded: LoadedConfig): string {
  if (loaded.kind === 'refused')
    return `${formatProblems(loaded.problems, loaded.sources)}\nconfig is refused`
  const parts = [render(loaded.effective)]
  if (loaded.warnings.length > 0) parts.push(formatProblems(loaded.warnings, loaded.sources))
  const { pgbouncer } = loaded.config.pool
  if (pgbouncer !== undefined) parts.push(notHonoured(pgbouncer))
  const count = counted(0, loaded.warnings.length)
  return `${parts.join('\n')}\nconfig is valid${count === '' ? '' : `, with ${count}`}`
}

/** What of PgBouncer's own file does nothing here, a line each. */
function notHonoured({ file, notHonoured: found }: PgBouncerImport): string {
  if (found.length === 0) return `${file}: everything in it is honoured\n`
  const lines = found.map(({ place, setting, value, reason }) => {
    const written = value === '' ? setting : `${setting} = ${maskSecrets(value)}`
    return `  ${place}: ${written}: ${reason}`
  })
  return `${file}: ${found.length} of what it says ${found.length === 1 ? 'is' : 'are'} not honoured here\n${lines.join('\n')}\n`
}

type Branch = { leaf?: EffectiveSetting; readonly children: Map<string, Branch> }

function render(effective: readonly EffectiveSetting[]): string {
  const root: Branch = { children: new Map() }
  for (const setting of effective) place(root, setting)
  const sections = [...root.children].sort(([a], [b]) => SECTIONS.indexOf(a) - SECTIONS.indexOf(b))
  const lines = sections.flatMap(([name, branch]) => renderBranch(name, branch, ''))
  return `${lines.join('\n')}\n`
}

/** Steps of a dotted key; names of settings may hold dots themselves, so those stay whole. */
function steps(key: string): readonly string[] {
  const parameters = 'postgresql.parameters.'
  if (key.startsWith(parameters)) return ['postgresql', 'parameters', key.slice(parameters.length)]
  return key.split(/\.|(?=\[)/)
}

function place(root: Branch, setting: EffectiveSetting): void {
  let at = root
  for (const step of steps(setting.key)) {
    const next: Branch = at.children.get(step) ?? { children: new Map() }
    at.children.set(step, next)
    at = next
  }
  at.leaf = setting
}

function renderBranch(name: string, branch: Branch, indent: string): readonly string[] {
  const { leaf } = branch
  const head = name.startsWith('[') ? `${indent}-` : `${indent}${name}:`
  if (leaf !== undefined) return [renderLeaf(head, leaf)]
  const children = [...branch.children]
  if (name.startsWith('[')) {
    const body = children.flatMap(([child, it]) => renderBranch(child, it, `${indent}  `))
    return [`${indent}- ${(body[0] ?? '').trimStart()}`, ...body.slice(1)]
  }
  return [head, ...children.flatMap(([child, it]) => renderBranch(child, it, `${indent}  `))]
}

function renderLeaf(head: string, leaf: EffectiveSetting): string {
  if (leaf.shown === undefined)
    return comment(`${head.replace(/^(\s*)/, '$1# ')}`, `not set: ${leaf.note ?? ''}`)
  const empty = leaf.shown === '[]' || leaf.shown === '{}' || leaf.shown === '(set)'
  return comment(`${head} ${empty ? leaf.shown : yamlScalar(leaf.shown)}`, showOrigin(leaf.origin))
}

function comment(line: string, text: string): string {
  return `${line.padEnd(COMMENT_COLUMN)} # ${text}`
}

/** Where a value comes from, for people. */
export function showOrigin(origin: Origin): string {
  switch (origin.kind) {
    case 'default':
      return 'default'
    case 'derived':
      return origin.from === 'default' ? 'default' : `from ${origin.from}`
    case 'file':
      return showPlace(origin)
    case 'environment':
      return `env ${origin.name}`
    case 'secret-file':
      return `file ${origin.path}, named by ${origin.namedBy}`
  }
}
