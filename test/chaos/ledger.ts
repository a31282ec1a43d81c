import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fingerprint, git, readIfPresent, rowsOf } from '../sim/ledger.ts'
import { MODES, type Mode } from '../support/replication-mode.ts'

const HEAD = [
  '# Ledger of chaos runs',
  '',
  'Written by `npm run chaos -- … --ledger docs/ledger/chaos.md`. `rules` is the fingerprint of the sources that safety hangs on, as in',
  'the ledger of the simulator (`test/sim/ledger.ts` lists them); a commit with a `+` had changes in `src` that were not committed.',
  '',
  '| date | commit | rules | mode | nodes | PostgreSQL | schedules | clean | violations | acknowledged | lost and reported | stale reads | seconds |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
]

export const WITH_WITNESS = '2 + witness'

export type ChaosEntry = {
  readonly mode: Mode
  /** How many; `WITH_WITNESS`: two and a witness. */
  readonly nodes: string
  readonly postgres: string
  readonly from: number
  readonly to: number
  readonly clean: number
  readonly violations: number
  readonly acknowledged: number
  readonly missing: number
  readonly staleReads: number
  readonly seconds: number
}

type Stamp = { readonly date: string; readonly commit: string; readonly rules: string }

/** What is run: taken before the run, since the sources may go on while it lasts. */
export function stampNow(): Stamp {
  return { date: new Date().toISOString().slice(0, 10), commit: commitName(), rules: fingerprint() }
}

/** Adds a line to the ledger at `path` and writes the sums of every mode anew. */
export function addToLedger(path: string, entry: ChaosEntry & Stamp): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, withEntry(readIfPresent(path), entry))
}

/** The text of a ledger with one line more. Pure. */
export function withEntry(text: string, entry: ChaosEntry & Stamp): string {
  const cells = [
    entry.date,
    entry.commit,
    entry.rules,
    entry.mode,
    entry.nodes,
    entry.postgres,
    `${entry.from}–${entry.to}`,
    entry.clean,
    entry.violations,
    entry.acknowledged,
    entry.missing,
    entry.staleReads,
    entry.seconds.toFixed(0),
  ]
  const rows = [...rowsOf(text), `| ${cells.join(' | ')} |`]
  const read = rows.map((row) => row.split('|').map((cell) => cell.trim()))
  const sumOf = (name: string, own: readonly (readonly string[])[]): string => {
    const now = own.filter((row) => row[3] === entry.rules)
    const sum = (of: readonly (readonly string[])[], column: number) =>
      of.reduce((total, row) => total + Number(row[column]), 0)
    const counts = (of: readonly (readonly string[])[]) => `${sum(of, 8)} clean, ${sum(of, 9)} violations`
    return `- ${name}: ${counts(own)}; with the newest rules ${counts(now)}`
  }
  const sums = [
    ...MODES.map((mode) =>
      sumOf(
        mode,
        read.filter((row) => row[4] === mode),
      ),
    ),
    sumOf(
      'two databases and a witness, of these',
      read.filter((row) => row[5] === WITH_WITNESS),
    ),
  ]
  return [...HEAD, ...rows, '', 'Schedules in all:', '', ...sums, ''].join('\n')
}

function commitName(): string {
  return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', 'src') === '' ? '' : '+'}`
}
