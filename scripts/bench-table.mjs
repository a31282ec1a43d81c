/**
 * Measured figures as a table for README.md. Pure: `test/bench-table.test.ts` holds it.
 *
 * @typedef {{ system: string, case: string, mode?: string, metric: string, unit: string, p50: number, p99: number,
 *   runs: readonly number[], lost?: number | null, dual?: number | null }} BenchRow
 * @typedef {{ bench: string, version: string, commit: string, machine: unknown, started: string,
 *   results: readonly BenchRow[] }} BenchReport
 */

const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'

/**
 * @param {readonly BenchReport[]} reports
 * @returns {string}
 */
export function benchTable(reports) {
  if (reports.length === 0)
    return 'Nothing was measured yet: `npm run bench -- failover --case kill --runs 10 --json docs/bench/failover.json`.'
  const rows = reports.flatMap((report) =>
    report.results.map((row) => [
      report.bench,
      row.mode === undefined ? row.case : `${row.case}, ${row.mode}`,
      row.system,
      `${row.metric.replace(/_[a-z]+$/, (unit) => (unit === `_${row.unit}` ? '' : unit)).replaceAll('_', ' ')} (${row.unit})`,
      formatNumber(row.p50),
      formatNumber(row.p99),
      String(row.runs.length),
      formatCount(row.lost),
      formatCount(row.dual),
    ]),
  )
  const head = ['bench', 'case', 'system', 'metric', 'p50', 'p99', 'runs', 'lost rows', 'dual acks']
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  const origin = reports.map(
    (report) =>
      `${report.bench}: version ${report.version}, commit ${report.commit}, ${report.started.slice(0, 10)}, ${describeMachine(report.machine)}`,
  )
  return `${lines.join('\n')}\n\n${origin.map((line) => `- ${line}`).join('\n')}`
}

/**
 * The document with the table between its two marks; throws where a mark is missing.
 *
 * @param {string} document
 * @param {string} table
 * @returns {string}
 */
export function withTable(document, table) {
  const begin = document.indexOf(BEGIN)
  const end = document.indexOf(END)
  if (begin < 0 || end < begin)
    throw new Error(`Cannot place the figures: README.md needs ${BEGIN} and ${END}`)
  return `${document.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${document.slice(end)}`
}

/** @param {number} value */
function formatNumber(value) {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toPrecision(3)
}

/** @param {number | null | undefined} value */
function formatCount(value) {
  return value === undefined || value === null ? '–' : String(value)
}

/** @param {unknown} machine */
function describeMachine(machine) {
  if (typeof machine === 'string') return machine
  if (machine === null || typeof machine !== 'object') return 'machine unknown'
  return Object.entries(machine)
    .map(([key, value]) => `${key} ${String(value)}`)
    .join(', ')
}
