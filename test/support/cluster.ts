import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { ClusterView, FailoverRecord, LossReport, RouterRestartResult } from '#client'
import { createClient } from '#client'
import { pidsOf, signalAll, type NodeProcesses } from '../../src/cli/demo/node-processes.ts'
import {
  isHealthy,
  observeCluster,
  openPrimary,
  type Observation,
} from '../../src/cli/demo/observe-cluster.ts'
import { isAlive } from '../../src/platform/process-table.ts'
import { pause } from '../../src/platform/timers.ts'
import { runProgram, type Machines, type ProgramResult, type TestNode } from './machines.ts'

/** As systemd with RestartSec=1. */
const RESTART_MS = 1000
const LOG_LINES_SHOWN = 60
const LOOK_MS = 50
const GONE_MS = 2000
const GONE_LOOK_MS = 5
const POWER_LOOKS_MAX = 50

/**
 * A cluster of real agents, started from config files as a person would, and the hands to break it. With `supervise` an
 * agent that ends is started again after 1 s. `dispose` leaves nothing behind, also when a test failed half-way.
 */
export class Cluster {
  readonly #machines: Machines
  readonly #children = new Map<string, ChildProcess>()
  readonly #restarts = new Map<string, NodeJS.Timeout>()
  readonly #dark = new Set<string>()
  #nodes: readonly TestNode[]
  #supervised = false
  #disposed = false

  constructor(machines: Machines) {
    this.#machines = machines
    this.#nodes = machines.nodes
  }

  /** The members, as the test has it. */
  get nodes(): readonly TestNode[] {
    return this.#nodes
  }

  /** Nodes that the members do not know yet. */
  get spares(): readonly TestNode[] {
    return this.#machines.spares ?? []
  }

  /** From now on the test counts with this node, or no longer. */
  setMember(node: TestNode, isMember: boolean): void {
    const others = this.#nodes.filter((one) => one !== node)
    this.#nodes = isMember ? [...others, node] : others
  }

  node(name: string): TestNode {
    const node = this.nodes.find((one) => one.name === name)
    if (!node) throw new Error(`No node "${name}" in this cluster`)
    return node
  }

  /** Connection string of the role `app` through a router port of a node. */
  url(node: TestNode, port: 'primary' | 'replica' | 'pooled'): string {
    return `postgresql://app:${encodeURIComponent(this.#machines.appPassword)}@${node.host}:${node.ports[port]}/app`
  }

  /** Connection string straight to a node's PostgreSQL, past every router. */
  directUrl(node: TestNode): string {
    return `postgresql://app:${encodeURIComponent(this.#machines.appPassword)}@${node.host}:${node.ports.postgres}/app`
  }

