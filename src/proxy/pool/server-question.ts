import type { ErrorFields } from '../../wire/error-response.ts'
import { parseErrorResponse } from '../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../wire/frame.ts'
import { parseDataRow } from '../../wire/replication.ts'
import { buildQuery } from '../../wire/session-state.ts'
import { buildParse } from '../../wire/statement.ts'
import type { StatementError } from './lost-transaction.ts'
import type { Pool, PoolClient } from './pool.ts'
import type { ServerConnection, ServerUser } from './server-connection.ts'

export type Row = readonly (string | null)[]

export type Answer =
  | { readonly kind: 'rows'; readonly rows: readonly Row[] }
  | { readonly kind: 'refused'; readonly reason: string }
  /** PostgreSQL went away, or is asked elsewhere from now on: what it would have said is not known. */
  | { readonly kind: 'lost' }

export type Question = {
  readonly text: string
  /** The value of `$1`, a text; absent: the query has no parameters. */
  readonly parameter?: string
  readonly now: number
}

const DATA_ROW = messageType('D')
const ERROR = messageType('E')
const EXECUTE_ALL = message('E', Buffer.alloc(5))
const SYNC = message('S', Buffer.alloc(0))

/** As one question; `done` gets the rows, or nothing where there is no answer: whoever asks does without. */
export function askServer(
  pool: Pool,
  question: Question,
  done: (rows: readonly Row[] | undefined) => void,
): void {
  new ServerQuestion(pool, question, (answer) => done(answer.kind === 'rows' ? answer.rows : undefined)).ask()
}

/** One query of the router's own on a server connection of a pool, as one of its clients. `done` is called once. */
export class ServerQuestion implements PoolClient, ServerUser {
  readonly endsWithServer = true
  readonly times: { readonly waitingSince: number | undefined }
  place: number | undefined
  readonly #pool: Pool
  readonly #question: Question
  readonly #done: (answer: Answer) => void
  readonly #reader = new MessageReader()
  readonly #rows: Row[] = []
  #server: ServerConnection | undefined
  #refusal: string | undefined
  #over = false

  constructor(pool: Pool, question: Question, done: (answer: Answer) => void) {
    this.#pool = pool
    this.#question = question
    this.#done = done
    this.times = { waitingSince: question.now }
  }

  ask(): void {
    const server = this.#pool.take(this)
    if (server) this.serverGiven(server)
  }

  /** PostgreSQL has it, and may have looked already. */
  get isSent(): boolean {
    return this.#server !== undefined
  }

  serverGiven(server: ServerConnection): void {
    this.#server = server
    server.attach(this)
    const { text, parameter } = this.#question
    if (parameter === undefined) {
      server.expected.push('READY')
      server.expected.executed()
      server.write(buildQuery(text))
      return
    }
    server.gather()
    server.expected.push('PASS')
    server.write(buildParse('', Buffer.concat([Buffer.from(`${text}\0`, 'utf8'), Buffer.alloc(2)])))
    server.write(bindOneText(parameter))
    server.write(EXECUTE_ALL)
    server.expected.executed()
    server.expected.push('READY')
    server.write(SYNC)
    server.sendGathered()
  }

  forward(bytes: Buffer): boolean {
    this.#reader.push(bytes)
    for (let next = this.#reader.next(); next; next = this.#reader.next()) {
      if (next.type === ERROR) this.#refusal = parseErrorResponse(next.body)['M'] ?? 'unknown error'
      if (next.type === DATA_ROW) this.#rows.push(parseDataRow(next.body) ?? [])
    }
    return true
  }

  serverAtRest(): void {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.detach()
    this.#pool.giveBack(server)
    const reason = this.#refusal
    this.#end(reason === undefined ? { kind: 'rows', rows: this.#rows } : { kind: 'refused', reason })
  }

  serverLost(): void {
    this.#server = undefined
    this.#end({ kind: 'lost' })
  }

  refuse(error: StatementError): void {
    this.#end({ kind: 'refused', reason: error.message })
  }

  refuseWith(fields: ErrorFields): void {
    this.#end({ kind: 'refused', reason: fields['M'] ?? 'refused' })
  }

  takeElsewhere(): void {
    this.#end({ kind: 'lost' })
  }

  statementEnded(): void {}
  settingChanged(): void {}
  failed(): undefined {}
  statementsDiscarded(): void {}
  serverDrained(): void {}

  #end(answer: Answer): void {
    if (this.#over) return
    this.#over = true
    this.#done(answer)
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
