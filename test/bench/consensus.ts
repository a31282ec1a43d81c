import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { pause } from '../../src/platform/timers.ts'
import { percentile, reportHead, writeReport, type BenchRow } from '../support/bench-report.ts'
import type { CommitClientReport, CommitClientSetup } from '../support/commit-client.ts'
import { hasEtcd, startEtcdCluster } from '../support/etcd-cluster.ts'
import { REPOSITORY_ROOT } from '../support/repository-root.ts'
import { startStoreHosts } from '../support/store-hosts.ts'
import { toolOptions } from '../support/tool-options.ts'

/**
 * `npm run bench -- consensus`: what a commit costs, ours beside etcd's. Three members on loopback, each a process with fsync;
 * a client process sends to the leader by HTTP, the same program to both. Systems take turns, and only one of them runs at a
 * time. What the members need while nobody asks for anything is measured as well.
 */

const SYSTEMS = ['pg-metako', 'etcd'] as const
type System = (typeof SYSTEMS)[number]

const VALUE_BYTES = 100
/**
 * In the first seconds of a process V8 compiles what is hot, on threads of its own: on two cores a commit waits behind them (ADR 0029).
 * Agents run for months, so that is a case of its own. The client of each case is a new process too.
 */
const JUST_STARTED_MS = 500
const WARM_UP_MS = 6000
const CASES = [
  { name: '1 writer, just started', writers: 1, warmUpMs: JUST_STARTED_MS },
  { name: '1 writer', writers: 1, warmUpMs: WARM_UP_MS },
  { name: '8 writers', writers: 8, warmUpMs: WARM_UP_MS },
] as const
const MEASURE_MS = 2500
const IDLE_MS = 2000
/** After the election, so that idle means idle. */
const SETTLE_MS = 1000
const RUNS_DEFAULT = 10
/** `USER_HZ` of Linux on all architectures that we know: ticks of /proc/PID/stat. */
const TICKS_PER_SECOND = 100

type Cluster = {
  readonly pids: readonly number[]
  /** Of its leader. */
  readonly url: string
  body(writer: number): string
  dispose(): Promise<void>
}

/** Of one system over all runs. */
type Measured = {
  readonly commits: Map<string, { readonly latenciesMs: number[][]; readonly tps: number[] }>
  readonly idlePercent: number[]
  readonly memoryMb: number[]
}

const value = 'v'.repeat(VALUE_BYTES)

async function startOurs(): Promise<Cluster> {
  const hosts = await startStoreHosts({ networks: false, http: true })
  return {
    pids: hosts.names.map((name) => hosts.pid(name)),
    url: hosts.httpUrl(await hosts.leader()),
    body: (writer) => {
      const operations = [{ kind: 'put', key: `/bench/${writer}`, value }]
      return JSON.stringify({
        id: 1,
        kind: 'transact',
        transaction: { compares: [], operations },
        deadlineMs: 5000,
      })
    },
    dispose: () => hosts.dispose(),
  }
}

async function startEtcd(): Promise<Cluster> {
  const etcd = await startEtcdCluster({ defaultTiming: true })
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return {
    pids: etcd.names.map((name) => etcd.pid(name)),
    url: `${etcd.url(await etcd.leader())}/v3/kv/put`,
    body: (writer) => JSON.stringify({ key: base64(`/bench/${writer}`), value: base64(value) }),
    dispose: () => etcd.dispose(),
  }
}

async function measureOnce(system: System, into: Measured): Promise<void> {
  const cluster = system === 'etcd' ? await startEtcd() : await startOurs()
  try {
    await pause(SETTLE_MS)
    const idle = await idlePercent(cluster.pids)
    into.idlePercent.push(idle)
    for (const { name, writers, warmUpMs } of CASES) {
      const { latenciesMs, elapsedMs } = await commit(cluster, { writers, warmUpMs })
      const tps = (latenciesMs.length * 1000) / elapsedMs
      const measured = into.commits.get(name) ?? { latenciesMs: [], tps: [] }
      measured.latenciesMs.push([...latenciesMs])
      measured.tps.push(tps)
      into.commits.set(name, measured)
      process.stdout.write(
        `${system}, ${name}: ${tps.toFixed(0)}/s, p50 ${percentile(latenciesMs, 50).toFixed(2)} ms, ` +
          `p99 ${percentile(latenciesMs, 99).toFixed(2)} ms, idle ${idle.toFixed(1)} %\n`,
      )
    }
    into.memoryMb.push(mean(cluster.pids.map(residentMb)))
  } finally {
    await cluster.dispose()
  }
}

