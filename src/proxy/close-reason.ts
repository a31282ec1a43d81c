import { buildFatalResponse } from '../wire/error-response.ts'

/** Why a client's connection ended. The same words stand in the log. */
export type CloseReason =
  /** The client closed or lost its side. */
  | 'CLIENT_LEFT'
  /** PostgreSQL closed after it said why, or because the client had ended. */
  | 'BACKEND_CLOSED'
  /** PostgreSQL's side ended without a word. */
  | 'BACKEND_LOST'
  /** PostgreSQL stopped waiting for the standbys that a commit has to be on, and would have told a success. */
  | 'COMMIT_UNCONFIRMED'
  /** A table with a higher epoch: the primary that this session was bound to has lost the right. */
  | 'PRIMARY_CHANGED'
  /** A switchover: the session had nothing in flight, and its primary is about to move. */
  | 'PRIMARY_MOVES'
  /** A table with a higher epoch no longer has the replica that this session was bound to. */
  | 'TARGET_REMOVED'
  /** No backend could be reached within the limit. */
  | 'HOLD_TIMEOUT'
  /** The table was not renewed within the limit, so nothing could pass. */
  | 'VALIDITY_TIMEOUT'
  | 'TOO_MANY_CLIENTS'
  | 'STARTUP_TIMEOUT'
  | 'STARTUP_MALFORMED'
  | 'PROTOCOL_UNSUPPORTED'
  /** No TLS came about: the client left, or speaks none that is allowed here. */
  | 'TLS_FAILED'
  /** The client came without TLS, and `client_tls_sslmode` wants it. */
  | 'TLS_REQUIRED'
  /** Unencrypted bytes stood behind a request for TLS: somebody else may have put them there. */
  | 'BYTES_BEFORE_TLS'
  /** Direct TLS that does not say which protocol it is for could be meant for another service. */
  | 'TLS_WITHOUT_ALPN'
  | 'CERTIFICATE_REFUSED'
  | 'ROUTER_STOPPING'
  /** What came is no message of the protocol, or not here. */
  | 'PROTOCOL_VIOLATION'
  /** A time limit of the pooled port, or what its pool mode does not allow. */
  | 'LIMIT_REACHED'
  /** PostgreSQL let nobody in for this client. */
  | 'LOGIN_REFUSED'
  /** KILL in the console. */
  | 'KILLED'

export type CloseContext = {
  /** Whether the session had nothing open: no statement in flight and no transaction. */
  readonly idle?: boolean
  /** What was waited for, or what is known beyond the reason. */
  readonly detail?: string
}

/** The one place that translates our reasons into SQLSTATEs. `undefined`: the connection ends without a message. */
export function closeResponse(reason: CloseReason, context: CloseContext = {}): Buffer | undefined {
  const fatal = FATALS[reason]
  if (!fatal) return undefined
  const outcome =
    context.idle === false
      ? 'A statement or transaction was open: whether it was committed is unknown, and it is not repeated'
      : undefined
  const detail = context.detail ?? outcome
  return buildFatalResponse({ ...fatal, ...(detail === undefined ? {} : { detail }) })
}

type Fatal = { readonly sqlState: string; readonly message: string; readonly hint?: string }

/** Nothing: the connection ends without a message. */
const FATALS: Readonly<Record<CloseReason, Fatal | undefined>> = {
  CLIENT_LEFT: undefined,
  BACKEND_CLOSED: undefined,
  STARTUP_TIMEOUT: undefined,
  TLS_FAILED: undefined,
  // What the client is told says more than the reason.
  PROTOCOL_VIOLATION: undefined,
  LIMIT_REACHED: undefined,
  LOGIN_REFUSED: undefined,
  KILLED: undefined,
  BACKEND_LOST: { sqlState: '08006', message: 'Connection lost: PostgreSQL closed it without a reason' },
  COMMIT_UNCONFIRMED: {
    sqlState: '40003',
    message: 'Whether the transaction is committed is unknown: the wait for its standbys was cancelled',
    hint: 'It is on the primary alone so far; look whether it is there before you repeat it',
  },
  PRIMARY_CHANGED: {
    sqlState: '57P01',
    message: 'Connection closed: the primary changed',
    hint: 'Connect again; the new connection goes to the new primary',
  },
  PRIMARY_MOVES: {
    sqlState: '57P01',
    message: 'Connection closed: the primary is about to move',
    hint: 'Connect again; the new connection waits for the new primary',
  },
  TARGET_REMOVED: {
    sqlState: '57P01',
    message: 'Connection closed: this replica left the cluster',
    hint: 'Connect again; the new connection goes to another replica',
  },
  HOLD_TIMEOUT: { sqlState: '57P03', message: 'Cannot connect: no backend was usable within the time limit' },
  VALIDITY_TIMEOUT: {
    sqlState: '08006',
    message: 'Connection closed: nobody could prove within the time limit that the primary still is one',
  },
  TOO_MANY_CLIENTS: {
    sqlState: '53300',
    message: 'Cannot connect: the router has too many clients already',
    hint: 'Close unused connections or raise router.max_client_connections',
  },
  STARTUP_MALFORMED: { sqlState: '08P01', message: 'Cannot read the startup packet: it is malformed' },
  PROTOCOL_UNSUPPORTED: {
    sqlState: '0A000',
    message: 'Cannot speak this frontend protocol: only version 3 is supported',
  },
  TLS_REQUIRED: {
    sqlState: '28000',
    message: 'Cannot connect without TLS: the router is configured to want it',
    hint: 'Connect with sslmode=require, verify-ca or verify-full',
  },
  BYTES_BEFORE_TLS: {
    sqlState: '08P01',
    message: 'Connection closed: unencrypted bytes came behind the request for TLS',
  },
  TLS_WITHOUT_ALPN: {
    sqlState: '08P01',
    message: 'Connection closed: direct TLS needs ALPN with "postgresql"',
  },
  CERTIFICATE_REFUSED: {
    sqlState: '28000',
    message: 'Cannot connect: the client certificate is not valid here',
  },
  ROUTER_STOPPING: {
    sqlState: '57P01',
    message: 'Connection closed: the router is stopping',
    hint: 'Connect again',
  },
}
