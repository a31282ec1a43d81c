import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { pause } from '../../src/platform/timers.ts'
import { benchRow, reportHead, writeReport, type BenchRow } from '../support/bench-report.ts'
import { canMakeHosts } from '../support/namespace-machines.ts'
import { createNumberedTable, NumberedWriter, readNumbered } from '../support/numbered-writer.ts'
import { checkHistory, longestGap } from '../support/write-history.ts'
import { MODES, type Mode } from '../support/replication-mode.ts'
import { CASES, type BenchCluster, type Case } from './failover/bench-cluster.ts'
import { MetakoCluster } from './failover/metako.ts'
import { packagesMissingForPatroni, PatroniCluster } from './failover/patroni.ts'
import { COMPILER_PACKAGES, faultyPrograms, hasCompiler } from '../support/faulty-host.ts'
import { toolOptions } from '../support/tool-options.ts'

/**
 * `npm run bench -- failover`: how long nobody can write, what is lost, and whether two primaries ever acknowledged. A writer
 * sends one row after another; the window is the longest gap between two acknowledgements around the fault. With a peer the
 * systems take turns, a fresh cluster each time, and never run at once: what one needs is not taken from the other.
 */

const PEERS = ['patroni'] as const
const RUNS_DEFAULT = 10
const RUNS_QUICK = 2
/** Of ours for each of a peer's, which takes much longer. */
const RUNS_PER_PEER_RUN = 3
/** How often the systems take turns, at most. */
const TURNS_MAX = 5
/** Between two acknowledgements of an undisturbed writer. */
const CADENCE_MS = 5
/** Of undisturbed writing before the fault and after it. */
const CALM_MS = 1000
const TAKEOVER_MS = 90_000
const HEALTHY_MS = 120_000
/** Of which each node needs a host of its own. */
const HOST_CASES: ReadonlySet<string> = new Set(['power', 'cut'])
/** Where Debian has the programs that both systems can run. */
const DEBIAN_PG = '/usr/lib/postgresql/15/bin'

type Run = {
  readonly windowMs: number
  readonly errors: number
  readonly lost: number
  readonly dual: number
}

type Options = {
  readonly cases: readonly Case[]
  readonly mode: Mode
  readonly runs: number
  readonly hasPeer: boolean
  readonly json: string | undefined
  readonly append: boolean
}

const binDir = existsSync(DEBIAN_PG) ? DEBIAN_PG : undefined
let running: BenchCluster | undefined
let isEnding = false
let writers = 0

async function main(): Promise<void> {
  const options = readOptions()
  const head = reportHead('failover', tmpdir())
  const machine = Object.entries(head.machine).map((pair) => pair.join(' '))
  process.stdout.write(`version ${head.version} on ${machine.join(', ')}, ${options.mode} mode\n`)
  // A cluster that is being started is torn down once it stands.
  const endNow = () => {
    isEnding = true
    void running?.dispose().then(() => process.exit(130))
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, endNow)
  const results: BenchRow[] = []
  for (const one of options.cases) {
    results.push(...(await measure(one, options)))
    if (options.json !== undefined) writeReport(options.json, { ...head, results }, options.append)
  }
}

/** All runs of one case, the systems in turns. */
async function measure(name: Case, options: Options): Promise<readonly BenchRow[]> {
  const { runs, mode, hasPeer } = options
  const onHosts = HOST_CASES.has(name)
  const programs = name === 'disk' ? stallable() : undefined
  const peerRuns = hasPeer ? Math.ceil(runs / RUNS_PER_PEER_RUN) : 0
  const turns = hasPeer ? Math.min(TURNS_MAX, peerRuns) : 1
  const ours: Run[] = []
  const theirs: Run[] = []
  for (let turn = 1; turn <= turns; turn += 1) {
    const upTo = (all: number) => Math.ceil((all * turn) / turns)
    const own = { mode, onHosts, binDir: programs ?? (hasPeer ? binDir : undefined) }
    await runAll(await MetakoCluster.start(own), name, ours, upTo(runs))
    if (!hasPeer || binDir === undefined) continue
    const peer = { mode, onHosts, binDir: programs ?? binDir }
    await runAll(await PatroniCluster.start(peer), name, theirs, upTo(peerRuns))
  }
  const rows = [
    ...rowsOf('pg-metako', name, mode, ours),
    ...(hasPeer ? rowsOf('patroni', name, mode, theirs) : []),
  ]
  for (const row of rows) {
    process.stdout.write(
      `${row.system}, ${name}, ${mode}: ${row.metric} p50 ${row.p50}, p99 ${row.p99}, lost ${row.lost}, dual ${row.dual}\n`,
    )
  }
  const [own, peer] = ['pg-metako', 'patroni'].map((system) =>
    rows.find((row) => row.system === system && row.metric === 'write_window_ms'),
  )
  if (own && peer)
    process.stdout.write(`patroni takes ${(peer.p50 / own.p50).toFixed(1)} times as long (p50)\n`)
  return rows
}

/** Both systems' programs for a disk that stalls; gone when the bench ends. */
function stallable(): string {
  if (binDir === undefined) throw new Error('Cannot stall a disk: that needs PostgreSQL of Debian')
  const programs = faultyPrograms(binDir)
  process.once('exit', () => programs.dispose())
  return programs.binDir
}

async function runAll(cluster: BenchCluster, name: Case, into: Run[], upTo: number): Promise<void> {
  running = cluster
  try {
    if (isEnding) throw new Error('Ended before it began')
    await cluster.waitForHealthy(HEALTHY_MS)
    await createNumberedTable(() => cluster.connect(''))
    while (into.length < upTo) {
      const run = await oneRun(cluster, name)
      into.push(run)
      process.stdout.write(
        `${cluster.system} ${name} ${into.length}: nobody wrote for ${run.windowMs.toFixed(0)} ms, ${run.errors} errors, lost ${run.lost}, dual ${run.dual}\n`,
      )
    }
  } catch (error) {
    process.stderr.write(`${cluster.logTails()}\n`)
    throw error
  } finally {
    running = undefined
    await cluster.dispose()
  }
}

