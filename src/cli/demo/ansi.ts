/** Paints text for a terminal; the identity where colours are unwanted. */
export type Paint = Readonly<
  Record<'bold' | 'dim' | 'good' | 'warning' | 'bad' | 'accent', (text: string) => string>
>

const CODES = { bold: 1, dim: 2, good: 32, warning: 33, bad: 31, accent: 36 } as const

export function createPaint(colours: boolean): Paint {
  const by = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text)
  return {
    bold: by(CODES.bold),
    dim: by(CODES.dim),
    good: by(CODES.good),
    warning: by(CODES.warning),
    bad: by(CODES.bad),
    accent: by(CODES.accent),
  }
}

// oxlint-disable-next-line no-control-regex -- this is what an escape sequence is
const ESCAPE = /\u001b\[[0-9;]*m/y

/** Columns that the text takes; escape sequences take none. Our own text has only single-width characters. */
export function columnsOf(text: string): number {
  return walk(text, Number.POSITIVE_INFINITY).columns
}

/** At most `width` columns of the text, colours closed; a longer one ends with `…`. */
export function clip(text: string, width: number): string {
  if (columnsOf(text) <= width) return text
  const { kept } = walk(text, width - 1)
  return `${kept}…${text.includes('\u001b') ? '\u001b[0m' : ''}`
}

/** The text filled with blanks to `width` columns. */
export function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - columnsOf(text)))
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - columnsOf(text))) + text
}

function walk(text: string, width: number): { kept: string; columns: number } {
  let kept = ''
  let columns = 0
  for (let index = 0; index < text.length;) {
    ESCAPE.lastIndex = index
    const escape = ESCAPE.exec(text)?.[0]
    if (escape === undefined && columns >= width) break
    const part = escape ?? String.fromCodePoint(text.codePointAt(index) ?? 0x20)
    kept += part
    if (escape === undefined) columns += 1
    index += part.length
  }
  return { kept, columns }
}
