import type { Socket } from '../../platform/net.ts'
import { buildErrorResponse, buildFatalResponse, type ErrorFields } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'
import { buildReady } from '../../wire/session-state.ts'
import { closeResponse, type CloseReason } from '../close-reason.ts'
import { endClient } from '../frontend/end-client.ts'
import type { PortCounters } from '../port-counters.ts'
import { ClientRoute, type OwnAnswer, type RoutePlace } from '../split/client-route.ts'
import { BetweenServers } from './between-servers.ts'
import { FUNCTION_CALL, QUERY, STATEMENT_BYTES_MAX, TERMINATE } from './client-messages.ts'
import { ClientTimes } from './client-times.ts'
import { lossAnswer, lossOf, reasonOf } from './lost-server.ts'
import {
  buildStatementError,
  LostTransaction,
  NO_MESSAGE,
  NO_TRANSACTIONS,
  type StatementError,
} from './lost-transaction.ts'
import { MessageCursor } from './message-cursor.ts'
import { MessageSender } from './message-sender.ts'
import type { Pool, PoolClient } from './pool.ts'
import { ClientStatements, type StatementRegistry } from './prepared-statements.ts'
import { ReadSwitch } from './read-switch.ts'
import type { StatementLog } from './statement-log.ts'
import type { ServerConnection, ServerLoss, ServerOwner, ServerUser } from './server-connection.ts'
import { bringSettings, isTracked, type SessionSettings } from './tracked-settings.ts'

/** What a client needs from the pooler around it. */
export interface ClientPlace extends RoutePlace, Pick<ServerOwner, 'mayPass'> {
  readonly registry: StatementRegistry
  readonly statementLog: StatementLog
  clientEnded(client: PooledClient, reason: CloseReason): void
}

type ClientParts = {
  readonly socket: Socket
  readonly counters: PortCounters
  readonly pool: Pool
  /** The tracked settings that it begins with. */
  readonly settings: SessionSettings
}

