import { PATRONI_KEYS } from '../patroni/patroni-keys.ts'
import { keyTable, SECTIONS } from './key-table.ts'

/** Last words of keys that hold a value or a list, and no secret. */
const VALUES = new Set(['include', ...valueNames().map(lastWord), ...patroniNames()])
/** Words that only ever stand before a mapping or a list. */
const SECTION_WORDS = new Set([
  ...SECTIONS,
  ...keyTable.scalars.flatMap(({ name }) => name.split('.').slice(0, -1)),
  ...[...keyTable.maps, ...keyTable.records].map(({ name }) => lastWord(name)),
])

/** `value`: what stands behind this key is known to be no secret. `section`: nothing but a mapping or list belongs there. */
export function kindOfKey(word: string): 'value' | 'section' | 'unknown' {
  const last = lastWord(word)
  if (SECTION_WORDS.has(last)) return 'section'
  return VALUES.has(last) ? 'value' : 'unknown'
}

function valueNames(): readonly string[] {
  const { scalars, lists, records } = keyTable
  const fields = records.flatMap((key) => [...Object.values(key.fields), ...(key.lists ?? [])])
  const inRecords = fields.flatMap((key) => ('secret' in key ? [`${key.name}_file`] : [key.name]))
  const inSections = scalars.flatMap(({ name, secret, aliases = [], oldNames = [] }) =>
    secret ? [`${name}_file`] : [name, ...aliases, ...oldNames],
  )
  return [...inSections, ...inRecords, ...lists.map(({ name }) => name)]
}

/** Words of Patroni's file that stand before a plain value. What a command or a header holds, nobody knows. */
function patroniNames(): readonly string[] {
  return Object.entries(PATRONI_KEYS)
    .filter(
      ([name, { kind }]) => kind !== 'absent' && !/pass|headers|authentication|static_fields/.test(name),
    )
    .map(([name]) => lastWord(name))
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
