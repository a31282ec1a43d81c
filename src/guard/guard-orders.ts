import type { WatchdogPlan, WatchdogState } from '../model/watchdog.ts'

/** What the agent tells its guard; one JSON object a line over the guard's Unix socket. Times are monotonic milliseconds of this boot. */
export type GuardOrder =
  /** Kill the instance when this time passes without a later one. */
  | { readonly kind: 'arm'; readonly until: number; readonly id: number }
  | { readonly kind: 'disarm'; readonly id: number }
  /** The watchdog to use; none: let it alone. Only for a guard whose `hello` says that it knows of watchdogs. */
  | { readonly kind: 'use-watchdog'; readonly plan?: WatchdogPlan }
  /** End the guard; it refuses while it is armed. */
  | { readonly kind: 'stop' }

export type GuardReport =
  | {
      readonly kind: 'hello'
      readonly pid: number
      readonly until?: number
      readonly fencedAt?: number
      /** Absent: this guard is of a release that knows no watchdog. */
      readonly watchdog?: WatchdogState
    }
  | { readonly kind: 'holds'; readonly id: number; readonly until?: number }
  | { readonly kind: 'watchdog'; readonly state: WatchdogState }
  | {
      readonly kind: 'fenced'
      readonly at: number
      readonly outcome: 'dead' | 'alive'
      readonly processes: number
    }

/** How the guard is started: JSON in the environment variable `PG_METAKO_GUARD`. */
export type GuardOptions = {
  readonly socketPath: string
  readonly dataDir: string
  readonly logFile: string
  /** Where the kernel tells of watchdogs, and what sets them; absent: where Linux has them. */
  readonly watchdogFolders?: { readonly sysfs: string; readonly wdctl: string }
}