async function commit(
  cluster: Cluster,
  { writers, warmUpMs }: { readonly writers: number; readonly warmUpMs: number },
): Promise<CommitClientReport> {
  const setup: CommitClientSetup = {
    url: cluster.url,
    bodies: Array.from({ length: writers }, (_, writer) => cluster.body(writer)),
    warmUpMs,
    measureMs: MEASURE_MS,
  }
  const program = join(REPOSITORY_ROOT, '.build/test/support/commit-client.js')
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(setup)], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout) as CommitClientReport
}

/** Mean over the members, in percent of one core. */
async function idlePercent(pids: readonly number[]): Promise<number> {
  const before = pids.map(cpuSeconds)
  const begun = performance.now()
  await pause(IDLE_MS)
  const elapsed = (performance.now() - begun) / 1000
  return mean(pids.map((pid, index) => ((cpuSeconds(pid) - (before[index] ?? 0)) * 100) / elapsed))
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function residentMb(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) / 1024
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, one) => sum + one, 0) / values.length
}

function rowsOf(system: System, measured: Measured): readonly BenchRow[] {
  const row = (
    what: { case: string; metric: string; unit: string },
    runs: readonly number[],
    all = runs,
  ): BenchRow => ({
    system,
    ...what,
    p50: rounded(percentile(all, 50)),
    p99: rounded(percentile(all, 99)),
    runs: runs.map(rounded),
    lost: null,
    dual: null,
  })
  const commits = [...measured.commits].flatMap(([name, { latenciesMs, tps }]) => {
    const medians = latenciesMs.map((run) => percentile(run, 50))
    return [
      row({ case: name, metric: 'commit_ms', unit: 'ms' }, medians, latenciesMs.flat()),
      row({ case: name, metric: 'tps', unit: 'tps' }, tps),
    ]
  })
  return [
    ...commits,
    row({ case: 'idle', metric: 'cpu_percent', unit: 'percent' }, measured.idlePercent),
    row({ case: 'after writing', metric: 'memory_mb', unit: 'mb' }, measured.memoryMb),
  ]
}

function rounded(number: number): number {
  return Math.round(number * 100) / 100
}

async function main(): Promise<void> {
  const values = toolOptions('the bench of the consensus', {
    options: {
      runs: { type: 'string', default: String(RUNS_DEFAULT) },
      json: { type: 'string' },
      peer: { type: 'string', default: 'etcd' },
    },
  })
  const runs = Number(values.runs)
  if (!Number.isInteger(runs) || runs < 1)
    refuse(`Cannot do "${values.runs}" runs: wanted a whole number above 0`)
  if (values.peer !== 'etcd' && values.peer !== 'none') {
    refuse(`Cannot compare with "${values.peer}": wanted etcd or none`)
  }
  const systems = SYSTEMS.filter((system) => system !== 'etcd' || values.peer === 'etcd')
  if (systems.includes('etcd') && !hasEtcd())
    refuse('Cannot compare with etcd: apt-get install -y etcd-server')
  const head = reportHead('consensus', tmpdir())
  const measured = new Map<System, Measured>()
  for (let run = 1; run <= runs; run += 1) {
    process.stdout.write(`run ${run} of ${runs}\n`)
    for (const system of systems) {
      const into = measured.get(system) ?? { commits: new Map(), idlePercent: [], memoryMb: [] }
      measured.set(system, into)
      await measureOnce(system, into)
    }
    const results = [...measured].flatMap(([system, one]) => rowsOf(system, one))
    if (values.json !== undefined) writeReport(values.json, { ...head, results }, false)
  }
  for (const [system, one] of measured) {
    for (const row of rowsOf(system, one)) {
      process.stdout.write(`${system}, ${row.case}, ${row.metric}: p50 ${row.p50}, p99 ${row.p99}\n`)
    }
  }
}

function refuse(message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

await main()
