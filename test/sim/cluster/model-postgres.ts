import type { LocalInstance } from '../../../src/ha/ports.ts'
import type { KnockAnswer } from '../../../src/ha/snapshot.ts'
import { connectClient, type ClientSession } from '../postgres/client-session.ts'
import type { DiskFault } from '../postgres/disk.ts'
import type { PostgresHost } from '../postgres/host.ts'
import { createModelInstance, type ModelInstance } from '../postgres/model-instance.ts'
import type { Acknowledgement } from '../postgres/ports.ts'
import { PostgresWorld } from '../postgres/world.ts'
import { RandomStream } from '../random-stream.ts'
import type { VirtualTime } from '../virtual-time.ts'
import type { WritingTruth } from './checkers/convictions-are-just.ts'
import type { DataVolume } from './checkers/nothing-irreplaceable-is-destroyed.ts'
import type { SimHost, SimProcess } from './sim-host.ts'
import type { SimNetwork } from './sim-network.ts'
import type { BackendEvents, BackendSession } from './sim-router.ts'

const PORT = 5432
/** What the guard needs to find and to kill every process of an instance. */
const KILL_MS = { min: 2, max: 10 }
const SIMULATED_PROCESSES = 6
/** Below what a try that is late takes, by all that can come on top. */
const TOO_LATE_MS = 600
/** Three tries of 100 ms. */
const KNOCK_MS = 300

export type ModelPostgresParts = {
  readonly seed: number
  readonly time: VirtualTime
  readonly network: SimNetwork
  readonly hosts: readonly SimHost[]
  readonly segmentBytes: number
  /** Hosts with a pg_rewind. */
  readonly rewinds: readonly string[]
  readonly acknowledged: (acknowledgement: Acknowledgement) => void
}

/** The PostgreSQL of every host, as the cluster around it deals with it: a thin layer over the model in test/sim/postgres. */
export class ModelPostgres {
  readonly #world: PostgresWorld
  readonly #seed: number
  readonly #segmentBytes: number
  readonly #hosts = new Map<string, SimPostgres>()
  readonly #parts: ModelPostgresParts

  constructor(parts: ModelPostgresParts) {
    this.#parts = parts
    const { seed, time, network, hosts } = parts
    this.#world = new PostgresWorld({
      clock: time,
      chance: new RandomStream(seed, 'postgres'),
      network: {
        delayMs: (from, to) => (network.isOpen(from, to) ? network.delay(from, to) : undefined),
      },
    })
    this.#world.onAcknowledgement(parts.acknowledged)
    network.onChange(() => this.#world.pathsChanged())
    this.#seed = seed
    this.#segmentBytes = parts.segmentBytes
    for (const host of hosts) this.add(host)
  }

  add({ name, address }: Pick<SimHost, 'name' | 'address'>): void {
    const host = this.#world.addHost({
      name,
      address: { host: address, port: PORT },
      chance: new RandomStream(this.#seed, `postgres ${name}`),
      segmentBytes: this.#segmentBytes,
    })
    this.#hosts.set(
      name,
      new SimPostgres(this.#world, host, {
        seed: this.#seed,
        hasRewind: this.#parts.rewinds.includes(name),
      }),
    )
  }

  /** A host's kernel answers for a PostgreSQL that is stopped; a host without power or asleep is silent. */
  knock(from: SimProcess, at: { host: string }): Promise<KnockAnswer> {
    const { network, hosts } = this.#parts
    const target = hosts.find(({ address }) => address === at.host)
    return new Promise((resolve) => {
      const isThere = (): boolean =>
        target !== undefined &&
        target.isUp &&
        !target.isAsleep &&
        network.isOpen(from.host.name, target.name) &&
        network.isOpen(target.name, from.host.name)
      const round = target ? 2 * network.delay(from.host.name, target.name) : KNOCK_MS
      if (round >= KNOCK_MS || !isThere()) from.after(KNOCK_MS, () => resolve('silent'))
      else {
        from.after(round, () => {
          resolve(target === undefined || !isThere() ? 'silent' : this.of(target.name).answer)
        })
      }
    })
  }

  of(host: string): SimPostgres {
    const found = this.#hosts.get(host)
    if (found === undefined) throw new Error(`"${host}" has no PostgreSQL`)
    return found
  }
}

/** The PostgreSQL of one host. */
export class SimPostgres {
  readonly #world: PostgresWorld
  readonly #host: PostgresHost
  readonly #chance: RandomStream
  readonly #hasRewind: boolean
  #instance: ModelInstance | undefined

  constructor(
    world: PostgresWorld,
    host: PostgresHost,
    { seed, hasRewind }: { seed: number; hasRewind: boolean },
  ) {
    this.#world = world
    this.#host = host
    this.#hasRewind = hasRewind
    this.#chance = new RandomStream(seed, `agent's hands ${host.name}`)
  }

  /** `synchronous_standby_names` in its files. */
  get synchronousNames(): string {
    return this.#host.disk.directory?.config.synchronousNames ?? ''
  }

  /** It takes writes. */
  get isPrimary(): boolean {
    const { server } = this.#host
    return server !== undefined && !server.isInRecovery
  }

  /** No process of it is left. */
  get isGone(): boolean {
    return this.#host.server?.isDead ?? true
  }

