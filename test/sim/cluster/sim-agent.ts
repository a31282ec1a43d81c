import { ControlPlane } from '../../../src/agent/control-plane.ts'
import { GuardClient } from '../../../src/agent/guard-client.ts'
import { watchdogOf } from '../../../src/agent/node-policy.ts'
import { TableNews } from '../../../src/agent/table-news.ts'
import type { NodeConfig } from '../../../src/config/node-config.ts'
import type { LocalInstance } from '../../../src/ha/ports.ts'
import type { KnockAnswer } from '../../../src/ha/snapshot.ts'
import type { RoutingTableMessage } from '../../../src/model/routing-table.ts'
import type { LogFields, Logger } from '../../../src/platform/log.ts'
import type { RandomStream } from '../random-stream.ts'
import type { SimGuard } from './sim-guard.ts'
import type { Release } from './release.ts'
import type { SimHost, SimProcess } from './sim-host.ts'
import { SimPeerLink, type PeerSwitch } from './sim-peer-link.ts'
import type { SimStateFolder } from './sim-state.ts'

/** As `RouterLink` of the real agent. */
const LOOK_EVERY_MS = 200
/** As `watchSuspend`. */
const SUSPEND_LOOK_MS = 50
const STATE_FSYNC_MS = 1

export type SimAgentDeps = {
  readonly host: SimHost
  readonly config: NodeConfig
  readonly peers: PeerSwitch
  readonly release: Release
  readonly guard: SimGuard
  readonly state: SimStateFolder
  readonly chance: RandomStream
  /** The instance as one life of the agent sees it. */
  readonly instance: (process: SimProcess) => LocalInstance
  readonly hasRouter: () => boolean
  readonly knock: (from: SimProcess, at: { host: string; port: number }) => Promise<KnockAnswer>
  /** Hands a table to the router of this host, if there is one. */
  readonly pushTable: (message: RoutingTableMessage) => void
  readonly note: (text: string) => void
  /** This agent ended by itself; its supervisor should start the next. */
  readonly onEnd: (why: string) => void
  /** It was removed from the cluster: neither router nor guard have anything to do any more. */
  readonly onLeft: () => void
  readonly newNonce: () => string
}

/** One life of one agent: the real control plane and the real client of the guard on a virtual host. */
export class SimAgent {
  readonly process: SimProcess
  readonly control: ControlPlane
  readonly #deps: SimAgentDeps
  readonly #guard: GuardClient
  readonly #link: SimPeerLink
  readonly #news = new TableNews()
  #isLeaving = false

  constructor(deps: SimAgentDeps, label: string) {
    this.#deps = deps
    const { host, config, chance, guard } = deps
    this.process = host.spawn(label)
    const { clock } = this.process
    const log = noteLogger(deps.note)
    this.#guard = new GuardClient({
      clock,
      log,
      door: guard.doorFor(this.process),
      onFenced: () => this.control.noteFencedByGuard(),
      onState: () => this.control.wake(),
      watchdog: watchdogOf(config),
    })
    this.#link = new SimPeerLink(deps.peers, this.process, deps.release)
    this.control = new ControlPlane(
      {
        clock,
        log,
        link: this.#link,
        guard: this.#guard,
        router: { totals: [], pid: undefined },
        instance: deps.instance(this.process),
        state: deps.state.open(this.process, chance, STATE_FSYNC_MS),
        knocker: { knock: (at) => deps.knock(this.process, at) },
        consensus: {
          disk: deps.state.disk.open(),
          soon: (task) => void this.process.after(0, () => deps.state.disk.blocking(this.process, task)),
          seed: chance.below(2 ** 31),
          newNonce: deps.newNonce,
        },
      },
      {
        config,
        ownHost: host.address,
        isOwnHostGuessed: false,
        secrets: { cluster: 'not a secret' },
        randomHex: (bytes) => hexOf(deps.newNonce(), bytes),
        version: '0.0.0',
        isTls: false,
        life: deps.newNonce(),
        bootId: `boot of ${host.name}`,
        pid: 1,
        onTable: () => this.#push(),
        onSettled: () => undefined,
        onLeft: () => void this.#stayOut(),
        onFatal: (what, thrown) => this.#fail(`${what}: ${String(thrown)}`),
      },
    )
  }

  start(): void {
    this.#start().catch((thrown: unknown) => this.#fail(`cannot start: ${String(thrown)}`))
  }

  /** As SIGUSR2: this agent only; PostgreSQL, router and guard go on. */
  detach(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    this.#guard.detach()
    void this.control.leave().then(() => this.#end('detached'))
  }

  /** As SIGTERM: PostgreSQL and guard too. */
  stop(onStopped: () => void): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    // As `entry.ts`: what cannot be ended is left to the guard.
    void this.#stop().then(
      () => {
        this.#end('stopped')
        onStopped()
      },
      (thrown: unknown) => this.#fail(`cannot stop cleanly: ${String(thrown)}`),
    )
  }

  /** As SIGKILL. */
  kill(): void {
    if (!this.process.isAlive) return
    this.process.end()
    this.#link.ended()
  }

  /** The host slept and is awake again. */
  woke(onLooked: () => void): void {
    this.process.after(this.#deps.chance.between(0, SUSPEND_LOOK_MS), () => {
      this.control.distrustClock()
      onLooked()
    })
  }

  async #start(): Promise<void> {
    await this.control.prepare()
    if (this.control.left === undefined) {
      if (this.control.isManaged) this.#guard.start()
      this.#link.start()
    }
    this.control.start()
    this.#pushAgain()
  }

  /** As `Node` does it. */
  async #stayOut(): Promise<void> {
    this.#deps.onLeft()
    if (this.#guard.state() === 'absent') return
    await this.#guard.disarmAndConfirm().catch(() => undefined)
    await this.#guard.stop()
  }

  async #stop(): Promise<void> {
    if (this.control.isPaused) {
      this.#guard.detach()
      return this.control.leave()
    }
    if (this.control.isManaged) {
      await this.control.stopInstance()
      await this.#guard.disarmAndConfirm().catch(() => undefined)
      await this.#guard.stop()
    }
    await this.control.leave()
  }

  #fail(why: string): void {
    if (!this.process.isAlive) return
    this.#deps.note(`ends: ${why}`)
    this.#end(why)
  }

  #end(why: string): void {
    if (!this.process.isAlive) return
    this.kill()
    this.#deps.onEnd(why)
  }

  /** A router has come: it hears the newest table at once. */
  greetRouter(): void {
    if (this.process.isAlive) this.process.run(() => this.#deps.pushTable(this.control.picture.routing()))
  }

  #pushAgain(): void {
    this.#push()
    this.process.after(LOOK_EVERY_MS, () => this.#pushAgain())
  }

  #push(): void {
    if (!this.#deps.hasRouter()) return
    const table = this.control.picture.routing()
    if (this.#news.take(table, this.process.clock.monotonic())) this.#deps.pushTable(table)
  }
}

/** Unique where the nonce is. */
function hexOf(nonce: string, bytes: number): string {
  return Buffer.from(nonce)
    .toString('hex')
    .padStart(2 * bytes, '0')
    .slice(-2 * bytes)
}

function noteLogger(note: (text: string) => void): Logger {
  const say = (message: string, fields?: LogFields): void =>
    note(fields === undefined ? message : `${message} ${describe(fields)}`)
  const logger: Logger = {
    debug: () => undefined,
    info: say,
    warn: say,
    error: say,
    with: () => logger,
    setLevel: () => undefined,
  }
  return logger
}

function describe(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : JSON.stringify(value)}`)
    .join(' ')
}
