import type { Key, RecordsKey } from '../key.ts'
import { poolLists } from '../keys/pool-keys.ts'
import { maskSecrets } from '../mask-secrets.ts'
import { nearestWord } from '../nearest-key.ts'
import type { Problems } from '../problem.ts'
import { Settings } from '../settings.ts'
import { lastWord } from '../unknown-key.ts'
import type { IniLine } from './ini-files.ts'
import type { IniFields } from './ini-keys.ts'
import { parseConnectString } from './ini-text.ts'
import { readIniValue } from './ini-values.ts'
import { clusterAddresses, strangeAddress } from './line-addresses.ts'

type OverridesKey = RecordsKey<{ readonly name: Key<string> } & Readonly<Record<string, Key<unknown>>>>

type RecordContext = {
  readonly problems: Problems
  readonly tell: (line: IniLine, setting: string, reason: string) => void
}

type Pair = { readonly name: string; readonly value: string }

/** The console's own; PgBouncer refuses it too. */
const RESERVED = 'pgbouncer'

/** Lines of [databases] and [users] as entries of `pool.databases` and `pool.users`; what the config says of one itself counts. */
export class IniRecords {
  readonly #settings: Settings
  readonly #context: RecordContext

  constructor(settings: Settings, context: RecordContext) {
    this.#settings = settings
    this.#context = context
  }

  take(lines: readonly IniLine[], records: OverridesKey, known: IniFields): void {
    if (lines.length === 0) return
    const entries = [...this.#settings.records(records)]
    for (const line of lines) {
      const pairs = this.#pairsOf(line)
      if (pairs === undefined) continue
      const listed = entries.find((entry) => entry.get(records.fields.name) === line.name)
      const entry = listed ?? new Settings(`${records.name}[${entries.length}].`, line.place)
      const at = { origin: { kind: 'file', ...line.place } as const, place: line.place }
      if (listed === undefined) {
        entry.put(records.fields.name, line.name, at)
        entries.push(entry)
      }
      for (const pair of pairs) this.#field(line, pair, { entry, known })
      if (line.section === 'databases') this.#judgeAddress(line, pairs)
    }
    const first = { kind: 'file', ...(lines[0] as IniLine).place } as const
    const origin = this.#settings.isGiven(records) ? this.#settings.origin(records) : first
    this.#settings.putRecords(records, entries, { origin, place: this.#settings.placeOf(records) })
  }

  #pairsOf(line: IniLine): readonly Pair[] | undefined {
    const { section, name, place, value } = line
    if (section === 'databases' && name === RESERVED) {
      this.#context.problems.error(place, name, {
        rule: 'the database "pgbouncer" is the console',
        remedy: 'give the line another name, and dbname=pgbouncer if PostgreSQL has one of this name',
      })
      return undefined
    }
    const parsed = parseConnectString(value)
    if (parsed.kind === 'pairs') return parsed.pairs
    // Its value may hold a password.
    this.#context.problems.error(place, name, parsed.finding)
    return undefined
  }

  #field(line: IniLine, pair: Pair, to: { entry: Settings; known: IniFields }): void {
    const { problems, tell } = this.#context
    const { fields, ignored } = to.known
    const name = `${line.name}: ${pair.name}`
    const reason = ignored[pair.name]
    if (reason !== undefined) return tell(line, name, reason)
    const field = fields[pair.name]
    if (field === undefined) {
      const addresses = line.section === 'databases' ? ['host', 'port'] : []
      if (addresses.includes(pair.name)) return
      const near = nearestWord(pair.name, [...Object.keys(fields), ...Object.keys(ignored), ...addresses])
      return problems.error(line.place, name, {
        rule: `PgBouncer has no such parameter in [${line.section}]`,
        remedy: near === undefined ? `it has ${Object.keys(fields).join(', ')}` : `did you mean ${near}?`,
      })
    }
    const value = readIniValue(field.form, pair.value)
    // -1 is how PgBouncer writes "as for all".
    if (pair.value === '-1') return
    const reading = value.kind === 'wrong' ? value : field.key.type.read(value.value)
    const shown = field.key.secret ? {} : { value: pair.value }
    if (value.kind === 'wrong') return problems.error(line.place, name, { ...value, ...shown })
    if (reading.kind === 'wrong') return tell(line, name, `it ${reading.rule} here`)
    if (to.entry.isGiven(field.key)) return
    const at = { origin: { kind: 'file', ...line.place } as const, place: line.place }
    to.entry.put(field.key, reading.value, at)
  }

  /** A line that led elsewhere must not lead here without a word. */
  #judgeAddress(line: IniLine, pairs: readonly Pair[]): void {
    const of = (wanted: string): string | undefined => pairs.findLast(({ name }) => name === wanted)?.value
    const address = strangeAddress(of('host') ?? '', of('port') ?? '5432', clusterAddresses(this.#settings))
    if (address === undefined) return
    this.#context.problems.error(line.place, line.name, {
      value: address,
      rule: 'this line leads to an address that is none of this cluster, and the pooled port leads to this cluster alone',
      remedy: `remove the line; or, if this address leads here (HAProxy, a virtual address), write "${lastWord(poolLists.clusterAddresses.name)}: ['${maskSecrets(address)}']" under pool:`,
    })
  }
}
