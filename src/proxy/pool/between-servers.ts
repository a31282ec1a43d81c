import { MiB } from '../../std/units.ts'
import { message } from '../../wire/frame.ts'
import { buildReady } from '../../wire/session-state.ts'
import { statementOfAbout } from '../../wire/statement.ts'
import {
  BIND,
  CLOSE,
  COPY_DATA,
  COPY_DONE,
  COPY_FAIL,
  DESCRIBE,
  EXECUTE,
  FLUSH,
  FUNCTION_CALL,
  HEADER_BYTES,
  PARSE,
  QUERY,
  SYNC,
} from './client-messages.ts'
import { answerLost, type LossAnswer } from './lost-server.ts'
import type { LostTransaction } from './lost-transaction.ts'
import type { ClientStatements, StatementRegistry } from './prepared-statements.ts'
import type { MessageAt } from './statement-rewriter.ts'

/** `OBTAIN`: it needs a server connection. `CONSUMED`: it is dealt with. `MORE`: it has to be there as a whole first. */
export type BetweenVerdict = 'OBTAIN' | 'CONSUMED' | 'MORE' | 'MALFORMED'

/** A statement that ends a transaction is short; what is longer is none, and not read. */
const READ_BYTES_MAX = MiB
const CLOSE_COMPLETE = message('3', Buffer.alloc(0))
const NEEDS_SERVER = new Uint8Array(256)
for (const type of [QUERY, FUNCTION_CALL, EXECUTE, PARSE, BIND, DESCRIBE]) NEEDS_SERVER[type] = 1

/** What a client's messages mean while it has no server connection: some need none, and some come after the loss of one. */
export class BetweenServers {
  readonly #statements: ClientStatements
  readonly #registry: StatementRegistry
  readonly #forward: (bytes: Buffer) => void
  readonly #status: () => 'I' | 'T'
  #skipsToSync = false
  #lost: LostTransaction | undefined

  constructor(
    client: {
      readonly statements: ClientStatements
      readonly registry: StatementRegistry
      /** Of its transaction, which may be one that nobody has begun yet. */
      readonly status: () => 'I' | 'T'
    },
    forward: (bytes: Buffer) => void,
  ) {
    this.#statements = client.statements
    this.#registry = client.registry
    this.#status = client.status
    this.#forward = forward
  }

  /** A server connection is gone, with what was open on it. */
  afterLoss(answer: LossAnswer): void {
    this.#skipsToSync = answer.skipsToSync
    this.#lost = answer.lost
  }

  /** Whether it is plain that a message of this type needs a server connection, as nearly every first one does. */
  needsServer(type: number): boolean {
    return NEEDS_SERVER[type] === 1 && !this.#skipsToSync && this.#lost === undefined
  }

  judge(at: MessageAt): BetweenVerdict {
    const { type } = at
    if (this.#skipsToSync && type !== SYNC) return 'CONSUMED'
    if (this.#lost) return this.#withLost(this.#lost, at)
    switch (type) {
      case SYNC:
        this.#skipsToSync = false
        this.#forward(buildReady(this.#status()))
        return 'CONSUMED'
      case FLUSH:
      case COPY_DATA:
      case COPY_DONE:
      case COPY_FAIL:
        // What was on its way when a COPY failed.
        return 'CONSUMED'
      case CLOSE:
        return this.#close(at)
      default:
        return NEEDS_SERVER[type] === 1 ? 'OBTAIN' : 'MALFORMED'
    }
  }

  #close({ chunk, at, end }: MessageAt): BetweenVerdict {
    if (chunk.length < end) return 'MORE'
    const name = statementOfAbout(chunk.subarray(at + HEADER_BYTES, end))
    if (name) this.#statements.delete(name)
    this.#forward(CLOSE_COMPLETE)
    return 'CONSUMED'
  }

  #withLost(lost: LostTransaction, { type, chunk, at, end }: MessageAt): BetweenVerdict {
    if (chunk.length < end && end - at <= READ_BYTES_MAX) return 'MORE'
    const body = chunk.subarray(at + HEADER_BYTES, end)
    const answer = answerLost(lost, { type, body, statements: this.#statements, registry: this.#registry })
    if (type === SYNC) this.#skipsToSync = false
    if (!answer) return 'CONSUMED'
    this.#forward(answer.bytes)
    if (answer.skip) this.#skipsToSync = true
    if (answer.isOver) this.#lost = undefined
    return 'CONSUMED'
  }
}
