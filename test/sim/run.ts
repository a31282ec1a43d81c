import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { ClusterSimulationFailure, type ClusterSimulationOptions } from './cluster/cluster-simulation.ts'
import type { FaultProfile, Weather } from './cluster/fault-schedule.ts'
import { readSchedule, scheduleText } from './cluster/schedule-text.ts'
import { runSeed } from './cluster/seed-runner.ts'
import type { SeedReport } from './cluster/seed-report.ts'
import { shrink } from './cluster/shrink.ts'
import { addToLedger, committedSources } from './ledger.ts'

/*
 * `npm run sim -- --seeds N --minutes M [--from S] [--profile P] [--mode M] [--weather W]`: many runs on all processors, with a line for the ledger.
 * `npm run sim -- --seed N`: one run with its trace. `--replay FILE`: a schedule that was shrunk before.
 */

/** Every so many runs are made twice, to see that a seed is one run. */
const TWICE_EVERY = 20
const PROGRESS_MS = 2000
const FAILURES_MAX = 5
/** Nearly all that a run makes is garbage soon. Three times the size of the half that is filled. */
const YOUNG_GENERATION_MB = 192

type Asked = {
  readonly from: number
  readonly seeds: number
  readonly minutes: number
  readonly profile: FaultProfile
  readonly mode: NonNullable<ClusterSimulationOptions['mode']>
  readonly weather: Weather
  readonly workers: number
  readonly ledger: string | undefined
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      from: { type: 'string' },
      minutes: { type: 'string' },
      profile: { type: 'string' },
      mode: { type: 'string' },
      weather: { type: 'string' },
      workers: { type: 'string' },
      replay: { type: 'string' },
      ledger: { type: 'string' },
      out: { type: 'string' },
    },
  })
  const number = (text: string | undefined, usual: number): number => {
    const value = Number(text ?? usual)
    if (Number.isFinite(value) && value > 0) return value
    throw new Error(`"${text}" is no number above 0`)
  }
  const minutes = number(values.minutes, 5)
  const profile = values.profile ?? 'any'
  const mode = (values.mode ?? 'any') as Asked['mode']
  const weather: Weather = values.weather === 'steady' ? 'steady' : 'storms'
  if (values.replay !== undefined) return replay(values.replay)
  if (values.seed !== undefined && values.seeds === undefined) {
    return runOne(
      { seed: number(values.seed, 1), minutes, profile, mode, weather, witness: 'any' },
      values.out,
    )
  }
  return runMany({
    from: number(values.from ?? values.seed, 1),
    seeds: number(values.seeds, 200),
    minutes,
    profile,
    mode,
    weather,
    workers: number(values.workers, availableParallelism()),
    ledger: values.ledger,
  })
}

