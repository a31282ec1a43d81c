import type { MonotonicMs } from './time.ts'

export type RouteTarget = {
  readonly name: string
  /** Address that other hosts reach PostgreSQL at. */
  readonly host: string
  readonly port: number
}

/**
 * What a router may do now. Immutable; swapped as a whole. Without `primary` connections for it wait.
 * Invariant: `epoch` never goes back at a router; a table with a higher epoch closes the connections of lower ones.
 */
export type RoutingTable = {
  readonly epoch: number
  readonly primary?: RouteTarget
  /** Standbys that stream on the authorised history; may be empty (then reads go to the primary). */
  readonly replicas: readonly (RouteTarget & { readonly lagBytes: number })[]
  /**
   * Until when bytes may pass to and from the primary, on this host's clock.
   * Order: counted from before the holder's own proof was asked for, never from its arrival (safety.md 31).
   */
  readonly validUntil: MonotonicMs
  /**
   * Why there is no primary. `SWITCHOVER`: sessions with the primary of this epoch end, each at the end of its transaction, and new
   * ones wait for the next epoch's.
   */
  readonly holding?: 'NO_PRIMARY' | 'SWITCHOVER'
}

/**
 * The table as it crosses a process border, one JSON line. `validForMs` replaces the absolute time: the receiver adds it
 * to the time at which *it asked*. On one host `validUntil` may be used as it is, since all processes share the clock.
 */
export type RoutingTableMessage = Omit<RoutingTable, 'validUntil'> & {
  readonly validUntil?: number
  readonly validForMs: number
  /** Boot id of the sender: `validUntil` means something only where it equals the receiver's. */
  readonly bootId: string
}
