import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LossReport } from '#client'
import { policyOf, type ProfileName } from '../../src/ha/policy.ts'
import { pause } from '../../src/platform/timers.ts'
import { isHealthy } from '../../src/cli/demo/observe-cluster.ts'
import { Cluster } from '../support/cluster.ts'
import { faultyPrograms, hasCompiler } from '../support/faulty-host.ts'
import { PROGRAM, type Machines, type TestNode } from '../support/machines.ts'
import { isWitness, namespaceMachines } from '../support/namespace-machines.ts'
import { createNumberedTable, NumberedWriter, readNumbered } from '../support/numbered-writer.ts'
import type { Mode } from '../support/replication-mode.ts'
import type { Write } from '../support/write-history.ts'
import { REPOSITORY_ROOT } from '../support/repository-root.ts'
import { badWeather, drawPauses, type CalmReport } from './calm.ts'
import { FaultMaker, leftOutKinds } from './fault-maker.ts'
import { plannedWork, type PlannedReport } from './planned.ts'
import { describeFault, type ChaosSchedule, type Rank, type ScheduledFault } from './schedule.ts'
import { TimelineReader } from './timeline-reader.ts'
import { judge, type Read } from './verdict.ts'

const BORN_MS = 90_000
/** G4's bound here: a lease, a whole copy of a small cluster and its start, on two cores that others use too. */
const HEALED_MS = 90_000
/** Longer than a client waits for an answer from a server that is cut off, and than a router holds a session. */
const WRITES_MS = 60_000
const WRITES_BEFORE = 10
const WRITE_EVERY_MS = 20
const WRITERS = 3
/** All is whole for so long and no fault is at work: what would still be waited for is skipped. */
const CALM_MS = 500
const CALM_LOOK_MS = 100
/** What a witness has nothing for: it is made at a standby instead. */
const OF_DATABASES: ReadonlySet<string> = new Set(['wipe', 'switchover', 'lag'])
/** Violations stay here: whatever else a run writes goes with it. */
const KEPT = join(REPOSITORY_ROOT, '.build/chaos')
/** Holds a data directory, its WAL, a copy beside it while it is rewritten, and the agent's state. */
const DISK_MB = 1024

export type ArenaOptions = {
  readonly mode: Mode
  readonly nodes: number
  /** One of them votes and has no database. */
  readonly witness?: boolean | undefined
  readonly profile: ProfileName
  /** The `main.js` of an older build: all hosts begin with it, and the first that rolls upgrades them. */
  readonly older?: string | undefined
  /** Folder of PostgreSQL's programs. */
  readonly binDir: string
}

export type ScheduleReport = {
  readonly violations: readonly string[]
  readonly acknowledged: number
  readonly unanswered: number
  readonly missing: number
  readonly staleReads: number
  /** How long after a newer timeline's first acknowledgement the latest of them was sent. */
  readonly staleMs: number
  readonly epochs: number
  /** From the first fault to the end of the last. */
  readonly faultsMs: number
  readonly healedMs: number
}

type Clients = { readonly writers: readonly NumberedWriter[]; readonly reader: TimelineReader }
type ArenaWrite = Write & { readonly router: string }

/**
 * A cluster of real hosts under schedule after schedule. What clients were told is judged from its birth on: a row that only a
 * later schedule loses is lost all the same.
 */
export class Arena {
  readonly #options: ArenaOptions
  readonly #machines: Machines
  readonly #cluster: Cluster
  readonly #faults: FaultMaker
  readonly #say: (line: string) => void
  readonly #writes: ArenaWrite[] = []
  readonly #reads: Read[] = []
  readonly #losses = new Map<string, LossReport>()
  readonly #leftOut: ReturnType<typeof leftOutKinds>
  readonly #undo: () => void
  #writers = 0
  #lastHit: TestNode | undefined

