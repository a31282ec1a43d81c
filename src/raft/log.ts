import { assert } from '../std/assert.ts'
import type { Entry } from './message.ts'

/**
 * The part of the log that is still here: entries after `baseIndex`, without gaps.
 * Invariant: `entries[i].index === baseIndex + 1 + i`, and terms never fall.
 */
export type RaftLog = {
  readonly baseIndex: number
  readonly baseTerm: number
  readonly entries: readonly Entry[]
}

export const EMPTY_LOG: RaftLog = { baseIndex: 0, baseTerm: 0, entries: [] }

export function lastIndex(log: RaftLog): number {
  return log.baseIndex + log.entries.length
}

export function lastTerm(log: RaftLog): number {
  return log.entries.at(-1)?.term ?? log.baseTerm
}

/** The term of the entry at `index`; `undefined` when it was compacted away or is not there yet. */
export function termAt(log: RaftLog, index: number): number | undefined {
  if (index === log.baseIndex) return log.baseTerm
  return index < log.baseIndex ? undefined : log.entries[index - log.baseIndex - 1]?.term
}

/** Entries from `index` on, at most `count` of them and `length` units long, but at least one if there is one. */
export function entriesFrom(
  log: RaftLog,
  index: number,
  limit: { readonly count: number; readonly length: number },
): readonly Entry[] {
  assert(index > log.baseIndex, `Entry ${index} was compacted away, the log begins after ${log.baseIndex}`)
  const first = index - log.baseIndex - 1
  let end = first
  let length = 0
  while (end < log.entries.length && end - first < limit.count) {
    length += log.entries[end]?.body.length ?? 0
    if (end > first && length > limit.length) break
    end += 1
  }
  return log.entries.slice(first, end)
}

/** Entries in (`after`, `through`]. */
export function entriesBetween(log: RaftLog, after: number, through: number): readonly Entry[] {
  assert(
    after >= log.baseIndex,
    `Entry ${after + 1} was compacted away, the log begins after ${log.baseIndex}`,
  )
  return log.entries.slice(after - log.baseIndex, through - log.baseIndex)
}

/** The log with `entries` in place of whatever stood from their first index on. */
export function withEntries(log: RaftLog, entries: readonly Entry[]): RaftLog {
  const first = entries[0]
  if (first === undefined) return log
  assert(
    first.index > log.baseIndex && first.index <= lastIndex(log) + 1,
    `Cannot append entry ${first.index} to a log of (${log.baseIndex}, ${lastIndex(log)}]`,
  )
  return { ...log, entries: [...log.entries.slice(0, first.index - log.baseIndex - 1), ...entries] }
}

/** The entries of an append that this log does not have: from the first one that is new or of another term. */
export function newEntries(log: RaftLog, entries: readonly Entry[]): readonly Entry[] {
  const first = entries.findIndex((entry) => termAt(log, entry.index) !== entry.term)
  return first < 0 ? [] : entries.slice(first)
}

/** The log without its entries up to `index`. */
export function compactedTo(log: RaftLog, index: number): RaftLog {
  const term = termAt(log, index)
  assert(
    term !== undefined,
    `Cannot compact to entry ${index} of a log of (${log.baseIndex}, ${lastIndex(log)}]`,
  )
  return { baseIndex: index, baseTerm: term, entries: log.entries.slice(index - log.baseIndex) }
}

/**
 * The last entry at or before `index` whose term is at most `term`: nothing after it can be equal in a log that has
 * `term` at `index`. Skips a whole diverged term in one round trip.
 */
export function lastThatMayFit(
  log: RaftLog,
  index: number,
  term: number,
): { readonly index: number; readonly term: number } {
  let candidate = Math.min(index, lastIndex(log))
  while (candidate > log.baseIndex) {
    const candidateTerm = termAt(log, candidate) ?? 0
    if (candidateTerm <= term) return { index: candidate, term: candidateTerm }
    candidate -= 1
  }
  return { index: candidate, term: candidate === log.baseIndex ? log.baseTerm : 0 }
}

/** Raft §5.4.1: a vote goes only to a log that is at least as new as one's own. */
export function isUpToDate(
  log: RaftLog,
  other: { readonly lastIndex: number; readonly lastTerm: number },
): boolean {
  const ownTerm = lastTerm(log)
  return other.lastTerm > ownTerm || (other.lastTerm === ownTerm && other.lastIndex >= lastIndex(log))
}
