import { KiB, MiB } from '../std/units.ts'

/** Longest key, in UTF-16 units. */
export const KEY_LENGTH_MAX = 1 * KiB

/** Longest value, in UTF-16 units: a loss report has 30 kB, everything else less than 4. */
export const VALUE_LENGTH_MAX = 256 * KiB

/** Comparisons and operations of one transaction, as in etcd. */
export const TRANSACTION_PARTS_MAX = 128

/** All keys and values of one transaction, as JSON: with its frame it must fit into one log entry. */
export const TRANSACTION_LENGTH_MAX = 512 * KiB

/** All keys and values of the tree, as JSON: with the history it must fit into one snapshot message. */
export const TREE_LENGTH_MAX = 2 * MiB

/** Changes that are kept for watchers: at two renewals a second some eight minutes. */
export const HISTORY_EVENTS_MAX = 1024

/** Their keys and values, as JSON. */
export const HISTORY_LENGTH_MAX = 1 * MiB

/** A snapshot takes the place of the log when so many entries … */
export const COMPACT_ENTRIES = 1024

/** … or so much text, in UTF-16 units, were applied since the last one. */
export const COMPACT_LENGTH = 4 * MiB

/** … or so many times as much while a member is being sent the snapshot that there is: a new one would begin that again. */
export const COMPACT_PATIENCE = 4

/** Entries that stay behind it, for members that lag a little. */
export const KEEP_ENTRIES = 256

/** A segment of the log is closed when it is longer than this. Whole segments are what compaction deletes. */
export const SEGMENT_BYTES = 1 * MiB

/** Transactions and reads of one node that wait for an answer. */
export const PENDING_REQUESTS_MAX = 256

/** Changes of members that one node has asked for: an operator asks for one at a time. */
export const PENDING_CHANGES_MAX = 16

/** Clients whose last answers are kept: one for each start of an agent. */
export const SESSIONS_MAX = 64
