import { buildFatalResponse, type ErrorFields } from '../../wire/error-response.ts'
import { buildReady } from '../../wire/session-state.ts'
import { statementOfAbout } from '../../wire/statement.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import { BIND, DESCRIBE, EXECUTE, FUNCTION_CALL, PARSE, QUERY, SYNC } from './client-messages.ts'
import {
  buildStatementError,
  LostTransaction,
  type LostAnswer,
  type StatementError,
} from './lost-transaction.ts'
import type { ClientStatements, StatementRegistry } from './prepared-statements.ts'
import type { ServerLoss } from './server-connection.ts'

/** The end of a server connection in a client's words: an error where its connection stays, last words where not. */
export type LossWords = { readonly error: StatementError; readonly close: Buffer | undefined }

export function lossOf(lost: {
  readonly loss: ServerLoss
  readonly fatal: ErrorFields | undefined
  /** Something was sent and not answered. */
  readonly isBusy: boolean
}): LossWords {
  const { loss, fatal, isBusy } = lost
  const error = {
    sqlState: fatal?.['C'] ?? (isBusy ? '40003' : '40000'),
    message: `${isBusy ? 'Statement' : 'Transaction'} lost: ${fatal?.['M'] ?? WORDS[loss]}`,
    detail: isBusy
      ? 'Whether what was open was committed is unknown, and it is not repeated'
      : 'It had not been committed; PostgreSQL rolls it back',
    hint: 'The connection goes on: repeat the transaction where that is safe',
  }
  return { error, close: fatal ? undefined : closing(loss, isBusy) }
}

/** Why a client's connection ends with its server connection. */
export function reasonOf(loss: ServerLoss): CloseReason {
  return loss === 'ENDED_BY_ROUTER' ? 'BACKEND_CLOSED' : loss
}

const WORDS: Readonly<Record<ServerLoss, string>> = {
  COMMIT_UNCONFIRMED: 'the wait for the standbys of a commit was cancelled',
  BACKEND_LOST: 'PostgreSQL closed the connection without a reason',
  PRIMARY_CHANGED: 'the primary changed',
  TARGET_REMOVED: 'the replica is none any more',
  VALIDITY_TIMEOUT: 'nobody could prove within the time limit that the primary still is one',
  ENDED_BY_ROUTER: 'the router closed its server connection',
}

function closing(loss: ServerLoss, isBusy: boolean): Buffer | undefined {
  if (loss !== 'ENDED_BY_ROUTER') return closeResponse(loss, { idle: !isBusy })
  return buildFatalResponse({ sqlState: '57P01', message: `Connection closed: ${WORDS[loss]}` })
}

export type LossAnswer = {
  readonly bytes: Buffer
  /** The client still has to end a batch: everything up to its Sync is dropped. */
  readonly skipsToSync: boolean
  readonly lost: LostTransaction | undefined
}

/** What a client is told that stays connected: every statement in flight has failed, and so has its transaction. */
export function lossAnswer(
  error: StatementError,
  state: {
    readonly owedReady: number
    readonly isBatchOpen: boolean
    readonly isInTransaction: boolean
  },
): LossAnswer {
  const { owedReady, isBatchOpen, isInTransaction } = state
  const told = buildStatementError(error)
  const ready = buildReady(isInTransaction ? 'E' : 'I')
  const pieces: Buffer[] = []
  for (let index = 0; index < owedReady; index += 1) pieces.push(told, ready)
  if (isBatchOpen) pieces.push(told)
  const isTold = pieces.length > 0
  return {
    bytes: Buffer.concat(pieces),
    skipsToSync: isBatchOpen,
    lost: isInTransaction ? new LostTransaction(isTold ? undefined : error) : undefined,
  }
}

/** Answers a whole message of a client whose transaction is lost; `undefined`: nobody waits for an answer. */
export function answerLost(
  lost: LostTransaction,
  message: {
    readonly type: number
    readonly body: Buffer
    readonly statements: ClientStatements
    readonly registry: StatementRegistry
  },
): LostAnswer | undefined {
  const { type, body, statements, registry } = message
  switch (type) {
    case QUERY:
      return lost.query(textAt(body, 0))
    case FUNCTION_CALL:
      return lost.query('')
    case PARSE: {
      const nameEnd = body.indexOf(0)
      const answer = lost.parse(textAt(body, nameEnd + 1))
      if (!answer.skip && nameEnd > 0) {
        const name = body.toString('utf8', 0, nameEnd)
        if (!statements.get(name)) statements.set(name, registry.take(body.subarray(nameEnd + 1)))
      }
      return answer
    }
    case BIND: {
      const name = textAt(body, body.indexOf(0) + 1)
      if (name === '') return lost.bind(undefined)
      const definition = statements.get(name)?.definition
      return lost.bind(definition ? textAt(definition, 0) : '')
    }
    case DESCRIBE:
      return lost.describe(statementOfAbout(body) !== undefined)
    case EXECUTE:
      return lost.execute()
    case SYNC:
      return lost.sync()
    default:
      return undefined
  }
}

/** The text that begins here and ends with a zero byte. */
function textAt(bytes: Buffer, start: number): string {
  const end = bytes.indexOf(0, start)
  return bytes.toString('utf8', start, end < 0 ? bytes.length : end)
}
