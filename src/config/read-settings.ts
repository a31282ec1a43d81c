import { variablePlace } from './environment.ts'
import { absolutePath, findGiven, type Given, type ReadContext, type Written } from './given-values.ts'
import { environmentName, type Key, type KeyTable, type ListKey, type MapKey, type Records } from './key.ts'
import { shownKey } from './mask-secrets.ts'
import { Settings } from './settings.ts'
import { lastWord, sectionOf, unknownKey } from './unknown-key.ts'
import type { Entry, MapTree, Tree } from './yaml-tree.ts'

type Target =
  | { readonly kind: 'scalar'; readonly key: Key<unknown>; readonly form: Written['form'] }
  | { readonly kind: 'list'; readonly key: ListKey }
  | { readonly kind: 'map'; readonly key: MapKey }
  | { readonly kind: 'records'; readonly key: Records }

/** Turns a tree and the environment into settings; every key that is wrong becomes a problem. */
export function readSettings(tree: MapTree, table: KeyTable, context: ReadContext): Settings {
  const settings = new Settings('', tree.place)
  new SettingsReader(settings, table, context).read(tree, '')
  return settings
}

class SettingsReader {
  readonly #settings: Settings
  readonly #table: KeyTable
  readonly #context: ReadContext
  readonly #targets = new Map<string, Target>()
  readonly #sections = new Set<string>()
  /** What the file says for each scalar key, in the order of the file. */
  readonly #scalars = new Map<string, Written[]>()
  /** Environment variables of a record's fields start with this; absent: they have none. */
  #environmentPrefix: string | undefined

  constructor(settings: Settings, table: KeyTable, context: ReadContext) {
    this.#settings = settings
    this.#table = table
    this.#context = context
    for (const key of table.scalars) {
      for (const name of [key.name, ...(key.aliases ?? [])])
        this.#target(name, { kind: 'scalar', key, form: 'value' })
      for (const name of key.oldNames ?? []) this.#target(name, { kind: 'scalar', key, form: 'old' })
      if (key.secret) this.#target(`${key.name}_file`, { kind: 'scalar', key, form: 'file' })
    }
    for (const key of table.lists) this.#target(key.name, { kind: 'list', key })
    for (const key of table.maps) this.#target(key.name, { kind: 'map', key })
    for (const key of table.records) this.#target(key.name, { kind: 'records', key })
  }

