/** What of an output differs from run to run, and between the two programs by what they are, masked. */
export function masked(text: string): string {
  const lines = text.split('\n')
  const movedAt = lines.findIndex((line) => line.includes('Successfully'))
  return lines
    .map((line, index) => (movedAt >= 0 && index > movedAt ? movedRow(line) : line))
    .map((line) => (/^[|+]/.test(line) ? maskedRow(line) : line))
    .map(maskedText)
    .join('\n')
}

/** Just after a switchover: how far a replica is on its way depends on when one looks. */
function movedRow(line: string): string {
  const cells = line.split('|')
  return cells[3]?.trim() === 'Replica' ? [...cells.slice(0, 4), 'MOVES', '', ''].join('|') : line
}

/** Whether there were changes before the one that is asked about is chance: the last of a list. */
export function lastRow(text: string): string {
  const lines = text.split('\n')
  const isRow = (line: string) => /^\|(\d|NUMBER)/.test(line)
  const last = lines.findLastIndex(isRow)
  return lines.filter((line, index) => !isRow(line) || index === last).join('\n')
}

/** Widths hang on what is masked: `+---+` and padding go, the cells stay. */
function maskedRow(line: string): string {
  // Patroni 3.0 leaves the id of the system out, but for Citus; others have it, as we do.
  if (line.startsWith('+ ')) return line.replace(/^(\+ Cluster: \S+).*/, '$1')
  if (line.startsWith('+')) return line.replaceAll(/-+/g, '-')
  const cells = line.split('|').map((cell) => cell.trim())
  return cells.map(maskedCell).join('|')
}

function maskedCell(cell: string): string {
  // Patroni 3.0 calls a standby that streams "running", later ones "streaming", as we do.
  if (cell === 'running' || cell === 'streaming') return 'UP'
  return /^\d+$/.test(cell) ? 'NUMBER' : cell
}

function maskedText(line: string): string {
  return line
    .replaceAll(/\b\d{19}\b/g, 'SYSTEM')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/port=\d+/g, 'port=PORT')
    .replaceAll(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?/g, 'TIME')
    .replaceAll(/(?<=patronictl version )\S+/g, 'VERSION')
    .replaceAll(/(?<=^node\d: )\S+ \S+ PostgreSQL \S+/g, 'PROGRAM VERSION PostgreSQL VERSION')
    .replaceAll(/within (\d+|None) seconds/g, 'within N seconds')
    .replaceAll(/\b(running|streaming)\b/g, 'UP')
    .replaceAll(/"(TL|Lag in MB)": \d+/g, '"$1": NUMBER')
    .replaceAll(/\t\d+(?=\t|$)/g, '\tNUMBER')
    .replaceAll(/no recovery target specified|SWITCHOVER/g, 'REASON')
}
