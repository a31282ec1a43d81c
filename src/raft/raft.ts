/**
 * This room is consensus as a value machine (Raft with pre-vote and check-quorum): `step(state, input, now)` gives the next
 * state and a list of effects. It has no clock, disk, network or chance of its own; `store/raft/driver.ts` carries the
 * effects out and the simulator does it with lies and losses.
 * It must never: let a vote or an acknowledgement leave before it is durable; commit an entry of an older term by counting;
 * throw because of what a message says.
 */
import { unreachable } from '../std/assert.ts'
import type { Effect } from './effect.ts'
import type { Input } from './input.ts'
import { VERSIONS_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { onAppend } from './on-append.ts'
import { onAppendResponse } from './on-append-response.ts'
import { onChange, onForwardedChange } from './on-change.ts'
import { onCompact } from './on-compact.ts'
import { onHeartbeat } from './on-heartbeat.ts'
import { onHeartbeatResponse } from './on-heartbeat-response.ts'
import { installSnapshot } from './on-install-snapshot.ts'
import { onPeerLost } from './on-peer-lost.ts'
import { onPersisted } from './on-persisted.ts'
import { onForwardedPropose, onPropose } from './on-propose.ts'
import { onForwardedRead, onRead } from './on-read.ts'
import { onRemoved, tellRemoved } from './on-removed.ts'
import { onSnapshotChunk } from './on-snapshot-chunk.ts'
import { onTick } from './on-tick.ts'
import { onTimeoutNow } from './on-timeout-now.ts'
import { onTransfer } from './on-transfer.ts'
import { onVoteRequest } from './on-vote-request.ts'
import { onVoteResponse } from './on-vote-response.ts'
import { OLDEST_VERSION } from './protocol.ts'
import { membersOf } from './quorum.ts'
import { becomeFollower, resetElection } from './roles.ts'
import { onSnapshotProgress } from './send-snapshot.ts'
import {
  hasLiveLeader,
  isVoter,
  send,
  stateFromDisk,
  type RaftStart,
  type RaftState,
  type Turn,
} from './state.ts'

export type Step = { readonly state: RaftState; readonly effects: readonly Effect[] }

/** A member as it wakes up. It asks for an election soon: a pre-vote cannot disturb a leader that lives. */
export function startRaft(start: RaftStart, now: number): RaftState {
  const node = { ...stateFromDisk(start), electionAt: now }
  const isAlone = isVoter(node) && membersOf(node.configuration).length === 1
  if (!isAlone) resetElection({ node, effects: [], now }, 'retry')
  return node
}

/** Same state, same input, same time: same result. `now` must not go back. */
export function step(state: RaftState, input: Input, now: number): Step {
  const turn: Turn = { node: { ...state }, effects: [], now }
  switch (input.kind) {
    case 'tick':
      onTick(turn)
      break
    case 'message':
      onMessage(turn, input)
      break
    case 'persisted':
      onPersisted(turn, input)
      break
    case 'propose':
      onPropose(turn, input)
      break
    case 'read':
      onRead(turn, input.id)
      break
    case 'transfer':
      onTransfer(turn, input.to)
      break
    case 'change':
      onChange(turn, input)
      break
    case 'compact':
      onCompact(turn, input)
      break
    case 'peer-lost':
      onPeerLost(turn, input.peer)
      break
    default:
      unreachable(input)
  }
  return { state: turn.node, effects: turn.effects }
}

function onMessage(turn: Turn, input: Extract<Input, { readonly kind: 'message' }>): void {
  const { group, from, message } = input
  const { node } = turn
  if (group !== node.group) {
    turn.effects.push({ kind: 'message-refused', from, reason: 'OTHER_GROUP' })
    return
  }
  const isStranger = !membersOf(node.configuration).includes(from)
  if (from === node.self || (isStranger && !mayComeFromStranger(message))) {
    turn.effects.push({ kind: 'message-refused', from, reason: 'NOT_A_MEMBER' })
    return
  }
  noteVersion(turn, from, input.version ?? OLDEST_VERSION)
  if (isStranger && message.kind === 'vote-request') tellRemoved(turn, from)
  // Who was removed has no say in who leads.
  if (node.removedAt !== undefined && message.kind === 'vote-request') return
  if (agreeOnTerm(turn, from, message)) dispatch(turn, from, message)
}

/**
 * A member may not have heard yet of the change that made another one a voter or even the leader (Raft thesis §4.1), and
 * a new one has heard of nobody: the words of a leader and the question for a vote are taken from anybody in the group.
 * That harms nothing, since a leader of this term was elected by a quorum, and a vote counts only where the voter is known.
 */
function mayComeFromStranger(message: Message): boolean {
  switch (message.kind) {
    case 'append':
    case 'heartbeat':
    case 'install-snapshot':
    case 'snapshot-chunk':
    case 'timeout-now':
    case 'read-confirmed':
    case 'change-answer':
    case 'removed':
    case 'vote-request':
      return true
    case 'vote-response':
    case 'append-response':
    case 'heartbeat-response':
    case 'snapshot-progress':
    case 'propose':
    case 'read':
    case 'change-request':
      return false
  }
}

function noteVersion({ node }: Turn, from: string, version: number): void {
  if (node.versions.get(from) === version) return
  const kept = node.versions.size < VERSIONS_MAX ? node.versions : []
  node.versions = new Map([...kept, [from, version]])
}

/** Raft §5.1: a higher term makes a follower, a lower one is answered or dropped. False when the message ends here. */
function agreeOnTerm(turn: Turn, from: string, message: Message): boolean {
  const { node } = turn
  if (!('term' in message)) return true
  if (message.term < node.term) return answerOldTerm(turn, from, message)
  if (message.kind === 'vote-request') {
    // The leader itself would not ask if it still led: it has restarted, or has stepped down.
    const isProtected = hasLiveLeader(node, turn.now) && node.leader !== from
    const isAllowed = message.transfer && membersOf(node.configuration).includes(from)
    if (isProtected && !isAllowed && message.term > node.term) return false
    if (node.leader === from) node.leader = undefined
  }
  const isPreVote = (message.kind === 'vote-request' || message.kind === 'vote-response') && message.pre
  const entersTerm = !isPreVote || (message.kind === 'vote-response' && !message.granted)
  if (isFromLeader(message)) {
    if (node.role === 'leader' && message.term === node.term) return false
    hearLeader(turn, from, message.term)
  } else if (message.term > node.term && entersTerm) {
    becomeFollower(turn, { term: message.term, patience: isPreVote ? 'retry' : 'silence' })
  }
  return true
}

/** A leader or candidate that was left behind learns the term of today; else it could wait for ever for an answer. */
function answerOldTerm(turn: Turn, from: string, message: Message): false {
  const { term } = turn.node
  if (isFromLeader(message)) {
    const rejected = { index: 0, hintIndex: 0, hintTerm: 0 }
    send(turn, from, { kind: 'append-response', term, index: 0, rejected })
  } else if (message.kind === 'vote-request' && message.pre) {
    send(turn, from, { kind: 'vote-response', term, pre: true, granted: false })
  }
  return false
}

function isFromLeader({ kind }: Message): boolean {
  return kind === 'append' || kind === 'heartbeat' || kind === 'install-snapshot' || kind === 'snapshot-chunk'
}

function hearLeader(turn: Turn, from: string, term: number): void {
  const { node } = turn
  // Who was removed follows the log, in case it is added again, and has nobody to send anything to.
  const leader = node.removedAt === undefined ? from : undefined
  if (term > node.term || node.role !== 'follower' || node.leader !== leader) {
    becomeFollower(turn, leader === undefined ? { term } : { term, leader })
  } else resetElection(turn, 'silence')
  node.leaderHeardAt = turn.now
}

function dispatch(turn: Turn, from: string, message: Message): void {
  switch (message.kind) {
    case 'vote-request':
      return onVoteRequest(turn, from, message)
    case 'vote-response':
      return onVoteResponse(turn, from, message)
    case 'append':
      return onAppend(turn, from, message)
    case 'append-response':
      return onAppendResponse(turn, from, message)
    case 'heartbeat':
      return onHeartbeat(turn, from, message)
    case 'heartbeat-response':
      return onHeartbeatResponse(turn, from, message)
    case 'install-snapshot':
      return installSnapshot(turn, from, message.snapshot)
    case 'snapshot-chunk':
      return onSnapshotChunk(turn, from, message)
    case 'snapshot-progress':
      return onSnapshotProgress(turn, from, message)
    case 'timeout-now':
      return onTimeoutNow(turn, from)
    case 'propose':
      return onForwardedPropose(turn, message.body)
    case 'read':
      return onForwardedRead(turn, from, message.id)
    case 'read-confirmed':
      turn.effects.push({ kind: 'read-confirmed', id: message.id, index: message.index })
      return
    case 'change-request':
      return onForwardedChange(turn, from, message)
    case 'change-answer':
      turn.effects.push({ ...message, kind: 'change-answered' })
      return
    case 'removed':
      return onRemoved(turn, message.index)
    default:
      return unreachable(message)
  }
}
