import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the promises hang on: a change here makes all earlier runs say nothing about today's code. */
const SAFETY_RULES = [
  'src/raft',
  'src/ha/act',
  'src/ha/decide',
  'src/ha/lease-keeper.ts',
  'src/ha/record-keeper.ts',
  'src/guard/guard-rule.ts',
  'src/proxy/router/choose-target.ts',
  'src/proxy/router/table-holder.ts',
  'src/agent/genesis.ts',
] as const

const HEAD = [
  '# Ledger of simulated runs',
  '',
  'Written by `npm run sim -- … --ledger docs/ledger/sim.md`. `rules` is a fingerprint of the sources that safety hangs on',
  '(`test/sim/ledger.ts` lists them): runs with the newest fingerprint count, older ones are history.',
  '',
  '| date | commit | rules | seeds | minutes | profile | clean | violations | seconds |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
]
const TOTAL = 'Clean seeds since the last change of a safety rule:'

export type LedgerEntry = {
  readonly from: number
  readonly to: number
  readonly minutes: number
  readonly profile: string
  readonly clean: number
  readonly violations: number
  readonly seconds: number
}

/** Adds a line to the ledger at `path` and writes its sum anew. */
export function addToLedger(path: string, entry: LedgerEntry): void {
  const rules = fingerprint()
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  const line = [
    new Date().toISOString().slice(0, 10),
    commit,
    rules,
    `${entry.from}–${entry.to}`,
    entry.minutes,
    entry.profile,
    entry.clean,
    entry.violations,
    entry.seconds.toFixed(0),
  ].join(' | ')
  const rows = [...rowsOf(readIfPresent(path)), `| ${line} |`]
  const sum = rows
    .map((row) => row.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells[3] === rules)
    .reduce((total, cells) => total + Number(cells[7]), 0)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, [...HEAD, ...rows, '', `${TOTAL} ${sum}`, ''].join('\n'))
}

export function rowsOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => /^\| \d{4}-/.test(line))
}

/** Of the sources that the promises hang on. */
export function fingerprint(): string {
  const hash = createHash('sha256')
  for (const path of SAFETY_RULES) {
    for (const file of filesBelow(path)) hash.update(file).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 8)
}

function filesBelow(path: string): readonly string[] {
  if (statSync(path).isFile()) return [path]
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesBelow(join(path, name)))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
}

export function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