async function runMany(asked: Asked): Promise<number> {
  const sources = asked.ledger === undefined ? undefined : committedSources()
  const begun = performance.now()
  const failures: Exclude<SeedReport, { kind: 'clean' }>[] = []
  const sum = { clean: 0, events: 0, acknowledged: 0, missing: 0, faults: 0, epochs: 0, simulatedMs: 0 }
  let end = asked.from + asked.seeds
  let next = asked.from
  let shownAt = begun
  const show = (): void => {
    const seconds = (performance.now() - begun) / 1000
    const done = sum.clean + failures.length
    const left = (seconds / Math.max(1, done)) * (asked.seeds - done)
    process.stderr.write(
      `${done} of ${asked.seeds} seeds, ${failures.length} violations, ${seconds.toFixed(0)} s, about ${left.toFixed(0)} s left\n`,
    )
  }
  const take = (report: SeedReport): void => {
    if (report.kind === 'clean') {
      sum.clean += 1
      sum.events += report.events
      sum.acknowledged += report.acknowledged
      sum.missing += report.missing
      sum.faults += report.faults
      sum.epochs += report.epochs
      sum.simulatedMs += report.simulatedMs
    } else {
      failures.push(report)
      process.stderr.write(sentenceOf(report))
    }
    if (performance.now() - shownAt < PROGRESS_MS) return
    shownAt = performance.now()
    show()
  }
  const work = async (): Promise<void> => {
    let worker = startWorker()
    try {
      while (next < end && failures.length < FAILURES_MAX) {
        const seed = next
        next += 1
        const options: ClusterSimulationOptions = {
          seed,
          minutes: asked.minutes,
          profile: asked.profile,
          mode: asked.mode,
          weather: asked.weather,
          witness: 'any',
        }
        const report = await askWorker(worker, { options, twice: seed % TWICE_EVERY === 0 })
        take(report)
        if (report.kind === 'broken') {
          await worker.terminate()
          worker = startWorker()
        }
      }
    } finally {
      await worker.terminate()
    }
  }
  // An interrupted run ends with the seeds that it has in hand and says what it did until then.
  process.once('SIGINT', () => {
    end = next
  })
  await Promise.all(Array.from({ length: asked.workers }, work))
  const seconds = (performance.now() - begun) / 1000
  for (const failure of failures) {
    process.stdout.write(sentenceOf(failure))
  }
  process.stdout.write(
    [
      `${sum.clean} clean seeds from ${asked.from} on, ${failures.length} violations`,
      `${sum.clean * asked.minutes} minutes scheduled, ${(sum.simulatedMs / 60_000).toFixed(0)} simulated and the rest quiet`,
      `${sum.faults} faults, ${sum.epochs} epochs, ${sum.events} events`,
      `${sum.acknowledged} acknowledged, ${sum.missing} lost and reported, ${seconds.toFixed(1)} s\n`,
    ].join('; '),
  )
  const done = sum.clean + failures.length
  const cpu = process.cpuUsage()
  const coreSeconds = (cpu.user + cpu.system) / 1_000_000
  process.stdout.write(
    `${(done / seconds).toFixed(2)} seeds a second with ${asked.workers} workers, ${(coreSeconds / Math.max(1, done)).toFixed(3)} s of a core a seed (every ${TWICE_EVERY}th was run twice)\n`,
  )
  if (failures.length > 0) {
    const [first] = failures
    process.stdout.write(
      `read it with: npm run sim -- --seed ${first?.seed} --minutes ${asked.minutes} --profile ${asked.profile} --mode ${asked.mode} --weather ${asked.weather}\n`,
    )
  }
  if (asked.ledger !== undefined && sources !== undefined) {
    const { from, minutes, profile, mode, weather } = asked
    const entry = { from, to: next - 1, minutes, weather, profile, mode, clean: sum.clean }
    addToLedger(asked.ledger, { ...entry, violations: failures.length, seconds }, sources)
  }
  return failures.length === 0 ? 0 : 1
}

function sentenceOf({ seed, kind, message }: Exclude<SeedReport, { kind: 'clean' }>): string {
  return `seed ${seed}: ${kind}: ${message}\n`
}

function startWorker(): Worker {
  return new Worker(new URL('./cluster/sim-worker.js', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  })
}

/** A seed that ends its worker, by a promise that nobody waited for, is one that failed: the others go on. */
function askWorker(
  worker: Worker,
  order: { readonly options: ClusterSimulationOptions; readonly twice: boolean },
): Promise<SeedReport> {
  const { seed } = order.options
  return new Promise((resolve) => {
    const broken = (message: string): void =>
      resolve({ seed, kind: 'broken', message, trace: [], schedule: [] })
    worker.removeAllListeners()
    worker.once('message', resolve)
    worker.once('error', (error) =>
      broken(error instanceof Error ? (error.stack ?? error.message) : String(error)),
    )
    worker.once('exit', () => broken('its worker ended'))
    worker.postMessage(order)
  })
}

async function runOne(options: ClusterSimulationOptions, out: string | undefined): Promise<number> {
  const verdict = await runSeed({ ...options, traceLines: 2000 })
  if (verdict.kind === 'clean') {
    const { schedule, trace: _trace, ...rest } = verdict.result
    process.stdout.write(
      `${schedule.map((one) => JSON.stringify(one)).join('\n')}\n${JSON.stringify(rest)}\nclean\n`,
    )
    return 0
  }
  if (verdict.kind === 'not-repeatable') throw new Error(`two runs of seed ${verdict.seed} differ`)
  const { failure } = verdict
  process.stdout.write(
    `${failure.trace.slice(-400).join('\n')}\nseed ${options.seed}: ${failure.violation}\nshrinking\n`,
  )
  const { schedule, tries } = await shrink(failure, options)
  const text = scheduleText(options, failure.violation, schedule)
  const path = out ?? `.build/sim/seed-${options.seed}.txt`
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
  process.stdout.write(
    `${text}\nkept in ${path} after ${tries} runs; again with: npm run sim -- --replay ${path}\n`,
  )
  return 1
}

async function replay(path: string): Promise<number> {
  if (!existsSync(path)) throw new Error(`there is no file "${path}"`)
  const { options, schedule } = readSchedule(readFileSync(path, 'utf8'))
  const verdict = await runSeed({ ...options, schedule, traceLines: 2000 })
  if (verdict.kind === 'violation') {
    process.stdout.write(`${verdict.failure.trace.join('\n')}\n${verdict.failure.violation}\n`)
    return 1
  }
  process.stdout.write('clean\n')
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (error instanceof ClusterSimulationFailure) throw error
  process.stderr.write(`Cannot simulate: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