  /** To whoever knocks. */
  get answer(): KnockAnswer {
    const { server } = this.#host
    if (server?.isPostmasterAlive !== true) return 'refuses'
    return server.isPostmasterAwake ? 'answers' : 'accepts'
  }

  /** As one life of the agent drives it: what it began ends with it. */
  instanceFor(agent: SimProcess): LocalInstance {
    this.#instance?.close()
    this.#instance = createModelInstance(this.#host, {
      memberName: this.#host.name,
      useSlots: true,
      hasRewind: this.#hasRewind,
      chance: this.#chance,
      after: (ms, run) => void agent.after(ms, run),
    })
    return this.#instance
  }

  /** The agent has ended. */
  agentEnded(): void {
    this.#instance?.close()
    this.#instance = undefined
  }

  /** A client's session, from a process on whichever host. Requests before it is open wait. */
  dial(from: SimProcess, events: BackendEvents): BackendSession {
    let session: ClientSession | undefined
    let isClosed = false
    const waiting: number[] = []
    const end = (): void => {
      if (isClosed) return
      isClosed = true
      from.run(events.closed)
    }
    const insert = (token: number): void => {
      if (session === undefined) waiting.push(token)
      else {
        session.insert(token, (outcome) => {
          if (isClosed || outcome.kind === 'lost') return
          if (outcome.kind === 'complete') from.run(() => events.committed(token))
          else from.run(() => events.failed(token, outcome.kind))
        })
      }
    }
    const giveUp = connectClient(
      this.#world,
      { from: from.host.name, to: this.#host.address },
      {
        opened: (opened) => {
          if (isClosed) return opened.close()
          session = opened
          opened.onLost = end
          for (const token of waiting.splice(0)) insert(token)
        },
        refused: end,
      },
    )
    return {
      insert,
      close: () => {
        isClosed = true
        giveUp()
        session?.close()
      },
    }
  }

  /** What lies on its volume. */
  get volume(): DataVolume {
    return this.#host.disk
  }

  /** SIGKILL of the postmaster alone: its backends go on for a moment. */
  killPostmaster(): void {
    this.#host.killPostmaster()
  }

  /** What the guard does: no process is left. */
  killAll(by: SimProcess, done: (outcome: { isDead: boolean; processes: number }) => void): void {
    by.after(this.#chance.between(KILL_MS.min, KILL_MS.max), () => {
      const processes = this.#host.server === undefined ? 0 : SIMULATED_PROCESSES
      this.#host.killAll()
      done({ isDead: true, processes })
    })
  }

  /** SIGSTOP of all its processes; the result lets those very processes go on. */
  freeze(): () => void {
    const { server } = this.#host
    server?.freeze(true)
    return () => server?.freeze(false)
  }

  /** The result ends it, unless another one has taken its place. */
  setDiskFault(fault: DiskFault): () => void {
    this.#host.setDiskFault(fault)
    return () => {
      if (this.#host.disk.fault === fault) this.#host.setDiskFault(undefined)
    }
  }

  /** SIGSTOP of the postmaster alone; the result lets that very process go on. */
  freezePostmaster(): () => void {
    const { server } = this.#host
    server?.freezePostmaster(true)
    return () => server?.freezePostmaster(false)
  }

  /** What a try to write would meet, as a primary and as a candidate. */
  get writing(): WritingTruth {
    const { server, disk, isPaused } = this.#host
    const isRunning = server?.phase === 'ready' && server.isPostmasterAlive
    return {
      isInTrouble: isPaused || isTooBad(disk.fault) || (isRunning && !server.isPostmasterAwake),
      isHeir: isRunning && server.isInRecovery && !isTooBad(disk.fault),
    }
  }

  /** The machine stands still with all that runs on it. */
  suspend(): void {
    this.#host.pause()
  }

  wake(): void {
    this.#host.resume()
  }

  setReplayPaused(isPaused: boolean): void {
    if (isPaused) this.#host.pauseReplay()
    else this.#host.resumeReplay()
  }

  losePower(): void {
    this.#host.losePower()
  }

  powerOn(): void {
    this.#host.powerOn()
  }

  /** The data directory is moved away by hand, and what was set aside with it. Nothing runs on it. */
  moveAside(): void {
    this.#host.killAll()
    this.#host.wipeDisk()
  }

  /** Another, empty volume; only while the host is off. */
  wipe(): void {
    this.#host.wipeDisk()
  }

  /** In its data, whether it runs or not. */
  holds(token: number): boolean {
    const { directory } = this.#host.disk
    if (this.rows()?.includes(token) === true || directory?.rows.tokens.includes(token) === true) return true
    return directory?.wal.timelines().some((timeline) => hasToken(directory.wal.of(timeline), token)) === true
  }

  /** Tokens of the rows that a new session would see; undefined while it takes none. */
  rows(): readonly number[] | undefined {
    return this.#host.server?.phase === 'ready' ? this.#host.server.visible : undefined
  }
}

/** No commit is in time on it, or none will be soon. */
function isTooBad(fault: DiskFault | undefined): boolean {
  return fault !== undefined && (fault.kind !== 'slow' || fault.extraMs > TOO_LATE_MS)
}

function hasToken(records: Iterable<{ readonly token: number }>, token: number): boolean {
  for (const record of records) if (record.token === token) return true
  return false
}
