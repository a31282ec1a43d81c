import { SessionRoute, type Place, type TransactionStatus } from '../../sql/session-route.ts'
import { parseErrorResponse, type ErrorFields } from '../../wire/error-response.ts'
import { messageType } from '../../wire/frame.ts'
import { KiB } from '../../std/units.ts'
import { HEADER_BYTES } from '../pool/client-messages.ts'
import type { MessageCursor } from '../pool/message-cursor.ts'
import type { Pool } from '../pool/pool.ts'
import type { ClientStatements, StatementRegistry } from '../pool/prepared-statements.ts'
import { isTracked, type SessionSettings } from '../pool/tracked-settings.ts'
import { localAnswer, type LocalAnswer } from './local-answer.ts'
import { readUnit, type ReadUnit } from './read-unit.ts'
import { settingOf, type ReadSplit, type SplitClient } from './read-split.ts'
import type { Seen } from './replica-choice.ts'
import { refusalFor } from './replica-watch.ts'

/** Where a client's next server connection comes from. */
export interface RoutePlace {
  now(): number
  readonly registry: StatementRegistry
  /** Absent: everything goes to the primary. */
  readonly split: ReadSplit | undefined
}

/** What was sent to a replica, for as long as the client has seen nothing of the answer. */
type Pending = {
  readonly bytes: Buffer
  readonly texts: readonly string[]
  /** The BEGIN that ran before it, which the client believes to have been answered. */
  readonly begun: readonly string[]
}

/** The router's own answer to a Query or a batch. */
export type OwnAnswer = { readonly bytes: Buffer; readonly end: number; readonly isInTransaction: boolean }

/** A replica that did not come up to what a session has seen is not waited for meanwhile. */
const WAIT_AGAIN_MS = 1000
/** A longer one is not kept, and its refusal is the client's. */
const KEPT_UNIT_BYTES_MAX = 64 * KiB
/**
 * What a standby says to a statement that only a primary can run, or that its replay was in the way of: read-only, not supported or
 * not possible during recovery, in conflict with recovery.
 */
const REFUSALS: ReadonlySet<string> = new Set(['25006', '0A000', '55000', '40001'])
const ERROR = messageType('E')
const COMPLETE = messageType('C')
/** What may stand before the error of a statement that has given nothing: descriptions, and what a batch did first. */
const HARMLESS: ReadonlySet<number> = new Set(['T', 't', 'n', '1', '2'].map((letter) => messageType(letter)))
/** What a batch that begins a transaction did first. */
const BEGUN: ReadonlySet<string> = new Set(['BEGIN\0', 'START TRANSACTION\0'])
/** The function of PostgreSQL that refuses a transaction for its isolation level. */
const NOT_ON_STANDBYS = 'GetSerializableTransactionSnapshot'

/**
 * One client's part in the read/write split: the pool that its server connection comes from, and what runs on it. A proven read
 * runs alone: what follows waits until it has ended, since it may have to go elsewhere. Where a replica refuses it before the client
 * has seen anything, the primary runs it: it has done nothing yet, outside of any transaction. A BEGIN is put off until the first
 * statement of its transaction, and what is READ ONLY runs on a replica in the same way, statement by statement.
 */
export class ClientRoute implements SplitClient {
  readonly pool: Pool
  readonly settings: Pick<SessionSettings, 'get'>
  /** Its own pool, or the same on a replica. */
  from: Pool
  readonly #place: RoutePlace
  readonly #cursor: MessageCursor
  #madeSession: SessionRoute | undefined
  /** BEGIN and what follows it, as they run before the first statement; empty: nothing is put off. */
  #putOff: readonly string[] = []
  #committedAt: number | undefined
  #seen: Seen | undefined
  /** It waits for a replica, and has waited: until when it does not again, since nobody came. */
  #stopWaiting: (() => void) | undefined
  #hasWaited = false
  #waitsAgainAt = Number.NEGATIVE_INFINITY
  #isRead = false
  #isSent = false
  #isJudged = false
  #hasFailed = false
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

  get committedAt(): number | undefined {
    return this.#isEventual ? undefined : this.#committedAt
  }

  get seen(): Seen | undefined {
    return this.#isEventual ? undefined : this.#seen
  }

