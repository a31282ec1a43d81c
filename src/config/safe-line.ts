import { kindOfKey } from './keys/harmless-keys.ts'
import { MASK, MASKED_LENGTH_MAX, maskSecrets } from './mask-secrets.ts'

/**
 * A line of a config file as it may be shown. Only what is known to be harmless is left: a misspelt or broken key may
 * be a secret's, so values stay only behind keys that are known to hold none, and lines without a key only where the
 * key above them is such a one. Comments are left out: an old password may stand there.
 */
export function safeLine(lines: readonly string[], index: number): string {
  const line = lines[index] ?? ''
  const indent = /^\s*/.exec(line)?.[0] ?? ''
  if (/^\s*(#|$)/.test(line)) return ''
  if (continuesSecret(lines, index)) return indent + MASK
  const start = /^\s*(?:[-?] +)*/.exec(line)?.[0].length ?? 0
  if (keyAt(line, start) !== undefined || /[{[]/.test(line[start] ?? ''))
    return maskSecrets(scanned(line, start))
  const rest = line.slice(start)
  const word = /^[\w.-]+/.exec(rest)?.[0] ?? ''
  // What begins like a harmless key, or an item of a list, and has a key behind it is none of both.
  const isItem = start > indent.length
  const isHarmless = (isItem || kindOfKey(word) === 'value') && rest.search(ANY_KEY) === -1
  return isHarmless ? maskSecrets(line) : indent + MASK
}

const KEY = /["']?([\w.-]+)["']?\s*:(?=\s|$|["'{[])/y
const ANY_KEY = new RegExp(KEY.source, 'g')

/** The key that starts at `at`, and where its value starts. */
function keyAt(line: string, at: number): { word: string; end: number } | undefined {
  KEY.lastIndex = at
  const found = KEY.exec(line)
  return found === null ? undefined : { word: found[1] ?? '', end: KEY.lastIndex }
}

/** Goes from key to key; at the first thing that is not known to be harmless the rest is left out. */
function scanned(line: string, start: number): string {
  let at = skip(line, start, /[\s,{}[\]]*/y)
  while (at < line.length && line[at] !== '#') {
    const key = keyAt(line, at)
    if (key === undefined) return line.slice(0, at) + MASK
    const value = skip(line, key.end, /\s*/y)
    const kind = kindOfKey(key.word)
    const isOpen = value >= line.length || /[{#]/.test(line[value] ?? '')
    if (kind === 'unknown' && !isOpen) return `${line.slice(0, key.end)} ${MASK}`
    if (kind === 'section' && !isOpen && line[value] !== '[') return `${line.slice(0, key.end)} ${MASK}`
    if (kind === 'value') at = skip(line, value, /"[^"]*"|'[^']*'|\[[^[\]{}:]*\]|[^,{}[\]#]*/y)
    else at = value
    at = skip(line, at, /[\s,{}[\]]*/y)
  }
  return line.slice(0, at).trimEnd()
}

function skip(line: string, at: number, pattern: RegExp): number {
  pattern.lastIndex = at
  return pattern.test(line) ? pattern.lastIndex : at
}

/** The line belongs to a value that started on a line before and is not known to be harmless: a block text, a list, an open quote. */
function continuesSecret(lines: readonly string[], index: number): boolean {
  const line = lines[index] ?? ''
  const hasKey = line.search(ANY_KEY) !== -1
  for (let above = index - 1; above >= 0; above -= 1) {
    const earlier = (lines[above] ?? '').slice(0, MASKED_LENGTH_MAX)
    if (/^\s*#/.test(earlier)) continue
    const last = [...earlier.matchAll(ANY_KEY)].at(-1)
    if (last === undefined) continue
    const rest = earlier.slice(last.index + last[0].length).trim()
    const kind = kindOfKey(last[1] ?? '')
    if (kind === 'value' || kind === 'section') return false
    // An unknown word before a section of its own (a user's name) hides nothing in lines that have keys.
    if (rest === '' && hasKey) return false
    const openQuote = oddly(earlier, '"') || oddly(earlier, "'")
    return !hasKey || openQuote || (rest !== '' && indentOf(line) > indentOf(earlier))
  }
  return !hasKey && index > 0
}

function oddly(line: string, quote: string): boolean {
  return (line.split(quote).length - 1) % 2 === 1
}

function indentOf(line: string): number {
  return /^[\s-]*/.exec(line)?.[0].length ?? 0
}
