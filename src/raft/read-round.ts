import { isQuorum } from './quorum.ts'
import { hasCommittedInTerm, sendNow, type PendingRead, type Turn } from './state.ts'

/**
 * Starts a quorum round for a read. The index is safe to read at when a quorum confirmed this leader in a round that
 * began after the request: then no other leader can have committed anything before the request came.
 */
export function openRead(turn: Turn, read: PendingRead): void {
  const { node } = turn
  node.reads = [...node.reads, read]
  if (hasCommittedInTerm(node)) openWaitingReads(turn)
}

/** Gives a round to every read that has none yet. */
export function openWaitingReads(turn: Turn): void {
  const { node } = turn
  if (!node.reads.some((read) => read.ticket === undefined)) return
  node.readRound += 1
  const ticket = { index: node.commit, round: node.readRound }
  node.reads = node.reads.map((read) => (read.ticket === undefined ? { ...read, ticket } : read))
  broadcastHeartbeat(turn)
  confirmReads(turn)
}

/** Answers the reads whose round a quorum has confirmed. */
export function confirmReads(turn: Turn): void {
  const { node } = turn
  const isConfirmed = ({ ticket }: PendingRead): boolean =>
    ticket !== undefined &&
    isQuorum(
      node.configuration,
      (member) => member === node.self || (node.peers.get(member)?.round ?? 0) >= ticket.round,
    )
  const confirmed = node.reads.filter(isConfirmed)
  if (confirmed.length === 0) return
  node.reads = node.reads.filter((read) => !confirmed.includes(read))
  for (const { id, from, ticket } of confirmed) {
    const index = ticket?.index ?? node.commit
    if (from === node.self) turn.effects.push({ kind: 'read-confirmed', id, index })
    else sendNow(turn, from, { kind: 'read-confirmed', id, index })
  }
}

/** Tells everybody that this leader is alive, and the newest read round. */
export function broadcastHeartbeat(turn: Turn): void {
  const { node } = turn
  for (const [peer, progress] of node.peers) {
    const commit = Math.min(progress.match, node.commit)
    sendNow(turn, peer, { kind: 'heartbeat', term: node.term, commit, round: node.readRound })
  }
}
