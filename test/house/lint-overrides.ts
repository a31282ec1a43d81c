import { importTable, roomNames, type RoomRule } from './import-table.ts'

/** One entry of `overrides` in `.oxlintrc.json`. */
export type LintOverride = {
  readonly files: readonly string[]
  readonly excludeFiles: readonly string[]
  readonly rules: Readonly<Record<string, unknown>>
}

const WORLD = ['process', 'console', 'performance', 'crypto', 'fetch', 'globalThis', 'global'] as const
const TIMERS = ['setTimeout', 'setInterval', 'setImmediate'] as const
const CANCELLATIONS = ['clearTimeout', 'clearInterval', 'clearImmediate'] as const
const CLOCKS_AND_WORLD = [...WORLD, ...TIMERS, ...CANCELLATIONS] as const
const PURE_ONLY = [
  'Date',
  'queueMicrotask',
  'WebSocket',
  'EventSource',
  'BroadcastChannel',
  'Worker',
] as const

/**
 * The import table in the words of oxlint: an allow-list for each room, then what no room may reach for by itself.
 * A pattern list that begins with `**` forbids everything; what follows lets relative paths in, and takes the other rooms
 * out again.
 */
export function lintOverrides(): readonly LintOverride[] {
  const rooms = importTable.filter((rule) => rule.path.startsWith('src/') && !rule.touchesNode)
  return [
    ...importTable.map((rule) => override([rule], importRule(rule))),
    override(
      rooms.filter((rule) => !rule.pure),
      clockRules(CLOCKS_AND_WORLD, 'take it from src/platform, so that a simulator can stand in for it'),
    ),
    override(
      rooms.filter((rule) => rule.pure),
      clockRules([...CLOCKS_AND_WORLD, ...PURE_ONLY], 'a pure room takes it as an argument'),
    ),
  ]
}

function override(rules: readonly RoomRule[], lint: Record<string, unknown>): LintOverride {
  return {
    files: rules.map(({ path }) => (path.endsWith('.ts') ? path : `${path}/**/*.{ts,tsx}`)),
    excludeFiles: ['**/*.test.ts'],
    rules: lint,
  }
}

function importRule(rule: RoomRule): Record<string, unknown> {
  const self = rule.path.split('/')[1] ?? ''
  const forbidden = roomNames.filter((name) => name !== self && !rule.rooms.includes(name))
  const group = [
    '**',
    ...(rule.path.startsWith('src/') ? ['!./**', '!../**', '../**/client/**'] : ['!./**']),
    ...(rule.path.startsWith('src/') && forbidden.length > 0 ? [`../**/{${forbidden.join(',')}}/**`] : []),
    ...(rule.touchesNode ? ['!node:*', '!node:*/**'] : []),
    ...(rule.speaksToApi ? ['!#client'] : []),
    ...rule.packages.flatMap((name) => [`!${name}`, `!${name}/**`]),
    '@*/*',
  ]
  const allowed = [...rule.rooms, ...rule.packages, ...(rule.speaksToApi ? ['#client'] : [])]
  const message = `${rule.path} may import only itself${allowed.length > 0 ? `, ${allowed.join(', ')}` : ''}: see ARCHITECTURE.md`
  return { 'no-restricted-imports': ['error', { patterns: [{ group, message }] }] }
}

function clockRules(names: readonly string[], message: string): Record<string, unknown> {
  const properties = [
    { object: 'Math', property: 'random', message },
    { object: 'Date', property: 'now', message },
    { object: 'AbortSignal', property: 'timeout', message },
  ]
  return {
    'no-restricted-globals': ['error', ...names.map((name) => ({ name, message }))],
    'no-restricted-properties': ['error', ...properties],
  }
}
