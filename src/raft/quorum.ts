import type { Configuration } from './message.ts'

export type VoteTally = 'won' | 'lost' | 'open'

/** Votes that decide among `count` voters. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1
}

/** True when the members for which `holds` is true can decide alone. */
export function isQuorum({ voters }: Configuration, holds: (member: string) => boolean): boolean {
  let holding = 0
  for (const voter of voters) if (holds(voter)) holding += 1
  return holding >= majority(voters.length)
}

/** How an election stands. Without an answer a vote is open. */
export function tally(configuration: Configuration, votes: ReadonlyMap<string, boolean>): VoteTally {
  if (isQuorum(configuration, (member) => votes.get(member) === true)) return 'won'
  const canStillWin = isQuorum(configuration, (member) => votes.get(member) !== false)
  return canStillWin ? 'open' : 'lost'
}

/** The largest value that a quorum has reached: the commit index from acknowledged indexes, or the time a quorum was last heard. */
export function quorumValue({ voters }: Configuration, valueOf: (member: string) => number): number {
  const descending = voters.map(valueOf).sort((left, right) => right - left)
  return descending[majority(voters.length) - 1] ?? 0
}

/** Everybody that receives the log. */
export function membersOf({ voters, learners }: Configuration): readonly string[] {
  return learners.length === 0 ? voters : [...voters, ...learners]
}
