import type { ServerAddress } from '../../model/server-description.ts'
import { commandWords } from '../../std/command-words.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'

const PORT_DEFAULT = '5432'
/** As libpq calls what we know. */
const WORDS: Readonly<Record<string, keyof ServerAddress>> = {
  host: 'host',
  hostaddr: 'host',
  port: 'port',
  user: 'user',
  password: 'password',
  dbname: 'database',
}

/** Both forms of libpq's connection strings, with the usual `PG*` variables behind them. */
export function serverAddress(
  dsn: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  socketFolder: string | undefined,
): ServerAddress {
  const given = dsn === undefined ? {} : /^postgres(ql)?:\/\//.test(dsn) ? ofUrl(dsn) : ofWords(dsn)
  const port = given.port ?? (env['PGPORT'] || PORT_DEFAULT)
  if (!/^\d{1,5}$/.test(port)) refuse(`Cannot use the port "${port}"`)
  const user = given.user ?? (env['PGUSER'] || 'postgres')
  return {
    host: given.host ?? (env['PGHOST'] || (socketFolder ?? 'localhost')),
    port: Number(port),
    user,
    password: given.password ?? env['PGPASSWORD'] ?? '',
    database: given.database ?? (env['PGDATABASE'] || 'postgres'),
  }
}

type Given = { readonly [Field in keyof ServerAddress]?: string }

function ofUrl(dsn: string): Given {
  if (!URL.canParse(dsn)) refuse('Cannot read --dsn: it is no URL of PostgreSQL')
  const { hostname, port, username, password, pathname, searchParams } = new URL(dsn)
  const host = searchParams.get('host') ?? hostname.replaceAll(/^\[|\]$/g, '')
  return withoutEmpty({
    host,
    port,
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
  })
}

function ofWords(dsn: string): Given {
  const words = commandWords(dsn) ?? refuse('Cannot read --dsn: a quote is not closed')
  const fields = words.map((word) => {
    const at = word.indexOf('=')
    if (at < 1) refuse('Cannot read --dsn: wanted "host=… port=… user=…", without blanks around "="')
    return [WORDS[word.slice(0, at)], word.slice(at + 1)] as const
  })
  // What else libpq knows does not change whom is asked.
  return withoutEmpty(Object.fromEntries(fields.filter(([field]) => field !== undefined)))
}

function withoutEmpty(given: Given): Given {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''))
}

function refuse(message: string): never {
  throw new CommandFailure(
    EXIT.wrongUsage,
    message,
    'As for psql: --dsn "host=/run/postgresql user=postgres"',
  )
}
