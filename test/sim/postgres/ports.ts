/*
 * What the model takes from its simulator: time, chance and the paths between hosts. The model itself never draws from anywhere else, so
 * that the same seed gives the same run.
 */

/** Events of one moment run in the order in which they were made. `VirtualTime` fits. */
export interface ModelClock {
  readonly now: number
  /** The result cancels. */
  at(time: number, run: () => void): () => void
}

/** `RandomStream` fits; one stream for each host. */
export interface Chance {
  /** In [0, 1). */
  next(): number
}

/** The paths between hosts. Clients are hosts too, by any name. */
export interface PostgresNetwork {
  /** How long the next packet takes; `undefined`: nothing gets through now. Never asked for a host's own loopback. */
  delayMs(from: string, to: string): number | undefined
}

export type Address = { readonly host: string; readonly port: number }

export type SynchronousCommit = 'off' | 'local' | 'remote_write' | 'on' | 'remote_apply'

/** A CommandComplete of a write, at the moment when it leaves the backend. */
export type Acknowledgement = {
  readonly at: number
  readonly host: string
  /** Absent: the directory was never started by an agent. */
  readonly incarnation: string | undefined
  readonly systemId: string
  readonly timeline: number
  /** End of the commit record. */
  readonly lsn: number
  readonly xid: number
  readonly token: number
  readonly level: SynchronousCommit
  /** With a warning 01000: the wait for standbys was cancelled, so by the guarantees this is no acknowledgement. */
  readonly warned: boolean
  /** The postmaster was dead already: an orphaned backend said it. */
  readonly orphaned: boolean
}

/** Durations are drawn evenly between both ends, in milliseconds. */
export type Range = readonly [least: number, most: number]

export type PostgresTimings = {
  readonly fsyncMs: Range
  /** From WAL that is here to rows that are seen: the startup process wakes and applies. */
  readonly replayMs: Range
  /** Each record of a backlog. */
  readonly recordMs: number
  readonly startMs: Range
  /** On top of a start: the instance was not shut down. */
  readonly crashRecoveryMs: Range
  /** From "the startup process decides to end recovery" to "takes writes". */
  readonly promoteMs: Range
  readonly forkMs: Range
  readonly reloadMs: Range
  /** A process hears a signal and ends. */
  readonly exitMs: Range
  readonly checkpointMs: Range
  readonly initdbMs: Range
  /** Base backup: what it takes at least, and how many bytes a millisecond. */
  readonly backupStartMs: Range
  readonly backupBytesPerMs: number
}

export const POSTGRES_TIMINGS: PostgresTimings = {
  fsyncMs: [0.3, 2],
  replayMs: [0.1, 1],
  recordMs: 0.01,
  startMs: [100, 300],
  crashRecoveryMs: [20, 120],
  promoteMs: [20, 40],
  forkMs: [1, 3],
  reloadMs: [0.2, 1.5],
  exitMs: [0.5, 3],
  checkpointMs: [10, 40],
  initdbMs: [900, 2500],
  backupStartMs: [60, 300],
  backupBytesPerMs: 200_000,
}

export function between(chance: Chance, range: Range): number {
  return range[0] + chance.next() * (range[1] - range[0])
}
