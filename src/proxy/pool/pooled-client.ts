import type { Socket } from '../../platform/net.ts'
import { buildErrorResponse, buildFatalResponse, type ErrorFields } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'
import { buildReady } from '../../wire/session-state.ts'
import { closeResponse } from '../close-reason.ts'
import { endClient } from '../frontend/end-client.ts'
import type { PortCounters } from '../port-counters.ts'
import { ClientRoute, type RoutePlace } from '../split/client-route.ts'
import { BetweenServers } from './between-servers.ts'
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
import { ClientTimes } from './client-times.ts'
import { lossAnswer, lossOf } from './lost-server.ts'
import { buildStatementError, NO_MESSAGE, NO_TRANSACTIONS, type StatementError } from './lost-transaction.ts'
import { MessageCursor } from './message-cursor.ts'
import type { Pool, PoolClient } from './pool.ts'
import { ClientStatements, type StatementRegistry } from './prepared-statements.ts'
import { ReadSwitch } from './read-switch.ts'
import type { ServerConnection, ServerLoss, ServerOwner, ServerUser } from './server-connection.ts'
import { judgeStatement, sendNamed, type RewriteContext } from './statement-rewriter.ts'
import { bringSettings, isTracked, type SessionSettings } from './tracked-settings.ts'

/** What a client needs from the pooler around it. */
export interface ClientPlace extends RoutePlace, Pick<ServerOwner, 'mayPass'> {
  readonly registry: StatementRegistry
  clientEnded(client: PooledClient): void
}

type ClientParts = {
  readonly socket: Socket
  readonly counters: PortCounters
  readonly pool: Pool
  /** The tracked settings that it begins with. */
  readonly settings: SessionSettings
}

const READY_IDLE = buildReady('I')
const IDLE = messageType('I')

type Step = 'NEXT' | 'MORE' | 'STOP'

/**
 * A client of the pooled port that has logged in. It has a server connection only while it needs one: in transaction mode from
 * its first message to the end of the transaction. Its bytes go on as the pieces that they came in; only messages about
 * named statements are read.
 */
export class PooledClient implements ServerUser, PoolClient {
  readonly pool: Pool
  readonly statements: ClientStatements
  readonly settings: SessionSettings
  readonly times: ClientTimes
  place: number | undefined
  readonly socket: Socket
  readonly counters: PortCounters
  readonly #place: ClientPlace
  readonly #cursor = new MessageCursor()
  readonly #reading: ReadSwitch
  readonly #between: BetweenServers
  readonly #route: ClientRoute
  #server: ServerConnection | undefined
  #status = IDLE
  /** What the answer that is just being passed on brings about. */
  #afterForward: (() => void) | undefined
  #isWaiting = false
  #isProcessing = false
  #isHeld = false
  #openBatch = false
  #leaves = false
  #ended = false

