import type { Logger } from '../../platform/log.ts'
import type { Jobs } from '../jobs.ts'
import type { Keys } from '../keys.ts'
import type { Observer } from '../observe/observer.ts'
import type { Policy } from '../policy.ts'
import type { Clock, Guard, LocalInstance, Notebook, Store } from '../ports.ts'
import type { RecordKeeper } from '../record-keeper.ts'

/** What the executors work on. Built once, in `agent/`. */
export type World = {
  readonly clock: Clock
  readonly log: Logger
  readonly store: Store
  readonly instance: LocalInstance
  readonly guard: Guard
  readonly notebook: Notebook
  readonly keeper: RecordKeeper
  readonly jobs: Jobs
  readonly observer: Observer
  readonly keys: Keys
  readonly policy: Policy
  readonly self: string
  /** Bounds of one change of the record. */
  readonly writeDeadlineMs: number
}
