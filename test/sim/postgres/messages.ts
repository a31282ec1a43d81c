import type { DataDirectory } from './data-directory.ts'
import type { SynchronousCommit } from './ports.ts'
import type { TimelineLink, WalRecord } from './wal.ts'

/** How a connection introduces itself. */
export type Startup =
  | { readonly kind: 'client'; readonly level: SynchronousCommit }
  | { readonly kind: 'replication'; readonly applicationName: string }

/** What a client says; answers come in order. */
export type ClientMessage =
  | { readonly kind: 'insert'; readonly token: number; readonly level: SynchronousCommit | undefined }
  | { readonly kind: 'read' }
  /** Opens a transaction that has read a table: replay of an exclusive lock has to wait for its end. */
  | { readonly kind: 'hold' }
  | { readonly kind: 'release' }
  /** Commits what takes an exclusive lock in replay, such as DDL. */
  | { readonly kind: 'lock'; readonly token: number }

export type Rows = {
  readonly kind: 'rows'
  readonly host: string
  readonly incarnation: string | undefined
  readonly timeline: number
  readonly isInRecovery: boolean
  /** The first `count` of these were seen; the array goes on growing behind them. */
  readonly tokens: readonly number[]
  readonly count: number
}

export type StatementError = {
  readonly kind: 'error'
  readonly sqlState: string
  readonly message: string
}

export type ServerMessage =
  | { readonly kind: 'complete'; readonly lsn: number; readonly xid: number; readonly warned: boolean }
  | { readonly kind: 'done' }
  | Rows
  | StatementError

/** What a walreceiver or a clone says to a walsender. */
export type ReplicationRequest =
  | {
      readonly kind: 'start-replication'
      readonly systemId: string
      readonly timeline: number
      readonly lsn: number
      readonly slotName: string | undefined
      readonly hasHistory: (timeline: number) => boolean
    }
  | {
      readonly kind: 'reply'
      readonly writeLsn: number
      readonly flushLsn: number
      readonly applyLsn: number
    }
  | { readonly kind: 'base-backup'; readonly systemId: string | undefined }

export type ReplicationMessage =
  /** Asked for before the streaming itself, and kept also when that is refused (WalRcvFetchTimeLineHistoryFiles). */
  | {
      readonly kind: 'histories'
      readonly histories: readonly { readonly timeline: number; readonly links: readonly TimelineLink[] }[]
    }
  | { readonly kind: 'started' }
  | { readonly kind: 'wal'; readonly records: readonly WalRecord[]; readonly endLsn: number }
  /** The requested timeline ends here; its server goes on with another. */
  | { readonly kind: 'end-of-timeline' }
  | { readonly kind: 'backup-part'; readonly bytesDone: number; readonly bytesTotal: number }
  | { readonly kind: 'backup-done'; readonly directory: DataDirectory; readonly bytes: number }
  | { readonly kind: 'failed'; readonly reason: ReplicationRefusal; readonly message: string }

export type ReplicationRefusal =
  | 'system-id'
  | 'slot-missing'
  | 'slot-active'
  | 'slot-lost'
  | 'wal-removed'
  | 'timeline-behind'
  | 'not-in-history'
  | 'ahead'
