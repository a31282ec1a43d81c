import type { RequestRefusal } from './effect.ts'
import { draw } from './jitter.ts'
import { lastIndex, withEntries } from './log.ts'
import type { Entry } from './message.ts'
import { newProgress } from './progress.ts'
import { adoptConfiguration } from './adopt-configuration.ts'
import { membersOf, tally } from './quorum.ts'
import { broadcastAppend } from './replicate.ts'
import { logEnd, mayCampaign, persistHardState, send, type Turn } from './state.ts'

/**
 * Follows a leader, or nobody yet. A new term forgets the vote, and both are durable before anything else
 * leaves this member.
 */
export function becomeFollower(
  turn: Turn,
  next: {
    /** Absent: the same as now. */
    readonly term?: number
    readonly leader?: string
    /** Default `silence`. */
    readonly patience?: Patience
  } = {},
): void {
  const { node } = turn
  const { term = node.term, leader, patience = 'silence' } = next
  const reason: RequestRefusal = 'LEADERSHIP_LOST'
  for (const read of node.reads) {
    if (read.from === node.self) turn.effects.push({ kind: 'read-refused', id: read.id, reason })
  }
  if (term > node.term) {
    node.term = term
    node.vote = undefined
    persistHardState(turn)
  }
  node.role = 'follower'
  node.leader = leader
  node.votes = new Map()
  node.peers = new Map()
  node.reads = []
  node.transfer = undefined
  node.change = undefined
  node.refusedChanges = new Map()
  node.incoming = undefined
  node.heartbeatAt = Number.POSITIVE_INFINITY
  resetElection(turn, patience)
}

/** `silence`: somebody may lead and is given time. `retry`: nothing speaks for a live leader. */
export type Patience = 'silence' | 'retry'

export function resetElection(turn: Turn, patience: Patience): void {
  const { timing } = turn.node
  const [min, max] =
    patience === 'silence'
      ? [timing.electionMinMs, timing.electionMaxMs]
      : [timing.campaignMinMs, timing.campaignMaxMs]
  turn.node.electionAt = turn.now + between(turn, min, max)
}

function between(turn: Turn, min: number, max: number): number {
  const { value, seed } = draw(turn.node.seed)
  turn.node.seed = seed
  return min + value * (max - min)
}

/** Asks the voters whether they would vote for this member. Changes no term, so a member that was cut off disturbs nobody. */
function becomePreCandidate(turn: Turn): void {
  const { node } = turn
  node.role = 'pre-candidate'
  node.leader = undefined
  node.votes = new Map([[node.self, true]])
  resetElection(turn, 'retry')
  if (tally(node.configuration, node.votes) === 'won') return becomeCandidate(turn, { transfer: false })
  for (const voter of node.configuration.voters) {
    if (voter === node.self) continue
    const question = { kind: 'vote-request', term: node.term + 1, pre: true, transfer: false } as const
    send(turn, voter, { ...question, ...logEnd(node) })
  }
}

/** Order: the own vote counts, and the requests leave, only when term and vote are durable (see `on-persisted.ts`). */
export function becomeCandidate(turn: Turn, options: { readonly transfer: boolean }): void {
  const { node } = turn
  node.role = 'candidate'
  node.leader = undefined
  node.term += 1
  node.vote = node.self
  node.votes = new Map()
  persistHardState(turn)
  resetElection(turn, 'retry')
  for (const voter of node.configuration.voters) {
    if (voter === node.self) continue
    const request = {
      kind: 'vote-request',
      term: node.term,
      pre: false,
      transfer: options.transfer,
      ...logEnd(node),
    } as const
    send(turn, voter, request)
  }
}

/** Opens the term with an empty entry: entries of older terms are committed only together with one of this (Raft §5.4.2). */
export function becomeLeader(turn: Turn): void {
  const { node } = turn
  const end = lastIndex(node.log)
  node.role = 'leader'
  node.leader = node.self
  node.votes = new Map()
  node.readRound = 0
  node.reads = []
  node.electionAt = Number.POSITIVE_INFINITY
  node.heartbeatAt = turn.now + node.timing.heartbeatMs
  node.peers = new Map(
    membersOf(node.configuration)
      .filter((member) => member !== node.self)
      .map((member) => [member, newProgress(end, turn.now)]),
  )
  appendOwn(turn, 'noop', '')
}

/** Adds an entry of this leader's term and sends it on; it counts here once it is durable. */
export function appendOwn(turn: Turn, kind: Entry['kind'], body: string): void {
  const { node } = turn
  const entry: Entry = { index: lastIndex(node.log) + 1, term: node.term, kind, body }
  node.log = withEntries(node.log, [entry])
  if (kind === 'configuration') adoptConfiguration(turn)
  turn.effects.push({ kind: 'persist', change: { kind: 'entries', entries: [entry] } })
  broadcastAppend(turn)
}

/** A voter asks for an election; anybody else only notes that it has no leader. */
export function campaign(turn: Turn): void {
  const { node } = turn
  if (node.removedAt !== undefined) {
    node.electionAt = Number.POSITIVE_INFINITY
    return
  }
  // Its disk is slower than its patience: in a term more its vote for itself would be no sooner there.
  if (node.role === 'candidate' && !node.votes.has(node.self)) return resetElection(turn, 'retry')
  if (mayCampaign(node)) return becomePreCandidate(turn)
  becomeFollower(turn)
  askWhetherRemoved(turn)
}

/**
 * A member that is no voter and hears no leader may have been removed, and nobody sends it anything any more. A pre-vote
 * changes nothing and counts for nothing here, and who knows better answers it with `removed`.
 */
function askWhetherRemoved(turn: Turn): void {
  const { node } = turn
  for (const voter of node.configuration.voters) {
    const question = { kind: 'vote-request', term: node.term + 1, pre: true, transfer: false } as const
    send(turn, voter, { ...question, ...logEnd(node) })
  }
}

/** Steps back for good: unless a leader brings a later configuration with this member in it, it stays silent. */
export function becomeRemoved(turn: Turn, index: number): void {
  const { node } = turn
  if (node.removedAt !== undefined) return
  becomeFollower(turn)
  node.removedAt = index
  node.electionAt = Number.POSITIVE_INFINITY
  turn.effects.push({ kind: 'removed' })
}
