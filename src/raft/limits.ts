import { KiB, MiB } from '../std/units.ts'

/** Longest body of one entry, in UTF-16 units: one transaction with a few large values. */
export const ENTRY_LENGTH_MAX = 1 * MiB

/** One append carries at most this many entries … */
export const APPEND_ENTRIES_MAX = 128

/** … and stops before this length, in UTF-16 units, unless a single entry is longer. */
export const APPEND_LENGTH_MAX = 256 * KiB

/** Appends to one follower that were not answered yet. Bounds what a slow follower costs the leader. */
export const INFLIGHT_MAX = 64

/** Entries that a leader holds without a quorum; more are refused, so that a cut-off leader's log stays small. */
export const UNCOMMITTED_ENTRIES_MAX = 2048

/** Their length in UTF-16 units. */
export const UNCOMMITTED_LENGTH_MAX = 16 * MiB

/** Reads that wait for their round. */
export const PENDING_READS_MAX = 1024

/** Longest snapshot body, in UTF-16 units: what a member that receives one must hold in memory. */
export const SNAPSHOT_LENGTH_MAX = 8 * MiB

/** One piece of it, in UTF-16 units: no more than 256 KiB on the wire, so that heartbeats never wait long behind it. */
export const SNAPSHOT_CHUNK_LENGTH = 80 * KiB

/**
 * Longest message that is taken from the wire, in bytes: a whole snapshot of a member of protocol version 1. UTF-8 needs
 * at most three bytes for a UTF-16 unit.
 */
export const MESSAGE_BYTES_MAX = 25 * MiB

/** Longest message that this version sends to one of its own: an append of one longest entry. */
export const SENT_BYTES_MAX = 3 * ENTRY_LENGTH_MAX + 4 * KiB

/** Members of a configuration. */
export const MEMBERS_MAX = 31

/** Rounds in which a learner may catch up before it is promoted (Raft thesis §4.2.1). */
export const CATCH_UP_ROUNDS_MAX = 10

/** Changes of members that a configuration remembers, so that one that is asked for again is not made again. */
export const RECENT_CHANGES_MAX = 16

/** Changes of members whose refusal a leader remembers in its term. */
export const REFUSED_CHANGES_MAX = 64

/** Longest text of a refused change, in UTF-16 units. */
export const REFUSAL_LENGTH_MAX = 1024

/** Members whose protocol version is remembered: those of today and some that were removed or will be added. */
export const VERSIONS_MAX = 64

/** Longest name of a member, of a group, of a read, in UTF-16 units. */
export const NAME_LENGTH_MAX = 256
