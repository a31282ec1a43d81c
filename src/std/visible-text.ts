// C0, DEL, C1, line separators, and the marks that turn the direction of writing.
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/**
 * Text of a stranger, made safe to show on one line: no control character (a terminal would obey them), no line break,
 * at most `limit` characters.
 */
export function visibleText(text: string, limit = 200): string {
  const clean = text.slice(0, limit + 1).replace(INVISIBLE, '?')
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean
}
