/** What SHOW can show here, in the order of SHOW HELP. */
export const SHOWABLE = [
  'HELP',
  'CONFIG',
  'DATABASES',
  'POOLS',
  'CLIENTS',
  'SERVERS',
  'USERS',
  'VERSION',
  'PEERS',
  'PEER_POOLS',
  'SOCKETS',
  'ACTIVE_SOCKETS',
  'LISTS',
  'MEM',
  'STATE',
  'DNS_HOSTS',
  'DNS_ZONES',
  'STATS',
  'STATS_TOTALS',
  'STATS_AVERAGES',
  'TOTALS',
  'CLASSIFIER',
  'STATEMENTS',
  'LATENCIES',
] as const

export type Showable = (typeof SHOWABLE)[number]

/** Commands about one database, or about all of them. */
const DATABASE_COMMANDS = ['PAUSE', 'RESUME', 'RECONNECT', 'KILL', 'WAIT_CLOSE'] as const
/** Those that need to be told which database. */
const NAMED_COMMANDS = ['DISABLE', 'ENABLE'] as const

export type DatabaseCommand = (typeof DATABASE_COMMANDS)[number] | (typeof NAMED_COMMANDS)[number]

export type ConsoleCommand =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'show'; readonly what: Showable }
  /** A setting of PostgreSQL that drivers ask for when they connect. */
  | { readonly kind: 'setting'; readonly name: string; readonly value: string }
  | {
      readonly kind: 'database'
      readonly command: DatabaseCommand
      /** Absent: all. */
      readonly database?: string
    }
  | { readonly kind: 'kill-client'; readonly id: number }
  | { readonly kind: 'reload' }
  /** PgBouncer has it; here the agent does it, or the configuration. */
  | { readonly kind: 'elsewhere'; readonly where: string }
  | { readonly kind: 'unknown'; readonly text: string }

/** What PgBouncer answers to SHOW of these, so that drivers can log in. */
const SETTINGS: Readonly<Record<string, string>> = {
  client_encoding: 'UTF8',
  datestyle: 'ISO',
  default_transaction_isolation: 'read committed',
  integer_datetimes: 'on',
  server_encoding: 'UTF8',
  server_version: '1.25.2/pg-metako',
  standard_conforming_strings: 'on',
  timezone: 'GMT',
  transaction_isolation: 'read committed',
  transaction_read_only: 'off',
}

const WORD = String.raw`"(?:[^"]|"")+"|[^\s;"]+`
const COMMAND = new RegExp(String.raw`^\s*([A-Za-z_]+)(?:\s+(${WORD}))?\s*;?\s*$`)

/** Reads one command of the console: a word, perhaps an argument, perhaps a semicolon. `SELECT x` is `SHOW x`. */
export function parseConsoleCommand(text: string): ConsoleCommand {
  if (/^[\s;]*$/.test(text)) return { kind: 'nothing' }
  const shown = text.trim()
  if (/^set\b/i.test(shown)) return { kind: 'elsewhere', where: 'the section pool of the configuration' }
  const match = COMMAND.exec(text)
  if (!match) return { kind: 'unknown', text: shown }
  const word = (match[1] ?? '').toUpperCase()
  const argument = match[2] === undefined ? undefined : unquoted(match[2])
  switch (word) {
    case 'SHOW':
    case 'SELECT':
      return parseShow(argument ?? '', shown)
    case 'RELOAD':
      return { kind: 'reload' }
    case 'SUSPEND':
    case 'SHUTDOWN':
      return { kind: 'elsewhere', where: 'the agent of this node, which the router belongs to' }
    case 'KILL_CLIENT':
      return /^\d+$/.test(argument ?? '')
        ? { kind: 'kill-client', id: Number(argument) }
        : { kind: 'unknown', text: shown }
    default:
      return parseAboutDatabase(word, argument, shown)
  }
}

function parseShow(what: string, shown: string): ConsoleCommand {
  const setting = SETTINGS[what.toLowerCase()]
  if (setting !== undefined) return { kind: 'setting', name: what.toLowerCase(), value: setting }
  if (what.toUpperCase() === 'FDS')
    return { kind: 'elsewhere', where: 'a process whose sockets another can take over, which Node.js cannot' }
  const known = SHOWABLE.find((name) => name === what.toUpperCase())
  return known ? { kind: 'show', what: known } : { kind: 'unknown', text: shown }
}

function parseAboutDatabase(word: string, database: string | undefined, shown: string): ConsoleCommand {
  const plain = DATABASE_COMMANDS.find((name) => name === word)
  if (plain) return { kind: 'database', command: plain, ...(database === undefined ? {} : { database }) }
  const named = NAMED_COMMANDS.find((name) => name === word)
  return named && database !== undefined
    ? { kind: 'database', command: named, database }
    : { kind: 'unknown', text: shown }
}

function unquoted(word: string): string {
  return word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word
}