async function oneRun(cluster: BenchCluster, name: Case): Promise<Run> {
  const primary = await cluster.waitForHealthy(HEALTHY_MS)
  writers += 1
  const writer = new NumberedWriter({
    url: () => cluster.connect(primary),
    number: writers,
    everyMs: CADENCE_MS,
  })
  writer.start()
  try {
    await calm(writer)
    const faultMs = performance.now()
    await cluster.fault(name, primary)
    const isTakenOver = await cluster.waitForTakeover(primary, TAKEOVER_MS).then(
      () => true,
      (error: unknown) => {
        process.stderr.write(`${cluster.system} ${name}: ${String(error)}\n`)
        return false
      },
    )
    // Where nobody took over the window ends with the fault: it is then the limit and more.
    if (!isTakenOver) await cluster.heal(primary)
    await calm(writer)
    const endMs = performance.now()
    if (isTakenOver) await cluster.heal(primary)
    await cluster.waitForHealthy(HEALTHY_MS)
    const writes = await writer.stop()
    const verdict = checkHistory({
      writes,
      rows: (await readNumbered(() => cluster.connect(primary))).filter((id) => writer.owns(id)),
      losses: await cluster.losses(),
    })
    if (cluster.system === 'pg-metako' && verdict.unreported.length > 0) {
      process.stderr.write(`${verdict.unreported.length} lost rows that the product did not report\n`)
    }
    return {
      windowMs: longestGap(writes, faultMs - CALM_MS / 2, endMs),
      errors: verdict.unknown + verdict.refused,
      lost: verdict.missing.length,
      dual: verdict.dual.length + verdict.shared.length,
    }
  } finally {
    await writer.stop()
  }
}

/** A second in which the writer got what it asked for. */
async function calm(writer: NumberedWriter): Promise<void> {
  const since = performance.now()
  while (writer.acknowledgedSince(since) === 0) {
    if (performance.now() - since > TAKEOVER_MS)
      throw new Error(`No acknowledgement within ${TAKEOVER_MS} ms`)
    await pause(CADENCE_MS)
  }
  await pause(CALM_MS)
}

function rowsOf(system: string, name: Case, mode: Mode, runs: readonly Run[]): readonly BenchRow[] {
  const total = (of: 'lost' | 'dual') => runs.reduce((sum, run) => sum + run[of], 0)
  const counts = { lost: total('lost'), dual: total('dual') }
  const row = (metric: string, unit: string, value: (run: Run) => number) =>
    benchRow({ system, case: name, mode, metric, unit }, runs.map(value), counts)
  return [row('write_window_ms', 'ms', (run) => run.windowMs), row('errors', 'count', (run) => run.errors)]
}

function readOptions(): Options {
  const values = toolOptions('the bench of failovers', {
    options: {
      case: { type: 'string', multiple: true },
      mode: { type: 'string', default: 'quorum' },
      runs: { type: 'string' },
      peer: { type: 'string', default: 'none' },
      json: { type: 'string' },
      append: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
    },
  })
  const cases = (values.case ?? [...CASES]).flatMap((text) => text.split(','))
  const unknown = cases.filter((name) => !CASES.some((one) => one === name))
  if (unknown.length > 0) refuse(2, `Cannot measure "${unknown.join(', ')}": cases are ${CASES.join(', ')}`)
  const mode = MODES.find((one) => one === values.mode)
  if (mode === undefined) refuse(2, `Cannot measure mode "${values.mode}": wanted ${MODES.join(', ')}`)
  const runs = Number(values.runs ?? (values.quick ? RUNS_QUICK : RUNS_DEFAULT))
  if (!Number.isInteger(runs) || runs < 1)
    refuse(2, `Cannot do "${values.runs}" runs: wanted a whole number above 0`)
  const impossible = cases.flatMap((name) => whyNot(name))
  if (values.case !== undefined && impossible.length > 0) refuse(1, impossible.join('\n'))
  if (impossible.length > 0) process.stderr.write(`left out: ${impossible.join('\nleft out: ')}\n`)
  const hasPeer = readPeer(values.peer)
  const possible = (cases as Case[]).filter((name) => whyNot(name).length === 0)
  return { cases: possible, mode, runs, hasPeer, json: values.json, append: values.append }
}

/** What this machine lacks for a case, in words. */
function whyNot(name: string): readonly string[] {
  if (HOST_CASES.has(name) && !canMakeHosts())
    return [`${name} needs hosts made of namespaces: run it as root, with ip and unshare`]
  if (name !== 'disk' || (binDir !== undefined && hasCompiler())) return []
  return [
    `disk needs a library to preload: apt-get install -y --no-install-recommends postgresql-15 ${COMPILER_PACKAGES}`,
  ]
}

function readPeer(peer: string): boolean {
  if (peer === 'none') return false
  if (peer !== 'all' && !PEERS.some((known) => known === peer))
    refuse(2, `Cannot compare with "${peer}": wanted none, all or ${PEERS.join(', ')}`)
  const missing = packagesMissingForPatroni(binDir)
  if (missing.length === 0) return true
  const remedy = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (peer !== 'all') refuse(1, `Cannot compare with patroni, which is not installed: ${remedy}`)
  process.stderr.write(`left out: patroni (${remedy})\n`)
  return false
}

function refuse(code: number, message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

await main()
