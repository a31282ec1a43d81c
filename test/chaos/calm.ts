import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { createClient } from '#client'
import type { ProfileName } from '../../src/ha/policy.ts'
import { pause } from '../../src/platform/timers.ts'
import { RandomStream } from '../sim/random-stream.ts'
import type { Cluster } from '../support/cluster.ts'
import type { TestNode } from '../support/machines.ts'
import type { FaultMaker } from './fault-maker.ts'

/** Weather that is bad and yet no reason for a failover: safety.md 22. */
const LOSS_PERCENT = 1
const PAUSE_MS = 2000
const PAUSE_GAP_MIN_MS = 4000
const PAUSE_GAP_MAX_MS = 12_000
/** Of what wants a processor all the time, for each processor. */
const LOOPS_PER_PROCESSOR = 2
const SAMPLE_MS = 1000
/** An agent that was scheduled less often than this has itself to blame, or its machine: the run proves nothing. */
export const SCHEDULED_MS = 300
/** Measured with the agents' own clock tick of 100 ms between two samples. */
const LAG_METRIC = /^pg_metako_nodejs_eventloop_lag_max_seconds(?:\{[^}]*\})? (\S+)$/m

export type Paused = 'standby' | 'leader' | 'primary'
export type PlannedPause = { readonly atMs: number; readonly who: Paused; readonly rank: number }

/** Same seed, same pauses. The primary's host only where the profile is made for that. Pure. */
export function drawPauses(options: {
  readonly seed: number
  readonly lastsMs: number
  readonly profile: ProfileName
  readonly nodes: number
}): readonly PlannedPause[] {
  const chance = new RandomStream(options.seed, 'calm')
  const who: readonly Paused[] =
    options.profile === 'noisy' ? ['standby', 'leader', 'primary'] : ['standby', 'leader']
  const pauses: PlannedPause[] = []
  let atMs = chance.between(PAUSE_GAP_MIN_MS, PAUSE_GAP_MAX_MS)
  while (atMs + PAUSE_MS < options.lastsMs) {
    pauses.push({ atMs: Math.round(atMs), who: chance.pick(who), rank: chance.below(options.nodes, 1) })
    atMs += PAUSE_MS + chance.between(PAUSE_GAP_MIN_MS, PAUSE_GAP_MAX_MS)
  }
  return pauses
}

export type CalmReport = {
  readonly pauses: number
  /** Longest time between two turns of the primary's agent that nobody made on purpose. */
  readonly lateMs: number
  /** Epochs that began meanwhile: needless failovers. */
  readonly failovers: number
}

/** Starvation, loss and pauses for so long, then none. */
export async function badWeather(
  at: { readonly cluster: Cluster; readonly faults: FaultMaker; readonly say: (line: string) => void },
  pauses: readonly PlannedPause[],
  lastsMs: number,
): Promise<CalmReport> {
  const { cluster, faults, say } = at
  const primary = await cluster.waitForPrimary({ deadlineMs: SAMPLE_MS })
  const epoch = await cluster.epoch()
  const beganAt = performance.now()
  const loops = Array.from({ length: LOOPS_PER_PROCESSOR * availableParallelism() }, () =>
    spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
  )
  const watch = new TurnWatch(primary)
  try {
    for (const node of cluster.nodes)
      faults.make({ kind: 'loss', percent: LOSS_PERCENT, ms: lastsMs }, { node, peers: undefined })
    watch.start()
    for (const planned of pauses) {
      await pause(Math.max(0, beganAt + planned.atMs - performance.now()))
      const node = await whom(cluster, primary, planned)
      say(`  ${(planned.atMs / 1000).toFixed(1)} s ${planned.who} → ${node.name} stands still for 2 s`)
      const undo = faults.make({ kind: 'freeze', what: 'all', ms: PAUSE_MS }, { node, peers: undefined })
      await pause(PAUSE_MS)
      undo?.()
      if (node === primary) watch.forgive()
    }
    await pause(Math.max(0, beganAt + lastsMs - performance.now()))
  } finally {
    await watch.stop()
    for (const loop of loops) loop.kill('SIGKILL')
    faults.heal()
  }
  return { pauses: pauses.length, lateMs: watch.lateMs, failovers: (await cluster.epoch()) - epoch }
}

async function whom(cluster: Cluster, primary: TestNode, planned: PlannedPause): Promise<TestNode> {
  const others = cluster.nodes.filter((node) => node !== primary)
  const ranked = others[planned.rank - 1] ?? others[0]
  if (planned.who === 'primary' || !ranked) return primary
  if (planned.who === 'standby') return ranked
  const { consensus } = await cluster.view()
  return others.find(({ name }) => name === consensus.leader) ?? ranked
}

/** Asks an agent again and again how long its event loop stood still. */
class TurnWatch {
  lateMs = 0
  readonly #client: ReturnType<typeof createClient>
  readonly #stop = new AbortController()
  /** The next answer tells of a time that counts for nothing. */
  #isForgiven = true
  #done: Promise<void> | undefined

  constructor(node: TestNode) {
    this.#client = createClient({ url: node.api })
  }

  start(): void {
    this.#done = this.#run()
  }

  forgive(): void {
    this.#isForgiven = true
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await pause(SAMPLE_MS, signal)
      const wasForgiven = this.#isForgiven
      const text = await this.#client.metrics().catch(() => undefined)
      if (text === undefined) continue
      const seconds = Number(LAG_METRIC.exec(text)?.[1])
      if (!Number.isFinite(seconds))
        throw new Error('The agent does not say how long its event loop stood still')
      if (!wasForgiven && !this.#isForgiven) this.lateMs = Math.max(this.lateMs, seconds * 1000)
      if (wasForgiven) this.#isForgiven = false
    }
  }
}