  read(tree: MapTree, environmentPrefix: string | undefined): void {
    this.#environmentPrefix = environmentPrefix
    this.#section(tree, '')
    for (const key of this.#table.scalars) this.#scalar(key)
    for (const key of this.#table.lists) this.#listFromEnvironment(key)
  }

  #target(name: string, target: Target): void {
    this.#targets.set(name, target)
    const parts = name.split('.')
    for (let depth = 1; depth < parts.length; depth += 1) this.#sections.add(parts.slice(0, depth).join('.'))
  }

  #section(tree: MapTree, prefix: string): void {
    for (const [word, entry] of tree.entries) {
      const name = prefix + word
      const target = this.#targets.get(name)
      if (target !== undefined) this.#take(name, target, entry)
      else if (this.#sections.has(name)) this.#enter(name, entry)
      else this.#unknown(name, entry)
    }
  }

  #enter(name: string, entry: Entry): void {
    this.#settings.putSection(name, entry.keyPlace)
    const tree = entry.tree
    if (tree.kind === 'map') return this.#section(tree, `${name}.`)
    if (tree.kind === 'scalar' && tree.text === undefined) return
    this.#context.problems.error(entry.keyPlace, this.#full(name), {
      rule: `"${name}" is a section with keys below it, not ${tree.kind === 'list' ? 'a list' : 'a single value'}`,
      remedy: `write "${lastWord(name)}:" and its keys on the following lines, indented`,
    })
  }

  #take(name: string, target: Target, entry: Entry): void {
    const { tree } = entry
    switch (target.kind) {
      case 'scalar': {
        const found = this.#scalars.get(target.key.name) ?? []
        this.#scalars.set(target.key.name, [...found, { name, form: target.form, entry }])
        return
      }
      case 'list':
        return this.#list(target.key, entry)
      case 'map':
        return this.#map(target.key, entry)
      case 'records':
        if (tree.kind === 'scalar' && tree.text === undefined) return
        return this.#records(target.key, entry)
    }
  }

  #unknown(name: string, entry: Entry): void {
    if (this.#context.problems.isFull) return
    const names = (kinds: readonly Target['kind'][]): string[] =>
      [...this.#targets].filter(([, target]) => kinds.includes(target.kind)).map(([known]) => known)
    const finding = unknownKey(name, entry.tree, {
      scalars: names(['scalar']),
      compounds: names(['list', 'map', 'records']),
      sections: [...this.#sections],
      isTop: this.#settings.prefix === '',
    })
    const section = sectionOf(name)
    const shown = (section === '' ? '' : `${section}.`) + shownKey(lastWord(name))
    this.#context.problems.error(entry.keyPlace, this.#full(shown), { ...finding })
  }

  #scalar(key: Key<unknown>): void {
    const given = findGiven(key, {
      context: this.#context,
      prefix: this.#settings.prefix,
      environmentPrefix: this.#environmentPrefix,
      written: this.#scalars.get(key.name) ?? [],
    })
    if (given === 'wrong') return this.#settings.markWrong(key)
    if (given === undefined) {
      if (key.fallback.kind === 'required') this.#missing(key, key.fallback.why)
      return
    }
    const reading = key.type.read(given.text)
    if (reading.kind === 'wrong') {
      const value = key.secret ? {} : { value: given.text }
      const { rule, remedy } = reading
      this.#context.problems.error(given.place, given.name, { rule, remedy, ...value })
      return this.#settings.markWrong(key)
    }
    const value = key.type.isPath
      ? absolutePath(this.#context, given.folder, String(reading.value))
      : reading.value
    this.#settings.put(key, value, { origin: given.origin, place: given.place })
  }

  #missing(key: Key<unknown>, why: string): void {
    const empty = this.#scalars.get(key.name)?.[0]
    const place = empty?.entry.keyPlace ?? this.#settings.placeOf(key)
    const name = this.#full(key.name)
    const variable = this.#environmentPrefix === '' ? `, or set ${environmentName(key.name)}` : ''
    const twin = key.secret ? ` or "${lastWord(key.name)}_file: PATH"` : ''
    this.#context.problems.error(place, name, {
      rule: empty === undefined ? `is missing: ${why}` : `is empty: ${why}`,
      remedy: `add "${lastWord(key.name)}: …"${twin}${sectionOf(key.name) === '' ? '' : ` under ${sectionOf(key.name)}:`}${variable}`,
    })
  }

  #list(key: ListKey, entry: Entry): void {
    const { tree, keyPlace } = entry
    if (tree.kind === 'map') {
      this.#context.problems.error(keyPlace, this.#full(key.name), {
        rule: 'must be a list, not a mapping',
        remedy: `write every item on a line of its own that starts with "- "`,
      })
      return
    }
    if (tree.kind === 'scalar') {
      if (tree.text === undefined) return
      this.#putList(key, {
        text: tree.text,
        place: tree.place,
        origin: { kind: 'file', ...tree.place },
      })
      return
    }
    const items: string[] = []
    for (const [index, item] of tree.items.entries()) {
      const written = itemText(item, key)
      const reading = written === undefined ? undefined : key.item.read(written)
      if (reading?.kind === 'value') items.push(reading.value)
      else {
        this.#context.problems.error(item.place, `${this.#full(key.name)}[${index}]`, {
          rule: reading?.rule ?? 'every item must be a single text',
          remedy: reading?.remedy ?? 'put the item in quotes',
          ...(written === undefined ? {} : { value: written }),
        })
      }
    }
    this.#settings.putList(key, items, { origin: { kind: 'file', ...tree.place }, place: tree.place })
  }

  #listFromEnvironment(key: ListKey): void {
    if (this.#environmentPrefix !== '' || key.separator === undefined) return
    const name = environmentName(key.name)
    const text = this.#context.environment.read(name)
    if (text === undefined) return
    this.#putList(key, {
      text,
      place: variablePlace(name),
      origin: { kind: 'environment', name },
    })
  }

  #putList(key: ListKey, given: Pick<Given, 'text' | 'place' | 'origin'>): void {
    const items = given.text.split(key.separator ?? /\r?\n/).filter((item) => item.trim() !== '')
    this.#settings.putList(key, items, { origin: given.origin, place: given.place })
  }

  #map(key: MapKey, entry: Entry): void {
    const { tree, keyPlace } = entry
    if (tree.kind === 'scalar' && tree.text === undefined) return
    if (tree.kind !== 'map') {
      this.#context.problems.error(keyPlace, this.#full(key.name), {
        rule: 'must be a mapping of names to values',
        remedy: 'write "name: value" on lines of their own, indented',
      })
      return
    }
    const values = new Map<string, string>()
    for (const [name, item] of tree.entries) {
      const value = item.tree.kind === 'scalar' ? item.tree.text : undefined
      const wrong =
        value === undefined
          ? {
              rule: 'must have a single value',
              remedy: 'write the value after the colon, in quotes if need be',
            }
          : key.check(name, value)
      if (wrong !== undefined) {
        const written = value === undefined ? {} : { value }
        this.#context.problems.error(item.keyPlace, `${this.#full(key.name)}.${shownKey(name)}`, {
          ...wrong,
          ...written,
        })
      } else if (value !== undefined) values.set(name, value)
    }
    this.#settings.putMap(key, values, { origin: { kind: 'file', ...tree.place }, place: tree.place })
  }

  #records(key: Records, entry: Entry): void {
    const trees = this.#recordTrees(key, entry)
    if (trees === undefined) return
    const records: Settings[] = []
    for (const [index, tree] of trees.entries()) {
      if (tree.kind !== 'map') {
        this.#context.problems.error(tree.place, `${key.name}[${index}]`, {
          rule: 'every entry must be a mapping',
          remedy: `write "- ${Object.values(key.fields)[0]?.name}: …" with the other keys below it`,
        })
        continue
      }
      const record = new Settings(`${key.name}[${index}].`, tree.place)
      const table = { scalars: Object.values(key.fields), lists: key.lists ?? [], maps: [], records: [] }
      new SettingsReader(record, table, this.#context).read(tree, recordPrefix(key, tree))
      records.push(record)
    }
    const at = { origin: { kind: 'file', ...entry.tree.place } as const, place: entry.keyPlace }
    this.#settings.putRecords(key, records, at)
  }

  #recordTrees(key: Records, entry: Entry): readonly Tree[] | undefined {
    const { tree, keyPlace } = entry
    if (tree.kind === 'list') return tree.items
    const { keyedBy } = key
    if (tree.kind === 'map' && keyedBy !== undefined) {
      return [...tree.entries].map(([name, item]) => keyedRecord(keyedBy, name, item))
    }
    this.#context.problems.error(keyPlace, key.name, {
      rule: `must be a list of mappings, not ${tree.kind === 'map' ? 'a mapping' : 'a single value'}`,
      remedy: `write "- ${Object.values(key.fields)[0]?.name}: …" for every entry, with its other keys below it`,
    })
    return undefined
  }

  #full(name: string): string {
    return this.#settings.prefix + name
  }
}

