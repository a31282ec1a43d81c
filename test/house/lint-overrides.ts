import { importTable, roomNames, type RoomRule } from './import-table.ts'

/** One entry of `overrides` in `.oxlintrc.json`. */
export type LintOverride = {
  readonly files: readonly string[]
  readonly excludeFiles: readonly string[]
  readonly rules: Readonly<Record<string, unknown>>
}

const IMPURE_GLOBALS = [
  'process',
  'console',
  'performance',
  'crypto',
  'fetch',
  'globalThis',
  'global',
] as const
const TIMERS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
] as const
const PURE_ONLY = [
  'Date',
  'queueMicrotask',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'Worker',
] as const

/**
 * The allow-lists of the import table in the words of oxlint: one override for each room. A pattern list that begins
 * with `**` forbids everything; what follows lets relative paths in, and takes the other rooms out again.
 */
export function lintOverrides(): readonly LintOverride[] {
  return importTable.map((rule) => ({
    files: [rule.path.endsWith('.ts') ? rule.path : `${rule.path}/**/*.ts`],
    excludeFiles: ['**/*.test.ts'],
    rules: { ...importRule(rule), ...clockRules(rule) },
  }))
}

function importRule(rule: RoomRule): Record<string, unknown> {
  const self = rule.path.split('/')[1] ?? ''
  const forbidden = roomNames.filter((name) => name !== self && !rule.rooms.includes(name))
  const group = [
    '**',
    ...(rule.path.startsWith('src/') ? ['!./**', '!../**', '../**/client/**'] : ['!./**']),
    ...(rule.path.startsWith('src/') ? forbidden.map((name) => `../**/${name}/**`) : []),
    ...(rule.touchesNode ? ['!node:*', '!node:*/**'] : []),
    ...(rule.speaksToApi ? ['!#client'] : []),
    ...rule.packages.map((name) => `!${name}`),
    '@*/*',
  ]
  const allowed = [...rule.rooms, ...rule.packages, ...(rule.speaksToApi ? ['#client'] : [])]
  const message = `${rule.path} may import only itself${allowed.length > 0 ? `, ${allowed.join(', ')}` : ''}: see ARCHITECTURE.md`
  return { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] }
}

function clockRules(rule: RoomRule): Record<string, unknown> {
  if (rule.touchesNode || rule.path === 'client') return {}
  const where = rule.pure
    ? 'a pure room takes it as an argument'
    : 'take it from src/platform, so that the simulator can replace it'
  const names = [...IMPURE_GLOBALS, ...TIMERS, ...(rule.pure ? PURE_ONLY : [])]
  return {
    'no-restricted-globals': ['error', ...names.map((name) => ({ name, message: where }))],
    'no-restricted-properties': [
      'error',
      { object: 'Math', property: 'random', message: where },
      { object: 'Date', property: 'now', message: where },
      { object: 'AbortSignal', property: 'timeout', message: where },
    ],
  }
}
