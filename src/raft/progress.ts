/** What a leader knows about one other member. */
export type Progress = {
  /** The member's log equals ours up to here, durably. */
  readonly match: number
  /** First entry to send next. Invariant: `next > match`. */
  readonly next: number
  /**
   * `probe`: one append at a time until one fits. `replicate`: entries are sent ahead of the answers.
   * `snapshot`: nothing more until the snapshot has arrived.
   */
  readonly mode: 'probe' | 'replicate' | 'snapshot'
  /** `probe`: the one append is on its way. */
  readonly isProbing: boolean
  /** `replicate`: last index of each append without an answer, oldest first. */
  readonly inflight: readonly number[]
  readonly snapshotIndex: number
  /** … as far as it is known to have it; the piece from here on is on its way. */
  readonly snapshotOffset: number
  readonly snapshotSentAt: number
  /** Highest commit index that it was told. */
  readonly commitSent: number
  /** When it was last heard in this term; at first, when the term began: it is given time to answer. */
  readonly heardAt: number
  /** It was heard in this term. */
  readonly hasAnswered: boolean
  /** Highest read round that it confirmed. */
  readonly round: number
}

export function newProgress(lastIndex: number, now: number): Progress {
  return {
    match: 0,
    next: lastIndex + 1,
    mode: 'probe',
    isProbing: false,
    inflight: [],
    snapshotIndex: 0,
    snapshotOffset: 0,
    snapshotSentAt: 0,
    commitSent: 0,
    heardAt: now,
    hasAnswered: false,
    round: 0,
  }
}

export function probing(progress: Progress, next: number): Progress {
  return {
    ...progress,
    mode: 'probe',
    isProbing: false,
    inflight: [],
    next: Math.max(next, progress.match + 1),
  }
}

/** After an acknowledgement up to `index`. */
export function acknowledged(progress: Progress, index: number): Progress {
  const match = Math.max(progress.match, index)
  if (progress.mode === 'snapshot' && match < progress.snapshotIndex) return { ...progress, match }
  const next = progress.mode === 'replicate' ? Math.max(progress.next, match + 1) : match + 1
  const inflight = progress.mode === 'replicate' ? progress.inflight.filter((last) => last > index) : []
  return { ...progress, match, next, inflight, mode: 'replicate', isProbing: false }
}

/** After a rejection of `rejected`; `undefined` when the rejection is older than what is known. */
export function rejectedAt(progress: Progress, rejected: number, mayFit: number): Progress | undefined {
  if (progress.mode === 'snapshot') return undefined
  if (progress.mode === 'replicate') {
    return rejected <= progress.match ? undefined : probing(progress, progress.match + 1)
  }
  if (progress.next - 1 !== rejected) return undefined
  return probing(progress, Math.min(rejected, mayFit + 1))
}