  /**
   * A Query or a batch begins, for which the client has no server connection. It may need none: then this is the answer. `WAIT`: a
   * replica will have what the client has seen in a moment, so that this is asked again after `wait`.
   */
  choose(statements: ClientStatements): OwnAnswer | 'WAIT' | undefined {
    const { split } = this.#place
    if (split === undefined || this.pool.mode === 'session') return undefined
    const { chunk, at } = this.#cursor
    const unit = readUnit(chunk, at, statements)
    if (this.#hasWaited) return this.#sends('replica', unit)
    const isKnown = unit !== undefined && (unit.executes || this.#session.isPutOff)
    const judged = isKnown ? split.judge(this, unit.texts) : []
    const answer =
      isKnown &&
      this.pool.mode === 'transaction' &&
      judged.length === 1 &&
      judged[0]?.verdict.effects.length === 1
        ? localAnswer(chunk, { from: at, end: unit.end }, statements)
        : undefined
    const canAnswer = answer !== undefined && (!answer.prepares || this.pool.statementLimit > 0)
    const decision = this.#session.route(
      judged.map(({ verdict }) => verdict),
      { canAnswer, wantsPrimary: judged.some(({ hint }) => hint === 'primary') },
    )
    if (decision.kind !== 'answer')
      return this.#sends(decision.kind === 'send' ? decision.to : 'primary', unit)
    if (answer?.prepares) {
      const { name, definition } = answer.prepares
      this.pool.stats.clientParses += 1
      statements.set(name, this.#place.registry.take(definition))
    }
    const { fingerprint = '' } = judged[0] ?? {}
    return answer && unit && this.#answers(answer, { tag: decision.tag, fingerprint, end: unit.end })
  }

  /** Until a replica has what the client has seen, or for a moment. */
  wait(done: () => void): void {
    this.#hasWaited = true
    this.#stopWaiting = this.#place.split?.wait(this, () => {
      this.#stopWaiting = undefined
      done()
    })
  }

  stopWaiting(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
    this.#hasWaited = false
  }

  /** What has to run first on the server connection that the client was given: the BEGIN that was put off. */
  get begin(): string | undefined {
    return this.#putOff.length > 0 ? this.#putOff.join(';') : undefined
  }

  /** That has run. */
  begun(): void {
    if (this.#pending) this.#pending = { ...this.#pending, begun: this.#putOff }
    this.#putOff = []
  }

  /** Whether the client believes to be in a transaction that nobody has begun. */
  get isPutOff(): boolean {
    return this.#putOff.length > 0
  }

  /** A Query or the Sync of a batch was sent. */
  sent(): void {
    this.#isSent = this.#isRead
  }

  /** Whether what follows has to wait. */
  get isClosed(): boolean {
    return this.#isSent
  }

  /** ReadyForQuery came. */
  answered(status: TransactionStatus): void {
    if (this.#place.split === undefined) return
    this.#session.ended(status, this.#hasFailed)
    this.#hasFailed = false
  }

  /** What comes next belongs to the transaction on the replica, which goes on. */
  goesOn(): void {
    this.#isSent = false
    this.#isJudged = false
    this.#pending = undefined
  }

  /** Whether what is sent is looked at first, since it may mean nothing where it would run. */
  get isWatching(): boolean {
    return this.#isRead && !this.#isJudged && this.#session.isOnReplica
  }

  /** Whether a statement may run in the transaction that a replica has. */
  mayRun(text: string): boolean {
    const judged = this.#place.split?.judge(this, [text]) ?? []
    return this.#session.route(judged.map(({ verdict }) => verdict)).kind !== 'refuse'
  }

  /** A statement has failed. Returns what the client is told in place of PostgreSQL's words, if anything. */
  failed(fields: ErrorFields): Buffer | undefined {
    this.#hasFailed = true
    if (fields['R'] === NOT_ON_STANDBYS && this.from !== this.pool)
      this.#place.split?.isSerializable(this.pool)
    return refusalFor(fields)
  }

  toPrimary(): void {
    this.from = this.pool
    this.#pending = undefined
    this.#madeSession?.onPrimary()
    if (this.#madeSession?.isInTransaction === true) this.#isRead = false
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
    this.#takeBack()
    this.#isOver()
  }

  /** Nothing is repeated, and nothing goes on: the client is told. */
  lost(): void {
    this.stopWaiting()
    this.#putOff = []
    this.#madeSession?.takenBack(false)
    this.#isOver()
  }

  /** Most clients of most routers need none. */
  get #session(): SessionRoute {
    return (this.#madeSession ??= new SessionRoute({
      isCarried: (setting) => isCarried(this, setting),
      isReadOnly: () => settingOf(this, 'default_transaction_read_only') === 'on',
    }))
  }

