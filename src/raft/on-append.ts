import { assert } from '../std/assert.ts'
import { lastIndex, lastThatMayFit, newEntries, termAt, withEntries } from './log.ts'
import type { Append } from './message.ts'
import { adoptConfiguration } from './adopt-configuration.ts'
import { followCommit } from './follow-commit.ts'
import { send, type Turn } from './state.ts'

/** Order: the acknowledgement leaves when everything up to its index is durable, also what an earlier append brought. */
export function onAppend(turn: Turn, from: string, append: Append): void {
  const { node } = turn
  if (append.prevIndex < node.commit) {
    // Everything up to the commit index is known to be equal; there is nothing to compare and nothing to overwrite.
    return send(turn, from, { kind: 'append-response', term: node.term, index: node.commit })
  }
  if (termAt(node.log, append.prevIndex) !== append.prevTerm) return reject(turn, from, append)
  const fresh = newEntries(node.log, append.entries)
  const first = fresh[0]
  if (first !== undefined) {
    assert(first.index > node.commit, `Append overwrites entry ${first.index}, committed is ${node.commit}`)
    node.log = withEntries(node.log, fresh)
    node.stable = Math.min(node.stable, first.index - 1)
    const bringsOne = fresh.some(({ kind }) => kind === 'configuration')
    if (bringsOne || first.index <= node.configurationIndex) adoptConfiguration(turn)
    turn.effects.push({ kind: 'persist', change: { kind: 'entries', entries: fresh } })
  }
  const last = append.prevIndex + append.entries.length
  followCommit(turn, Math.min(append.commit, last))
  send(turn, from, { kind: 'append-response', term: node.term, index: last })
}

function reject(turn: Turn, from: string, append: Append): void {
  const { node } = turn
  const hint = lastThatMayFit(node.log, Math.min(append.prevIndex, lastIndex(node.log)), append.prevTerm)
  const rejected = { index: append.prevIndex, hintIndex: hint.index, hintTerm: hint.term }
  send(turn, from, { kind: 'append-response', term: node.term, index: 0, rejected })
}
