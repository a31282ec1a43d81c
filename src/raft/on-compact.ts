import { assert, present } from '../std/assert.ts'
import { configurationAt } from './configuration.ts'
import { compactedTo, termAt } from './log.ts'
import type { Snapshot } from './message.ts'
import { hardStateOf, type Turn } from './state.ts'

/** Puts a snapshot in place of old entries. Some are kept, so that a member that lags a little needs no snapshot. */
export function onCompact(
  turn: Turn,
  request: { readonly index: number; readonly body: string; readonly keep: number },
): void {
  const { node } = turn
  if (request.index <= node.snapshot.index) return
  assert(
    request.index <= node.commit,
    `Cannot compact to entry ${request.index}, committed is ${node.commit}`,
  )
  const { configuration } = configurationAt(node.log, node.snapshot, request.index)
  // A newcomer's log may not tell yet who was there at this index, and a snapshot without members is of no use to anybody.
  if (configuration.voters.length === 0) return
  const term = present(termAt(node.log, request.index), `term of entry ${request.index}`)
  const snapshot: Snapshot = {
    index: request.index,
    term,
    // Not the latest one: that may be of an entry behind this index, which can still be overwritten.
    configuration,
    body: request.body,
  }
  node.snapshot = snapshot
  node.log = compactedTo(node.log, Math.max(node.log.baseIndex, request.index - request.keep))
  const change = { kind: 'snapshot', snapshot, log: node.log, hardState: hardStateOf(node) } as const
  turn.effects.push({ kind: 'persist', change })
}