  constructor(parts: ClientParts, place: ClientPlace) {
    this.pool = parts.pool
    this.settings = parts.settings
    this.socket = parts.socket
    this.#reading = new ReadSwitch(parts.socket)
    this.counters = parts.counters
    this.#place = place
    this.statements = new ClientStatements(place.registry)
    this.times = new ClientTimes(place)
    this.#route = new ClientRoute(parts, { place, cursor: this.#cursor })
    const { statements } = this
    this.#between = new BetweenServers({ statements, registry: place.registry }, (bytes) =>
      this.forward(bytes),
    )
  }

  /** Begins to listen, with what the client had sent already. */
  start(early: Buffer): void {
    const socket = this.socket
    socket.on('data', this.#onData)
    socket.on('drain', () => this.#server?.resume())
    socket.on('end', this.#onLeft)
    socket.on('close', () => this.#end())
    if (early.length > 0) this.#onData(early)
    this.#goOn()
  }

  get server(): ServerConnection | undefined {
    return this.#server
  }
  get serverPool(): Pool {
    return this.#route.from
  }

  get isInTransaction(): boolean {
    return this.#server !== undefined && this.#status !== IDLE
  }

  get endsWithServer(): boolean {
    return this.pool.mode === 'session'
  }

  // What the server connection says.

  forward(bytes: Buffer): boolean {
    if (this.#route.takesBack(bytes)) return true
    this.pool.stats.sent += bytes.length
    const mayGoOn = this.socket.write(bytes)
    this.#afterForward?.()
    return mayGoOn
  }

  statementEnded(status: number): void {
    const { stats, mode } = this.pool
    const isMoreOwed = (this.#server?.expected.owedReady ?? 0) > 0
    this.times.look()
    this.times.statementEnded(stats, isMoreOwed)
    this.#status = status
    if (status === IDLE) return this.times.transactionEnded(stats)
    if (mode === 'statement') this.#afterForward = () => this.refuse(NO_TRANSACTIONS)
    else if (this.#leaves && !isMoreOwed) this.#afterForward = () => this.#end()
  }

  settingChanged(name: string, value: string): void {
    if (isTracked(name)) this.settings.set(name, value)
  }

  statementsDiscarded(): void {
    this.statements.clear()
  }

  serverAtRest(): void {
    if (this.#openBatch || this.#cursor.isInsideMessage) return
    if (this.endsWithServer) {
      if (this.#leaves) this.#end()
      return this.endIfDrained()
    }
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.detach()
    this.#route.from.giveBack(server, this.times.now)
    this.#route.ended()
    if (this.#leaves) this.#end()
    else if (!this.#isProcessing) this.#goOn()
  }

  /** Nothing was sent yet: the primary does it. */
  takeElsewhere(): void {
    if (this.#ended) return
    this.#route.toPrimary()
    this.times.look()
    this.times.waits()
    const server = this.#route.from.take(this)
    if (server && this.#begin(server)) this.#goOn()
  }

  serverDrained(): void {
    this.#goOn()
  }

  serverLost(loss: ServerLoss, fatal?: ErrorFields): void {
    const server = this.#server
    this.#server = undefined
    if (!server || this.#ended) return
    this.times.allLost()
    this.#isHeld = false
    if (this.#isWaiting) return this.takeElsewhere()
    this.#route.lost()
    const { error, close } = lossOf({ loss, fatal, isBusy: !server.expected.isEmpty || this.#openBatch })
    // What an old primary said and a slow client has not taken yet is not to be said any more: reset drops it.
    if (loss === 'PRIMARY_CHANGED' && this.socket.writableLength > 0) {
      this.socket.resetAndDestroy()
      return this.#end()
    }
    if (this.endsWithServer || !server.passedWholeMessages) {
      return this.#end(server.passedWholeMessages ? close : undefined)
    }
    const answer = lossAnswer(error, {
      owedReady: server.expected.owedReady,
      isBatchOpen: this.#openBatch || (server.copiesIn && server.expected.owedReady === 0),
      isInTransaction: this.#status !== IDLE,
    })
    this.counters.errors += 1
    this.#openBatch = false
    this.#status = IDLE
    this.#cursor.discardRest()
    this.#between.afterLoss(answer)
    if (answer.bytes.length > 0) this.forward(answer.bytes)
    if (this.#leaves) return this.#end()
    this.#goOn()
  }

  // What the pool says.

  serverGiven(server: ServerConnection): void {
    this.times.look()
    if (this.#begin(server)) this.#goOn()
  }

  /** No server connection can be had: the client is told and ends. */
  refuse(error: StatementError): void {
    this.#end(buildFatalResponse(error))
  }

  refuseWith(fields: ErrorFields): void {
    this.#end(buildErrorResponse({ ...fields, S: 'FATAL', V: 'FATAL' }))
  }

  /** What waits for a server connection fails; the client stays. */
  cancelWait(error: StatementError): boolean {
    if (!this.#isWaiting || this.#server) return false
    this.#route.from.stopWaiting(this)
    this.#isWaiting = false
    this.times.waitingSince = undefined
    const first = this.#cursor.firstKept
    const isSimple = first === QUERY || first === FUNCTION_CALL
    if (isSimple) this.#cursor.consumeFirst()
    else this.#between.failBatch()
    const told = buildStatementError(error)
    this.forward(isSimple ? Buffer.concat([told, READY_IDLE]) : told)
    this.#goOn()
    return true
  }

  // What the router says.

  hold(): void {
    if (!this.#server || this.#ended || this.#place.mayPass(this.#server.binding)) return
    this.#isHeld = true
    this.#reading.off()
    this.#server.hold()
  }

  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#server?.release()
    if (!this.#isHeld) this.#goOn()
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  /** The primary is about to move: a session that has nothing open ends with its server connection. */
  endIfDrained(): void {
    const server = this.#server
    if (!this.endsWithServer || !server?.isDraining || !server.isClean || this.#openBatch) return
    this.#end(closeResponse('PRIMARY_MOVES', { idle: true }))
  }

  /** Ends the connection from our side. */
  close(response: Buffer | undefined): void {
    this.#end(this.#server === undefined || this.#server.passedWholeMessages ? response : undefined)
  }

  // What the client says.

  readonly #onData = (chunk: Buffer): void => {
    if (this.#ended) return
    this.pool.stats.received += chunk.length
    this.#cursor.add(chunk)
    if (!this.#isBlocked && this.#cursor.hasEnough) return this.#process()
    // Order: it goes on reading up to here, since the end of a client that waits is to be noticed.
    if (this.#cursor.isFull) this.#reading.off()
  }

  readonly #onLeft = (): void => {
    this.#leaves = true
    const isBusy = this.#server !== undefined && !this.#isWaiting && this.#server.expected.owedReady > 0
    if (!isBusy) this.#end()
  }

  #goOn(): void {
    if (this.#ended) return
    if (this.#cursor.hasEnough && !this.#isBlocked) this.#process()
    if (!this.#isHeld && !this.#ended && !this.#cursor.isFull) this.#reading.on()
  }

  get #isBlocked(): boolean {
    return this.#isWaiting || this.#isHeld || this.#route.isClosed
  }

  #process(): void {
    if (this.#server && !this.#place.mayPass(this.#server.binding)) return this.hold()
    this.#isProcessing = true
    this.times.look()
    this.#cursor.open()
    let step: Step = 'NEXT'
    while (step === 'NEXT') step = this.#step()
    if (!this.#ended) this.#flush()
    if (this.#server?.sendGathered() === false) this.#reading.off()
    this.#isProcessing = false
    if (this.#ended) return
    this.#cursor.close()
    if (this.#server?.isClean) this.serverAtRest()
  }

  #step(): Step {
    const { type } = this.#cursor
    if (type === undefined) return 'MORE'
    if (this.#route.isClosed) return 'STOP'
    const { end } = this.#cursor
    if (end === undefined) return this.#violation()
    return this.#server ? this.#withServer(type, end) : this.#withoutServer(type, end)
  }

  #withServer(type: number, end: number): Step {
    const server = this.#server as ServerConnection
    switch (type) {
      case QUERY:
      case FUNCTION_CALL:
        this.#began()
        server.expected.push('READY')
        server.expected.executed()
        this.#route.sent()
        return this.#passOn(end)
      case EXECUTE:
        this.#began()
        server.expected.executed()
        this.#openBatch = true
        return this.#passOn(end)
      case SYNC:
        if (!server.copiesIn) server.expected.push('READY')
        this.#openBatch = false
        this.#route.sent()
        return this.#passOn(end)
      case PARSE:
      case CLOSE:
      case BIND:
      case DESCRIBE:
        return this.#aboutStatement(type, end)
      case COPY_DONE:
      case COPY_FAIL:
        // Without a Query it is the end of a COPY in a batch, whose Sync is still to come.
        if (server.copiesIn && server.expected.isEmpty) this.#openBatch = true
        server.copiesIn = false
        return this.#passOn(end)
      case COPY_DATA:
      case FLUSH:
        return this.#passOn(end)
      case TERMINATE:
        this.#flush()
        this.#end()
        return 'STOP'
      default:
        return this.#violation()
    }
  }

  #aboutStatement(type: number, end: number): Step {
    const server = this.#server as ServerConnection
    this.#openBatch = true
    const { chunk, at } = this.#cursor
    const message = { type, chunk, at, end }
    const verdict = this.pool.statementLimit > 0 ? judgeStatement(message) : 'AS_IS'
    switch (verdict) {
      case 'AS_IS':
        if (type === PARSE || type === CLOSE) server.expected.push('PASS')
        return this.#passOn(end)
      case 'NAMED':
        if (type === PARSE && this.statements.isFull) return this.#violation()
        // Order: what stands before it goes out with it, and first.
        server.gather()
        this.#flush()
        this.#cursor.replaced(sendNamed(message, this.#rewriting(server)), end)
        return 'NEXT'
      case 'MORE':
        return type === BIND ? this.#wait(1, NAMES_BYTES_MAX) : this.#wait(end - at, STATEMENT_BYTES_MAX)
      case 'MALFORMED':
        return this.#violation()
    }
  }

  #rewriting(server: ServerConnection): RewriteContext {
    const { stats, statementLimit: limit } = this.pool
    return { server, registry: this.#place.registry, stats, statements: this.statements, limit }
  }

  #withoutServer(type: number, end: number): Step {
    if (type === TERMINATE) {
      this.#end()
      return 'STOP'
    }
    if (this.#between.needsServer(type)) return this.#obtain()
    const { chunk, at } = this.#cursor
    switch (this.#between.judge({ type, chunk, at, end })) {
      case 'OBTAIN':
        return this.#obtain()
      case 'CONSUMED':
        this.#cursor.consume(end)
        return 'NEXT'
      case 'MORE':
        return this.#wait(end - at, STATEMENT_BYTES_MAX)
      case 'MALFORMED':
        return this.#violation()
    }
  }

  #obtain(): Step {
    this.#route.choose(this.statements)
    this.#isWaiting = true
    this.times.waits()
    const server = this.#route.from.take(this)
    return server && this.#begin(server) ? 'NEXT' : 'STOP'
  }

  /** Takes a server connection over; false while it still has to get this client's settings. */
  #begin(server: ServerConnection): boolean {
    this.#server = server
    server.attach(this)
    this.times.given(this.pool.stats)
    const isSame = this.settings.tracked === server.parameters.tracked
    const isReady = isSame || bringSettings(this.settings, server, (error) => this.#brought(server, error))
    if (isReady) this.#isWaiting = false
    return isReady
  }

  #brought(server: ServerConnection, error: ErrorFields | undefined): void {
    if (!error) {
      this.#isWaiting = false
      return this.#goOn()
    }
    server.detach()
    this.#server = undefined
    this.#route.from.giveBack(server)
    this.refuseWith(error)
  }

  #began(): void {
    this.counters.queries += 1
    this.times.queryBegan(this.pool.stats)
  }

  #passOn(end: number): Step {
    this.#cursor.passOn(end)
    return 'NEXT'
  }

  #wait(bytes: number, limit: number): Step {
    return this.#cursor.waitFor(bytes, limit) ? 'MORE' : this.#violation()
  }

  #flush(): void {
    const bytes = this.#cursor.takeUnsent()
    if (bytes && this.#server && !this.#server.write(bytes)) this.#reading.off()
  }

  #violation(): Step {
    this.refuse(NO_MESSAGE)
    return 'STOP'
  }

  #end(response?: Buffer): void {
    if (this.#ended) return
    this.#ended = true
    this.#route.from.stopWaiting(this)
    const server = this.#server
    this.#server = undefined
    if (server) {
      const isClean = server.isClean && !this.#openBatch && !this.#cursor.isInsideMessage
      server.detach()
      if (isClean) this.#route.from.giveBack(server)
      else server.end('ENDED_BY_ROUTER')
    }
    this.statements.clear()
    this.#cursor.clear()
    this.socket.off('data', this.#onData)
    if (response) this.counters.errors += 1
    endClient(this.socket, response)
    this.#place.clientEnded(this)
  }
}
