/** How long the statements of one user in one database took, on the pooled port. */
export type StatementLatency = {
  readonly database: string
  readonly user: string
  /** How many took at most as long as each bound, and longer than the one before; the last: longer than all. */
  readonly counts: readonly number[]
  readonly sumMs: number
}

/** The upper bounds but for the last, which has none: each twice the one before. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from(
  { length: 19 },
  (_, index) => 0.25 * 2 ** index,
)

/** Pairs of database and user whose latencies leave the router; the others are one. */
export const LATENCY_PAIRS_MAX = 50
export const OTHERS = '(others)'

/** Several as one of each pair, those with most statements first; what is beyond the bound has one in common. */
export function boundedLatencies(all: readonly StatementLatency[]): readonly StatementLatency[] {
  const sums = new Map<string, StatementLatency>()
  for (const one of all) addTo(sums, one)
  const sorted = [...sums.values()].toSorted((one, other) => countOf(other) - countOf(one))
  if (sorted.length <= LATENCY_PAIRS_MAX) return sorted
  const kept = new Map<string, StatementLatency>()
  for (const [index, one] of sorted.entries()) {
    const isOwn = index < LATENCY_PAIRS_MAX - 1
    addTo(kept, isOwn ? one : { ...one, database: OTHERS, user: OTHERS })
  }
  return [...kept.values()]
}

function addTo(sums: Map<string, StatementLatency>, one: StatementLatency): void {
  const key = JSON.stringify([one.database, one.user])
  const known = sums.get(key)
  const counts = known ? addCounts(one.counts, known.counts) : one.counts
  sums.set(key, { ...one, counts, sumMs: one.sumMs + (known?.sumMs ?? 0) })
}

export function addCounts(one: readonly number[], other: readonly number[]): readonly number[] {
  return one.map((count, index) => count + (other[index] ?? 0))
}

export function countOf({ counts }: Pick<StatementLatency, 'counts'>): number {
  return counts.reduce((sum, count) => sum + count, 0)
}
