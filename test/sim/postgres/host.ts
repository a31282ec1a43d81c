import type { Backend } from './backend.ts'
import type { ClientSession } from './client-session.ts'
import { Disk, type DiskFault } from './disk.ts'
import { DataDirectory, POSTGRES_CONFIG, type PostgresConfig } from './data-directory.ts'
import { SEGMENT_BYTES } from './lsn.ts'
import { between, POSTGRES_TIMINGS, type Address, type Chance, type PostgresTimings } from './ports.ts'
import { rewind, type RewindOutcome } from './rewind.ts'
import { PostgresServer, type StartEnd } from './server.ts'
import type { PostgresWorld } from './world.ts'

export type HostOptions = {
  readonly name: string
  /** Where its PostgreSQL listens. */
  readonly address: Address
  readonly chance: Chance
  readonly timings?: Partial<PostgresTimings>
  readonly config?: Partial<PostgresConfig>
  /** Size of the rows' files: what a clone copies. */
  readonly databaseBytes?: number
  readonly segmentBytes?: number
  /** What a row takes in the WAL, on top of its commit. */
  readonly rowBytes?: number
}

/** One machine with one disk, and at most one PostgreSQL on it. All that a kernel, an operator or a failure can do to them is here. */
export class PostgresHost {
  readonly world: PostgresWorld
  readonly name: string
  readonly address: Address
  readonly chance: Chance
  readonly timings: PostgresTimings
  readonly disk: Disk
  readonly #options: HostOptions
  isPowered = true
  isPaused = false
  /** Grows with each loss of power. */
  life = 0
  /** Processes of the last start; gone when none is left. */
  server: PostgresServer | undefined
  #deferred: (() => void)[] = []
  #pids = 1000
  #incarnations = 0
  readonly #exitListeners = new Set<(server: PostgresServer) => void>()
  readonly #promotionListeners = new Set<(timeline: number) => void>()

  constructor(world: PostgresWorld, options: HostOptions) {
    this.world = world
    this.#options = options
    this.name = options.name
    this.address = options.address
    this.chance = options.chance
    this.timings = { ...POSTGRES_TIMINGS, ...options.timings }
    this.disk = new Disk(world.clock, options.chance, this.timings)
  }

