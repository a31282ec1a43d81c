import { addCounts, countOf, LATENCY_BOUNDS_MS, OTHERS } from '../../model/statement-latency.ts'

const FIRST_MS = LATENCY_BOUNDS_MS[0] ?? 1
const BUCKETS = LATENCY_BOUNDS_MS.length + 1
/** Of one database; clients cannot make users, but somebody may have many. */
const USERS_MAX = 1000

/** How long statements took, in a number of buckets that never grows. */
export class LatencyHistogram {
  readonly counts: number[] = Array.from({ length: BUCKETS }, () => 0)
  maxMs = 0
  sumMs = 0

  add(ms: number): void {
    const steps = Math.ceil(ms / FIRST_MS)
    const index = steps <= 1 ? 0 : 32 - Math.clz32(steps - 1)
    const at = index < BUCKETS ? index : BUCKETS - 1
    this.counts[at] = (this.counts[at] ?? 0) + 1
    this.sumMs += ms
    if (ms > this.maxMs) this.maxMs = ms
  }
}

/** What is said of a histogram, or of several. */
export type LatencyPart = { readonly counts: readonly number[]; readonly maxMs: number }

/** At most this long took this part of them: the bound of a bucket, or the longest of all. */
export function quantileMs(latency: LatencyPart, part: number): number {
  const wanted = countOf(latency) * part
  let seen = 0
  for (const [index, count] of latency.counts.entries()) {
    seen += count
    if (seen < wanted || seen === 0) continue
    return Math.min(latency.maxMs, LATENCY_BOUNDS_MS[index] ?? Number.POSITIVE_INFINITY)
  }
  return latency.maxMs
}

export function addLatencies(one: LatencyPart, other: LatencyPart): LatencyPart {
  return {
    counts: addCounts(one.counts, other.counts),
    maxMs: Math.max(one.maxMs, other.maxMs),
  }
}

/** The histogram of one user; those beyond the bound have one in common. */
export function latencyOf(users: Map<string, LatencyHistogram>, user: string): LatencyHistogram {
  const name = users.has(user) || users.size < USERS_MAX ? user : OTHERS
  const known = users.get(name)
  if (known) return known
  const latency = new LatencyHistogram()
  users.set(name, latency)
  return latency
}
