import { configurationAt, latestConfiguration } from './configuration.ts'
import type { Effect, HardState } from './effect.ts'
import type { RaftLog } from './log.ts'
import type { Configuration, Message, Snapshot } from './message.ts'
import type { Progress } from './progress.ts'
import { membersOf, quorumValue } from './quorum.ts'
import { SNAPSHOT_CHUNK_LENGTH } from './limits.ts'
import { lastIndex, lastTerm } from './log.ts'
import { neededVersion, OLDEST_VERSION } from './protocol.ts'
import type { RaftTiming } from './timing.ts'

/** One member, as a value. Times are milliseconds of the caller's monotonic clock. */
export type RaftState = {
  readonly self: string
  readonly group: string
  readonly timing: RaftTiming
  /** Seed of the next random delay. */
  readonly seed: number

  readonly term: number
  readonly vote: string | undefined
  readonly log: RaftLog
  /** Invariant: `log.baseIndex <= snapshot.index <= commit`. */
  readonly snapshot: Snapshot
  /** The latest in the log, committed or not (see `configuration.ts`). */
  readonly configuration: Configuration
  /** Entry that holds it; where a snapshot holds it, the snapshot's. Above `commit` while a change is under way. */
  readonly configurationIndex: number
  /** This member is known to be none as of this committed index: it neither votes nor asks. */
  readonly removedAt: number | undefined
  /** What others were heard to understand (see `protocol.ts`). */
  readonly versions: ReadonlyMap<string, number>

  readonly role: 'follower' | 'pre-candidate' | 'candidate' | 'leader'
  readonly leader: string | undefined
  /** Invariant: never falls, except by a restart to `snapshot.index`. */
  readonly commit: number
  /** The log is durable up to here. */
  readonly stable: number

  readonly votes: ReadonlyMap<string, boolean>
  /** When a member without a leader's word acts. */
  readonly electionAt: number
  /** When `leader` was last heard. */
  readonly leaderHeardAt: number

  /** Of a leader: what it knows about each other member. */
  readonly peers: ReadonlyMap<string, Progress>
  readonly heartbeatAt: number
  readonly readRound: number
  readonly reads: readonly PendingRead[]
  readonly transfer: { readonly to: string; readonly until: number } | undefined
  readonly change: PendingChange | undefined
  /** Of changes that this leader refused in this term: the last attempt. A copy that comes late is not made after all. */
  readonly refusedChanges: ReadonlyMap<string, number>

  /** A snapshot of which the leader has sent a part. */
  readonly incoming: IncomingSnapshot | undefined
  /** Length of the pieces in which this member sends one. */
  readonly chunkLength: number
}

export type IncomingSnapshot = {
  readonly from: string
  readonly leaderTerm: number
  readonly index: number
  readonly length: number
  /** Invariant: shorter than `length`, which is bounded. */
  readonly body: string
}

/** The one membership change that a leader works on. */
export type PendingChange = {
  readonly id: string
  readonly attempt: number
  /** Member that asked; may be this one. */
  readonly from: string
  /** Its entry; absent while a learner catches up. */
  readonly index?: number
  readonly leaving?: string
  readonly catchUp?: CatchUp
}

/** A round ends when the learner has what the leader had at its beginning (Raft thesis §4.2.1). */
export type CatchUp = {
  readonly learner: string
  readonly round: number
  readonly target: number
  readonly startedAt: number
}

export type PendingRead = {
  readonly id: string
  /** Member that asked; may be this one. */
  readonly from: string
  /** Absent until the leader has committed an entry of its own term (Raft thesis §6.4). */
  readonly ticket?: { readonly index: number; readonly round: number }
}

/** One step in the making: handlers change `node` and add effects; nobody outside of `step` sees it. */
export type Turn = {
  readonly node: { -readonly [Field in keyof RaftState]: RaftState[Field] }
  readonly effects: Effect[]
  readonly now: number
}

export type RaftStart = {
  readonly self: string
  readonly group: string
  readonly timing: RaftTiming
  readonly seed: number
  readonly hardState: HardState
  readonly snapshot: Snapshot
  readonly log: RaftLog
  readonly chunkLength?: number
}

