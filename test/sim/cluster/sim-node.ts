import { createWitnessInstance } from '../../../src/agent/unmanaged-instance.ts'
import type { NodeConfig } from '../../../src/config/node-config.ts'
import { nodeMode } from '../../../src/config/node-mode.ts'
import type { RoutingTableMessage } from '../../../src/model/routing-table.ts'
import { NEVER } from '../../../src/agent/host-ports.ts'
import type { RandomStream } from '../random-stream.ts'
import type { MemberGlimpse } from './checkers/cluster-facts.ts'
import { SimAgent, type SimAgentDeps } from './sim-agent.ts'
import { SimGuard } from './sim-guard.ts'
import type { Release } from './release.ts'
import type { SimHost } from './sim-host.ts'
import type { PeerSwitch } from './sim-peer-link.ts'
import type { SimPostgres } from './model-postgres.ts'
import { SimRouter, type RouterDeps } from './sim-router.ts'
import { SimWatchdog } from './sim-watchdog.ts'
import { SimStateFolder } from './sim-state.ts'

/** As systemd with `RestartSec=1`. */
const RESTART_MS = 1000
/** What Node needs to start the agent, and the router. */
const AGENT_START_MS = { min: 150, max: 600 }
const ROUTER_START_MS = { min: 100, max: 400 }
const ROUTER_GRACE_MS = 400
const PIPE_MS = 0.1
const BOOT_MS = { min: 2000, max: 15_000 }
const KILL_ALL_AFTER_POWER_MS = { min: 3000, max: 9000 }

export type SimNodeDeps = {
  readonly host: SimHost
  readonly release: Release
  readonly config: NodeConfig
  readonly peers: PeerSwitch
  readonly postgres: SimPostgres
  readonly chance: RandomStream
  readonly router: Omit<RouterDeps, 'bootId'>
  readonly knock: SimAgentDeps['knock']
  readonly note: (text: string) => void
  readonly newNonce: () => string
  /** A new life of the agent begins: what its predecessor knew is forgotten. */
  readonly agentStarts: () => void
  readonly watchdog: { readonly isThere: boolean; readonly pick: number }
  /** Its watchdog is about to reset this host. */
  readonly onReset: () => void
}

/** One node: host, agent, guard, router and PostgreSQL, and the supervisor that starts the agent again. */
export class SimNode {
  readonly host: SimHost
  readonly postgres: SimPostgres
  readonly guard: SimGuard
  readonly #watchdog: SimWatchdog
  readonly #deps: SimNodeDeps
  readonly #state = new SimStateFolder()
  #agent: SimAgent | undefined
  #router: SimRouter | undefined
  /** Of the program that the next life of the agent runs. */
  release: Release
  #lives = 0
  #isWanted = true
  #clockDoubtUntil = 0
  /** The agent that slept with its host and has not compared its clocks since. */
  #unlooked: SimAgent | undefined

  constructor(deps: SimNodeDeps) {
    this.#deps = deps
    this.release = deps.release
    this.host = deps.host
    this.postgres = deps.postgres
    this.#watchdog = new SimWatchdog(deps.host, deps.watchdog, () => this.#reset())
    this.guard = new SimGuard(deps.host, deps.chance, {
      fence: (process, done) => deps.postgres.killAll(process, done),
      onFence: () => deps.note('the guard fences'),
      device: this.#watchdog,
    })
  }

  get name(): string {
    return this.host.name
  }

