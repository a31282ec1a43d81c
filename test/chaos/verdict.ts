import type { Mode } from '../support/replication-mode.ts'
import type { LossReport } from '#client'
import { checkHistory, type HistoryVerdict, type Write } from '../support/write-history.ts'

/** What a client read through a router: on which timeline the answer was given. */
export type Read = {
  readonly invokedMs: number
  readonly endedMs: number
  readonly timeline: number
  readonly server: string
}

/** `lateMs`: how long before it was sent the newer timeline had acknowledged. */
export type StaleRead = Read & { readonly lateMs: number }

/** A router stood still, alone or with its host. */
export type Standstill = { readonly router: string; readonly fromMs: number; readonly toMs: number }

export type ChaosVerdict = {
  readonly history: HistoryVerdict
  /** Answers to reads from an older timeline than one that had acknowledged a write before the read was sent. */
  readonly staleReads: readonly StaleRead[]
  /** One sentence each, with the promise of docs/guarantees.md that it breaks. */
  readonly violations: readonly string[]
}

/** Holds what clients were told against the promises of the mode. Pure. */
export function judge(input: {
  readonly mode: Mode
  readonly writes: readonly (Write & { readonly router: string })[]
  readonly reads: readonly Read[]
  readonly rows: readonly number[]
  readonly losses: readonly LossReport[]
  readonly standstills: readonly Standstill[]
  /** A table ends with the lease that it was made from, which nobody renews once a newer epoch has begun. */
  readonly tableMs: number
}): ChaosVerdict {
  const history = checkHistory(input)
  const routers = new Map(input.writes.map(({ id, router }) => [id, router]))
  // By lease a router that stood still may pass on what it had in hand (G1); by pledges nothing excuses.
  const dual = history.dual.filter(
    ({ older }) => input.mode !== 'async' || !stoodStill(routers.get(older.id), older, input.standstills),
  )
  const stale = staleReads(input.writes, input.reads)
  const found: readonly (readonly [string, readonly unknown[]])[] = [
    ['G1: acknowledged by an older timeline after a newer one', dual],
    ['G1: two servers on one timeline', history.shared],
    ['G7: rows that are there twice', history.duplicates],
    ['G7: rows that nobody wrote', history.invented],
    [
      'G7: read from the past when every table of it had ended',
      stale.filter(({ lateMs }) => lateMs > input.tableMs),
    ],
    input.mode === 'async'
      ? ['G3: lost, and the product did not say so', history.unreported]
      : ['G2: acknowledged, and not there', history.missing],
    ['G3: reported as lost, and there', history.falselyReported],
  ]
  return {
    history,
    staleReads: stale,
    violations: found.flatMap(([promise, cases]) =>
      cases.length === 0 ? [] : [`${promise}: ${cases.length}, the first ${JSON.stringify(cases[0])}`],
    ),
  }
}

function stoodStill(
  router: string | undefined,
  write: { readonly invokedMs: number; readonly endedMs: number },
  standstills: readonly Standstill[],
): boolean {
  return standstills.some(
    (one) => one.router === router && one.fromMs <= write.endedMs && one.toMs >= write.invokedMs,
  )
}

function staleReads(writes: readonly Write[], reads: readonly Read[]): readonly StaleRead[] {
  const acknowledged = writes
    .filter(({ outcome }) => outcome === 'acknowledged')
    .toSorted((left, right) => left.endedMs - right.endedMs)
  /** When a timeline, or a newer one, first acknowledged. */
  const firsts: { readonly timeline: number; readonly atMs: number }[] = []
  for (const { timeline = 0, endedMs } of acknowledged) {
    if (timeline > (firsts.at(-1)?.timeline ?? 0)) firsts.push({ timeline, atMs: endedMs })
  }
  return reads.flatMap((read) => {
    const superseded = firsts.find(({ timeline }) => timeline > read.timeline)
    return superseded && superseded.atMs < read.invokedMs
      ? [{ ...read, lateMs: read.invokedMs - superseded.atMs }]
      : []
  })
}
