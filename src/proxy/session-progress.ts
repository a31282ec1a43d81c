import { messageType } from '../wire/frame.ts'
import { isWaitCancelled } from '../wire/error-response.ts'
import { MessageScanner, type MessageVisitor } from '../wire/message-scanner.ts'
import { parseBackendKey, type CancelKey } from '../wire/startup.ts'
import type { PortCounters } from './port-counters.ts'

/** ReadyForQuery's word; `starting` until the first one. */
export type TransactionStatus = 'starting' | 'idle' | 'transaction' | 'failed'

const QUERY = messageType('Q')
const EXECUTE = messageType('E')
const FUNCTION_CALL = messageType('F')
const SYNC = messageType('S')
const TERMINATE = messageType('X')
const COPY_DATA = messageType('d')
const COPY_DONE = messageType('c')
const COPY_FAIL = messageType('f')
const ERROR_RESPONSE = messageType('E')
const READY = messageType('Z')
const BACKEND_KEY = messageType('K')
const NOTICE = messageType('N')
const CAPTURED = [READY, BACKEND_KEY, NOTICE]
const NOTHING_CAPTURED: readonly number[] = []

/** What the bytes of one session tell about it, from headers alone; adds to its port's counters. */
export class SessionProgress {
  readonly #counters: PortCounters
  readonly #onKey: (key: CancelKey) => void
  readonly #toBackend: MessageScanner
  readonly #toClient: MessageScanner
  #status: TransactionStatus = 'starting'
  /** ReadyForQuery messages that PostgreSQL still owes. */
  #owed = 0
  /** Syncs since the last Execute: PostgreSQL ignores them when that Execute turns out to be a COPY FROM. */
  #syncsSinceExecute = 0
  /** Messages of an extended batch went out and no Sync yet. */
  #openBatch = false
  #terminated = false
  #isUnconfirmed = false
  #hasAnswered = false
  #lastFromBackend = 0

  constructor(counters: PortCounters, onKey: (key: CancelKey) => void) {
    this.#counters = counters
    this.#onKey = onKey
    const fromClient: MessageVisitor = { message: (type) => this.#fromClient(type), captured: () => {} }
    this.#toBackend = new MessageScanner(fromClient, NOTHING_CAPTURED)
    const fromBackend: MessageVisitor = {
      message: (type) => this.#fromBackend(type),
      captured: (type, body) => this.#captured(type, body),
    }
    this.#toClient = new MessageScanner(fromBackend, CAPTURED)
  }

  get status(): TransactionStatus {
    return this.#status
  }

  /** No statement in flight and no transaction open, as far as headers can tell. */
  get isIdle(): boolean {
    return this.#status === 'idle' && this.#owed === 0 && !this.#openBatch && this.#toBackend.atBorder
  }

  /** Something that the client asked for has been answered. */
  get hasAnswered(): boolean {
    return this.#hasAnswered
  }

  /** The client has whole messages only: one of ours can follow. */
  get clientAtBorder(): boolean {
    return this.#toClient.atBorder
  }

  /** PostgreSQL said that a commit did not wait for the standbys that it has to be on: the success that follows is none. */
  get isUnconfirmed(): boolean {
    return this.#isUnconfirmed
  }

  /** The session's end needs no explanation: the client asked for it, or PostgreSQL's last word was an error. */
  get endIsExplained(): boolean {
    return this.#terminated || (this.#lastFromBackend === ERROR_RESPONSE && this.#toClient.atBorder)
  }

  scanToBackend(chunk: Buffer): void {
    this.#toBackend.scan(chunk)
  }

  scanToClient(chunk: Buffer): void {
    this.#toClient.scan(chunk)
  }

  #fromClient(type: number): void {
    switch (type) {
      case QUERY:
      case FUNCTION_CALL:
        this.#counters.queries += 1
        this.#owed += 1
        return
      case SYNC:
        this.#owed += 1
        this.#syncsSinceExecute += 1
        this.#openBatch = false
        return
      case COPY_DATA:
        return
      case COPY_DONE:
      case COPY_FAIL:
        this.#owed = Math.max(0, this.#owed - this.#syncsSinceExecute)
        this.#syncsSinceExecute = 0
        return
      case TERMINATE:
        this.#terminated = true
        return
      case EXECUTE:
        this.#counters.queries += 1
        this.#syncsSinceExecute = 0
        this.#openBatch = true
        return
      default:
        // During authentication these are password messages.
        if (this.#status !== 'starting') this.#openBatch = true
    }
  }

  #fromBackend(type: number): void {
    this.#lastFromBackend = type
    if (type === ERROR_RESPONSE) this.#counters.errors += 1
  }

  #captured(type: number, body: Buffer): void {
    if (type === READY) {
      this.#status = statusOf(body[0])
      if (this.#owed > 0) {
        this.#owed -= 1
        this.#hasAnswered = true
      }
      return
    }
    if (type === NOTICE) {
      if (isWaitCancelled(body)) this.#isUnconfirmed = true
      return
    }
    const key = parseBackendKey(body)
    if (key) this.#onKey(key)
  }
}

function statusOf(byte: number | undefined): TransactionStatus {
  if (byte === messageType('I')) return 'idle'
  return byte === messageType('E') ? 'failed' : 'transaction'
}
