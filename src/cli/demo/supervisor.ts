import { monotonicMs, wallMs } from '../../platform/clock.ts'
import { packageVersion } from '../../platform/package-version.ts'
import { identityOf } from '../../platform/process-table.ts'
import { bootId, pid as ownPid } from '../../platform/process.ts'
import { pause } from '../../platform/timers.ts'
import { present } from '../../std/assert.ts'
import { AgentProcess, type AgentEnd } from './agent-process.ts'
import { DEMO_SCOPE, type DemoConnections, type DemoNode } from './demo-layout.ts'
import { writeDemoState, type DemoPids, type DemoState } from './demo-state.ts'
import { postmasterOf, processesOf } from './node-processes.ts'
import { accepts, isHealthy, observeCluster, openPrimary, type Observation } from './observe-cluster.ts'

/** One line for people about what the demo itself saw. */
export type DemoEvent = { readonly atMs: number; readonly text: string }

/** All that is drawn. */
export type DemoPicture = {
  readonly nodes: readonly DemoNode[]
  readonly agents: ReadonlyMap<string, number>
  readonly seen: Observation
  readonly takesWrites: boolean
  readonly healthy: boolean
  readonly runningForMs: number
  readonly events: readonly DemoEvent[]
}

export type DemoPlan = {
  readonly root: string
  readonly portBase: number
  readonly nodes: readonly DemoNode[]
  readonly connections: DemoConnections
  readonly tokenFile: string
  readonly outside: readonly string[]
}

const EVENTS_MAX = 50

/**
 * Supervises the agents and nothing else: keeps them running, looks at them, and keeps `demo.json` true. It makes no
 * decision about the cluster; without it the same config files give the same cluster.
 */
export class Supervisor {
  readonly #plan: DemoPlan
  readonly #agents: readonly AgentProcess[]
  readonly #startedMs = monotonicMs()
  readonly #startedAt = new Date(wallMs()).toISOString()
  readonly #events: DemoEvent[] = []
  readonly #giveUp = new AbortController()
  #pids = new Map<string, DemoPids>()
  #written = ''

  constructor(plan: DemoPlan) {
    this.#plan = plan
    this.#agents = plan.nodes.map((node) => new AgentProcess(node, (end) => this.#agentEnded(node, end)))
  }

  /** Aborted when an agent refuses its config: starting it again would not help. The reason is the node's name. */
  get refused(): AbortSignal {
    return this.#giveUp.signal
  }

  /** Starts every agent, or goes on with the one that runs already. */
  start(running: ReadonlyMap<string, number>): void {
    for (const agent of this.#agents) {
      const identity = identityOf(running.get(agent.node.name) ?? -1)
      if (identity) {
        agent.adopt(identity)
        this.#note(`${agent.node.name}: adopted the running agent, process ${identity.pid}`)
      } else agent.start()
    }
    this.#save()
  }

  /** From now on nothing is started again. */
  letGo(): void {
    for (const agent of this.#agents) agent.stopRestarting()
  }

  /** To be called when all processes are gone. */
  stopped(): void {
    this.#pids = new Map()
    writeDemoState(this.#plan.root, this.#state(false))
  }

  /** One look at the cluster; what it brings is also written to `demo.json`. */
  async look(): Promise<DemoPicture> {
    const { nodes } = this.#plan
    const seen = await observeCluster(nodes)
    for (const node of nodes) this.#pids.set(node.name, this.#pidsOf(node, seen))
    this.#save()
    for (const agent of this.#agents) await agent.trimLog()
    const primary = openPrimary(seen.best)
    const routed = primary !== undefined && (await accepts(present(nodes[0], 'first node').ports.primary))
    return {
      nodes,
      agents: new Map(
        this.#agents.flatMap(({ node, identity }) => (identity ? [[node.name, identity.pid]] : [])),
      ),
      seen,
      takesWrites: routed,
      healthy: routed && isHealthy(seen, nodes),
      runningForMs: monotonicMs() - this.#startedMs,
      events: this.#events,
    }
  }

  /** Looks again and again until `signal`; each picture goes to `show`. */
  async watch(options: {
    readonly everyMs: (picture: DemoPicture) => number
    readonly signal: AbortSignal
    readonly show: (picture: DemoPicture) => void
  }): Promise<void> {
    while (!options.signal.aborted) {
      const picture = await this.look()
      if (options.signal.aborted) return
      options.show(picture)
      await pause(options.everyMs(picture), options.signal)
    }
  }

  /** What its agent says; where it does not answer, what the process list says. */
  #pidsOf(node: DemoNode, seen: Observation): DemoPids {
    const agent = this.#agents.find((one) => one.node === node)?.identity?.pid
    const told = seen.views.get(node.name)?.pids ?? foundPids(node)
    return { ...told, ...(agent === undefined ? {} : { agent }) }
  }

  #agentEnded(node: DemoNode, end: AgentEnd): void {
    const how = end.signal ? `by ${end.signal}` : end.code === undefined ? '' : `with code ${end.code}`
    this.#note(`${node.name}: the agent ended ${how}`.trimEnd() + ', starting it again in 1 s')
    // 2 is "wrong usage or config" (see the exit codes in docs/reference/cli.md).
    if (end.code === 2) this.#giveUp.abort(node.name)
  }

  #note(text: string): void {
    this.#events.push({ atMs: wallMs(), text })
    if (this.#events.length > EVENTS_MAX) this.#events.shift()
  }

  #save(): void {
    const state = this.#state(true)
    const text = JSON.stringify(state)
    if (text === this.#written) return
    writeDemoState(this.#plan.root, state)
    this.#written = text
  }

  #state(isRunning: boolean): DemoState {
    const { connections, portBase, tokenFile, outside, nodes } = this.#plan
    const supervisor = identityOf(ownPid)
    return {
      version: packageVersion(),
      scope: DEMO_SCOPE,
      startedAt: this.#startedAt,
      bootId: bootId(),
      ...(isRunning && supervisor ? { supervisor } : {}),
      ...connections,
      api: present(nodes[0], 'first node').api,
      tokenFile,
      portBase,
      outside,
      nodes: nodes.map((node, index) => {
        const identity = isRunning ? this.#agents[index]?.identity : undefined
        return { ...node, pids: this.#pids.get(node.name) ?? {}, ...(identity ? { agent: identity } : {}) }
      }),
    }
  }
}

function foundPids(node: DemoNode): DemoPids {
  const { guards, routers } = processesOf(node)
  const postmaster = postmasterOf(node)?.pid
  return {
    ...(postmaster === undefined ? {} : { postmaster }),
    ...(guards[0] ? { guard: guards[0].pid } : {}),
    ...(routers[0] ? { router: routers[0].pid } : {}),
  }
}
