import { visibleText } from '../../std/visible-text.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import type { TextSink } from '../world.ts'
import { yamlText } from '../yaml-text.ts'
import { prettyTable, type Column } from './pretty-table.ts'

export const CTL_FORMATS = ['pretty', 'tsv', 'json', 'yaml', 'yml', 'topology'] as const
export type CtlFormat = (typeof CTL_FORMATS)[number]
export type Cell = string | number | boolean | Readonly<Record<string, unknown>>

export type CtlTable = {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
  /** In the upper border, for people; then cells that are empty are left out for scripts. */
  readonly title?: string
  /** Stands for all rows in the title: left out of what people see. */
  readonly isFirstInTitle?: boolean
}

/** Prints a table in Patroni's forms. What comes from other hosts may hold anything; a terminal must not obey it. */
export function printTable(table: CtlTable, format: CtlFormat, sink: TextSink): void {
  const { columns, rows, title } = table
  if (format === 'json' || format === 'yaml' || format === 'yml') {
    const elements = rows.map((row) =>
      Object.fromEntries(
        columns.flatMap((column, index) => {
          const cell = row[index] ?? ''
          return title === undefined || text(cell) !== '' ? [[column.title, cell] as const] : []
        }),
      ),
    )
    sink.write(format === 'json' ? `${pythonJson(elements)}\n` : yamlText(elements.map(sorted)))
    return
  }
  const words = rows.map((row) => row.map((cell) => visibleText(text(cell), 1000)))
  if (format === 'tsv') {
    const lines = [columns.map((column) => column.title), ...words]
    sink.write(lines.map((line) => `${line.join('\t')}\n`).join(''))
    return
  }
  const from = table.isFirstInTitle ? 1 : 0
  const lines = prettyTable(
    columns.slice(from),
    words.map((row) => row.slice(from)),
    title === undefined ? '' : visibleText(title, 1000),
  )
  sink.write(lines.map((line) => `${line}\n`).join(''))
}

function text(cell: Cell): string {
  return typeof cell === 'object' ? pythonJson(cell) : String(cell)
}

function sorted(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

/** As Python's json writes it: scripts compare texts. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).filter(([, field]) => field !== undefined)
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}: ${pythonJson(field)}`).join(', ')}}`
}

/** `patronictl` says no with a line that begins with `Error:`, and ends with 1. */
export function refuse(message: string, hint?: string): never {
  throw new CommandFailure(EXIT.failed, message, hint)
}
