import type { Configuration } from './message.ts'

export type VoteTally = 'won' | 'lost' | 'open'

/** Votes that decide among `count` voters. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1
}

/** True when the members for which `holds` is true can decide alone: a majority of each half of a joint configuration. */
export function isQuorum(configuration: Configuration, holds: (member: string) => boolean): boolean {
  return halves(configuration).every((voters) => voters.filter(holds).length >= majority(voters.length))
}

/** How an election stands. Without an answer a vote is open. */
export function tally(configuration: Configuration, votes: ReadonlyMap<string, boolean>): VoteTally {
  if (isQuorum(configuration, (member) => votes.get(member) === true)) return 'won'
  const canStillWin = isQuorum(configuration, (member) => votes.get(member) !== false)
  return canStillWin ? 'open' : 'lost'
}

/** The largest value that a quorum has reached: the commit index from acknowledged indexes, or the time a quorum was last heard. */
export function quorumValue(configuration: Configuration, valueOf: (member: string) => number): number {
  const reached = halves(configuration).map((voters) => {
    const descending = voters.map(valueOf).toSorted((left, right) => right - left)
    return descending[majority(voters.length) - 1] ?? 0
  })
  return Math.min(...reached)
}

/** Everybody whose vote is counted now. */
export function votersOf(configuration: Configuration): readonly string[] {
  return [...new Set([...configuration.voters, ...configuration.outgoing])]
}

/** Everybody that receives the log. */
export function membersOf(configuration: Configuration): readonly string[] {
  return [...new Set([...votersOf(configuration), ...configuration.learners])]
}

function halves(configuration: Configuration): readonly (readonly string[])[] {
  return configuration.outgoing.length > 0
    ? [configuration.voters, configuration.outgoing]
    : [configuration.voters]
}
