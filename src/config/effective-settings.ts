import { maskSecrets } from './mask-secrets.ts'
import type { Key } from './key.ts'
import { keyTable } from './keys/key-table.ts'
import type { Origin, Settings } from './settings.ts'

/** One key as it counts: shown as people write it, secrets as `(set)`. */
export type EffectiveSetting = {
  /** Dotted key; items of lists and fields of records with their index. */
  readonly key: string
  /** Undefined: not set, and nothing follows from that but what `note` says. */
  readonly shown: string | undefined
  readonly origin: Origin
  /** What not being set means. */
  readonly note?: string
}

/** Every key of the table with the value that counts, in the order of the table. Holds no secret. */
export function effectiveSettings(settings: Settings): readonly EffectiveSetting[] {
  const { scalars, lists, maps, records } = keyTable
  return [
    ...scalars.map((key) => scalar(settings, key)),
    ...lists.flatMap((key) => listItems(key.name, settings.list(key), settings.origin(key))),
    ...maps.flatMap((key) => {
      const origin = settings.origin(key)
      const values = [...settings.mapping(key)]
      if (values.length === 0) return [{ key: key.name, shown: '{}', origin }]
      return values.map(([name, value]) => ({
        key: `${key.name}.${name}`,
        shown: shownSetting(name, value),
        origin,
      }))
    }),
    ...records.flatMap((key) => {
      const entries = settings.records(key)
      if (entries.length === 0) return [{ key: key.name, shown: '[]', origin: settings.origin(key) }]
      return entries.flatMap((record) => [
        ...Object.values(key.fields).map((field) => scalar(record, field)),
        ...(key.lists ?? []).flatMap((list) =>
          listItems(record.prefix + list.name, record.list(list), record.origin(list)),
        ),
      ])
    }),
  ]
}

function scalar(settings: Settings, key: Key<unknown>): EffectiveSetting {
  const value = settings.get(key)
  const origin = settings.origin(key)
  const name = settings.prefix + key.name
  if (value !== undefined) return { key: name, shown: key.secret ? '(set)' : key.type.show(value), origin }
  const note = key.fallback.kind === 'open' ? key.fallback.means : ''
  return { key: name, shown: undefined, origin, note }
}

function listItems(name: string, items: readonly string[], origin: Origin): readonly EffectiveSetting[] {
  if (items.length === 0) return [{ key: name, shown: '[]', origin }]
  return items.map((shown, index) => ({ key: `${name}[${index}]`, shown, origin }))
}

/** PostgreSQL has settings that may hold secrets too, such as `ssl_passphrase_command`. */
function shownSetting(name: string, value: string): string {
  return /passphrase|secret|token/i.test(name) ? '(set)' : maskSecrets(value)
}
