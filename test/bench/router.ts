import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { benchRow, reportHead, writeReport, type BenchRow } from '../support/bench-report.ts'
import { APP, DEBIAN_PG, hasPgbouncer, PoolerBench, processorUs, type Pooler } from './router/pooler-bench.ts'
import { childrenOf } from '../../src/platform/process.ts'
import { toolOptions } from '../support/tool-options.ts'

/**
 * `npm run bench -- router`: what a transaction costs on the pooled port, ours beside PgBouncer's. One PostgreSQL, both poolers before
 * it with the same limits, `pgbench -S` through each in turn, never through both at once. Processor time is that of the pooler's process,
 * or of all its processes: `--workers N` measures a router of so many workers beside the one of one.
 */

const MODES = ['simple', 'extended', 'prepared'] as const
type Mode = (typeof MODES)[number]

const CLIENTS = 16
const POOL_SIZE = 20
const RUNS_DEFAULT = 10
const RUNS_QUICK = 2
const SECONDS = 5
const SECONDS_QUICK = 2
const PGBENCH = join(DEBIAN_PG, 'pgbench')
/** Debian 12's PgBouncer (1.18) forwards named statements as they are, which transaction mode breaks. */
const PEER_MODES: ReadonlySet<Mode> = new Set(['simple', 'extended'])

type Run = { readonly tps: number; readonly processorUs: number }

async function main(): Promise<void> {
  const values = toolOptions('the bench of the router', {
    options: {
      runs: { type: 'string' },
      workers: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      append: { type: 'boolean', default: false },
    },
  })
  if (!existsSync(PGBENCH))
    throw new Error(`Cannot measure without ${PGBENCH}: apt-get install postgresql-15`)
  const runs = Number(values.runs ?? (values.quick ? RUNS_QUICK : RUNS_DEFAULT))
  const seconds = values.quick ? SECONDS_QUICK : SECONDS
  const head = reportHead('router', tmpdir())
  process.stdout.write(`version ${head.version} on ${Object.entries(head.machine).flat().join(' ')}\n`)
  const bench = new PoolerBench()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void bench.dispose().then(() => process.exit(130)))
  }
  try {
    await bench.startPostgres()
    await promisify(execFile)(PGBENCH, ['-i', '-q', '-s', '10'], { env: environment(bench.postgresPort) })
    const poolers = [await bench.startRouter(POOL_SIZE)]
    if (values.workers !== undefined) poolers.push(await bench.startRouter(POOL_SIZE, Number(values.workers)))
    if (hasPgbouncer()) poolers.push(await bench.startPgbouncer(POOL_SIZE))
    else process.stdout.write(`without a peer: apt-get install pgbouncer\n`)
    const results: BenchRow[] = []
    for (const mode of MODES) results.push(...(await measure(poolers, { mode, runs, seconds })))
    if (values.json !== undefined) writeReport(values.json, { ...head, results }, values.append)
  } finally {
    await bench.dispose()
  }
}

/** All runs of one mode, the poolers in turns. */
async function measure(
  poolers: readonly Pooler[],
  { mode, runs, seconds }: { mode: Mode; runs: number; seconds: number },
): Promise<readonly BenchRow[]> {
  const measured = new Map<string, Run[]>()
  for (let turn = 0; turn < runs; turn += 1) {
    for (const pooler of poolers) {
      if (pooler.system === 'pgbouncer' && !PEER_MODES.has(mode)) continue
      measured.set(pooler.system, [
        ...(measured.get(pooler.system) ?? []),
        await oneRun(pooler, mode, seconds),
      ])
    }
  }
  const counts = { lost: null, dual: null }
  return [...measured].flatMap(([system, all]) => {
    const about = { system, case: `select-${mode}` }
    const tps = benchRow(
      { ...about, metric: 'tps', unit: 'tps' },
      all.map((run) => run.tps),
      counts,
    )
    const processor = benchRow(
      { ...about, metric: 'processor_us', unit: 'us' },
      all.map((run) => run.processorUs),
      counts,
    )
    process.stdout.write(
      `${system}, ${mode}: ${tps.p50} tps, ${processor.p50} us of processor for a transaction\n`,
    )
    return [tps, processor]
  })
}

async function oneRun(pooler: Pooler, mode: Mode, seconds: number): Promise<Run> {
  const used = (): number =>
    [pooler.pid, ...(childrenOf(pooler.pid) ?? [])].reduce((sum, pid) => sum + processorUs(pid), 0)
  const before = used()
  const { stdout } = await promisify(execFile)(
    PGBENCH,
    ['-n', '-S', '-M', mode, '-c', String(CLIENTS), '-j', '2', '-T', String(seconds)],
    { env: environment(pooler.port) },
  )
  const spent = used() - before
  const [, tps] = /^tps = ([\d.]+)/m.exec(stdout) ?? []
  const [, transactions] = /transactions actually processed: (\d+)/.exec(stdout) ?? []
  if (tps === undefined || !/failed transactions: 0 /.test(stdout)) throw new Error(`pgbench says: ${stdout}`)
  return { tps: Number(tps), processorUs: spent / Number(transactions) }
}

function environment(port: number): NodeJS.ProcessEnv {
  const { name, password, database } = APP
  return {
    ...process.env,
    PGHOST: '127.0.0.1',
    PGPORT: String(port),
    PGUSER: name,
    PGPASSWORD: password,
    PGDATABASE: database,
  }
}

await main()
