import type { DatabaseStats } from './pool-stats.ts'

/** When a client did what; for the time limits and the statistics. On the monotonic clock. */
export class ClientTimes {
  readonly connectedAt: number
  /** It sent something, or was answered. */
  activeAt: number
  /** Since when it waits for a server connection. */
  waitingSince: number | undefined
  /** When what it runs now was sent; absent while nothing is. */
  queryAt: number | undefined
  transactionAt: number | undefined

  constructor(now: number) {
    this.connectedAt = now
    this.activeAt = now
  }

  waits(now: number): void {
    this.waitingSince = now
  }

  given(now: number, stats: DatabaseStats): void {
    stats.assignments += 1
    stats.waitTimeMs += now - (this.waitingSince ?? now)
    this.waitingSince = undefined
    this.transactionAt = now
  }

  queryBegan(now: number, stats: DatabaseStats): void {
    stats.queries += 1
    this.activeAt = now
    this.queryAt ??= now
    this.transactionAt ??= now
  }

  statementEnded(now: number, stats: DatabaseStats, isMoreOwed: boolean): void {
    if (this.queryAt !== undefined) stats.queryTimeMs += now - this.queryAt
    this.activeAt = now
    this.queryAt = isMoreOwed ? now : undefined
  }

  transactionEnded(now: number, stats: DatabaseStats): void {
    stats.transactions += 1
    if (this.transactionAt !== undefined) stats.transactionTimeMs += now - this.transactionAt
    this.transactionAt = this.queryAt
  }

  allLost(): void {
    this.queryAt = undefined
    this.transactionAt = undefined
  }
}
