import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { REPOSITORY_ROOT } from './repository-root.ts'

/** One row per system × case × metric; what `docs/bench/*.json` and the README's table are made of. */
export type BenchRow = {
  readonly system: string
  readonly case: string
  readonly metric: string
  readonly unit: string
  /** How commits waited for standbys, where that makes a difference. */
  readonly mode?: string
  readonly p50: number
  /** Over fewer than 100 runs: the maximum. */
  readonly p99: number
  /** What was measured in each run. Where a run has many measurements, its median: p50 and p99 are then those of all of them. */
  readonly runs: readonly number[]
  /** Acknowledged rows that were gone afterwards, over all runs; null where the case loses nothing by nature. */
  readonly lost: number | null
  /** Acknowledgements of an older primary after one of a newer, over all runs. */
  readonly dual: number | null
}

export type BenchReport = {
  readonly bench: string
  readonly version: string
  readonly commit: string
  readonly machine: Readonly<Record<string, string | number>>
  /** RFC 3339. */
  readonly started: string
  readonly results: readonly BenchRow[]
}

export function benchRow(
  what: Pick<BenchRow, 'system' | 'case' | 'metric' | 'unit' | 'mode'>,
  runs: readonly number[],
  counts: { readonly lost: number | null; readonly dual: number | null },
): BenchRow {
  const rounded = runs.map((run) => Math.round(run * 10) / 10)
  return { ...what, p50: percentile(rounded, 50), p99: percentile(rounded, 99), runs: rounded, ...counts }
}

/** The smallest value that is not below `percent` of all; with few values the highest percentiles are the maximum. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((left, right) => left - right)
  const index = Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)
  return sorted[index] ?? Number.NaN
}

/** Rows of an older report that the newer one does not have, then the newer ones. */
export function mergeRows(older: readonly BenchRow[], newer: readonly BenchRow[]): readonly BenchRow[] {
  const key = (row: BenchRow) => `${row.system} ${row.case} ${row.mode ?? ''} ${row.metric}`
  const replaced = new Set(newer.map(key))
  return [...older.filter((row) => !replaced.has(key(row))), ...newer]
}

/** Writes the report; with `append` the rows that the file has and this run did not measure stay. */
export function writeReport(file: string, report: BenchReport, append: boolean): void {
  const older =
    append && existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BenchReport).results : []
  const whole = { ...report, results: mergeRows(older, report.results) }
  writeFileSync(file, `${JSON.stringify(whole, undefined, 2)}\n`)
}

export function reportHead(bench: string, folderOfData: string): Omit<BenchReport, 'results'> {
  const { version } = JSON.parse(readFileSync(join(REPOSITORY_ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  return {
    bench,
    version,
    commit: commit(),
    machine: {
      cores: cpus().length,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      memory_gb: Math.round(totalmem() / 1024 ** 3),
      fsync_ms: fsyncMs(folderOfData),
      node: process.versions.node,
    },
    started: new Date().toISOString(),
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      cwd: REPOSITORY_ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '-changed'
    return `${git('rev-parse', '--short=12', 'HEAD')}${changed}`
  } catch {
    return 'unknown'
  }
}

/** Median time that the disk takes to make 8 kB durable: the floor of every commit. */
function fsyncMs(folder: string): number {
  const path = join(folder, `fsync-${process.pid}`)
  const file = openSync(path, 'w')
  const block = Buffer.alloc(8192, 1)
  try {
    const times = Array.from({ length: 50 }, () => {
      const begun = performance.now()
      writeSync(file, block, 0, block.length, 0)
      fsyncSync(file)
      return performance.now() - begun
    })
    return Math.round(percentile(times, 50) * 100) / 100
  } finally {
    closeSync(file)
    rmSync(path, { force: true })
  }
}
