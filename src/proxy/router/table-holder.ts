import type { RoutingTable } from '../../model/routing-table.ts'

export type RouterClock = {
  /** CLOCK_MONOTONIC in milliseconds. */
  readonly monotonicMs: () => number
  /** CLOCK_BOOTTIME in milliseconds: goes on while the host is suspended. */
  readonly bootMs: () => number
}

export type TableChange = {
  readonly table: RoutingTable
  /** The epoch rose: what was bound to a lower one must go. */
  readonly epochRose: boolean
  readonly source: string
}

export type TableListener = {
  readonly tableChanged: (change: TableChange) => void
  /** The host was suspended: what was under way when it stopped proves nothing any more. */
  readonly clockJumped: (byMs: number) => void
}

const CLOCK_JUMP_MS = 100
/** Reading the boot clock opens a file, so between chunks it is read at most this often. */
const CLOCK_CHECK_EVERY_MS = 5

/**
 * The one routing table that this router goes by, and the judgement whether bytes may pass to and from the primary now.
 * Invariant: the epoch never goes back; within one epoch the validity never shrinks, since each was a proof.
 */
export class TableHolder {
  readonly #clock: RouterClock
  readonly #listener: TableListener
  #table: RoutingTable | undefined
  #validUntil = Number.NEGATIVE_INFINITY
  #bootOffset: number
  #clockCheckedAt: number

  constructor(clock: RouterClock, listener: TableListener) {
    this.#clock = clock
    this.#listener = listener
    this.#clockCheckedAt = clock.monotonicMs()
    this.#bootOffset = clock.bootMs() - this.#clockCheckedAt
  }

  get table(): RoutingTable | undefined {
    return this.#table
  }

  get epoch(): number {
    return this.#table?.epoch ?? 0
  }

  /** On the monotonic clock; negative infinity without a table and after a clock jump. */
  get validUntil(): number {
    return this.#validUntil
  }

  /** Whether bytes may pass to and from the primary at this moment. */
  primaryOpen(): boolean {
    const now = this.#clock.monotonicMs()
    if (now >= this.#validUntil) return false
    if (now - this.#clockCheckedAt < CLOCK_CHECK_EVERY_MS) return true
    this.checkClock()
    return now < this.#validUntil
  }

  /** Takes a table over, unless its epoch is lower than the one already known. */
  offer(table: RoutingTable, source: string): 'accepted' | 'stale' {
    this.checkClock()
    const before = this.#table
    if (before && table.epoch < before.epoch) return 'stale'
    const epochRose = before !== undefined && table.epoch > before.epoch
    const sameEpoch = before !== undefined && !epochRose
    this.#validUntil = sameEpoch ? Math.max(this.#validUntil, table.validUntil) : table.validUntil
    this.#table = table
    this.#listener.tableChanged({ table, epochRose, source })
    return 'accepted'
  }

  /**
   * Compares the two clocks. CLOCK_MONOTONIC stands still while the host is suspended, so a lease that looks alive
   * may be long gone (safety.md 18): the table is void until somebody proves it anew.
   */
  checkClock(): void {
    const monotonic = this.#clock.monotonicMs()
    const offset = this.#clock.bootMs() - monotonic
    this.#clockCheckedAt = monotonic
    const drift = offset - this.#bootOffset
    if (Math.abs(drift) <= CLOCK_JUMP_MS) return
    this.#bootOffset = offset
    this.#validUntil = Number.NEGATIVE_INFINITY
    this.#listener.clockJumped(drift)
  }
}
