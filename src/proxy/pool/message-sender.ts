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
import { StatementLabels } from './statement-labels.ts'
import type { StatementLog } from './statement-log.ts'
import { judgeStatement, sendNamed, type RewriteContext } from './statement-rewriter.ts'
import type { SessionSettings } from './tracked-settings.ts'

/** `MORE`: nothing goes on before more of the message is there. `LEAVES`: the client says goodbye. */
type Sent = 'NEXT' | 'MORE' | 'LEAVES' | 'MALFORMED'

type Sender = {
  readonly pool: Pool
  readonly statements: ClientStatements
  readonly settings: Pick<SessionSettings, 'get'>
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
  readonly #log: StatementLog
  /** What runs, where somebody wants to know. */
  #labels: StatementLabels | undefined
  #hasFailed = false

  constructor(
    client: Sender,
    parts: {
      readonly cursor: MessageCursor
      readonly route: ClientRoute
      readonly registry: StatementRegistry
      readonly log: StatementLog
    },
  ) {
    this.#client = client
    this.#cursor = parts.cursor
    this.#route = parts.route
    this.#registry = parts.registry
    this.#log = parts.log
  }

  /** The message at the cursor; `end` may lie beyond the chunk. */
  send(server: ServerConnection, type: number, end: number): Sent {
    const watched = this.#route.isWatching ? this.#watch(server, type, end) : undefined
    if (watched) return watched
    if (this.#log.isOn) this.#label(server, type, end)
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

  /** A statement has failed. */
  failed(): void {
    this.#hasFailed = this.#labels?.isEmpty === false
  }

  /** A ReadyForQuery came; `owed`: so many are still to come. */
  ended(owed: number, tookMs: number): void {
    if (this.#labels === undefined || this.#labels.isEmpty) return
    const ended = this.#labels.ended(owed)
    const { pool, settings } = this.#client
    const hasFailed = this.#hasFailed
    this.#hasFailed = false
    if (!ended) return
    const standardStrings = settings.get('standard_conforming_strings') !== 'off'
    this.#log.ended({ pool, ...ended, standardStrings, tookMs, hasFailed })
  }

  /** Nothing of what was sent will be answered. */
  lost(): void {
    this.#labels?.clear()
    this.#hasFailed = false
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

  /** Order: before the message is sent, since its name may be gone then. */
  #label(server: ServerConnection, type: number, end: number): void {
    const { chunk, at } = this.#cursor
    const owed = server.expected.owedReady + 1
    this.#labels ??= new StatementLabels()
    this.#labels.sent({ type, chunk, at, end }, this.#client.statements, owed)
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
