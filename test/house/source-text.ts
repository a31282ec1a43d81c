/** What a character of a source file belongs to. */
export type Stretch = {
  readonly kind: 'code' | 'comment' | 'string' | 'pattern'
  readonly text: string
  /** Line on which it begins, from 1. */
  readonly line: number
}

const OPENS_A_PATTERN =
  /(?:^|[=(,:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|await|void|delete|throw|else|do))\s*$/

/**
 * Splits TypeScript into code, comments, strings and regular expressions, so that a rule about words does not trip over
 * a comment, nor a rule about imports over a string. Template literals are one string, their `${…}` parts included.
 */
export function stretchesOf(text: string): readonly Stretch[] {
  const found: Stretch[] = []
  let at = 0
  let codeFrom = 0
  let line = 1
  const take = (kind: Stretch['kind'], from: number, to: number) => {
    const part = text.slice(from, to)
    if (part !== '') found.push({ kind, text: part, line })
    line += part.split('\n').length - 1
  }
  while (at < text.length) {
    const special = endOfSpecial(text, at, codeFrom)
    if (!special) {
      at += 1
      continue
    }
    take('code', codeFrom, at)
    take(special.kind, at, special.end)
    at = special.end
    codeFrom = at
  }
  take('code', codeFrom, text.length)
  return found
}

function endOfSpecial(
  text: string,
  at: number,
  codeFrom: number,
): { readonly kind: 'comment' | 'string' | 'pattern'; readonly end: number } | undefined {
  const here = text[at]
  if (here === '/' && text[at + 1] === '/') return { kind: 'comment', end: indexOrEnd(text, '\n', at) }
  if (here === '/' && text[at + 1] === '*') {
    return { kind: 'comment', end: Math.min(text.length, indexOrEnd(text, '*/', at + 2) + 2) }
  }
  if (here === "'" || here === '"') return { kind: 'string', end: endOfString(text, at, here) }
  if (here === '`') return { kind: 'string', end: endOfTemplate(text, at) }
  if (here === '/' && OPENS_A_PATTERN.test(text.slice(codeFrom, at))) {
    return { kind: 'pattern', end: endOfPattern(text, at) }
  }
  return undefined
}

function indexOrEnd(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from)
  return found < 0 ? text.length : found
}

function endOfString(text: string, from: number, quote: string): number {
  let at = from + 1
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return Math.min(text.length, at + 1)
}

function endOfTemplate(text: string, from: number): number {
  let at = from + 1
  let depth = 0
  while (at < text.length) {
    const here = text[at]
    if (here === '\\') at += 1
    else if (depth === 0 && here === '`') return at + 1
    else if (here === '$' && text[at + 1] === '{') {
      depth += 1
      at += 1
    } else if (depth > 0 && here === '{') depth += 1
    else if (depth > 0 && here === '}') depth -= 1
    else if (depth > 0 && here === '`') at = endOfTemplate(text, at) - 1
    at += 1
  }
  return text.length
}

function endOfPattern(text: string, from: number): number {
  let at = from + 1
  let inClass = false
  while (at < text.length && text[at] !== '\n') {
    const here = text[at]
    if (here === '\\') at += 1
    else if (here === '[') inClass = true
    else if (here === ']') inClass = false
    else if (here === '/' && !inClass) break
    at += 1
  }
  return Math.min(text.length, at + 1)
}

/** The text with comments and regular expressions blanked; lines stay where they are. */
export function withoutComments(text: string): string {
  return kept(text, (part) => part.kind === 'code' || part.kind === 'string')
}

/** The text with everything blanked but code. */
export function codeOnly(text: string): string {
  return kept(text, (part) => part.kind === 'code')
}

/** Code, and of the strings only those that say where an import comes from. */
export function codeWithSpecifiers(text: string): string {
  return kept(
    text,
    (part, before) =>
      part.kind === 'code' ||
      (part.kind === 'string' && /\b(?:from|import|import\s*\(|require\s*\()\s*$/.test(before)),
  )
}

/** Blanks all stretches but those wanted; `before` is the text of the code in front of one. */
function kept(text: string, isWanted: (part: Stretch, before: string) => boolean): string {
  const parts = stretchesOf(text)
  return parts
    .map((part, index) => {
      const before = parts[index - 1]
      const wanted = isWanted(part, before?.kind === 'code' ? before.text : '')
      return wanted ? part.text : part.text.replaceAll(/[^\n]/g, ' ')
    })
    .join('')
}

/** All words of a text in lower case: `newLeaderId` and `NEW_LEADER_ID` are `new`, `leader`, `id`. */
export function wordsOf(text: string): readonly string[] {
  return text
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
}
