/** What the agent tells its guard; one JSON object a line over the guard's Unix socket. Times are monotonic milliseconds of this boot. */
export type GuardOrder =
  /** Kill the instance when this time passes without a later one. */
  | { readonly kind: 'arm'; readonly until: number; readonly id: number }
  | { readonly kind: 'disarm'; readonly id: number }
  /** End the guard; it refuses while it is armed. */
  | { readonly kind: 'stop' }

export type GuardReport =
  | { readonly kind: 'hello'; readonly pid: number; readonly until?: number; readonly fencedAt?: number }
  | { readonly kind: 'holds'; readonly id: number; readonly until?: number }
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
}
