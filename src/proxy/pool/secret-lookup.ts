import type { ErrorFields } from '../../wire/error-response.ts'
import { parseErrorResponse } from '../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../wire/frame.ts'
import { parseDataRow } from '../../wire/replication.ts'
import { buildParse } from '../../wire/statement.ts'
import type { StatementError } from './lost-transaction.ts'
import type { Pool, PoolClient } from './pool.ts'
import type { ServerConnection, ServerUser } from './server-connection.ts'

export type LookupOutcome =
  /** `secret` is null where the role has no password, or none that is valid now. */
  | { readonly kind: 'found'; readonly secret: string | null }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'failed'; readonly reason: string }

type Question = { readonly user: string; readonly answers: ((outcome: LookupOutcome) => void)[] }

const DATA_ROW = messageType('D')
const ERROR = messageType('E')
const EXECUTE_ALL = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))

/**
 * Asks PostgreSQL for users' secrets (`auth_query`), as a client of a pool of its own: one question at a time, the same one
 * asked once for all who wait for it.
 */
export class SecretLookup implements PoolClient, ServerUser {
  readonly endsWithServer = true
  readonly times: { waitingSince: number | undefined } = { waitingSince: undefined }
  readonly #pool: Pool
  readonly #query: Buffer
  readonly #now: () => number
  readonly #questions: Question[] = []
  #server: ServerConnection | undefined
  #isAsking = false
  #reader = new MessageReader()
  #outcome: LookupOutcome = { kind: 'unknown' }

  constructor(pool: Pool, query: string, now: () => number) {
    this.#pool = pool
    this.#now = now
    this.#query = Buffer.concat([Buffer.from(`${query}\0`, 'utf8'), Buffer.alloc(2)])
  }

  find(user: string, answer: (outcome: LookupOutcome) => void): void {
    // The one that is being asked may have been answered in PostgreSQL before this client came.
    const same = this.#questions.find((each, index) => each.user === user && (index > 0 || !this.#server))
    if (same) {
      same.answers.push(answer)
      return
    }
    this.#questions.push({ user, answers: [answer] })
    this.#next()
  }

  serverGiven(server: ServerConnection): void {
    this.times.waitingSince = undefined
    const [question] = this.#questions
    if (!question) {
      this.#isAsking = false
      return this.#pool.giveBack(server)
    }
    this.#server = server
    server.attach(this)
    this.#reader = new MessageReader()
    this.#outcome = { kind: 'unknown' }
    server.cork()
    server.expected.push('PASS')
    server.write(buildParse('', this.#query))
    server.write(bindOneText(question.user))
    server.write(EXECUTE_ALL)
    server.expected.executed()
    server.expected.push('READY')
    server.write(SYNC)
    server.uncork()
  }

  forward(bytes: Buffer): boolean {
    this.#reader.push(bytes)
    for (let next = this.#reader.next(); next; next = this.#reader.next()) {
      if (next.type === DATA_ROW) {
        const secret = parseDataRow(next.body)?.[1]
        this.#outcome = { kind: 'found', secret: secret ?? null }
      } else if (next.type === ERROR) this.#fail(parseErrorResponse(next.body)['M'] ?? 'unknown error')
    }
    return true
  }

  serverAtRest(): void {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.detach()
    this.#pool.giveBack(server)
    this.#answer()
  }

  /** Nobody knows the answer: a table changed, or PostgreSQL went away. It is a read, so it is asked again. */
  serverLost(): void {
    this.#server = undefined
    this.#isAsking = false
    this.#next()
  }

  refuse(error: StatementError): void {
    this.#fail(error.message)
    this.#answer()
  }

  refuseWith(fields: ErrorFields): void {
    this.#fail(fields['M'] ?? 'refused')
    this.#answer()
  }

  takeElsewhere(): void {}
  statementEnded(): void {}
  settingChanged(): void {}
  statementsDiscarded(): void {}
  serverDrained(): void {}

  #next(): void {
    if (this.#isAsking || this.#questions.length === 0) return
    this.#isAsking = true
    this.times.waitingSince = this.#now()
    const server = this.#pool.take(this)
    if (server) this.serverGiven(server)
  }

  #fail(reason: string): void {
    this.#outcome = { kind: 'failed', reason }
  }

  #answer(): void {
    this.#isAsking = false
    this.times.waitingSince = undefined
    const question = this.#questions.shift()
    const outcome = this.#outcome
    for (const answer of question?.answers ?? []) answer(outcome)
    this.#next()
  }
}

/** Bind of one text parameter to the unnamed statement. */
function bindOneText(value: string): Buffer {
  const text = Buffer.from(value, 'utf8')
  const head = Buffer.alloc(10)
  // Two empty names, no formats (all text), one parameter and its length; behind it, no formats of results.
  head.writeInt16BE(1, 4)
  head.writeInt32BE(text.length, 6)
  return message('B', Buffer.concat([head, text, Buffer.alloc(2)]))
}