/** `NAME: {…}` as `{keyedBy: NAME, …}`. */
function keyedRecord(keyedBy: string, name: string, item: Entry): Tree {
  const { tree, keyPlace } = item
  const own: Entry = { keyPlace, tree: { kind: 'scalar', text: name, place: keyPlace } }
  if (tree.kind === 'map')
    return { ...tree, entries: new Map([[keyedBy, own], ...tree.entries]), place: keyPlace }
  if (tree.kind === 'scalar' && tree.text === undefined) {
    return { kind: 'map', entries: new Map([[keyedBy, own]]), place: keyPlace }
  }
  return tree
}

/** Secrets in records have variables named after the record: `PG_METAKO_BOOTSTRAP_USERS_APP_PASSWORD`. */
function recordPrefix(key: Records, tree: MapTree): string | undefined {
  if (key.keyedBy === undefined) return undefined
  const name = tree.entries.get(key.keyedBy)?.tree
  if (name?.kind !== 'scalar' || name.text === undefined) return undefined
  return `${key.name}.${name.text.replaceAll(/[^A-Za-z0-9]/g, '_')}.`
}

function itemText(item: Tree, key: ListKey): string | undefined {
  if (item.kind === 'scalar') return item.text
  const pair = item.kind === 'map' && item.entries.size === 1 ? [...item.entries][0] : undefined
  if (key.pairs === undefined || pair === undefined) return undefined
  const [name, entry] = pair
  return entry.tree.kind === 'scalar' ? `${name}=${entry.tree.text ?? ''}` : undefined
}