const READY_IDLE = buildReady('I')
const READY_FAILED = buildReady('E')
const IDLE = messageType('I')
const IN_TRANSACTION = messageType('T')
const FAILED = messageType('E')

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
  readonly #sender: MessageSender
  #server: ServerConnection | undefined
  #status = IDLE
  /** What the answer that is just being passed on brings about. */
  #afterForward: (() => void) | undefined
  #isWaiting = false
  #isProcessing = false
  #isHeld = false
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
    this.#sender = new MessageSender(this, {
      cursor: this.#cursor,
      route: this.#route,
      registry: place.registry,
      log: place.statementLog,
    })
    const status = (): 'I' | 'T' => (this.#route.isPutOff ? 'T' : 'I')
    this.#between = new BetweenServers({ statements, registry: place.registry, status }, (bytes) =>
      this.forward(bytes),
    )
  }

  /** Begins to listen, with what the client had sent already. */
  start(early: Buffer): void {
    const socket = this.socket
    socket.on('data', this.#onData)
    socket.on('drain', () => this.#server?.resume())
    socket.on('end', this.#onLeft)
    socket.on('close', () => this.#end('CLIENT_LEFT'))
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
    return this.#status !== IDLE && (this.#server !== undefined || this.#route.isPutOff)
  }

  get endsWithServer(): boolean {
    return this.pool.mode === 'session'
  }

  // What the server connection says.

  forward(bytes: Buffer): boolean {
    if (this.#route.takesBack(bytes)) {
      // Outside of a transaction the server connection is at rest now, which is enough.
      if (this.#status === FAILED) this.#takeBack()
      return true
    }
    this.pool.stats.sent += bytes.length
    const mayGoOn = this.socket.write(bytes)
    this.#afterForward?.()
    return mayGoOn
  }

  statementEnded(status: number): void {
    const { stats, mode } = this.pool
    const owed = this.#server?.expected.owedReady ?? 0
    const isMoreOwed = owed > 0
    this.times.look()
    const tookMs = this.times.statementEnded(stats, isMoreOwed)
    this.pool.latency.add(tookMs)
    this.#sender.ended(owed, tookMs)
    this.#status = status
    this.#route.answered(status === IDLE ? 'I' : status === FAILED ? 'E' : 'T')
    if (status === IDLE) return this.times.transactionEnded(stats)
    if (this.#route.isClosed) this.#afterForward = this.#goOnInTransaction
    if (mode === 'statement') this.#afterForward = () => this.refuse(NO_TRANSACTIONS)
    else if (this.#leaves && !isMoreOwed) this.#afterForward = () => this.#end('CLIENT_LEFT')
  }

  settingChanged(name: string, value: string): void {
    if (isTracked(name)) this.settings.set(name, value)
  }

  failed(fields: ErrorFields): Buffer | undefined {
    this.#sender.failed()
    return this.#route.failed(fields)
  }

  statementsDiscarded(): void {
    this.statements.clear()
  }

  serverAtRest(): void {
    if (this.#sender.isBatchOpen || this.#cursor.isInsideMessage) return
    if (this.endsWithServer) {
      if (this.#leaves) this.#end('CLIENT_LEFT')
      return this.endIfDrained()
    }
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.detach()
    this.#route.from.giveBack(server, this.times.now)
    this.#route.ended()
    if (this.#leaves) this.#end('CLIENT_LEFT')
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
    this.#sender.lost()
    this.#isHeld = false
    if (this.#isWaiting) return this.takeElsewhere()
    this.#route.lost()
    const { error, close } = lossOf({
      loss,
      fatal,
      isBusy: !server.expected.isEmpty || this.#sender.isBatchOpen,
    })
    // What an old primary said and a slow client has not taken yet is not to be said any more: reset drops it.
    if (loss === 'PRIMARY_CHANGED' && this.socket.writableLength > 0) {
      this.socket.resetAndDestroy()
      return this.#end('PRIMARY_CHANGED')
    }
    if (this.endsWithServer || !server.passedWholeMessages) {
      return this.#end(reasonOf(loss), server.passedWholeMessages ? close : undefined)
    }
    const answer = lossAnswer(error, {
      owedReady: server.expected.owedReady,
      isBatchOpen: this.#sender.isBatchOpen || (server.copiesIn && server.expected.owedReady === 0),
      isInTransaction: this.#status !== IDLE,
    })
    this.counters.errors += 1
    this.#sender.isBatchOpen = false
    this.#status = IDLE
    this.#cursor.discardRest()
    this.#between.afterLoss(answer)
    if (answer.bytes.length > 0) this.forward(answer.bytes)
    if (this.#leaves) return this.#end('CLIENT_LEFT')
    this.#goOn()
  }

  // What the pool says.

  serverGiven(server: ServerConnection): void {
    this.times.look()
    if (this.#begin(server)) this.#goOn()
  }

  /** No server connection can be had: the client is told and ends. */
  refuse(error: StatementError): void {
    this.#end('LIMIT_REACHED', buildFatalResponse(error))
  }

  refuseWith(fields: ErrorFields): void {
    this.#end('LOGIN_REFUSED', buildErrorResponse({ ...fields, S: 'FATAL', V: 'FATAL' }))
  }

  /** What waits for a server connection fails; the client stays. */
  cancelWait(error: StatementError): boolean {
    if (!this.#isWaiting || this.#server) return false
    this.#route.from.stopWaiting(this)
    this.#isWaiting = false
    this.times.waitingSince = undefined
    const first = this.#cursor.firstKept
    const isSimple = first === QUERY || first === FUNCTION_CALL
    const lost = this.#route.isPutOff ? new LostTransaction(undefined) : undefined
    this.#route.lost()
    if (isSimple) this.#cursor.consumeFirst()
    const told = buildStatementError(error)
    this.#between.afterLoss({ bytes: told, skipsToSync: !isSimple, lost })
    this.forward(isSimple ? Buffer.concat([told, lost ? READY_FAILED : READY_IDLE]) : told)
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
    if (!this.endsWithServer || !server?.isDraining || !server.isClean || this.#sender.isBatchOpen) return
    this.#end('PRIMARY_MOVES', closeResponse('PRIMARY_MOVES', { idle: true }))
  }

  /** Ends the connection from our side. */
  close(reason: CloseReason, response: Buffer | undefined): void {
    this.#end(reason, this.#server === undefined || this.#server.passedWholeMessages ? response : undefined)
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

  readonly #goOnInTransaction = (): void => {
    this.#afterForward = undefined
    this.#route.goesOn()
    this.#goOn()
  }

  /** A replica has refused the first statement of a transaction: it is the primary's, from its BEGIN on. */
  #takeBack(): void {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    this.#afterForward = undefined
    server.detach()
    this.#route.from.rollBack(server)
    this.#route.ended()
    this.#status = this.#route.isPutOff ? IN_TRANSACTION : IDLE
    this.#goOn()
  }

  readonly #onLeft = (): void => {
    this.#leaves = true
    const isBusy = this.#server !== undefined && !this.#isWaiting && this.#server.expected.owedReady > 0
    if (!isBusy) this.#end('CLIENT_LEFT')
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
    return this.#server ? this.#withServer(this.#server, type, end) : this.#withoutServer(type, end)
  }

  #withServer(server: ServerConnection, type: number, end: number): Step {
    const step = this.#sender.send(server, type, end)
    if (step === 'MALFORMED') return this.#violation()
    if (step !== 'LEAVES') return step
    this.#flush()
    this.#end('CLIENT_LEFT')
    return 'STOP'
  }

  #withoutServer(type: number, end: number): Step {
    if (type === TERMINATE) {
      this.#end('CLIENT_LEFT')
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
        return this.#cursor.waitFor(end - at, STATEMENT_BYTES_MAX) ? 'MORE' : this.#violation()
      case 'MALFORMED':
        return this.#violation()
    }
  }

  #obtain(): Step {
    const answer = this.#route.choose(this.statements)
    if (answer === 'WAIT') return this.#waitForReplica()
    if (answer) return this.#answerHere(answer)
    this.#isWaiting = true
    this.times.waits()
    const server = this.#route.from.take(this)
    return server && this.#begin(server) ? 'NEXT' : 'STOP'
  }

  #waitForReplica(): Step {
    this.#isWaiting = true
    this.times.waits()
    this.#route.wait(() => {
      this.#isWaiting = false
      this.#goOn()
    })
    return 'STOP'
  }

  #answerHere({ bytes, end, isInTransaction }: OwnAnswer): Step {
    this.#cursor.consume(end)
    this.#status = isInTransaction ? IN_TRANSACTION : IDLE
    this.counters.queries += 1
    this.times.answeredHere(this.pool.stats, !isInTransaction)
    this.forward(bytes)
    return 'NEXT'
  }

  /** Takes a server connection over; false while it still has to get this client's settings. */
  #begin(server: ServerConnection): boolean {
    this.#server = server
    server.attach(this)
    this.times.given(this.pool.stats)
    const isSame = this.settings.tracked === server.parameters.tracked
    const isReady = isSame || bringSettings(this.settings, server, (error) => this.#brought(server, error))
    return isReady && this.#beginTransaction(server)
  }

  /** Runs the BEGIN that was put off, if there is one: true where there is none. */
  #beginTransaction(server: ServerConnection): boolean {
    const { begin } = this.#route
    this.#isWaiting = begin !== undefined
    if (begin === undefined) return true
    server.run(begin, (error) => {
      if (!error) this.#route.begun()
      this.#brought(server, error)
    })
    return false
  }

  #brought(server: ServerConnection, error: ErrorFields | undefined): void {
    if (!error) {
      if (this.#beginTransaction(server)) this.#goOn()
      return
    }
    server.detach()
    this.#server = undefined
    if (server.isClean) this.#route.from.giveBack(server)
    else server.end('ENDED_BY_ROUTER')
    this.refuseWith(error)
  }

  #flush(): void {
    if (this.#server && !this.#sender.flush(this.#server)) this.#reading.off()
  }

  #violation(): Step {
    this.#end('PROTOCOL_VIOLATION', buildFatalResponse(NO_MESSAGE))
    return 'STOP'
  }

  #end(reason: CloseReason, response?: Buffer): void {
    if (this.#ended) return
    this.#ended = true
    this.#route.from.stopWaiting(this)
    this.#route.stopWaiting()
    const server = this.#server
    this.#server = undefined
    if (server) {
      const isClean = server.isClean && !this.#sender.isBatchOpen && !this.#cursor.isInsideMessage
      server.detach()
      if (isClean) this.#route.from.giveBack(server)
      else server.end('ENDED_BY_ROUTER')
    }
    this.statements.clear()
    this.#cursor.clear()
    this.socket.off('data', this.#onData)
    if (response) this.counters.errors += 1
    endClient(this.socket, response)
    this.#place.clientEnded(this, reason)
  }
}
