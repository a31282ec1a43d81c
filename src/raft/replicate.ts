import { APPEND_ENTRIES_MAX, APPEND_LENGTH_MAX, INFLIGHT_MAX } from './limits.ts'
import { entriesFrom, lastIndex, termAt } from './log.ts'
import type { Entry } from './message.ts'
import type { Progress } from './progress.ts'
import { MEMBERSHIP_VERSION } from './protocol.ts'
import { quorumValue } from './quorum.ts'
import { openWaitingReads } from './read-round.ts'
import { sendSnapshot } from './send-snapshot.ts'
import { sendNow, updatePeer, versionOf, type Turn } from './state.ts'
import { present } from '../std/assert.ts'

/** Sends each member what it lacks, entries or the news of a commit. */
export function broadcastAppend(turn: Turn): void {
  for (const peer of turn.node.peers.keys()) sendAppends(turn, peer, { evenEmpty: false })
}

/**
 * Sends entries to one member as far as its window allows. A leader's own appends need not wait for its own disk: it
 * counts itself only when `persisted` said so.
 */
export function sendAppends(turn: Turn, peer: string, options: { readonly evenEmpty: boolean }): void {
  let evenEmpty = options.evenEmpty
  for (;;) {
    const progress = turn.node.peers.get(peer)
    if (progress === undefined || !mayReceive(progress)) return
    if (progress.next <= turn.node.log.baseIndex) return sendSnapshot(turn, peer, progress)
    const entries = nextEntries(turn, peer, progress)
    const hasNews = progress.commitSent < turn.node.commit
    if (entries.length === 0 && !hasNews && !evenEmpty) return
    sendOne(turn, peer, { progress, entries })
    if (entries.length === 0) return
    evenEmpty = false
  }
}

function mayReceive(progress: Progress): boolean {
  switch (progress.mode) {
    case 'probe':
      return !progress.isProbing
    case 'replicate':
      return progress.inflight.length < INFLIGHT_MAX
    case 'snapshot':
      return false
  }
}

/** What the member gets next, as far as it would understand it. */
function nextEntries({ node, effects }: Turn, peer: string, { next }: Progress): readonly Entry[] {
  if (next > lastIndex(node.log)) return []
  const limit = { count: APPEND_ENTRIES_MAX, length: APPEND_LENGTH_MAX }
  const entries = understoodBy(entriesFrom(node.log, next, limit), versionOf(node, peer))
  // Who was not heard yet only has not said what it understands.
  if (entries.length === 0 && node.versions.has(peer)) effects.push({ kind: 'entries-withheld', to: peer })
  return entries
}

function sendOne(
  turn: Turn,
  peer: string,
  { progress, entries }: { readonly progress: Progress; readonly entries: readonly Entry[] },
): void {
  const { log, term, commit } = turn.node
  const prevIndex = progress.next - 1
  const prevTerm = present(termAt(log, prevIndex), `term of entry ${prevIndex}`)
  sendNow(turn, peer, { kind: 'append', term, prevIndex, prevTerm, commit, entries })
  const last = prevIndex + entries.length
  const sent: Progress =
    progress.mode === 'probe'
      ? { ...progress, isProbing: true }
      : {
          ...progress,
          next: last + 1,
          inflight: entries.length > 0 ? [...progress.inflight, last] : progress.inflight,
        }
  updatePeer(turn, peer, { ...sent, commitSent: commit })
}

/** An older program must not be given an entry that it would take for a command. */
function understoodBy(entries: readonly Entry[], version: number): readonly Entry[] {
  if (version >= MEMBERSHIP_VERSION) return entries
  const end = entries.findIndex(({ kind }) => kind === 'configuration')
  return end < 0 ? entries : entries.slice(0, end)
}

/**
 * Commits what a quorum has durably. Only an entry of the own term is counted (Raft §5.4.2): an older one on a majority
 * of disks can still be overwritten by a later leader, as figure 8 of the paper shows. True when something was committed.
 */
export function advanceCommit(turn: Turn): boolean {
  const { node } = turn
  const reached = quorumValue(node.configuration, (member) =>
    member === node.self ? node.stable : (node.peers.get(member)?.match ?? 0),
  )
  if (reached <= node.commit || termAt(node.log, reached) !== node.term) return false
  commitTo(turn, reached)
  openWaitingReads(turn)
  broadcastAppend(turn)
  return true
}

/** Raises the commit index, never lowers it. */
export function commitTo(turn: Turn, index: number): void {
  if (index <= turn.node.commit) return
  turn.node.commit = index
  turn.effects.push({ kind: 'commit', index })
}
