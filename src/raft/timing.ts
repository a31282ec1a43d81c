/** Durations in milliseconds on the caller's monotonic clock. */
export type RaftTiming = {
  readonly heartbeatMs: number
  /** A follower that heard no leader for a random time in [min, max) asks for a new one. */
  readonly electionMinMs: number
  readonly electionMaxMs: number
  /**
   * Delay of a campaign where nothing speaks for a live leader: after a start, after a split vote, after the leader's
   * connection broke. It may be short because a pre-vote disturbs nobody.
   */
  readonly campaignMinMs: number
  readonly campaignMaxMs: number
}

/** The profiles of docs/guarantees.md: `lan` is the default, `noisy` is for hosts that are paused for seconds. */
export const RAFT_TIMINGS: Readonly<Record<'lan' | 'noisy' | 'wan', RaftTiming>> = {
  lan: { heartbeatMs: 100, electionMinMs: 600, electionMaxMs: 1000, campaignMinMs: 50, campaignMaxMs: 250 },
  noisy: {
    heartbeatMs: 200,
    electionMinMs: 2000,
    electionMaxMs: 3000,
    campaignMinMs: 100,
    campaignMaxMs: 500,
  },
  wan: { heartbeatMs: 300, electionMinMs: 2000, electionMaxMs: 4000, campaignMinMs: 300, campaignMaxMs: 900 },
}
