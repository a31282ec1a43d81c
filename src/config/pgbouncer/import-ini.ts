import { PGBOUNCER_SETTINGS, type NotHonoured, type PgBouncerImport } from '../../model/pgbouncer-setting.ts'
import { absolutePath, type ReadContext } from '../given-values.ts'
import { poolDatabasesKey, poolKeys, poolUsersKey } from '../keys/pool-keys.ts'
import { MASK } from '../mask-secrets.ts'
import { nearestWord } from '../nearest-key.ts'
import { folderOf } from '../path-text.ts'
import { type Place } from '../problem.ts'
import type { Settings } from '../settings.ts'
import { readIniFiles, type IniLine } from './ini-files.ts'
import { DATABASE_FIELDS, INI_KEYS, INI_LISTS, USER_FIELDS, type IniKey } from './ini-keys.ts'
import { IniRecords } from './ini-records.ts'
import { readIniValue } from './ini-values.ts'
import { judgeAuthType, judgeListenAddr, judgeTracked, type Judgement } from './judged-settings.ts'

export type IniContext = ReadContext & { readonly readText: (path: string) => string | undefined }

const SECTIONS = ['pgbouncer', 'databases', 'users', 'peers']

/**
 * Takes over what PgBouncer's own file says, where the config says nothing itself. What does nothing here is listed; what would
 * be less safe without it, or lead elsewhere, is a problem.
 */
export function importIni(settings: Settings, context: IniContext): PgBouncerImport | undefined {
  const path = settings.get(poolKeys.pgbouncerIni)
  if (path === undefined) return undefined
  const at = {
    place: settings.placeOf(poolKeys.pgbouncerIni),
    key: poolKeys.pgbouncerIni.name,
    written: path,
  }
  const lines = readIniFiles(path, at, context)
  return new IniImport(settings, context).take(path, lines)
}

class IniImport {
  readonly #settings: Settings
  readonly #context: IniContext
  readonly #notHonoured: NotHonoured[] = []

  constructor(settings: Settings, context: IniContext) {
    this.#settings = settings
    this.#context = context
  }

