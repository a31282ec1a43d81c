import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { pause } from '../../src/platform/timers.ts'
import { benchRow, reportHead, writeReport, type BenchRow } from '../support/bench-report.ts'
import { Cluster } from '../support/cluster.ts'
import { loopbackMachines } from '../support/loopback-machines.ts'
import type { TestNode } from '../support/machines.ts'
import { createNumberedTable, NumberedWriter, readNumbered } from '../support/numbered-writer.ts'
import { checkHistory, longestGap } from '../support/write-history.ts'

/**
 * `npm run bench -- failover`: how long nobody can write, what is lost, and whether two primaries ever acknowledged. A writer
 * sends one row after another through the router of a node that is not the primary's, so that a lost node takes no client
 * with it; the window is the longest gap between two acknowledgements around the fault.
 */

const CASES = ['kill', 'crash', 'switchover'] as const
type Case = (typeof CASES)[number]

const SYSTEM = 'pg-metako'
const PEERS = ['patroni'] as const
const RUNS_DEFAULT = 10
const RUNS_QUICK = 2
/** Between two acknowledgements of an undisturbed writer. */
const CADENCE_MS = 5
/** Of undisturbed writing before the fault and after it. */
const CALM_MS = 1000
const TAKEOVER_MS = 60_000
const HEALTHY_MS = 60_000

type Run = {
  readonly windowMs: number
  readonly errors: number
  readonly lost: number
  readonly dual: number
}

type Options = {
  readonly cases: readonly Case[]
  readonly runs: number
  readonly json: string | undefined
  readonly append: boolean
}

async function main(): Promise<void> {
  const options = readOptions()
  const head = reportHead('failover', tmpdir())
  process.stdout.write(
    `${SYSTEM} ${head.version} on ${Object.entries(head.machine)
      .map((pair) => pair.join(' '))
      .join(', ')}\n`,
  )
  const cluster = new Cluster(await loopbackMachines({ count: 3 }))
  const endNow = () => void cluster.dispose().then(() => process.exit(130))
  process.once('SIGINT', endNow)
  process.once('SIGTERM', endNow)
  try {
    cluster.supervise(true)
    cluster.startAll()
    const first = await cluster.waitForHealthy(HEALTHY_MS)
    await createNumberedTable(cluster.url(first, 'primary'))
    const results: BenchRow[] = []
    for (const one of options.cases) {
      results.push(...(await measure(cluster, one, options.runs)))
      if (options.json !== undefined) writeReport(options.json, { ...head, results }, options.append)
    }
  } catch (error) {
    process.stderr.write(`${cluster.logTails()}\n`)
    throw error
  } finally {
    await cluster.dispose()
  }
}

async function measure(cluster: Cluster, name: Case, count: number): Promise<readonly BenchRow[]> {
  const runs: Run[] = []
  for (let number = 0; number < count; number += 1) {
    const run = await oneRun(cluster, name)
    runs.push(run)
    process.stdout.write(
      `${name} ${number + 1}/${count}: nobody wrote for ${run.windowMs.toFixed(0)} ms, ${run.errors} errors, lost ${run.lost}, dual ${run.dual}\n`,
    )
  }
  const total = (of: 'lost' | 'dual') => runs.reduce((sum, run) => sum + run[of], 0)
  const counts = { lost: total('lost'), dual: total('dual') }
  const row = (metric: string, unit: string, value: (run: Run) => number) =>
    benchRow({ system: SYSTEM, case: name, metric, unit }, runs.map(value), counts)
  const rows = [
    row('write_window_ms', 'ms', (run) => run.windowMs),
    row('errors', 'count', (run) => run.errors),
  ]
  for (const { metric, p50, p99 } of rows) process.stdout.write(`${name} ${metric}: p50 ${p50}, p99 ${p99}\n`)
  return rows
}

let writers = 0

async function oneRun(cluster: Cluster, name: Case): Promise<Run> {
  const primary = await cluster.waitForHealthy(HEALTHY_MS)
  const [client, target] = cluster.nodes.filter((node) => node !== primary)
  if (!client || !target) throw new Error('Cannot measure a failover: wanted three nodes')
  writers += 1
  const writer = new NumberedWriter({
    url: cluster.url(client, 'primary'),
    number: writers,
    everyMs: CADENCE_MS,
  })
  writer.start()
  try {
    await calm(cluster, writer)
    const epoch = await cluster.epoch()
    const faultMs = performance.now()
    await makeFault(cluster, { name, primary, target })
    await cluster.waitForPrimary({ deadlineMs: TAKEOVER_MS, after: epoch })
    await calm(cluster, writer)
    const endMs = performance.now()
    cluster.supervise(true)
    cluster.startAgent(primary)
    await cluster.waitForHealthy(HEALTHY_MS)
    const writes = await writer.stop()
    const verdict = checkHistory({
      writes,
      rows: (await readNumbered(cluster.url(client, 'primary'))).filter((id) => writer.owns(id)),
      losses: await cluster.losses(),
    })
    if (verdict.unreported.length > 0) {
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
async function calm(cluster: Cluster, writer: NumberedWriter): Promise<void> {
  const since = performance.now()
  await cluster.waitFor('an acknowledgement', TAKEOVER_MS, () => writer.acknowledgedSince(since) > 0)
  await pause(CALM_MS)
}

async function makeFault(
  cluster: Cluster,
  fault: { readonly name: Case; readonly primary: TestNode; readonly target: TestNode },
): Promise<void> {
  switch (fault.name) {
    case 'kill':
      cluster.killPostmaster(fault.primary)
      return
    case 'crash':
      // As if its power was cut: nothing comes back before another node has taken over.
      cluster.supervise(false)
      cluster.crashNode(fault.primary)
      return
    case 'switchover':
      await cluster.switchover(fault.target)
      return
  }
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      case: { type: 'string', multiple: true },
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
  const runs = Number(values.runs ?? (values.quick ? RUNS_QUICK : RUNS_DEFAULT))
  if (!Number.isInteger(runs) || runs < 1)
    refuse(2, `Cannot do "${values.runs}" runs: wanted a whole number above 0`)
  refusePeer(values.peer)
  return { cases: cases as Case[], runs, json: values.json, append: values.append }
}

function refusePeer(peer: string): void {
  if (peer === 'none') return
  if (peer !== 'all' && !PEERS.some((known) => known === peer)) {
    refuse(2, `Cannot compare with "${peer}": wanted none, all or ${PEERS.join(', ')}`)
  }
  const what = peer === 'all' ? PEERS.join(', ') : peer
  if (peer === 'all') process.stderr.write(`left out: ${what} (comparing is planned)\n`)
  else refuse(1, `Cannot compare with ${what}: that is planned, this version measures ${SYSTEM} alone`)
}

function refuse(code: number, message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(code)
}

await main()
