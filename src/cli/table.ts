import { clip, columnsOf, pad, padStart, type Paint } from './demo/ansi.ts'

export type Tone = keyof Paint
export type Cell = string | { readonly text: string; readonly tone: Tone }
type Column = { readonly title: string; readonly align?: 'right' }

export type Table = {
  /** Stands in the upper border. */
  readonly title?: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
}

/** How a terminal wants its text: `paint` is the identity where colours are unwanted. */
export type Look = {
  readonly boxes: boolean
  readonly paint: Paint
  /** Columns of the terminal; absent: no limit. */
  readonly width?: number
}

type Border = { readonly left: string; readonly cross: string; readonly right: string; readonly line: string }
type Frame = { readonly top: Border; readonly middle: Border; readonly bottom: Border; readonly bar: string }

const ASCII_BORDER: Border = { left: '+', cross: '+', right: '+', line: '-' }
const ASCII: Frame = { top: ASCII_BORDER, middle: ASCII_BORDER, bottom: ASCII_BORDER, bar: '|' }
const BOXES: Frame = {
  top: { left: '┌', cross: '┬', right: '┐', line: '─' },
  middle: { left: '├', cross: '┼', right: '┤', line: '─' },
  bottom: { left: '└', cross: '┴', right: '┘', line: '─' },
  bar: '│',
}

/** The narrowest that the last column is cut to: a note of three letters helps nobody. */
const LAST_WIDTH_MIN = 12

/** The table as lines. A table that is wider than the terminal loses the end of its last column. */
export function drawTable(table: Table, look: Look): readonly string[] {
  const frame = look.boxes ? BOXES : ASCII
  const widths = columnWidths(table, look.width)
  const border = ({ left, cross, right, line }: Border) =>
    `${left}${widths.map((width) => line.repeat(width + 2)).join(cross)}${right}`
  const row = (cells: readonly Cell[]) =>
    `${frame.bar}${widths.map((width, index) => ` ${drawCell(cells[index] ?? '', { width, column: table.columns[index], look })} `).join(frame.bar)}${frame.bar}`
  return [
    withTitle(border(frame.top), table.title),
    row(table.columns.map(({ title }) => ({ text: title, tone: 'bold' }))),
    border(frame.middle),
    ...table.rows.map(row),
    border(frame.bottom),
  ]
}

/** As many columns wide as the widest cell; the last one also fills what the title needs. */
function columnWidths(table: Table, limit: number | undefined): readonly number[] {
  const widths = table.columns.map(({ title }, index) =>
    Math.max(columnsOf(title), ...table.rows.map((cells) => columnsOf(textOf(cells[index] ?? '')))),
  )
  const last = widths.length - 1
  const others = widths.slice(0, last).reduce((sum, width) => sum + width + 3, 0)
  const wanted = Math.max(widths[last] ?? 0, columnsOf(table.title ?? '') + 2 - others)
  const room = limit === undefined ? wanted : Math.max(LAST_WIDTH_MIN, limit - others - 4)
  widths[last] = Math.min(wanted, room)
  return widths
}

function drawCell(
  cell: Cell,
  { width, column, look }: { width: number; column: Column | undefined; look: Look },
): string {
  const text = clip(textOf(cell), width)
  const filled = column?.align === 'right' ? padStart(text, width) : pad(text, width)
  return typeof cell === 'string' ? filled : look.paint[cell.tone](filled)
}

function textOf(cell: Cell): string {
  return typeof cell === 'string' ? cell : cell.text
}

function withTitle(border: string, title: string | undefined): string {
  if (title === undefined) return border
  const shown = clip(` ${title} `, Math.max(0, border.length - 2))
  return border.slice(0, 1) + shown + border.slice(1 + columnsOf(shown))
}
