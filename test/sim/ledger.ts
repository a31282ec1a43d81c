import { createHash } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What the promises hang on: a change here makes all earlier runs say nothing about today's code. */
const SAFETY_RULES = [
  'src/raft',
  'src/store/raft',
  'src/store/key-value-tree.ts',
  'src/store/transaction-rules.ts',
  'src/model/ack-rule.ts',
  'src/model/epoch-record.ts',
  'src/ha/act',
  'src/ha/decide',
  'src/ha/observe',
  'src/ha/lease-keeper.ts',
  'src/ha/record-keeper.ts',
  'src/ha/write-path.ts',
  'src/ha/policy.ts',
  'src/guard/guard-rule.ts',
  'src/proxy/router/choose-target.ts',
  'src/proxy/router/table-holder.ts',
  'src/agent/genesis.ts',
  'src/agent/heartbeats.ts',
  'src/agent/membership',
] as const

const HEAD = [
  '# Ledger of simulated runs',
  '',
  'Written by `npm run sim -- … --ledger docs/ledger/sim.md`, from a tree whose sources are committed. `rules` is a fingerprint of the',
  'sources that safety hangs on (`test/sim/ledger.ts` lists them): runs with the newest fingerprint count, older ones are history. A',
  'seed that was run before with the same options counts once.',
  '',
  '| date | commit | rules | seeds | minutes | weather | profile | mode | clean | violations | seconds |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
]
const TOTAL = 'Clean seeds since the last change of a safety rule:'

export type LedgerEntry = {
  readonly from: number
  readonly to: number
  readonly minutes: number
  readonly weather: string
  readonly profile: string
  readonly mode: string
  readonly clean: number
  readonly violations: number
  readonly seconds: number
}

/** What was run, as it was when the run began: somebody may commit meanwhile. */
export type LedgerSources = { readonly commit: string; readonly rules: string }

/** Throws where a run would prove something about sources that nobody can have again. */
export function committedSources(): LedgerSources {
  const changed = git('status', '--porcelain', '--', 'src', 'client', 'test/sim')
  if (changed !== '')
    throw new Error(`only committed sources go into the ledger, and these are not:\n${changed}`)
  return { commit: git('rev-parse', '--short', 'HEAD'), rules: fingerprint() }
}

/** Adds a line to the ledger at `path` and writes its sum anew. */
export function addToLedger(path: string, entry: LedgerEntry, { commit, rules }: LedgerSources): void {
  const { from, to, minutes, weather, profile, mode, clean, violations, seconds } = entry
  const cells = [
    new Date().toISOString().slice(0, 10),
    ...[
      commit,
      rules,
      `${from}–${to}`,
      minutes,
      weather,
      profile,
      mode,
      clean,
      violations,
      seconds.toFixed(0),
    ],
  ]
  const rows = [...rowsOf(readIfPresent(path)), `| ${cells.join(' | ')} |`]
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, [...HEAD, ...rows, '', `${TOTAL} ${cleanSeeds(rows, rules)}`, ''].join('\n'))
}

/** Of the rows with these rules, each seed once. */
export function cleanSeeds(rows: readonly string[], rules: string): number {
  const seen = new Set<string>()
  let sum = 0
  for (const row of rows) {
    const [, , , ruled, seeds = '', minutes, weather, profile, mode, clean] = row
      .split('|')
      .map((cell) => cell.trim())
    if (ruled !== rules) continue
    const [from = 0, to = 0] = seeds.split('–').map(Number)
    const before = seen.size
    for (let seed = from; seed <= to; seed += 1) seen.add([seed, minutes, weather, profile, mode].join())
    sum += Math.min(Number(clean), seen.size - before)
  }
  return sum
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

/** What git prints. */
export function git(...args: readonly string[]): string {
  return execFileSync('git', args, { encoding: 'utf8' }).trim()
}

export function readIfPresent(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
