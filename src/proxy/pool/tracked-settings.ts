import type { ErrorFields } from '../../wire/error-response.ts'
import { quoteLiteral } from '../../wire/session-state.ts'

/**
 * Settings that PostgreSQL reports whenever they change, so that a client gets its own on whichever server connection it
 * is given: those of PgBouncer, `IntervalStyle` (its `track_extra_parameters`), and what newer versions report.
 */
const TRACKED = [
  'client_encoding',
  'DateStyle',
  'TimeZone',
  'IntervalStyle',
  'standard_conforming_strings',
  'application_name',
  'default_transaction_read_only',
  'search_path',
] as const

const TRACKED_NAMES: ReadonlySet<string> = new Set(TRACKED)
/** Reported by every version, so that a client may also begin with them. */
const AT_STARTUP = new Map(TRACKED.slice(0, 6).map((name) => [name.toLowerCase(), name]))

export function isTracked(name: string): boolean {
  return TRACKED_NAMES.has(name)
}

/** What PostgreSQL says of a session, by name. Two sessions are compared at every transaction: by one text each. */
export class SessionSettings {
  readonly #values: Map<string, string>
  #tracked: string | undefined

  constructor(values: Iterable<readonly [string, string]> = []) {
    this.#values = new Map(values)
  }

  get(name: string): string | undefined {
    return this.#values.get(name)
  }

  set(name: string, value: string): void {
    this.#values.set(name, value)
    this.#tracked = undefined
  }

  /** All that is tracked, as one text. A value cannot hold the byte that stands between them. */
  get tracked(): string {
    return (this.#tracked ??= TRACKED.map((name) => this.#values.get(name) ?? '\0').join('\0'))
  }

  [Symbol.iterator](): Iterator<[string, string]> {
    return this.#values.entries()
  }
}

export type StartupParameters = {
  /** Tracked settings that the client begins with. */
  readonly tracked: ReadonlyMap<string, string>
  /** Everything else beside user and database: a server connection has to be started with it. */
  readonly fixed: ReadonlyMap<string, string>
  /** Protocol options (`_pq_.…`), none of which is spoken here. */
  readonly protocolOptions: readonly string[]
}

/** Sorts a client's startup parameters by who can honour them; `ignored`, in small letters, are dropped. */
export function sortStartup(
  parameters: ReadonlyMap<string, string>,
  ignored: readonly string[] = [],
): StartupParameters {
  const tracked = new Map<string, string>()
  const fixed = new Map<string, string>()
  const protocolOptions: string[] = []
  for (const [name, value] of parameters) {
    if (name === 'user' || name === 'database' || name === 'replication') continue
    const known = AT_STARTUP.get(name.toLowerCase())
    if (name.startsWith('_pq_.')) protocolOptions.push(name)
    else if (known !== undefined) tracked.set(known, value)
    else if (!ignored.includes(name.toLowerCase())) fixed.set(name, value)
  }
  return { tracked, fixed, protocolOptions }
}

/**
 * A client's startup value as PostgreSQL would report it, where that can be told from what a session here begins with:
 * drivers look at the spelling (`ISO, MDY`, `UTF8`), and what is the same need not be set.
 */
export function asReported(name: string, value: string, reported: string): string {
  if (name === 'client_encoding') {
    const letters = (text: string): string => text.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')
    const wanted = letters(value) === 'UNICODE' ? 'UTF8' : letters(value)
    if (wanted === 'UTF8') return wanted
    return wanted === letters(reported) ? reported : value
  }
  if (name !== 'DateStyle' || !/^(?:iso|sql)$/i.test(value)) return value
  // The order of day and month stays as it is.
  return `${value.toUpperCase()}, ${reported.split(', ')[1] ?? 'MDY'}`
}

/** Gives a server connection this client's settings. True where it has them already; else `done` follows. */
export function bringSettings(
  settings: SessionSettings,
  server: {
    readonly parameters: SessionSettings
    run(text: string, done: (error?: ErrorFields) => void): void
  },
  done: (error?: ErrorFields) => void,
): boolean {
  const { parameters } = server
  const changes = settingsToChange(settings, parameters)
  if (changes.length === 0) return true
  server.run(settingsStatement(changes, settings, parameters.get('client_encoding')), (error) => {
    // PostgreSQL's own spelling from now on: another would be changed again and again.
    if (!error) for (const name of changes) settings.set(name, parameters.get(name) ?? '')
    done(error)
  })
  return false
}

/** What has to change on a server connection, so that this client finds its own settings there; usually nothing. */
export function settingsToChange(
  client: Iterable<readonly [string, string]>,
  server: Pick<SessionSettings, 'get'>,
): readonly string[] {
  return [...client].filter(([name, value]) => server.get(name) !== value).map(([name]) => name)
}

/**
 * The statement that makes these changes. `set_config` takes a list (`search_path`) as one text, which SET does not.
 * Outside UTF-8 a byte of ours could be half of a character there, and end a literal too early: such values lose what
 * is not ASCII.
 */
export function settingsStatement(
  names: readonly string[],
  client: Pick<SessionSettings, 'get'>,
  serverEncoding: string | undefined,
): string {
  const calls = names.map((name) => {
    const value = client.get(name) ?? ''
    const safe = serverEncoding === 'UTF8' ? value : value.replaceAll(/[^\u0020-\u007e]/g, '?')
    return `pg_catalog.set_config(${quoteLiteral(name)},${quoteLiteral(safe)},false)`
  })
  return `SELECT ${calls.join(',')}`
}
