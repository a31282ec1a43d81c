/** What an error of `pg` says of the statement that it came for. */
export type Verdict =
  /** Nothing was done: it may be sent again, elsewhere or later. */
  | 'not-done'
  /** The connection was lost while it was under way: it may have been committed. */
  | 'unknown'
  /** PostgreSQL's own answer: sending it again would bring the same. */
  | 'answered'

/** The server is not ready, is full, or is ending: of a connection, and so nothing was sent. */
const NOT_NOW = new Set(['57P01', '57P02', '57P03', '53300'])
/** What ends a session in the middle of whatever it does. */
const SESSION_ENDED = new Set(['57P01', '57P02', '57P05', '25P03', '25P04'])
const READ_ONLY = '25006'

/** Of an attempt to connect. */
export function connectVerdict(error: unknown): Verdict {
  const state = sqlState(error)
  return state === undefined || NOT_NOW.has(state) ? 'not-done' : 'answered'
}

/** Of a statement. */
export function queryVerdict(error: unknown): Verdict {
  const state = sqlState(error)
  // A write that came to a server which is no primary any more.
  if (state === READ_ONLY || state === '57P03') return 'not-done'
  return state === undefined || SESSION_ENDED.has(state) ? 'unknown' : 'answered'
}

/** PostgreSQL's code, where PostgreSQL said something at all: those of the system have letters in front (`ECONNRESET`). */
function sqlState(error: unknown): string | undefined {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code)
    ? code
    : undefined
}
