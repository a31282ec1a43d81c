import { termAt } from './log.ts'
import type { Snapshot } from './message.ts'
import { adoptConfiguration } from './adopt-configuration.ts'
import { followCommit } from './follow-commit.ts'
import { hardStateOf, send, type Turn } from './state.ts'

/** Takes the leader's state in place of log entries that the leader no longer has. */
export function installSnapshot(turn: Turn, from: string, snapshot: Snapshot): void {
  const { node } = turn
  if (snapshot.index > node.commit) {
    if (termAt(node.log, snapshot.index) === snapshot.term) followCommit(turn, snapshot.index)
    else replaceAll(turn, snapshot)
  }
  // Equal up to the commit index: by the snapshot, or because both are committed.
  send(turn, from, { kind: 'append-response', term: node.term, index: node.commit })
}

function replaceAll(turn: Turn, snapshot: Snapshot): void {
  const { node } = turn
  node.log = { baseIndex: snapshot.index, baseTerm: snapshot.term, entries: [] }
  node.snapshot = snapshot
  adoptConfiguration(turn)
  node.stable = snapshot.index
  node.commit = snapshot.index
  const change = { kind: 'snapshot', snapshot, log: node.log, hardState: hardStateOf(node) } as const
  turn.effects.push({ kind: 'persist', change }, { kind: 'restore', snapshot })
}
