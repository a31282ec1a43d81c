import { parseErrorResponse } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'
import { KiB } from '../../std/units.ts'
import { HEADER_BYTES } from '../pool/client-messages.ts'
import type { MessageCursor } from '../pool/message-cursor.ts'
import type { Pool } from '../pool/pool.ts'
import type { ClientStatements } from '../pool/prepared-statements.ts'
import type { SessionSettings } from '../pool/tracked-settings.ts'
import { readUnit } from './read-unit.ts'
import type { ReadSplit, SplitClient } from './read-split.ts'
import { SessionTraits } from './session-traits.ts'

/** Where a client's next server connection comes from. */
export interface RoutePlace {
  now(): number
  /** Absent: everything goes to the primary. */
  readonly split: ReadSplit | undefined
}

/** What was sent to a replica, for as long as the client has seen nothing of the answer. */
type Pending = { readonly bytes: Buffer; readonly texts: readonly string[] }

/** A longer one is not kept, and its refusal is the client's. */
const KEPT_UNIT_BYTES_MAX = 64 * KiB
/**
 * What a standby says to a statement that only a primary can run, or that its replay was in the way of: read-only, not supported or
 * not possible during recovery, in conflict with recovery.
 */
const REFUSALS: ReadonlySet<string> = new Set(['25006', '0A000', '55000', '40001'])
const ERROR = messageType('E')
/** What may stand before the error of a statement that has given nothing: descriptions, and what a batch did first. */
const HARMLESS: ReadonlySet<number> = new Set(['T', 't', 'n', '1', '2'].map((letter) => messageType(letter)))

/**
 * One client's part in the read/write split: the pool that its server connection comes from, and what runs on it. A proven read
 * runs alone: what follows waits until it has ended, since it may have to go elsewhere. Where a replica refuses it before the client
 * has seen anything, the primary runs it: it has done nothing yet, outside of any transaction.
 */
export class ClientRoute implements SplitClient {
  readonly pool: Pool
  readonly settings: Pick<SessionSettings, 'get'>
  /** Its own pool, or the same on a replica. */
  from: Pool
  committedAt: number | undefined
  readonly traits = new SessionTraits()
  readonly #place: RoutePlace
  readonly #cursor: MessageCursor
  #isRead = false
  #isSent = false
  #pending: Pending | undefined
  #isRefused = false
  #wasRefused = false

  constructor(
    client: { readonly pool: Pool; readonly settings: Pick<SessionSettings, 'get'> },
    parts: { readonly place: RoutePlace; readonly cursor: MessageCursor },
  ) {
    this.pool = client.pool
    this.settings = client.settings
    this.from = client.pool
    this.#place = parts.place
    this.#cursor = parts.cursor
  }

  /** A Query or a batch begins, for which the client has no server connection. */
  choose(statements: ClientStatements): void {
    const { split } = this.#place
    if (split === undefined || this.pool.mode === 'session') return
    const { chunk, at } = this.#cursor
    const unit = readUnit(chunk, at, statements)
    const { pool, isRead } = split.choose(this, unit?.texts)
    this.#isRead = isRead
    this.from = this.#wasRefused ? this.pool : pool
    this.#wasRefused = false
    const isKept =
      this.from !== this.pool && unit?.isRepeatable === true && unit.end - at <= KEPT_UNIT_BYTES_MAX
    this.#pending = isKept
      ? { bytes: Buffer.from(chunk.subarray(at, unit.end)), texts: unit.texts }
      : undefined
  }

  /** A Query or the Sync of a batch was sent. */
  sent(): void {
    this.#isSent = this.#isRead
  }

  /** Whether what follows has to wait. */
  get isClosed(): boolean {
    return this.#isSent
  }

  toPrimary(): void {
    this.from = this.pool
    this.#pending = undefined
  }

  /** Whether the client is not to see this part of an answer, since the primary will give another. */
  takesBack(bytes: Buffer): boolean {
    if (this.#pending === undefined) return false
    this.#isRefused ||= isRefusal(bytes)
    if (!this.#isRefused) this.#pending = undefined
    return this.#isRefused
  }

  /** The server connection is given back. What may have been a commit has to be found by the reads that follow. */
  ended(): void {
    if (this.#isRefused && this.#pending !== undefined) {
      this.#wasRefused = true
      this.#cursor.unread(this.#pending.bytes)
      this.#place.split?.refused(this, this.#pending.texts)
    }
    this.lost()
  }

  /** The same, but nothing is repeated: the client is told. */
  lost(): void {
    if (!this.#isRead && this.#place.split !== undefined) this.committedAt = this.#place.now()
    this.#isRead = false
    this.#isSent = false
    this.#isRefused = false
    this.#pending = undefined
  }
}

/** Whether this is an answer that begins with a refusal, and gives nothing before it. */
function isRefusal(bytes: Buffer): boolean {
  let at = 0
  while (bytes.length - at > HEADER_BYTES) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) return false
    const type = bytes[at] ?? 0
    if (type === ERROR)
      return REFUSALS.has(parseErrorResponse(bytes.subarray(at + HEADER_BYTES, end))['C'] ?? '')
    if (!HARMLESS.has(type)) return false
    at = end
  }
  return false
}
