import type { DatabaseStats } from './pool-stats.ts'

/** When a client did what; for the time limits and the statistics. On the monotonic clock. */
export class ClientTimes {
  readonly #clock: { now(): number }
  readonly connectedAt: number
  /** The time of what is at hand: the clock is read once for each chunk, from either side. */
  now: number
  /** It sent something, or was answered. */
  activeAt: number
  /** Since when it waits for a server connection. */
  waitingSince: number | undefined
  /** When what it runs now was sent; absent while nothing is. */
  queryAt: number | undefined
  transactionAt: number | undefined

  constructor(clock: { now(): number }) {
    this.#clock = clock
    this.now = clock.now()
    this.connectedAt = this.now
    this.activeAt = this.now
  }

  look(): void {
    this.now = this.#clock.now()
  }

  waits(): void {
    this.waitingSince = this.now
  }

  given(stats: DatabaseStats): void {
    const { now } = this
    stats.assignments += 1
    stats.waitTimeMs += now - (this.waitingSince ?? now)
    this.waitingSince = undefined
    this.transactionAt = now
  }

  queryBegan(stats: DatabaseStats): void {
    const { now } = this
    stats.queries += 1
    this.activeAt = now
    this.queryAt ??= now
    this.transactionAt ??= now
  }

  /** Returns how long it took. */
  statementEnded(stats: DatabaseStats, isMoreOwed: boolean): number {
    const { now } = this
    const tookMs = this.queryAt === undefined ? 0 : now - this.queryAt
    stats.queryTimeMs += tookMs
    this.activeAt = now
    this.queryAt = isMoreOwed ? now : undefined
    return tookMs
  }

  transactionEnded(stats: DatabaseStats): void {
    stats.transactions += 1
    if (this.transactionAt !== undefined) stats.transactionTimeMs += this.now - this.transactionAt
    this.transactionAt = this.queryAt
  }

  /** The router itself has answered a statement. */
  answeredHere(stats: DatabaseStats, isOver: boolean): void {
    this.queryBegan(stats)
    this.statementEnded(stats, false)
    if (isOver) this.transactionEnded(stats)
  }

  allLost(): void {
    this.queryAt = undefined
    this.transactionAt = undefined
  }
}
