import type { SessionEffect } from './session-effect.ts'

/** Why a statement is what it is: words for `SHOW CLASSIFIER`, `classify` and metrics. */
export type Reason =
  // reads
  | 'READS_ONLY'
  | 'NOTHING_TO_DO'
  // writes
  | 'CHANGES_DATA'
  | 'CHANGES_SCHEMA'
  | 'LOCKS_ROWS'
  | 'SELECTS_INTO'
  | 'COPIES_IN'
  | 'TOUCHES_FILES'
  | 'USES_SEQUENCE'
  | 'USES_ADVISORY_LOCK'
  | 'USES_LARGE_OBJECT'
  | 'USES_TRANSACTION_ID'
  | 'NOTIFIES'
  | 'RUNS_CODE'
  | 'RUNS_COMMAND'
  | 'REACHES_OUT'
  // what belongs to a session or a transaction
  | 'CONTROLS_TRANSACTION'
  | 'CHANGES_SESSION'
  | 'NEEDS_ITS_SESSION'
  // what the node says about itself, or the catalog decides
  | 'ASKS_THE_NODE'
  | 'READS_CATALOG'
  | 'VOLATILE_FUNCTION'
  | 'UNKNOWN_FUNCTION'
  | 'UNSAFE_RELATION'
  | 'UNKNOWN_RELATION'
  | 'UNUSUAL_CATALOG'
  // not judged
  | 'BROKEN'
  | 'TOO_LONG'
  | 'TOO_DEEP'
  | 'SYNTAX'
  | 'UNKNOWN_SYNTAX'
  | 'TOO_MANY_NEW_STATEMENTS'
  | 'UNSAFE_ENCODING'
  // asked for
  | 'HINT'
  | 'CONFIGURED'

export type VerdictKind = 'read' | 'write' | 'unknown'

/** Of the text of one simple query, or of one statement. Only `read` may leave the primary. */
export type Verdict = {
  readonly kind: VerdictKind
  readonly reason: Reason
  /** What the reason is about: the name of a function, a relation, a command. */
  readonly about?: string
  /** How many they are; 0: nobody knows. */
  readonly statementCount: number
  readonly effects: readonly SessionEffect[]
}
