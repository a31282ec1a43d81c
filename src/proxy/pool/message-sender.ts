import type { PortCounters } from '../port-counters.ts'
import type { ClientRoute } from '../split/client-route.ts'
import { sentInstead, watchedText } from '../split/replica-watch.ts'
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
  NAMES_BYTES_MAX,
  PARSE,
  QUERY,
  STATEMENT_BYTES_MAX,
  SYNC,
  TERMINATE,
} from './client-messages.ts'
import type { ClientTimes } from './client-times.ts'
import type { MessageCursor } from './message-cursor.ts'
import type { Pool } from './pool.ts'
import type { ClientStatements, StatementRegistry } from './prepared-statements.ts'
import type { ServerConnection } from './server-connection.ts'
import { judgeStatement, sendNamed, type RewriteContext } from './statement-rewriter.ts'

/** `MORE`: nothing goes on before more of the message is there. `LEAVES`: the client says goodbye. */
type Sent = 'NEXT' | 'MORE' | 'LEAVES' | 'MALFORMED'

type Sender = {
  readonly pool: Pool
  readonly statements: ClientStatements
  readonly times: ClientTimes
  readonly counters: PortCounters
}

/** Passes a client's messages on to the server connection that it has, and keeps account of what that owes for them. */
export class MessageSender {
  /** A batch has begun whose Sync is still to come. */
  isBatchOpen = false
  readonly #client: Sender
  readonly #cursor: MessageCursor
  readonly #route: ClientRoute
  readonly #registry: StatementRegistry

  constructor(
    client: Sender,
    parts: {
      readonly cursor: MessageCursor
      readonly route: ClientRoute
      readonly registry: StatementRegistry
    },
  ) {
    this.#client = client
    this.#cursor = parts.cursor
    this.#route = parts.route
    this.#registry = parts.registry
  }

  /** The message at the cursor; `end` may lie beyond the chunk. */
  send(server: ServerConnection, type: number, end: number): Sent {
    const watched = this.#route.isWatching ? this.#watch(server, type, end) : undefined
    if (watched) return watched
    switch (type) {
      case QUERY:
      case FUNCTION_CALL:
        this.#querySent(server)
        return this.#passOn(end)
      case EXECUTE:
        this.#began()
        server.expected.executed()
        this.isBatchOpen = true
        return this.#passOn(end)
      case SYNC:
        if (!server.copiesIn) server.expected.push('READY')
        this.isBatchOpen = false
        this.#route.sent()
        return this.#passOn(end)
      case PARSE:
      case CLOSE:
      case BIND:
      case DESCRIBE:
        return this.#aboutStatement(server, type, end)
      case COPY_DONE:
      case COPY_FAIL:
        // Without a Query it is the end of a COPY in a batch, whose Sync is still to come.
        if (server.copiesIn && server.expected.isEmpty) this.isBatchOpen = true
        server.copiesIn = false
        return this.#passOn(end)
      case COPY_DATA:
      case FLUSH:
        return this.#passOn(end)
      case TERMINATE:
        return 'LEAVES'
      default:
        return 'MALFORMED'
    }
  }

  /** Sends what was passed on. False when PostgreSQL should not get more for now. */
  flush(server: ServerConnection): boolean {
    const bytes = this.#cursor.takeUnsent()
    return bytes === undefined || server.write(bytes)
  }

  /** What would mean nothing on a replica does not get there. */
  #watch(server: ServerConnection, type: number, end: number): Sent | undefined {
    const { chunk, at } = this.#cursor
    const found = watchedText({ type, chunk, at, end }, this.#client.statements)
    if (found === 'MORE') return this.#wait(type === BIND ? 1 : end - at, STATEMENT_BYTES_MAX)
    if (!found || this.#route.mayRun(found.text)) return undefined
    // Order: what stands before it goes out with it, and first.
    server.gather()
    this.flush(server)
    server.write(sentInstead(type))
    if (type === QUERY) this.#querySent(server)
    else this.isBatchOpen = true
    this.#cursor.replaced(end, end)
    return 'NEXT'
  }

  #querySent(server: ServerConnection): void {
    this.#began()
    server.expected.push('READY')
    server.expected.executed()
    this.#route.sent()
  }

  #aboutStatement(server: ServerConnection, type: number, end: number): Sent {
    this.isBatchOpen = true
    const { chunk, at } = this.#cursor
    const message = { type, chunk, at, end }
    const { pool, statements } = this.#client
    const verdict = pool.statementLimit > 0 ? judgeStatement(message) : 'AS_IS'
    switch (verdict) {
      case 'AS_IS':
        if (type === PARSE || type === CLOSE) server.expected.push('PASS')
        return this.#passOn(end)
      case 'NAMED':
        if (type === PARSE && statements.isFull) return 'MALFORMED'
        // Order: what stands before it goes out with it, and first.
        server.gather()
        this.flush(server)
        this.#cursor.replaced(sendNamed(message, this.#rewriting(server)), end)
        return 'NEXT'
      case 'MORE':
        return type === BIND ? this.#wait(1, NAMES_BYTES_MAX) : this.#wait(end - at, STATEMENT_BYTES_MAX)
      case 'MALFORMED':
        return 'MALFORMED'
    }
  }

  #rewriting(server: ServerConnection): RewriteContext {
    const { statements, pool } = this.#client
    const { stats, statementLimit: limit } = pool
    return { server, registry: this.#registry, stats, statements, limit }
  }

  #began(): void {
    this.#client.counters.queries += 1
    this.#client.times.queryBegan(this.#client.pool.stats)
  }

  #passOn(end: number): Sent {
    this.#cursor.passOn(end)
    return 'NEXT'
  }

  #wait(bytes: number, limit: number): Sent {
    return this.#cursor.waitFor(bytes, limit) ? 'MORE' : 'MALFORMED'
  }
}
