/**
 * `GET /v1/why`: why things are as they are, and why what did not happen did not. The sentences are those of the agent's own decision,
 * made from what it knows now; ask a member itself for what it would do.
 */
export type WhyDocument = {
  /** The agent that was asked. */
  readonly self: string
  readonly takenAt: string
  /** About the cluster as a whole. */
  readonly cluster: readonly WhyAnswer[]
  readonly members: readonly { readonly name: string; readonly answers: readonly WhyAnswer[] }[]
}

export type WhyAnswer = {
  readonly question: WhyQuestion
  /** False: a person may want to do something. */
  readonly isWell: boolean
  /** Stable, for programs: the rule that decided, or what is the case. */
  readonly reason: string
  /** For people, with numbers. */
  readonly sentence: string
}

/**
 * Of the cluster. `FAILOVER`: why no other member takes over now. `COMMITS`: whom a commit waits for. `CONSENSUS`: who answers, and how
 * many more may fail. Of a member. `DOING`: what it is, and what it waits for. `IF_LOST`: what it would do if the primary's host were lost
 * now. `READS`: whether routers lead reads there. `ACKNOWLEDGES`: whether commits wait for it. `RESTART`: what waits for a restart.
 */
export type WhyQuestion =
  | 'FAILOVER'
  | 'COMMITS'
  | 'CONSENSUS'
  | 'DOING'
  | 'IF_LOST'
  | 'READS'
  | 'ACKNOWLEDGES'
  | 'RESTART'
