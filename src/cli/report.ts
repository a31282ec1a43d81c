import { visibleText } from '../std/visible-text.ts'
import { createPaint } from './demo/ansi.ts'
import { proseLines, type Paragraph } from './prose.ts'
import { drawTable, type Cell, type Look, type Table, type Tone } from './table.ts'
import type { World } from './world.ts'
import { yamlText } from './yaml-text.ts'

export const FORMATS = ['pretty', 'json', 'yaml', 'tsv'] as const
export type Format = (typeof FORMATS)[number]

/** What a command has to say, in all forms at once. */
export type Report = {
  /** For `json` and `yaml`: everything, in plain units. */
  readonly data: unknown
  /** For people, before all else. */
  readonly table?: Table
  /** For people: sentences, folded at the terminal's edge. */
  readonly prose?: readonly Paragraph[]
  /** For people, under the table. */
  readonly footer: readonly Cell[]
  /** For `tsv`: a head and rows, in plain units. */
  readonly rows: readonly (readonly (string | number | boolean | undefined)[])[]
}

/** What people are told in a sentence, for scripts: `rows` is a head and what stands under it. */
export function plainReport(data: unknown, rows: Report['rows']): Report {
  return { data, footer: [], rows }
}

export function printReport(report: Report, format: Format, world: World): void {
  world.stdout.write(reportText(report, format, lookOf(world)))
}

function reportText(report: Report, format: Format, look: Look): string {
  switch (format) {
    case 'pretty':
      return [
        ...(report.table ? drawTable(shown(report.table), look) : []),
        ...proseLines(report.prose ?? [], look),
        ...report.footer.map((line) => paintLine(line, look)),
      ]
        .map((line) => `${line}\n`)
        .join('')
    case 'json':
      return `${JSON.stringify(report.data, undefined, 2)}\n`
    case 'yaml':
      return yamlText(report.data)
    case 'tsv':
      return report.rows.map((row) => `${row.map(tsvField).join('\t')}\n`).join('')
  }
}

/** What comes from other hosts may hold anything; a terminal must not obey it. */
function shown(table: Table): Table {
  const clean = (cell: Cell): Cell =>
    typeof cell === 'string' ? visibleText(cell) : { ...cell, text: visibleText(cell.text) }
  return {
    ...table,
    ...(table.title === undefined ? {} : { title: visibleText(table.title) }),
    rows: table.rows.map((row) => row.map(clean)),
  }
}

function paintLine(line: Cell, look: Look): string {
  if (typeof line === 'string') return visibleText(line, 1_000)
  return look.paint[line.tone](visibleText(line.text, 1_000))
}

function tsvField(value: string | number | boolean | undefined): string {
  return visibleText(String(value ?? ''), 1_000)
}

/** Boxes where the terminal can draw them, colours where they are wanted (NO_COLOR: see no-color.org). */
function lookOf(world: World): Look {
  const terminal = world.stdout.isTTY === true
  const { env } = world
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  const colours = terminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return {
    boxes: terminal && /utf-?8/i.test(locale) && env['TERM'] !== 'dumb',
    paint: createPaint(colours),
    ...(terminal && world.stdout.columns ? { width: world.stdout.columns } : {}),
  }
}

/** A cell in a tone, or plain where there is no text to paint. */
export function toned(text: string, tone: Tone | undefined): Cell {
  return tone === undefined || text === '' ? text : { text, tone }
}
