import type { Hint } from './fingerprint.ts'
import type { Reason, Verdict } from './verdict.ts'

/**
 * A hint may send anything to the primary, and what is in doubt to a replica. It does not make a read of what is known to
 * write, nor of what belongs to its session or its transaction.
 */
export function hinted(verdict: Verdict, hint: Hint): Verdict {
  const { kind, reason, effects } = verdict
  if (hint === 'primary') return kind === 'read' ? { ...verdict, kind: 'unknown', reason: 'HINT' } : verdict
  const mayBeTaken = kind === 'unknown' && DOUBTS.has(reason) && effects.length === 0
  return mayBeTaken ? { ...verdict, kind: 'read', reason: 'HINT' } : verdict
}

/** Reasons for which nobody knows better than who wrote the statement. */
const DOUBTS: ReadonlySet<Reason> = new Set<Reason>([
  'ASKS_THE_NODE',
  'READS_CATALOG',
  'VOLATILE_FUNCTION',
  'UNKNOWN_FUNCTION',
  'UNSAFE_RELATION',
  'UNKNOWN_RELATION',
  'UNUSUAL_CATALOG',
])
