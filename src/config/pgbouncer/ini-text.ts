import type { Finding, Place } from '../problem.ts'

/** What one stretch of a `pgbouncer.ini` says. */
export type IniItem = { readonly place: Place } & (
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'setting'; readonly name: string; readonly value: string }
  | { readonly kind: 'include'; readonly path: string }
  | { readonly kind: 'broken'; readonly finding: Finding }
)

const SECTION = /^\[([^\]]*)\]\s*/
const INCLUDE = /^%include\s+(.*)$/
/** Names that hold other characters stand in double quotes, as in SQL. */
const SETTING = /^(?:([A-Za-z0-9_.*-]+)|"((?:[^"]|"")*)")[ \t]*=[ \t]*(.*)$/

/**
 * PgBouncer's dialect, as its own parser reads it: a value is the rest of its line, `;` and `#` begin a comment only at the
 * beginning of a line, and behind `[section]` more may stand.
 */
export function parseIni(text: string, file: string): readonly IniItem[] {
  return text.split('\n').flatMap((line, index) => [...itemsOf(line, { file, line: index + 1 })])
}

function* itemsOf(line: string, at: { file: string; line: number }): Generator<IniItem> {
  let rest = line.trimStart()
  const place = (): Place => ({ ...at, column: line.length - rest.length + 1 })
  for (let section = SECTION.exec(rest); section !== null; section = SECTION.exec(rest)) {
    yield { kind: 'section', name: section[1] ?? '', place: place() }
    rest = rest.slice(section[0].length)
  }
  const written = rest.trimEnd()
  if (written === '' || written.startsWith(';') || written.startsWith('#')) return
  const include = INCLUDE.exec(written)
  const setting = SETTING.exec(written)
  if (include !== null) yield { kind: 'include', path: include[1] ?? '', place: place() }
  else if (setting !== null) {
    const name = setting[1] ?? (setting[2] ?? '').replaceAll('""', '"')
    yield { kind: 'setting', name, value: setting[3] ?? '', place: place() }
  } else yield { kind: 'broken', finding: NO_SETTING, place: place() }
}

const NO_SETTING: Finding = {
  rule: 'this is neither "name = value" nor "[section]" nor "%include FILE"',
  remedy:
    'a name of letters, digits, "_", "-", "." and "*", or in double quotes; begin a comment with ";" at the start of its line',
}

export type ConnectString =
  | { readonly kind: 'pairs'; readonly pairs: readonly { readonly name: string; readonly value: string }[] }
  | { readonly kind: 'broken'; readonly finding: Finding }

const PAIR = /[ \t]*([^= \t]+)[ \t]*=[ \t]*(?:'((?:[^']|'')*)'|([^' \t][^ \t]*))(?:[ \t]+|$)/y

/** What stands behind the name of a database, user or peer: `name=value` pairs, a value in single quotes where it has spaces. */
export function parseConnectString(text: string): ConnectString {
  const pairs: { name: string; value: string }[] = []
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < text.length) {
    const match = PAIR.exec(text)
    const value = match?.[2]?.replaceAll("''", "'") ?? match?.[3] ?? ''
    // "dbname = password=…": a value was forgotten, and the next pair, which nobody may see, is it.
    if (match === null || value === '' || /^passw\w*=/i.test(match[3] ?? ''))
      return { kind: 'broken', finding: NO_PAIRS }
    pairs.push({ name: match[1] ?? '', value })
  }
  return { kind: 'pairs', pairs }
}

const NO_PAIRS: Finding = {
  rule: 'what stands behind the name must be pairs of name=value, none of them empty',
  remedy:
    "put a value that has spaces or quotes in single quotes, and a single quote in it twice: connect_query='select ''a'''",
}