/** What is committed is learnt again from the others: only the snapshot is known to be. */
export function stateFromDisk(start: RaftStart): Omit<RaftState, 'electionAt'> {
  const { configuration, index } = latestConfiguration(start.log, start.snapshot)
  return {
    self: start.self,
    group: start.group,
    timing: start.timing,
    seed: start.seed,
    term: start.hardState.term,
    vote: start.hardState.vote,
    log: start.log,
    snapshot: start.snapshot,
    configuration,
    configurationIndex: index,
    removedAt: undefined,
    versions: new Map(),
    role: 'follower',
    leader: undefined,
    commit: start.snapshot.index,
    stable: lastIndex(start.log),
    votes: new Map(),
    leaderHeardAt: Number.NEGATIVE_INFINITY,
    peers: new Map(),
    heartbeatAt: Number.POSITIVE_INFINITY,
    readRound: 0,
    reads: [],
    transfer: undefined,
    change: undefined,
    refusedChanges: new Map(),
    incoming: undefined,
    chunkLength: start.chunkLength ?? SNAPSHOT_CHUNK_LENGTH,
  }
}

export function isVoter(state: RaftState): boolean {
  return state.configuration.voters.includes(state.self)
}

/**
 * Who is a voter, and who was one until an entry that it does not know to be committed: its log may be the only one with that
 * entry, and then nobody else can be elected (Raft thesis §4.2.2). Its own vote does not count. After a restart all that
 * the snapshot does not hold is unknown; who asks in vain is told that it was removed.
 */
export function mayCampaign(state: RaftState): boolean {
  if (isVoter(state)) return true
  let index = state.configurationIndex
  while (index > state.commit) {
    const earlier = configurationAt(state.log, state.snapshot, index - 1)
    if (earlier.configuration.voters.includes(state.self)) return true
    index = earlier.index
  }
  return false
}

export function isMember(state: RaftState): boolean {
  return membersOf(state.configuration).includes(state.self)
}

/** When a quorum, this leader included, was last heard. */
export function quorumHeardAt(state: RaftState, now: number): number {
  return quorumValue(state.configuration, (member) =>
    member === state.self ? now : (state.peers.get(member)?.heardAt ?? Number.NEGATIVE_INFINITY),
  )
}

/** True while the word of a leader is fresh enough that others must not be helped to replace it. */
export function hasLiveLeader(state: RaftState, now: number): boolean {
  if (state.role === 'leader') return true
  return state.leader !== undefined && now < state.leaderHeardAt + state.timing.electionMinMs
}

/** A leader may answer reads and trust its commit index only after an entry of its own term is committed. */
export function hasCommittedInTerm(state: RaftState): boolean {
  if (state.commit === state.log.baseIndex) return state.log.baseTerm === state.term
  return state.log.entries[state.commit - state.log.baseIndex - 1]?.term === state.term
}

/** Sends when everything up to here is durable. */
export function send(turn: Turn, to: string, message: Message): void {
  sendAfter(turn, to, { message, after: 'persist' })
}

/** Sends what promises nothing about the own disk. */
export function sendNow(turn: Turn, to: string, message: Message): void {
  sendAfter(turn, to, { message, after: 'nothing' })
}

/** Nobody gets what it cannot understand: for the sender that is the same as a lost message. */
function sendAfter(
  turn: Turn,
  to: string,
  letter: { readonly message: Message; readonly after: 'nothing' | 'persist' },
): void {
  if (neededVersion(letter.message) > versionOf(turn.node, to)) return
  turn.effects.push({ kind: 'send', to, ...letter })
}

export function versionOf(state: RaftState, member: string): number {
  return state.versions.get(member) ?? OLDEST_VERSION
}

export function persistHardState(turn: Turn): void {
  turn.effects.push({ kind: 'persist', change: { kind: 'hard-state', hardState: hardStateOf(turn.node) } })
}

export function hardStateOf(state: RaftState): HardState {
  return state.vote === undefined ? { term: state.term } : { term: state.term, vote: state.vote }
}

export function updatePeer(turn: Turn, peer: string, progress: Progress): void {
  turn.node.peers = new Map(turn.node.peers).set(peer, progress)
}

/** The position of the log's end, as votes compare it. */
export function logEnd(state: RaftState): { readonly lastIndex: number; readonly lastTerm: number } {
  return { lastIndex: lastIndex(state.log), lastTerm: lastTerm(state.log) }
}
