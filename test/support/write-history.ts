import type { LossReport } from '#client'

/** One attempt to insert one row, in a transaction of its own. Times are monotonic milliseconds of the test. */
export type Write = {
  readonly id: number
  readonly invokedMs: number
  readonly endedMs: number
  /** `unknown`: it was sent and no answer came. `refused`: it was never sent, or PostgreSQL said no before the commit. */
  readonly outcome: 'acknowledged' | 'unknown' | 'refused'
  /** Of an acknowledged row: its transaction, the timeline it was written on, and the server that wrote it. */
  readonly xid?: number
  readonly timeline?: number
  readonly server?: string
  readonly error?: string
}

export type HistoryVerdict = {
  readonly acknowledged: number
  readonly unknown: number
  readonly refused: number
  /** Ids that are in the table more than once. */
  readonly duplicates: readonly number[]
  /** Rows in the table that nobody ever wrote. */
  readonly invented: readonly number[]
  /** Acknowledged rows that are not in the table. */
  readonly missing: readonly Write[]
  /** Missing rows whose transaction no loss report names. */
  readonly unreported: readonly Write[]
  /** Acknowledged rows that are in the table although a loss report names their transaction. */
  readonly falselyReported: readonly Write[]
  /** Acknowledgements of an older timeline for a write that was begun after a newer one had acknowledged: G1 is broken. */
  readonly dual: readonly { readonly older: Write; readonly newer: Write }[]
  /** Two servers that acknowledged on one timeline. */
  readonly shared: readonly { readonly timeline: number; readonly servers: readonly string[] }[]
}

/** Compares what clients were told with what the database has, and with what the product says that it lost. Pure. */
export function checkHistory(input: {
  readonly writes: readonly Write[]
  /** Ids in the table, as the last primary has them. */
  readonly rows: readonly number[]
  readonly losses: readonly LossReport[]
}): HistoryVerdict {
  const acknowledged = input.writes.filter(({ outcome }) => outcome === 'acknowledged')
  const present = new Set(input.rows)
  const written = new Set(input.writes.map(({ id }) => id))
  const reported = new Set(
    input.losses.flatMap(({ timeline, xids }) => xids.map((xid) => `${timeline}:${xid}`)),
  )
  const isReported = ({ timeline, xid }: Write) => reported.has(`${timeline}:${xid}`)
  const missing = acknowledged.filter(({ id }) => !present.has(id))
  return {
    acknowledged: acknowledged.length,
    unknown: input.writes.filter(({ outcome }) => outcome === 'unknown').length,
    refused: input.writes.filter(({ outcome }) => outcome === 'refused').length,
    duplicates: duplicatesIn(input.rows),
    invented: [...present].filter((id) => !written.has(id)),
    missing,
    unreported: missing.filter((write) => !isReported(write)),
    falselyReported: acknowledged.filter((write) => present.has(write.id) && isReported(write)),
    dual: dualAcknowledgements(acknowledged),
    shared: sharedTimelines(acknowledged),
  }
}

function duplicatesIn(ids: readonly number[]): readonly number[] {
  const seen = new Set<number>()
  return ids.filter((id) => seen.has(id) || !seen.add(id))
}

/**
 * A write that began after an acknowledgement of a newer timeline had arrived, and was itself acknowledged by an older one: no
 * delay of messages explains that. One pair for each such write.
 */
function dualAcknowledgements(
  acknowledged: readonly Write[],
): readonly { readonly older: Write; readonly newer: Write }[] {
  const byEnd = acknowledged.toSorted((left, right) => left.endedMs - right.endedMs)
  const byBegin = acknowledged.toSorted((left, right) => left.invokedMs - right.invokedMs)
  const pairs: { older: Write; newer: Write }[] = []
  let newest: Write | undefined
  let ended = 0
  for (const write of byBegin) {
    for (; ended < byEnd.length; ended += 1) {
      const done = byEnd[ended]
      if (!done || done.endedMs >= write.invokedMs) break
      if (!newest || (done.timeline ?? 0) > (newest.timeline ?? 0)) newest = done
    }
    if (newest && (write.timeline ?? 0) < (newest.timeline ?? 0)) pairs.push({ older: write, newer: newest })
  }
  return pairs
}

function sharedTimelines(
  acknowledged: readonly Write[],
): readonly { readonly timeline: number; readonly servers: readonly string[] }[] {
  const servers = new Map<number, Set<string>>()
  for (const { timeline = 0, server = '' } of acknowledged) {
    servers.set(timeline, (servers.get(timeline) ?? new Set()).add(server))
  }
  return [...servers]
    .filter(([, names]) => names.size > 1)
    .map(([timeline, names]) => ({ timeline, servers: [...names].toSorted() }))
}

/** The longest time without an acknowledgement between `fromMs` and `toMs`, both ends included. */
export function longestGap(writes: readonly Write[], fromMs: number, toMs: number): number {
  const ends = writes
    .filter(({ outcome, endedMs }) => outcome === 'acknowledged' && endedMs >= fromMs && endedMs <= toMs)
    .map(({ endedMs }) => endedMs)
    .toSorted((left, right) => left - right)
  let longest = 0
  let last = fromMs
  for (const at of [...ends, toMs]) {
    longest = Math.max(longest, at - last)
    last = at
  }
  return longest
}

/** The verdict in a line, for a test's output. */
export function describeVerdict(verdict: HistoryVerdict): string {
  const { acknowledged, unknown, refused, missing, unreported, dual, duplicates } = verdict
  return `${acknowledged} acknowledged, ${unknown} unknown, ${refused} refused; missing ${missing.length} (unreported ${unreported.length}), duplicates ${duplicates.length}, dual ${dual.length}`
}
