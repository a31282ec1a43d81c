import type { EpochLink } from '../../model/epoch-record.ts'
import { LSN_NONE, parseLsn } from '../../model/lsn.ts'
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
  const promoted = wal.promotedInEpoch
  const oldest = chain[0]
  if (promoted !== undefined && oldest && promoted > oldest.epoch) {
    if (!chain.some((link) => link.epoch === promoted)) return orphanBranch(chain, promoted)
  }
  if (index < 0) return { kind: 'unknown-timeline' }
  const next = chain[index + 1]
  if (!next) return { kind: 'on-history' }
  const end = parseLsn(wal.endLsn) ?? LSN_NONE
  const fork = parseLsn(next.forkLsn) ?? LSN_NONE
  if (end <= fork) return { kind: 'on-history' }
  return {
    kind: 'diverged',
    divergence: { timeline: wal.timeline, forkLsn: next.forkLsn, epoch: next.epoch },
  }
}

/** The fork of a branch that was never opened is that of the epoch which followed it; nothing on it was acknowledged. */
function orphanBranch(chain: readonly EpochLink[], promotedInEpoch: number): HistoryVerdict {
  const successor = chain.find((link) => link.epoch > promotedInEpoch)
  if (!successor) return { kind: 'unknown-timeline' }
  return {
    kind: 'diverged',
    divergence: { timeline: successor.timeline, forkLsn: successor.forkLsn, epoch: successor.epoch },
  }
}
