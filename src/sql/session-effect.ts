/** What a backend keeps for one session, so that no other session may use it in between. */
export type PinCause =
  | 'temporary-object'
  | 'advisory-lock'
  | 'listen'
  | 'cursor-with-hold'
  | 'prepared-statement'
  | 'loaded-library'
  | 'sequence-value'
  | 'random-seed'
  | 'setting'
  | 'remote-connection'
  /** It was not classified, and has a word in it that could pin. */
  | 'not-classified'

export type TransactionModes = {
  readonly readOnly?: boolean
  readonly isolation?: string
  readonly deferrable?: boolean
}

/** What a statement does to its session and its transaction, in the order of the statements. */
export type SessionEffect =
  | { readonly kind: 'pin'; readonly cause: PinCause }
  /** What could end a pin; `all`: every cause. */
  | { readonly kind: 'unpin'; readonly cause: PinCause | 'all' }
  | { readonly kind: 'begin'; readonly modes: TransactionModes }
  | { readonly kind: 'end'; readonly how: 'commit' | 'rollback' | 'prepare'; readonly chain: boolean }
  | { readonly kind: 'savepoint'; readonly how: 'set' | 'release' | 'rollback'; readonly name: string }
  | { readonly kind: 'transaction-modes'; readonly modes: TransactionModes; readonly snapshot: boolean }
  /** `SET SESSION CHARACTERISTICS`: of the transactions that follow. */
  | { readonly kind: 'session-modes'; readonly modes: TransactionModes }
  /** `value` is absent for DEFAULT and RESET, and where it is no constant. */
  | { readonly kind: 'set'; readonly name: string; readonly value?: string; readonly local: boolean }
  | { readonly kind: 'reset-all' }
  | { readonly kind: 'route'; readonly to: 'primary' | 'replica' | 'auto' | undefined }

  /** `to` is absent for a level that is none. */
  | { readonly kind: 'consistency'; readonly to?: 'session' | 'eventual' | 'default' }

/** The setting by which a session says what its reads have to find. */
export const CONSISTENCY_SETTING = 'pg_metako.consistency'
/** The setting by which a session says where its statements go. */
export const ROUTE_SETTING = 'pg_metako.route'
