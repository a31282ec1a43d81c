import type { Message } from './message.ts'

/**
 * What this program understands. Every message says its sender's version, and nobody is sent what it cannot understand, so
 * that two releases can run side by side while a cluster is upgraded. Fields that an older program does not know are
 * ignored by it; a message or an entry of a new kind needs a new version.
 *
 * 1: elections, appends, whole snapshots, requests
 * 2: membership changes, snapshots in chunks
 */
export const PROTOCOL_VERSION = 2

/** Of a member that was not heard yet, and of one that names no version. */
export const OLDEST_VERSION = 1

/** First version with entries of the kind `configuration`. */
export const MEMBERSHIP_VERSION = 2

/** First version that takes a snapshot in pieces. */
export const CHUNKS_VERSION = 2

/** The version that a receiver must have to understand a message. */
export function neededVersion(message: Message): number {
  switch (message.kind) {
    case 'snapshot-chunk':
    case 'snapshot-progress':
      return CHUNKS_VERSION
    case 'change-request':
    case 'change-answer':
    case 'removed':
      return MEMBERSHIP_VERSION
    case 'append':
      return message.entries.some(({ kind }) => kind === 'configuration')
        ? MEMBERSHIP_VERSION
        : OLDEST_VERSION
    case 'vote-request':
    case 'vote-response':
    case 'append-response':
    case 'heartbeat':
    case 'heartbeat-response':
    case 'install-snapshot':
    case 'timeout-now':
    case 'propose':
    case 'read':
    case 'read-confirmed':
      return OLDEST_VERSION
  }
}
