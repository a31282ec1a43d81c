import type { DataDirectory } from './data-directory.ts'
import { between, type Chance, type ModelClock, type PostgresTimings } from './ports.ts'

export type DiskFault =
  /** Nothing that a process asks of the disk comes back. `isDeep`: whoever waits for it cannot be killed out of that either. */
  | { readonly kind: 'stalled'; readonly isDeep?: boolean }
  | { readonly kind: 'slow'; readonly extraMs: number }
  /** No new file and no longer file: statements fail, and a new WAL segment is a PANIC. */
  | { readonly kind: 'full' }
  /** fsync fails: PostgreSQL panics rather than try again. */
  | { readonly kind: 'io-error' }

export type SyncOutcome = 'done' | 'io-error'

/** The volume of one host's PostgreSQL. */
export class Disk {
  readonly #clock: ModelClock
  readonly #chance: Chance
  readonly #timings: PostgresTimings
  /** Where the configuration says that it is. */
  directory: DataDirectory | undefined
  /** Something that is no PostgreSQL lies where the directory should be. */
  isForeign = false
  /** A clone or an initialisation that did not end, moved by hand to the directory's place; never starts. */
  isIncomplete = false
  /** A build beside it that did not end: the next one removes it. */
  hasHalfBuild = false
  readonly setAside: DataDirectory[] = []
  /** What a pg_rewind works on, or left half: it lies with what is set aside and is nobody's copy of anything. */
  halfRewound: DataDirectory | undefined
  /** Rows whose WAL was kept beside it when their history was left. */
  readonly kept = new Set<number>()
  fault: DiskFault | undefined
  /** Processes that were killed while they waited for the disk are still there, and never run again. */
  hasSleepers = false
  #stalled: (() => void)[] = []
  /** A loss of power ends every request that was under way. */
  #life = 0

  constructor(clock: ModelClock, chance: Chance, timings: PostgresTimings) {
    this.#clock = clock
    this.#chance = chance
    this.#timings = timings
  }

  /** Calls back when what was written before is durable. */
  sync(done: (outcome: SyncOutcome) => void): void {
    const { fault } = this
    if (fault?.kind === 'stalled') {
      this.#stalled.push(() => this.sync(done))
      return
    }
    const extra = fault?.kind === 'slow' ? fault.extraMs : 0
    const life = this.#life
    const until = this.#clock.now + extra + between(this.#chance, this.#timings.fsyncMs)
    this.#clock.at(until, () => {
      if (life !== this.#life) return
      // A stall that began meanwhile holds it too.
      if (this.fault?.kind === 'stalled') this.#stalled.push(() => done('done'))
      else done(this.fault?.kind === 'io-error' ? 'io-error' : 'done')
    })
  }

  /** All processes of the instance were killed. */
  killed(): void {
    this.hasSleepers ||=
      this.fault?.kind === 'stalled' && this.fault.isDeep === true && this.#stalled.length > 0
  }

  setFault(fault: DiskFault | undefined): void {
    this.fault = fault
    if (fault?.kind === 'stalled') return
    this.hasSleepers = false
    const waiting = this.#stalled
    this.#stalled = []
    for (const run of waiting) run()
  }

  losePower(): void {
    this.#life += 1
    this.#stalled.length = 0
    this.hasSleepers = false
  }

  /** Another, empty volume is mounted. */
  wipe(): void {
    this.directory = undefined
    this.isForeign = false
    this.isIncomplete = false
    this.hasHalfBuild = false
    this.setAside.length = 0
    this.halfRewound = undefined
  }
}
