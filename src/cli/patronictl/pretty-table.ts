export type Column = { readonly title: string; readonly align?: 'right' }

/** A table as `patronictl` draws it: its title lies in the upper border, and is cut where it would be longer. */
export function prettyTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  title = '',
): readonly string[] {
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...rows.map((row) => (row[index] ?? '').length)),
  )
  const border = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`
  const shown = title.slice(0, border.length - 2)
  const line = (cells: readonly string[]) =>
    `| ${columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? ''
        const width = widths[index] ?? 0
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width)
      })
      .join(' | ')} |`
  return [
    `+${shown}${border.slice(1 + shown.length)}`,
    line(columns.map((column) => column.title)),
    border,
    ...rows.map(line),
    ...(rows.length === 0 ? [] : [border]),
  ]
}
