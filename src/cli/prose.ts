import { visibleText } from '../std/visible-text.ts'
import type { Cell, Look } from './table.ts'

/** Text that is folded at the terminal's edge; what follows the first line stands below its text, not below its lead. */
export type Paragraph = { readonly lead: string; readonly text: Cell }

/** Narrower columns than this would be a word a line. */
const WIDTH_MIN = 20
/** Long enough for any sentence, short enough for what a stranger put into one. */
const CHARS_MAX = 2_000

export function proseLines(paragraphs: readonly Paragraph[], look: Look): readonly string[] {
  return paragraphs.flatMap(({ lead, text }) => {
    const plain = visibleText(typeof text === 'string' ? text : text.text, CHARS_MAX)
    const paint = typeof text === 'string' ? (line: string) => line : look.paint[text.tone]
    const room = look.width === undefined ? undefined : Math.max(WIDTH_MIN, look.width - lead.length)
    return folded(plain, room).map((line, index) =>
      `${index === 0 ? lead : ' '.repeat(lead.length)}${paint(line)}`.trimEnd(),
    )
  })
}

function folded(text: string, width: number | undefined): readonly string[] {
  if (width === undefined) return [text]
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
