import type { LocalInstance } from '../ha/ports.ts'
import type { ActivityFacts } from '../model/member.ts'
import { every } from '../platform/timers.ts'
import type { DatabaseReport } from '../postgres/database-report.ts'
import { SECOND } from '../std/units.ts'

/** Dear enough to be asked seldom, and often enough for a chart. */
export const ACTIVITY_EVERY_MS = 2 * SECOND

/** A PostgreSQL that can say how busy it is: nothing is decided by that. */
export interface CountedInstance extends LocalInstance {
  /** Throws what its session throws. */
  activity(): Promise<ActivityFacts | undefined>
  /** For checks by people. Throws what its session throws. */
  report(): Promise<DatabaseReport>
  /** Its settings were changed while it ran. */
  onConfigured(listener: () => void): void
}

/** Asks while PostgreSQL runs; nobody waits for it, and what it cannot learn it does not know. */
export class ActivityWatch {
  readonly #instance: Pick<CountedInstance, 'activity'>
  readonly #isRunning: () => boolean
  #cancel: (() => void) | undefined
  #isAsking = false
  #facts: ActivityFacts | undefined

  constructor(instance: Pick<CountedInstance, 'activity'>, isRunning: () => boolean) {
    this.#instance = instance
    this.#isRunning = isRunning
  }

  get facts(): ActivityFacts | undefined {
    return this.#facts
  }

  start(): void {
    this.#cancel ??= every(ACTIVITY_EVERY_MS, () => void this.ask())
  }

  stop(): void {
    this.#cancel?.()
  }

  async ask(): Promise<void> {
    if (this.#isAsking) return
    if (!this.#isRunning()) return void (this.#facts = undefined)
    this.#isAsking = true
    try {
      this.#facts = await this.#instance.activity()
    } catch {
      this.#facts = undefined
    } finally {
      this.#isAsking = false
    }
  }
}
