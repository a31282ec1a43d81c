import type { EpochLink, EpochRecord } from '../../model/epoch-record.ts'
import { formatLsn, LSN_NONE, parseLsn, type Lsn } from '../../model/lsn.ts'
import type { Divergence } from '../decision.ts'

export type HistoryVerdict =
  | { readonly kind: 'on-history' }
  | { readonly kind: 'diverged'; readonly divergence: Divergence }
  /** A timeline that nobody authorised: promoted by hand, or of another cluster. Never followed, never wiped. */
  | { readonly kind: 'unknown-timeline' }

/**
 * Does this WAL lie on the authorised history? Timeline ids alone prove nothing: two members promoted apart choose the
 * same one (safety.md M12), so a directory that was promoted in an epoch which never opened counts as diverged.
 */
export function judgeHistory(
  chain: readonly EpochLink[],
  wal: { readonly timeline: number; readonly endLsn: string; readonly promotedInEpoch?: number | undefined },
): HistoryVerdict {
  const index = chain.findIndex((link) => link.timeline === wal.timeline)
  const link = chain[index]
  const promoted = wal.promotedInEpoch
  const oldest = chain[0]
  if (promoted !== undefined && oldest && promoted > oldest.epoch) {
    if (!chain.some((link) => link.epoch === promoted))
      return orphanBranch(chain, promoted, { timeline: wal.timeline, branches: [] })
  }
  if (!link) return { kind: 'unknown-timeline' }
  if (link.abandonedIn !== undefined) {
    const { abandonedIn } = link
    const branches = chain.filter((one, at) => at <= index && one.abandonedIn === abandonedIn)
    return orphanBranch(chain, abandonedIn - 1, { timeline: wal.timeline, branches })
  }
  const left = lowestFork(chain.slice(index + 1))
  if (!left) return { kind: 'on-history' }
  const end = parseLsn(wal.endLsn) ?? LSN_NONE
  const fork = parseLsn(left.forkLsn) ?? LSN_NONE
  if (end <= fork) return { kind: 'on-history' }
  return {
    kind: 'diverged',
    divergence: { timeline: wal.timeline, forkLsn: left.forkLsn, epoch: left.epoch },
  }
}

/** Where the history goes on without what was before: a holder that had missed whole epochs forks below them. */
function lowestFork(later: readonly EpochLink[]): EpochLink | undefined {
  let lowest: { readonly link: EpochLink; readonly at: Lsn } | undefined
  for (const link of later) {
    const at = parseLsn(link.forkLsn) ?? LSN_NONE
    if (link.abandonedIn === undefined && (lowest === undefined || at < lowest.at)) lowest = { link, at }
  }
  return lowest?.link
}

/**
 * A branch that was left left the history where the epochs which followed it forked, or where it began itself: what followed may have
 * begun with more of the older timeline than it had.
 */
function orphanBranch(
  chain: readonly EpochLink[],
  promotedInEpoch: number,
  { timeline, branches }: { readonly timeline: number; readonly branches: readonly EpochLink[] },
): HistoryVerdict {
  const successor = lowestFork(chain.filter((link) => link.epoch > promotedInEpoch))
  if (!successor) return { kind: 'unknown-timeline' }
  const forks = [successor, ...branches].map(({ forkLsn }) => parseLsn(forkLsn) ?? LSN_NONE)
  const forkLsn = formatLsn(forks.reduce((lowest, at) => (at < lowest ? at : lowest)))
  return { kind: 'diverged', divergence: { timeline, forkLsn, epoch: successor.epoch } }
}

/** A timeline id above all that any epoch was given, and above that of the instance which is going to use it. */
export function nextTimeline(
  { givenTimeline, timeline, chain }: Pick<EpochRecord, 'givenTimeline' | 'timeline' | 'chain'>,
  own: number | undefined,
): number {
  return 1 + Math.max(givenTimeline ?? 0, timeline, own ?? 0, ...chain.map((link) => link.timeline))
}

/**
 * The chain once `link` is open. `base` is the timeline that its holder came from: whatever was opened above it is history no
 * more. The fork is where the new history left `base`, also when branches that never opened lie between.
 * `undefined`: the timeline's id is taken by another branch (safety.md M12), so this one must never be opened.
 */
export function extendChain(
  chain: readonly EpochLink[],
  opened: {
    readonly link: Omit<EpochLink, 'forkLsn'>
    readonly base: number
    readonly forks: readonly { readonly timeline: number; readonly endLsn: string }[]
  },
): readonly EpochLink[] | undefined {
  const { link, base, forks } = opened
  const baseIndex = chain.findIndex(({ timeline }) => timeline === base)
  if (link.timeline === base && baseIndex >= 0) return chain
  if (chain.some(({ timeline }) => timeline === link.timeline)) return undefined
  const from = forks.findIndex(({ timeline }) => timeline === base)
  // PostgreSQL names every ancestor of the timeline that a standby aimed at, also those that it had got no WAL of.
  const ends = (from < 0 ? forks.slice(-1) : forks.slice(from)).map(
    ({ endLsn }) => parseLsn(endLsn) ?? LSN_NONE,
  )
  const fork = ends.reduce((lowest, end) => (end < lowest ? end : lowest), ends[0] ?? LSN_NONE)
  const kept = chain.map((one, index) =>
    baseIndex >= 0 && index > baseIndex && one.abandonedIn === undefined
      ? { ...one, abandonedIn: link.epoch }
      : one,
  )
  return [...kept, { ...link, forkLsn: formatLsn(fork) }]
}

/**
 * The chain once a branch that was authorised before it existed is open: now PostgreSQL has said where it forked, which may be a
 * record earlier than what was flushed. `undefined`: it is none that was authorised.
 */
export function confirmLink(
  chain: readonly EpochLink[],
  opened: {
    readonly link: Omit<EpochLink, 'forkLsn'>
    readonly forks: readonly { readonly timeline: number; readonly endLsn: string }[]
  },
): readonly EpochLink[] | undefined {
  const { link, forks } = opened
  const known = chain.find(({ timeline }) => timeline === link.timeline)
  // The first timeline of all, or the primary went on with its own: nothing forked.
  if (!known) return chain.length === 0 ? [{ ...link, forkLsn: formatLsn(LSN_NONE) }] : undefined
  if (known.epoch !== link.epoch) return chain
  return chain.map((one) =>
    one === known ? { ...one, ...link, forkLsn: forks.at(-1)?.endLsn ?? one.forkLsn } : one,
  )
}