  private constructor(
    options: ArenaOptions,
    hosts: { readonly machines: Machines; readonly hasFaultyHosts: boolean; readonly undo: () => void },
    say: (line: string) => void,
  ) {
    const { machines } = hosts
    this.#options = options
    this.#leftOut = leftOutKinds(hosts.hasFaultyHosts)
    this.#undo = hosts.undo
    this.#machines = machines
    this.#cluster = new Cluster(machines)
    this.#faults = new FaultMaker(this.#cluster, machines)
    this.#say = say
  }

  static async open(options: ArenaOptions, say: (line: string) => void): Promise<Arena> {
    const programs = hasCompiler() ? faultyPrograms(options.binDir) : undefined
    const binDir = programs?.binDir ?? options.binDir
    const undo = () => programs?.dispose()
    const machines = await namespaceMachines({
      from: 'init',
      count: options.nodes,
      witness: options.witness,
      diskMb: DISK_MB,
      faulty: programs?.library,
      edit: (text) => configFor(text, { ...options, binDir }),
    })
    const arena = new Arena(options, { machines, hasFaultyHosts: programs !== undefined, undo }, say)
    try {
      for (const node of machines.nodes)
        if (options.older !== undefined) machines.setProgram?.(node, options.older)
      arena.#cluster.supervise(true)
      arena.#cluster.startAll()
      await arena.#cluster.waitForHealthy(BORN_MS)
      await createNumberedTable(arena.#anyUrl)
      return arena
    } catch (error) {
      say(arena.#cluster.logTails())
      await arena.close()
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#cluster.dispose()
    this.#faults.endQuotas()
    this.#undo()
  }

  /** Faults as scheduled under load, then none, then the verdict. The cluster is whole again unless that is a violation. */
  async run(schedule: ChaosSchedule): Promise<ScheduleReport> {
    const clients = this.#startClients(schedule.seed)
    let epochBefore = 0
    let healedMs = 0
    let faultsMs = 0
    const unhealed: string[] = []
    try {
      await this.#cluster.waitForHealthy(HEALED_MS)
      await this.#writesGoOn(clients.writers)
      epochBefore = await this.#cluster.epoch()
      const begunAt = performance.now()
      await this.#makeFaults(schedule)
      const endedAt = performance.now()
      faultsMs = endedAt - begunAt
      await this.#cluster.waitForHealthy(HEALED_MS)
      healedMs = performance.now() - endedAt
      await this.#writesGoOn(clients.writers)
      await this.#cluster.waitForHealthy(HEALED_MS)
    } catch (error) {
      unhealed.push(`G4: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      this.#faults.heal()
      await this.#stopClients(clients)
    }
    if (unhealed.length > 0) return this.#report({ violations: unhealed, faultsMs, healedMs, epochs: 0 })
    return this.#verdict({ faultsMs, healedMs, epochBefore })
  }

  /** Bad weather for so long under load, and the verdict: that nobody took over is for whoever asked. */
  async calm(
    seed: number,
    lastsMs: number,
  ): Promise<CalmReport & { readonly violations: readonly string[] }> {
    const { nodes, profile } = this.#options
    const clients = this.#startClients(seed)
    const at = { cluster: this.#cluster, faults: this.#faults, say: this.#say }
    let weather: CalmReport
    try {
      await this.#writesGoOn(clients.writers)
      weather = await badWeather(at, drawPauses({ seed, lastsMs, profile, nodes }), lastsMs)
      await this.#cluster.waitForHealthy(HEALED_MS)
      await this.#writesGoOn(clients.writers)
    } finally {
      await this.#stopClients(clients)
    }
    const { violations } = await this.#verdict({ faultsMs: 0, healedMs: 0, epochBefore: 0 })
    for (const failover of await this.#cluster.failovers()) this.#say(`  ${JSON.stringify(failover)}`)
    return { ...weather, violations }
  }

  planned(lastsMs: number, everyMs: number): Promise<PlannedReport> {
    return plannedWork({ cluster: this.#cluster, say: this.#say }, lastsMs, everyMs)
  }

  /** Logs, configs, what was done and the whole history, for a person; says where. */
  keep(seed: number, report: object): string {
    mkdirSync(KEPT, { recursive: true })
    const folder = mkdtempSync(join(KEPT, `${this.#options.mode}-${seed}-`))
    for (const node of this.#cluster.nodes) {
      copyFileSync(node.logFile, join(folder, `${node.name}-agent.log`))
      if (isWitness(node)) continue
      const [file = '', ...words] = this.#machines.enter?.(node) ?? []
      const target = join(folder, `${node.name}-postgres.log`)
      execFileSync(file, [...words, 'cp', `${node.dataDir}.log`, target], { stdio: 'ignore' })
    }
    const history = { report, writes: this.#writes, reads: this.#reads }
    writeFileSync(join(folder, 'history.json'), JSON.stringify(history, undefined, 1))
    return folder
  }

  #startClients(seed: number): Clients {
    const writers = this.#routed.slice(0, WRITERS).map((node) => {
      this.#writers += 1
      return new NumberedWriter({
        url: this.#cluster.url(node, 'primary'),
        number: this.#writers,
        everyMs: WRITE_EVERY_MS,
      })
    })
    const reader = new TimelineReader(this.#cluster.url(this.#nodeAt(seed), 'primary'))
    for (const writer of writers) writer.start()
    reader.start()
    return { writers, reader }
  }

  async #stopClients(clients: Clients): Promise<void> {
    const histories = await Promise.all(clients.writers.map((writer) => writer.stop()))
    histories.forEach((writes, index) => {
      const router = this.#nodeAt(index).name
      this.#writes.push(...writes.map((write) => ({ ...write, router })))
    })
    await clients.reader.stop()
    this.#reads.push(...clients.reader.reads)
  }

  async #writesGoOn(writers: readonly NumberedWriter[]): Promise<void> {
    const since = performance.now()
    await this.#cluster.waitFor(`${WRITES_BEFORE} acknowledgements for every writer`, WRITES_MS, () =>
      writers.every((writer) => writer.acknowledgedSince(since) >= WRITES_BEFORE),
    )
  }

  async #makeFaults(schedule: ChaosSchedule): Promise<void> {
    const all: Promise<void>[] = []
    let atWork = 0
    let skippedMs = 0
    const beganAt = performance.now()
    try {
      for (const one of schedule.faults) {
        skippedMs += await this.#until(beganAt + one.atMs - skippedMs, () => atWork === 0)
        atWork += 1
        const done = this.#makeFault(one).finally(() => (atWork -= 1))
        // It is waited for below, together with the others.
        done.catch(() => undefined)
        all.push(done)
      }
      await Promise.all(all)
    } finally {
      this.#faults.heal()
    }
  }

  /** Waits until `dueMs`, or until calm: says how much of it was left then. */
  async #until(dueMs: number, isAlone: () => boolean): Promise<number> {
    let calmSince: number | undefined
    for (let now = performance.now(); now < dueMs; now = performance.now()) {
      const isCalm = isAlone() && isHealthy(await this.#cluster.observe(), this.#cluster.nodes) && isAlone()
      calmSince = isCalm ? (calmSince ?? now) : undefined
      if (calmSince !== undefined && now - calmSince > CALM_MS) return Math.max(0, dueMs - now)
      await pause(Math.min(CALM_LOOK_MS, Math.max(0, dueMs - performance.now())))
    }
    return 0
  }

  /** From its beginning to its end. */
  async #makeFault(one: ScheduledFault): Promise<void> {
    const { fault } = one
    const why = this.#leftOut.get(fault.kind)
    if (why !== undefined) {
      this.#say(`  ${describeFault(one)} LEFT OUT: ${why}`)
      return
    }
    if (fault.kind === 'wipe') await this.#cluster.waitForHealthy(HEALED_MS)
    const ranked = await this.#ranked()
    const drawn =
      one.target === 'again' ? (this.#lastHit ?? rankedNode(ranked, 0)) : rankedNode(ranked, one.target)
    const standby = ranked.find((each) => each !== ranked[0] && !isWitness(each))
    const node = isWitness(drawn) && OF_DATABASES.has(fault.kind) ? (standby ?? drawn) : drawn
    this.#lastHit = node
    const peers = fault.kind === 'cut' ? peersOf(ranked, node, fault.peer) : undefined
    const names = [node, ...(peers ?? [])].map(({ name }) => name)
    this.#say(`  ${describeFault(one)} → ${names.join(', ')}`)
    if (fault.kind === 'roll') {
      for (const node of ranked) this.#machines.setProgram?.(node, PROGRAM)
      await this.#faults.roll(ranked.toReversed(), fault.how)
      return
    }
    const undo = this.#faults.make(fault, { node, peers })
    if (!undo || !('ms' in fault)) return
    await pause(fault.ms)
    undo()
  }

  /** The primary, or who comes first where nobody is known to be, then the others by name. */
  async #ranked(): Promise<readonly TestNode[]> {
    const { nodes } = this.#cluster
    const primary = await this.#cluster.primary().catch(() => undefined)
    return primary ? [primary, ...nodes.filter((node) => node !== primary)] : nodes
  }