  #isOver(): void {
    const { split } = this.#place
    if (split !== undefined) {
      const at = this.#place.now()
      this.#seen = { at, replica: this.#isRead ? this.from.replica?.name : undefined, epoch: split.epoch() }
      if (!this.#isRead) this.#committedAt = at
    }
    this.#isRead = false
    this.#isSent = false
    this.#isRefused = false
    this.#pending = undefined
  }

  #sends(to: Place, unit: ReadUnit | undefined): 'WAIT' | undefined {
    const isLent = to === 'replica' && !this.#wasRefused
    this.from = isLent ? (this.#place.split?.poolFor(this) ?? this.pool) : this.pool
    if (isLent && this.from === this.pool && this.#waits()) return 'WAIT'
    this.#hasWaited = false
    this.#wasRefused = false
    this.#isJudged = true
    const isElsewhere = this.from !== this.pool
    if (!isElsewhere) this.#session.onPrimary()
    // Order: a transaction on the primary may write, whatever it began with.
    this.#isRead = to === 'replica' && (isElsewhere || !this.#session.isInTransaction)
    const { chunk, at } = this.#cursor
    const isKept = isElsewhere && unit?.isRepeatable === true && unit.end - at <= KEPT_UNIT_BYTES_MAX
    this.#pending = isKept
      ? { bytes: Buffer.from(chunk.subarray(at, unit.end)), texts: unit.texts, begun: [] }
      : undefined
    return undefined
  }

  /** Whether a moment is worth it; one in vain is, for a while, the last. */
  #waits(): boolean {
    const now = this.#place.now()
    if (this.#hasWaited) this.#waitsAgainAt = now + WAIT_AGAIN_MS
    return now >= this.#waitsAgainAt && this.#place.split?.isNear(this) === true
  }

  get #isEventual(): boolean {
    const level = this.#madeSession?.consistency ?? 'default'
    return (level === 'default' ? this.pool.limits.consistency : level) === 'eventual'
  }

  #answers(
    answer: LocalAnswer,
    {
      fingerprint,
      end,
      ...said
    }: { readonly tag: string; readonly fingerprint: string; readonly end: number },
  ): OwnAnswer {
    const { isPutOff: isInTransaction } = this.#session
    this.#putOff = isInTransaction ? [...this.#putOff, fingerprint] : []
    // PostgreSQL says which of its two words it was.
    const tag = said.tag === 'BEGIN' && fingerprint.startsWith('start') ? 'START TRANSACTION' : said.tag
    return { bytes: answer.build(tag, isInTransaction ? 'T' : 'I'), end, isInTransaction }
  }

  /** What a replica has refused is read once more, for the primary. */
  #takeBack(): void {
    if (!this.#isRefused || this.#pending === undefined) return
    const { bytes, texts, begun } = this.#pending
    this.#wasRefused = true
    this.#putOff = begun
    this.#session.takenBack(begun.length > 0)
    this.#cursor.unread(bytes)
    this.#place.split?.refused(this, texts)
  }
}

/** Whether a setting is brought to every server connection: those are that this PostgreSQL reports. */
function isCarried({ pool }: SplitClient, setting: string): boolean {
  for (const name of pool.welcome?.keys() ?? []) if (name.toLowerCase() === setting) return isTracked(name)
  return false
}

/** Whether this is an answer that begins with a refusal, and gives nothing before it. */
function isRefusal(bytes: Buffer): boolean {
  let at = 0
  while (bytes.length - at > HEADER_BYTES) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    if (end > bytes.length) return false
    const type = bytes[at] ?? 0
    const body = bytes.subarray(at + HEADER_BYTES, end)
    if (type === ERROR) return REFUSALS.has(parseErrorResponse(body)['C'] ?? '')
    if (!HARMLESS.has(type) && !(type === COMPLETE && BEGUN.has(body.toString('latin1')))) return false
    at = end
  }
  return false
}