  /** It has neither a database nor a guard nor a router. */
  get isWitness(): boolean {
    return nodeMode(this.#deps.config) === 'witness'
  }

  get state(): SimStateFolder {
    return this.#state
  }

  get agent(): SimAgent | undefined {
    return this.#agent?.process.isAlive === true ? this.#agent : undefined
  }

  get router(): SimRouter | undefined {
    return this.#router?.process.isAlive === true ? this.#router : undefined
  }

  /** The host sleeps, or its processes have not all compared their clocks since it did: outside of every promise. */
  get isClockInDoubt(): boolean {
    const hasLooked = this.#unlooked === undefined || this.#unlooked !== this.agent
    return this.host.isAsleep || !hasLooked || this.host.time.now < this.#clockDoubtUntil
  }

  glimpse(): MemberGlimpse {
    const brain = this.agent?.control.brain
    const now = this.host.monotonic()
    return {
      name: this.name,
      record: brain?.keeper.record,
      provenForMs: (brain?.keeper.provenUntil ?? NEVER) - now,
      isClockInDoubt: this.isClockInDoubt,
      instance: brain?.observer.instance ?? { state: 'unknown' },
      isAgentAlive: this.agent !== undefined,
    }
  }

  /** The supervisor starts the agent. */
  start(): void {
    this.#isWanted = true
    this.#startAgentIn(this.#deps.chance.between(AGENT_START_MS.min, AGENT_START_MS.max))
  }

  kill(what: 'agent' | 'guard' | 'router' | 'postmaster'): void {
    switch (what) {
      case 'agent':
        return this.#killAgent()
      case 'guard':
        return this.guard.kill()
      case 'router':
        return this.#routerGone()
      case 'postmaster':
        return this.postgres.killPostmaster()
    }
  }

  killAll(): void {
    this.guard.kill()
    this.#router?.end()
    this.postgres.killPostmaster()
    this.#killAgent()
  }

  losePower(): void {
    this.host.losePower()
    this.postgres.agentEnded()
    this.guard.kill()
    this.#watchdog.powerOff()
    this.#router?.end()
    this.postgres.losePower()
    this.#state.disk.losePower(this.#deps.chance.below(40))
  }

  powerOn(): void {
    if (this.host.isUp) return
    this.host.powerOn()
    this.postgres.powerOn()
    this.#startAgentIn(this.#deps.chance.between(KILL_ALL_AFTER_POWER_MS.min, KILL_ALL_AFTER_POWER_MS.max))
  }

  /** Somebody on this host could fence its PostgreSQL now. */
  get isGuarded(): boolean {
    return this.guard.process?.isPaused === false
  }

  /** Its watchdog runs: this host ends before its lease does, whatever became of its processes. */
  get isWatched(): boolean {
    return this.#watchdog.isRunning
  }

  #reset(): void {
    this.#deps.note('the watchdog resets the host')
    this.#deps.onReset()
    this.losePower()
    this.host.time.after(this.#deps.chance.between(BOOT_MS.min, BOOT_MS.max), () => this.powerOn())
  }

  /** Stops processes as SIGSTOP does; the result lets those very processes go on. */
  pause(what: 'agent' | 'guard' | 'router' | 'postgres' | 'hang' | 'all'): () => void {
    const stopped = [
      what === 'guard' || what === 'hang' || what === 'all' ? this.guard.process : undefined,
      what === 'agent' || what === 'hang' || what === 'all' ? this.agent?.process : undefined,
      what === 'router' || what === 'all' ? this.router?.process : undefined,
    ].filter((process) => process !== undefined)
    for (const process of stopped) process.pause()
    const thaw = what === 'postgres' || what === 'all' ? this.postgres.freeze() : undefined
    return () => {
      for (const process of stopped) process.resume()
      thaw?.()
    }
  }

  suspend(): void {
    if (this.host.isAsleep || !this.host.isUp) return
    this.host.suspend()
    this.postgres.suspend()
  }

  wake(): void {
    if (!this.host.isAsleep) return
    // Order: the clock is in doubt until every process has had the time to look at it.
    this.#clockDoubtUntil = this.host.time.now + 60
    this.host.wake()
    this.postgres.wake()
    // An agent that is stopped has not looked: what it holds for proven is nobody's word.
    const { agent } = this
    this.#unlooked = agent
    agent?.woke(() => {
      if (this.#unlooked === agent) this.#unlooked = undefined
    })
    this.guard.lookSoon()
    this.router?.resumed()
  }

  restartAgent(): void {
    this.agent?.detach()
  }

  /** As `systemctl stop`; `again` starts it later. */
  stop(): void {
    this.#isWanted = false
    this.agent?.stop(() => this.#router?.end())
  }

  #killAgent(): void {
    if (this.agent === undefined) return
    this.agent.kill()
    this.postgres.agentEnded()
    this.#restart()
  }

  #restart(): void {
    if (this.#isWanted) {
      this.#startAgentIn(RESTART_MS + this.#deps.chance.between(AGENT_START_MS.min, AGENT_START_MS.max))
    }
  }

  #startAgentIn(ms: number): void {
    this.host.time.after(ms, () => {
      if (!this.#isWanted || !this.host.isUp || this.agent !== undefined) return
      this.#startAgent()
    })
  }

  #startAgent(): void {
    const { host, config, peers, chance, postgres, note, newNonce } = this.#deps
    this.#lives += 1
    this.#deps.agentStarts()
    const agent = new SimAgent(
      {
        host,
        config,
        peers,
        chance,
        note,
        newNonce,
        release: this.release,
        guard: this.guard,
        state: this.#state,
        instance: (process) => (this.isWitness ? createWitnessInstance() : postgres.instanceFor(process)),
        hasRouter: () => this.router !== undefined,
        knock: this.#deps.knock,
        pushTable: (message) => this.#push(message),
        onLeft: () => this.#router?.end(),
        onEnd: () => {
          postgres.agentEnded()
          this.#restart()
        },
      },
      `agent ${this.#lives}`,
    )
    this.#agent = agent
    agent.start()
    agent.process.after(ROUTER_GRACE_MS, () => this.#startRouter())
  }

  #push(message: RoutingTableMessage): void {
    const { router } = this
    if (router === undefined) return
    this.host.time.after(PIPE_MS, () => router.process.run(() => router.push(message)))
  }

  #startRouter(): void {
    if (this.isWitness || this.router !== undefined || this.agent === undefined) return
    if (this.agent.control.left !== undefined) return
    const { chance, host } = this.#deps
    host.time.after(chance.between(ROUTER_START_MS.min, ROUTER_START_MS.max), () => {
      if (this.router !== undefined || !host.isUp) return
      this.#router = new SimRouter(host, 'router', { ...this.#deps.router, bootId: `boot of ${host.name}` })
      this.agent?.greetRouter()
    })
  }

  /** Its agent sees the end of the line and starts another. */
  #routerGone(): void {
    this.#router?.end()
    this.agent?.process.after(ROUTER_GRACE_MS, () => this.#startRouter())
  }
}
