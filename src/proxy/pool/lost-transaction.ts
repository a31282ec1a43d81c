import { buildErrorResponse } from '../../wire/error-response.ts'
import { message } from '../../wire/frame.ts'
import { buildCommandComplete, buildReady } from '../../wire/session-state.ts'

/** What the client learns of its statement or transaction; its connection stays. */
export type StatementError = {
  readonly sqlState: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

export const NO_MESSAGE: StatementError = {
  sqlState: '08P01',
  message: 'Protocol violation: the client sent something that is no message',
}

/** In statement mode the next statement may run elsewhere, so that a transaction cannot be. */
export const NO_TRANSACTIONS: StatementError = {
  sqlState: '0A000',
  message: 'Transaction blocks are not allowed in statement pooling mode',
}

export function buildStatementError(error: StatementError): Buffer {
  return buildErrorResponse({
    S: 'ERROR',
    V: 'ERROR',
    C: error.sqlState,
    M: error.message,
    ...(error.detail === undefined ? {} : { D: error.detail }),
    ...(error.hint === undefined ? {} : { H: error.hint }),
  })
}

/** The answer to one message; `skip`: what follows up to the Sync is dropped, as PostgreSQL does after an error. */
export type LostAnswer = { readonly bytes: Buffer; readonly skip?: true; readonly isOver?: true }

const ENDS_TRANSACTION = /^\s*(?:rollback|abort|commit|end)(?:\s+(?:work|transaction))?\s*;?\s*$/i
const ABORTED: StatementError = {
  sqlState: '25P02',
  message: 'current transaction is aborted, commands ignored until end of transaction block',
}
export const PARSE_COMPLETE = message('1', Buffer.alloc(0))
export const BIND_COMPLETE = message('2', Buffer.alloc(0))
export const NO_DATA = message('n', Buffer.alloc(0))
export const NO_PARAMETERS = message('t', Buffer.alloc(2))
const ROLLED_BACK = buildCommandComplete('ROLLBACK')

/** Whether a text does nothing but end a transaction, as a whole. */
function endsTransaction(text: string): boolean {
  return ENDS_TRANSACTION.test(text)
}

/**
 * A transaction whose server connection is gone. The client still believes to be in it, so it gets what PostgreSQL says in a
 * transaction that failed: if its next statements ran as they are, half of its work would be committed outside of any
 * transaction. It is over when the client ends it.
 */
export class LostTransaction {
  #news: StatementError | undefined
  #isEndParsed = false
  #isOver = false

  /** `news`: what is said once; `undefined` when the client has been told. */
  constructor(news: StatementError | undefined) {
    this.#news = news
  }

  query(text: string): LostAnswer {
    if (!endsTransaction(text)) return { bytes: Buffer.concat([this.#error(), buildReady('E')]) }
    return { bytes: Buffer.concat([ROLLED_BACK, buildReady('I')]), isOver: true }
  }

  parse(text: string): LostAnswer {
    this.#isEndParsed = endsTransaction(text)
    return this.#isEndParsed ? { bytes: PARSE_COMPLETE } : { bytes: this.#error(), skip: true }
  }

  /** `text`: that of a statement prepared earlier; `undefined`: the unnamed one. */
  bind(text: string | undefined): LostAnswer {
    const isEnd = text === undefined ? this.#isEndParsed : endsTransaction(text)
    return isEnd ? { bytes: BIND_COMPLETE } : { bytes: this.#error(), skip: true }
  }

  describe(isStatement: boolean): LostAnswer {
    return { bytes: isStatement ? Buffer.concat([NO_PARAMETERS, NO_DATA]) : NO_DATA }
  }

  execute(): LostAnswer {
    this.#isOver = true
    return { bytes: ROLLED_BACK }
  }

  sync(): LostAnswer {
    return this.#isOver ? { bytes: buildReady('I'), isOver: true } : { bytes: buildReady('E') }
  }

  #error(): Buffer {
    const error = this.#news ?? ABORTED
    this.#news = undefined
    return buildStatementError(error)
  }
}