  async #verdict(about: {
    readonly faultsMs: number
    readonly healedMs: number
    readonly epochBefore: number
  }): Promise<ScheduleReport> {
    for (const loss of await this.#cluster.losses()) this.#losses.set(JSON.stringify(loss), loss)
    const verdict = judge({
      mode: this.#options.mode,
      writes: this.#writes,
      reads: this.#reads,
      rows: await readNumbered(this.#anyUrl),
      losses: [...this.#losses.values()],
      standstills: this.#faults.standstills,
      tableMs: policyOf(this.#options.profile).leaseTtlMs,
    })
    return this.#report({
      violations: verdict.violations,
      faultsMs: about.faultsMs,
      healedMs: about.healedMs,
      epochs: (await this.#cluster.epoch()) - about.epochBefore,
      missing: verdict.history.missing.length,
      staleReads: verdict.staleReads.length,
      staleMs: Math.max(0, ...verdict.staleReads.map(({ lateMs }) => lateMs)),
    })
  }

  #report(of: {
    readonly violations: readonly string[]
    readonly faultsMs: number
    readonly healedMs: number
    readonly epochs: number
    readonly missing?: number
    readonly staleReads?: number
    readonly staleMs?: number
  }): ScheduleReport {
    const acknowledged = this.#writes.filter(({ outcome }) => outcome === 'acknowledged').length
    return {
      missing: 0,
      staleReads: 0,
      staleMs: 0,
      ...of,
      acknowledged,
      unanswered: this.#writes.length - acknowledged,
    }
  }

  /** Of those that applications connect to. */
  #nodeAt(index: number): TestNode {
    return rankedNode(this.#routed, index % this.#routed.length)
  }

  get #routed(): readonly TestNode[] {
    return this.#cluster.nodes.filter((node) => !isWitness(node))
  }

  get #anyUrl(): string {
    return this.#cluster.url(this.#nodeAt(0), 'primary')
  }
}

function peersOf(
  ranked: readonly TestNode[],
  node: TestNode,
  peer: Rank | 'members' | undefined,
): readonly TestNode[] | undefined {
  if (peer === undefined) return undefined
  return peer === 'members' ? ranked.filter((one) => one !== node) : [rankedNode(ranked, peer)]
}

function rankedNode(nodes: readonly TestNode[], rank: Rank): TestNode {
  const node = nodes[rank]
  if (!node) throw new Error(`No member of rank ${rank}`)
  return node
}

/** The file of `init` with the mode and the programs, and small: several instances share a machine. */
function configFor(text: string, options: ArenaOptions): string {
  return `${text
    .replace('postgresql:\n', `postgresql:\n  bin_dir: ${JSON.stringify(options.binDir)}\n`)
    .replace(/shared_buffers: .*/, 'shared_buffers: "16MB"')
    // A node's own file would decide where planned work sets it for the whole cluster.
    .replace(
      / *max_connections: .*\n/,
      '',
    )}replication: { mode: ${options.mode} }\nha: { profile: ${options.profile} }\n`
}