  /** From now on agents that end are started again after 1 s, or no longer. */
  supervise(supervised: boolean): void {
    this.#supervised = supervised
    if (supervised) return
    for (const timer of this.#restarts.values()) clearTimeout(timer)
    this.#restarts.clear()
  }

  /** Runs a command of the program on a node's host. */
  runOn(node: TestNode, argv: readonly string[]): Promise<ProgramResult> {
    return this.#machines.runOn?.(node, argv) ?? runProgram(argv, node.folder)
  }

  startAll(): void {
    for (const node of this.nodes) this.startAgent(node)
  }

  /** Does nothing where the agent of the node runs already. */
  startAgent(node: TestNode): void {
    if (this.#disposed || this.#dark.has(node.name) || this.processesOf(node).agents.length > 0) return
    // One that was started a moment ago is not yet seen in /proc; a supervisor knows it, and starts the next when it has ended.
    const child = this.#children.get(node.name)
    if (this.#supervised && child && child.exitCode === null && child.signalCode === null) return
    this.#spawnAgent(node)
  }

  #spawnAgent(node: TestNode): void {
    const child = this.#machines.spawnAgent(node)
    this.#children.set(node.name, child)
    child.once('exit', () => {
      if (!this.#supervised || this.#disposed) return
      this.#restarts.set(
        node.name,
        setTimeout(() => this.startAgent(node), RESTART_MS),
      )
    })
  }

  processesOf(node: TestNode): NodeProcesses {
    return this.#machines.processesOf(node)
  }

  postmasterPid(node: TestNode): number | undefined {
    return this.#machines.postmasterOf(node)?.pid
  }

  routerPid(node: TestNode): number | undefined {
    return this.processesOf(node).routers[0]?.pid
  }

  /** kill -9 of the postmaster alone: its backends stay as orphans. */
  killPostmaster(node: TestNode): void {
    const postmaster = this.#machines.postmasterOf(node)
    if (!postmaster) throw new Error(`No postmaster to kill on ${node.name}`)
    signalAll([postmaster], 'SIGKILL')
  }

  killAgent(node: TestNode): void {
    if (signalAll(this.processesOf(node).agents, 'SIGKILL') === 0) throw new Error(`No agent on ${node.name}`)
  }

  /** kill -9 of a node's agent wherever it is, also half-way up, and its next life at once. */
  async restartAgent(node: TestNode): Promise<void> {
    const { agents } = this.processesOf(node)
    signalAll(agents, 'SIGKILL')
    this.#children.get(node.name)?.kill('SIGKILL')
    await untilGone(agents)
    this.#spawnAgent(node)
  }

  /** kill -9 of every agent in one moment; resolves with that moment as soon as none of them is left. */
  async killAllAgents(): Promise<{ readonly killedAt: number }> {
    const agents = this.nodes.flatMap((node) => this.processesOf(node).agents)
    const killedAt = Date.now()
    if (signalAll(agents, 'SIGKILL') < this.nodes.length) throw new Error('Not every node had an agent')
    await untilGone(agents)
    return { killedAt }
  }

  /** The same, and starts them again at once: no look at /proc takes the processor from them. */
  async restartAllAgents(): Promise<{ readonly killedAt: number; readonly startedAt: number }> {
    const { killedAt } = await this.killAllAgents()
    for (const node of this.nodes) this.#spawnAgent(node)
    return { killedAt, startedAt: Date.now() }
  }

  /** kill -9 of agent, guard, router and postmaster of a node, all at once. */
  killNode(node: TestNode): void {
    const { agents, guards, routers } = this.processesOf(node)
    const postmaster = this.#machines.postmasterOf(node)
    signalAll([...agents, ...guards, ...routers, ...(postmaster ? [postmaster] : [])], 'SIGKILL')
  }

  /** Everything of a node gone in one moment, backends included, as by a power cut. */
  crashNode(node: TestNode): void {
    const { agents, guards, routers, instance } = this.processesOf(node)
    signalAll([...agents, ...guards, ...routers, ...instance], 'SIGKILL')
  }

  /** A host without power: nothing of it runs, its cable is dead, and nobody starts its agent until the power is back. */
  setPower(node: TestNode, isOn: boolean): void {
    if (!isOn) {
      this.#dark.add(node.name)
      this.setLink(node, false)
      // What an ending process started meanwhile is found at the next look.
      for (let look = 0; look < POWER_LOOKS_MAX && pidsOf(this.processesOf(node)).length > 0; look += 1)
        this.crashNode(node)
      return
    }
    this.#dark.delete(node.name)
    this.setLink(node, true)
    this.startAgent(node)
  }

  /** SIGSTOP or SIGCONT for everything of a node's PostgreSQL. */
  freezeInstance(node: TestNode, signal: 'SIGSTOP' | 'SIGCONT'): void {
    signalAll(this.processesOf(node).instance, signal)
  }

  /** SIGSTOP or SIGCONT for a node's agent alone. */
  freezeAgent(node: TestNode, signal: 'SIGSTOP' | 'SIGCONT'): void {
    signalAll(this.processesOf(node).agents, signal)
    // The nsenter before it stops together with it, and has to be woken by itself.
    if (signal === 'SIGCONT') this.#children.get(node.name)?.kill(signal)
  }

  /** Whether cables can be pulled here. */
  get hasLinks(): boolean {
    return this.#machines.setLink !== undefined
  }

  setLink(node: TestNode, isUp: boolean): void {
    this.#machines.setLink?.(node, isUp)
  }

  /** What the agents say now. */
  observe(): Promise<Observation> {
    return observeCluster(this.nodes)
  }

  async view(): Promise<ClusterView> {
    const { best } = await this.observe()
    if (!best) throw new Error('No agent answers')
    return best
  }

  /** The node that is an open primary, in the eyes of the agent that knows most. */
  async primary(): Promise<TestNode | undefined> {
    const { best } = await this.observe()
    const name = openPrimary(best)?.facts.name
    return name === undefined ? undefined : this.node(name)
  }

  /** Waits for an open primary, one in an epoch above `after` when that is given. */
  waitForPrimary(options: { deadlineMs: number; after?: number }): Promise<TestNode> {
    return this.waitFor('an open primary', options.deadlineMs, async () => {
      const { best } = await this.observe()
      const member = openPrimary(best)
      if (!member || (best?.record?.epoch ?? 0) <= (options.after ?? 0)) return undefined
      return this.node(member.facts.name)
    })
  }

  /** Waits until every agent answers and every standby streams from the primary. */
  async waitForHealthy(deadlineMs: number): Promise<TestNode> {
    await this.waitFor('a healthy cluster', deadlineMs, async () =>
      isHealthy(await this.observe(), this.nodes),
    )
    return this.waitForPrimary({ deadlineMs: 5000 })
  }

  async epoch(): Promise<number> {
    return (await this.view()).record?.epoch ?? 0
  }

  /** Losses as the product reports them. */
  async losses(): Promise<readonly LossReport[]> {
    return (await this.view()).losses
  }

  /** How the right to be primary was taken, oldest first. */
  async takeovers(): Promise<readonly string[]> {
    return (await this.view()).history.map(({ takeover }) => takeover)
  }

  /** How the newest epochs came about, as the product wrote it down. */
  async failovers(): Promise<readonly FailoverRecord[]> {
    const [first] = this.nodes
    return (await createClient({ url: first?.api ?? '' }).epochs()).failovers
  }

  /** A planned switchover, asked of any agent. */
  async switchover(to: TestNode): Promise<void> {
    const asked = this.nodes.find((node) => node !== to) ?? to
    const token = this.#machines.apiToken(asked)
    await createClient({ url: asked.api, token }).switchover({ candidate: to.name })
  }

  /** Has another process take the place of a node's router. */
  async restartRouter(node: TestNode): Promise<RouterRestartResult> {
    return createClient({ url: node.api, token: this.#machines.apiToken(node) }).restartRouter()
  }

  /** Waits until `look` gives something true; fails with `what` and everybody's last state. */
  async waitFor<T>(
    what: string,
    deadlineMs: number,
    look: () => T | undefined | false | Promise<T | undefined | false>,
  ): Promise<T> {
    const giveUpAt = performance.now() + deadlineMs
    for (;;) {
      const found = await look()
      if (found !== undefined && found !== false) return found
      if (performance.now() > giveUpAt) {
        throw new Error(`Not within ${deadlineMs} ms: ${what}\n${await this.#describe()}`)
      }
      await pause(LOOK_MS)
    }
  }

  /** When the agent of a node first said something in its present life that matches; wall clock. */
  saidAt(node: TestNode, what: RegExp): number | undefined {
    const lines = readFileSync(node.logFile, 'utf8').trimEnd().split('\n')
    const begun = lines.findLastIndex((line) => line.includes('"Loading configuration from'))
    const line = lines.slice(begun).find((text) => what.test(text))
    return line === undefined ? undefined : Date.parse((JSON.parse(line) as { time: string }).time)
  }

  /** The last lines of every agent's log, for a test that failed. */
  logTails(): string {
    return this.nodes.map((node) => `── ${node.name} ──\n${tail(node.logFile)}`).join('\n')
  }

  /** Asks every agent to stop its node, as `systemctl stop` on all hosts at once. Resolves when all agents have ended. */
  async stopAll(deadlineMs: number): Promise<void> {
    this.supervise(false)
    for (const node of this.nodes) signalAll(this.processesOf(node).agents, 'SIGTERM')
    await this.waitFor('all agents to end', deadlineMs, () =>
      this.nodes.every((node) => this.processesOf(node).agents.length === 0),
    )
  }

  /** Everything that runs of this cluster. */
  pids(): readonly number[] {
    return this.nodes.flatMap((node) => pidsOf(this.processesOf(node)))
  }

  async dispose(): Promise<void> {
    this.#disposed = true
    this.supervise(false)
    for (const child of this.#children.values()) child.kill('SIGKILL')
    await this.#machines.dispose()
  }

  async #describe(): Promise<string> {
    const { views } = await this.observe()
    return this.nodes
      .map(({ name }) => {
        const view = views.get(name)
        const own = view?.members.find(({ facts }) => facts.name === name)?.facts.instance
        return `${name}: ${view ? `${own?.role ?? '-'} ${own?.state} tl ${own?.timeline} ${own?.streaming ? 'streams ' : ''}${own?.trouble ?? ''}; router ${view.pids.router ?? 'gone'}; ${view.stance}; epoch ${view.record?.epoch} of ${view.record?.holder} ${view.record?.state}` : 'no answer'}`
      })
      .join('\n')
  }
}

async function untilGone(agents: NodeProcesses['agents']): Promise<void> {
  const giveUpAt = performance.now() + GONE_MS
  while (agents.some(isAlive)) {
    if (performance.now() > giveUpAt) throw new Error(`An agent outlived SIGKILL by ${GONE_MS} ms`)
    await pause(GONE_LOOK_MS)
  }
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
  } catch {
    return '(no log)'
  }
}