  take(file: string, lines: readonly IniLine[]): PgBouncerImport {
    const of = (section: string): readonly IniLine[] =>
      lastOfEach(lines.filter((line) => line.section === section))
    for (const line of lines) if (!SECTIONS.includes(line.section)) this.#unknownSection(line)
    const given: Record<string, string> = {}
    for (const line of of('pgbouncer')) {
      const known = PGBOUNCER_SETTINGS.find(({ name }) => name === line.name)
      if (known === undefined) this.#unknownSetting(line)
      else {
        given[line.name] = known.isSecret ? MASK : line.value
        if (known.ignoredBecause === undefined) this.#setting(line)
        else if (line.value !== known.fallback)
          this.#tell(line, known.ignoredBecause, { value: given[line.name] ?? '' })
      }
    }
    // Order: the one default that differs, and whoever relies on sessions would break without a word.
    const isModeSaid = given['pool_mode'] !== undefined || this.#settings.isGiven(poolKeys.mode)
    if (!isModeSaid) this.#settings.derive(poolKeys.mode, 'session', `${file}, which says nothing else`)
    this.#tellAboutLookups(given, of('pgbouncer'))
    this.#records(of('databases'), of('users'))
    for (const line of of('peers')) {
      this.#tell(line, 'a cancel request is for the router that it comes to', { setting: 'peers' })
    }
    return { file, given, notHonoured: this.#notHonoured }
  }

  #unknownSection({ section, place }: IniLine): void {
    const near = nearestWord(section, SECTIONS)
    this.#context.problems.error(place, '', {
      rule: `this stands in section [${section.slice(0, 40)}], which PgBouncer does not have`,
      remedy: near === undefined ? `its sections are ${SECTIONS.join(', ')}` : `did you mean [${near}]?`,
    })
  }

  #unknownSetting({ name, place }: IniLine): void {
    const near = nearestWord(
      name,
      PGBOUNCER_SETTINGS.map((setting) => setting.name),
    )
    this.#context.problems.error(place, name, {
      rule: 'PgBouncer has no such setting',
      remedy: near === undefined ? 'remove the line' : `did you mean ${near}?`,
    })
  }

  #setting(line: IniLine): void {
    const list = INI_LISTS[line.name]
    if (list !== undefined) return this.#list(line, list)
    const judgement = this.#judge(line)
    if (judgement.kind === 'refused') {
      return this.#context.problems.error(line.place, line.name, { ...judgement.finding, value: line.value })
    }
    if (judgement.note !== undefined) this.#tell(line, judgement.note)
    const ini = INI_KEYS[line.name]
    if (ini !== undefined && judgement.value !== undefined) this.#put(line, ini, judgement.value)
  }

  #judge(line: IniLine): Judgement {
    switch (line.name) {
      case 'auth_type':
        return judgeAuthType(line.value, this.#settings.isGiven(poolKeys.authType))
      case 'listen_addr':
        return judgeListenAddr(line.value)
      case 'track_extra_parameters':
        return judgeTracked(line.value)
      default:
        // An empty text is how PgBouncer writes "not set"; a query that is empty is not run.
        return {
          kind: 'taken',
          value: line.value === '' && line.name !== 'server_reset_query' ? undefined : line.value,
        }
    }
  }

  #put(line: IniLine, { key, form }: IniKey, written: string): void {
    const { problems } = this.#context
    const value = readIniValue(form, written)
    if (value.kind === 'wrong') return problems.error(line.place, line.name, { ...value, value: line.value })
    if (this.#settings.isGiven(key) || this.#settings.isWrong(key)) return
    const text = line.name === 'server_lifetime' && value.value === '0ms' ? ONCE : value.value
    const reading =
      key.name === poolKeys.serverResetQuery.name
        ? { kind: 'value' as const, value: text }
        : key.type.read(text)
    // What PgBouncer takes and this router cannot do is no mistake of the file's.
    if (reading.kind === 'wrong') return this.#tell(line, `it ${reading.rule} here`)
    const path = key.type.isPath
      ? absolutePath(this.#context, folderOf(line.place.file), String(reading.value))
      : reading.value
    this.#settings.put(key, path, { origin: { kind: 'file', ...line.place }, place: line.place })
  }

  #list(line: IniLine, list: (typeof INI_LISTS)[string]): void {
    if (this.#settings.isGiven(list)) return
    const items = line.value.split(',').map((item) => item.trim())
    const readings = items.filter((item) => item !== '').map((item) => list.item.read(item))
    const wrong = readings.find((reading) => reading.kind === 'wrong')
    if (wrong?.kind === 'wrong')
      return this.#context.problems.error(line.place, line.name, { ...wrong, value: line.value })
    const values = readings.flatMap((reading) => (reading.kind === 'value' ? [reading.value] : []))
    this.#settings.putList(list, values, { origin: { kind: 'file', ...line.place }, place: line.place })
  }

  #records(databases: readonly IniLine[], users: readonly IniLine[]): void {
    const records = new IniRecords(this.#settings, {
      problems: this.#context.problems,
      tell: (line, setting, reason) => this.#tell(line, reason, { setting, value: '' }),
    })
    records.take(databases, poolDatabasesKey, DATABASE_FIELDS)
    records.take(users, poolUsersKey, USER_FIELDS)
    const [first] = databases
    const key = poolKeys.onlyListedDatabases
    if (first === undefined || this.#settings.isGiven(key)) return
    const isOpen = this.#settings
      .records(poolDatabasesKey)
      .some((entry) => entry.get(poolDatabasesKey.fields.name) === '*')
    this.#settings.put(key, !isOpen, { origin: { kind: 'file', ...first.place }, place: first.place })
  }

  /** PgBouncer asks in the database that the client wants. */
  #tellAboutLookups(given: Readonly<Record<string, string>>, lines: readonly IniLine[]): void {
    const line = lines.find(({ name }) => name === 'auth_query')
    const own = PGBOUNCER_SETTINGS.find(({ name }) => name === 'auth_query')?.fallback
    if (
      line === undefined ||
      line.value === own ||
      given['auth_dbname'] ||
      this.#settings.isGiven(poolKeys.authDbname)
    )
      return
    this.#tell(
      line,
      'it runs in pool.auth_dbname, by default local_db.database, and not in the database of each client',
    )
  }

  #tell(line: IniLine, reason: string, shown: { setting?: string; value?: string } = {}): void {
    const { setting = line.name, value = line.value } = shown
    this.#notHonoured.push({ setting, value, reason, place: placeOf(line.place) })
  }
}

/** For PgBouncer 0 means that a server connection is used once. */
const ONCE = '1ms'

function placeOf({ file, line }: Place): string {
  return `${file}:${line}`
}

/** What stands further down replaces what stands above. */
function lastOfEach(lines: readonly IniLine[]): readonly IniLine[] {
  return [...new Map(lines.map((line) => [line.name, line])).values()]
}