  /** What the node's own configuration says, whatever a copied directory says. */
  get ownConfig(): PostgresConfig {
    return { ...POSTGRES_CONFIG, applicationName: this.name, ...this.#options.config }
  }

  get isAwake(): boolean {
    return this.isPowered && !this.isPaused
  }

  /** True when nothing of this host can run now: `run` is called when it can again. */
  holds(run: () => void): boolean {
    if (!this.isPaused) return false
    this.#deferred.push(run)
    return true
  }

  /* ── the machine ── */

  /** The virtual machine stands still, or its power is gone for a moment only for its processors. */
  pause(): void {
    if (this.isPaused || !this.isPowered) return
    this.isPaused = true
    this.world.reviewSilence()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    const deferred = this.#deferred
    this.#deferred = []
    for (const run of deferred) run()
    this.world.reviewSilence()
  }

  /** Processes end without a word; what no fsync had reached is gone, but for a part that the disk had by chance. */
  losePower(): void {
    if (!this.isPowered) return
    this.isPowered = false
    this.life += 1
    this.isPaused = false
    this.#deferred = []
    const { server } = this
    this.server = undefined
    this.disk.losePower()
    const { directory } = this.disk
    if (directory) {
      const { flushedLsn, flushedTimeline } = directory
      const written = directory.wal.endFrom(flushedTimeline, flushedLsn)
      directory.losePower(flushedLsn + this.chance.next() * (written - flushedLsn))
    }
    if (server && !server.isDead) {
      const wasAlive = server.isPostmasterAlive
      server.losePower()
      this.world.vanish(this.name)
      if (wasAlive) this.postmasterExited(server)
    } else this.world.vanish(this.name)
  }

  /** The machine is up again; PostgreSQL is not. */
  powerOn(): void {
    if (this.isPowered) return
    this.isPowered = true
    this.world.reset(this.name)
  }

  setDiskFault(fault: DiskFault | undefined): void {
    this.disk.setFault(fault)
  }

  /** The volume is replaced by an empty one. Nothing may run on it. */
  wipeDisk(): void {
    if (this.server) throw new Error(`"${this.name}" still runs on its disk`)
    this.disk.wipe()
  }

  /* ── PostgreSQL's own programs ── */

  /** initdb. `done` does not come when the host loses its power. */
  initialise(done: () => void): void {
    const { databaseBytes, segmentBytes, rowBytes } = this.#options
    this.after(between(this.chance, this.timings.initdbMs), () => {
      const directory = new DataDirectory({
        systemId: this.world.nextSystemId(),
        config: this.ownConfig,
        bytes: databaseBytes ?? 40 * 1024 * 1024,
        segmentBytes: segmentBytes ?? SEGMENT_BYTES,
        rowBytes: rowBytes ?? 64,
      })
      directory.putFirstCheckpoint()
      this.disk.directory = directory
      done()
    })
  }

  /** Starts the postmaster on the directory as it lies there: `standby.signal` decides what it becomes. */
  start(done: (end: StartEnd) => void): PostgresServer | undefined {
    const { directory, isIncomplete } = this.disk
    if (directory === undefined || isIncomplete || this.server) {
      const message = this.server ? 'pre-existing shared memory block is still in use' : 'no data directory'
      done({ kind: 'failed', message: `FATAL: ${message}` })
      return undefined
    }
    this.#pids += 1
    const server = new PostgresServer(this, directory, this.#pids)
    server.onStarted = done
    this.server = server
    return server
  }

  /** SIGHUP to the postmaster. */
  reload(): void {
    this.server?.reload()
  }

  /** Changes the settings in our file; a running server learns it by `reload`. */
  configure(change: Partial<PostgresConfig>): void {
    const { directory } = this.disk
    if (directory === undefined) throw new Error(`"${this.name}" has no data directory`)
    directory.config = { ...directory.config, ...change }
  }

  /** The `promote` file and SIGUSR1. */
  requestPromotion(): void {
    const server = this.server
    if (server === undefined) return
    const run = (): void => {
      if (server.isDead || !server.isPostmasterAlive || server.holdsPostmaster(run)) return
      server.promote()
    }
    this.after(this.chance.next(), run)
  }

  /** SIGINT to the postmaster. */
  shutDown(): void {
    this.server?.shutDown()
  }

  /* ── signals ── */

  /** SIGKILL of the postmaster alone. Backends that do not wait for anything go on. */
  killPostmaster(): void {
    this.server?.killPostmaster()
  }

  /** SIGSTOP of the postmaster, SIGKILL of its children, SIGKILL of itself: no process is left. Works on stopped ones too. */
  killAll(): void {
    if (this.server) this.disk.killed()
    this.server?.killAll()
  }

  /** SIGSTOP, or SIGCONT, of all processes. */
  freeze(isFrozen: boolean): void {
    this.server?.freeze(isFrozen)
  }

  /** SIGSTOP, or SIGCONT, of the postmaster alone: nothing is forked, nobody gets in, no signal is passed on. */
  freezePostmaster(isFrozen: boolean): void {
    this.server?.freezePostmaster(isFrozen)
  }

  /** SIGSTOP, or SIGCONT, of the checkpointer. */
  stallCheckpointer(isStalled: boolean): void {
    this.server?.checkpointer.stall(isStalled)
  }

  /** SIGTERM from the operating system to the walreceiver; false when there is none. */
  terminateWalReceiver(): boolean {
    if (!this.hasWalReceiver) return false
    this.server?.receiver?.terminate()
    return true
  }

  /** SIGKILL of one backend: its postmaster ends all others. */
  killBackend(session: ClientSession): void {
    if (this.#backendOf(session)) this.server?.crash('a server process was terminated by signal 9')
  }

  /** A walreceiver process exists, shown by `pg_stat_wal_receiver` or not. */
  get hasWalReceiver(): boolean {
    const receiver = this.server?.receiver
    return receiver !== undefined && receiver.state !== 'requested'
  }

  /* ── SQL by an operator or the agent ── */

  pauseReplay(): void {
    this.server?.startup?.pause()
  }

  resumeReplay(): void {
    this.server?.startup?.resume()
  }

  /** pg_terminate_backend of all sessions that hold up replay. */
  terminateReaders(): void {
    this.server?.endReaders()
  }

  /** pg_terminate_backend of a client's session. */
  terminateBackend(session: ClientSession): void {
    this.#backendOf(session)?.terminate()
  }

  /** pg_terminate_backend(pid of the walreceiver): "PID is not a PostgreSQL backend process" (safety.md M4). */
  terminateWalReceiverBySql(): false {
    return false
  }

  /** pg_create_physical_replication_slot(name, true) */
  makeSlot(name: string): void {
    const { directory } = this.disk
    directory?.slots.set(name, { restartLsn: directory.control.redo, isLost: false, isActive: false })
  }

  /** pg_switch_wal() */
  switchWal(): void {
    this.server?.writer?.switchSegment()
  }

  #backendOf(session: ClientSession): Backend | undefined {
    return this.server?.backends.find((backend) => backend.connection === session.connection)
  }

  /** pg_rewind of the directory here, which is shut down, from a running source. One that is cut off leaves nothing that starts. */
  rewindFrom(source: PostgresHost, how: { isCutOff?: boolean } = {}): RewindOutcome {
    const { directory } = this.disk
    const from = source.server?.phase === 'ready' ? source.disk.directory : undefined
    if (directory === undefined || from === undefined || this.server) return 'impossible'
    const outcome = rewind(directory, from)
    if (typeof outcome === 'string') return outcome
    if (how.isCutOff === true) {
      directory.isDestroyed = true
      return 'destroyed'
    }
    this.disk.directory = outcome
    return 'done'
  }

  /* ── what happens to it ── */

  /** Hears of each end of a postmaster at once. The result ends it. */
  onPostmasterExit(listener: (server: PostgresServer) => void): () => void {
    this.#exitListeners.add(listener)
    return () => this.#exitListeners.delete(listener)
  }

  onPromotion(listener: (timeline: number) => void): () => void {
    this.#promotionListeners.add(listener)
    return () => this.#promotionListeners.delete(listener)
  }

  postmasterExited(server: PostgresServer): void {
    for (const listener of [...this.#exitListeners]) listener(server)
  }

  promoted(timeline: number): void {
    for (const listener of [...this.#promotionListeners]) listener(timeline)
  }

  serverEnded(server: PostgresServer): void {
    if (this.server === server) this.server = undefined
  }

  /** A new random id for a copy of the data. */
  nextIncarnation(): string {
    this.#incarnations += 1
    return `${this.name}-disk-${this.#incarnations}`
  }

  /** Work of a program on this host that a loss of power ends. */
  after(ms: number, run: () => void): void {
    const { clock } = this.world
    const { life } = this
    const guarded = (): void => {
      if (!this.isPowered || this.life !== life || this.holds(guarded)) return
      run()
    }
    clock.at(clock.now + ms, guarded)
  }
}
