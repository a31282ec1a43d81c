import type { ErrorFields } from '../../wire/error-response.ts'
import { MessageReader, messageType } from '../../wire/frame.ts'
import { parseDataRow } from '../../wire/replication.ts'
import { buildQuery } from '../../wire/session-state.ts'
import type { StatementError } from '../pool/lost-transaction.ts'
import type { Pool, PoolClient } from '../pool/pool.ts'
import type { ServerConnection, ServerUser } from '../pool/server-connection.ts'

export type Row = readonly (string | null)[]

const DATA_ROW = messageType('D')
const ERROR = messageType('E')

/**
 * Asks one query of the router's own on a server connection of a pool, as one of its clients. `done` is called once, with the
 * rows, or with nothing where there is no answer: whoever asks does without.
 */
export function askServer(
  pool: Pool,
  question: { readonly text: string; readonly now: number },
  done: (rows: readonly Row[] | undefined) => void,
): void {
  const asker = new ServerQuestion(pool, question, done)
  const server = pool.take(asker)
  if (server) asker.serverGiven(server)
}

class ServerQuestion implements PoolClient, ServerUser {
  readonly endsWithServer = true
  readonly times: { readonly waitingSince: number | undefined }
  readonly #pool: Pool
  readonly #text: string
  readonly #done: (rows: readonly Row[] | undefined) => void
  readonly #reader = new MessageReader()
  readonly #rows: Row[] = []
  #server: ServerConnection | undefined
  #failed = false
  #over = false

  constructor(
    pool: Pool,
    { text, now }: { readonly text: string; readonly now: number },
    done: (rows: readonly Row[] | undefined) => void,
  ) {
    this.#pool = pool
    this.#text = text
    this.#done = done
    this.times = { waitingSince: now }
  }

  serverGiven(server: ServerConnection): void {
    this.#server = server
    server.attach(this)
    server.expected.push('READY')
    server.expected.executed()
    server.write(buildQuery(this.#text))
  }

  forward(bytes: Buffer): boolean {
    this.#reader.push(bytes)
    for (let next = this.#reader.next(); next; next = this.#reader.next()) {
      if (next.type === ERROR) this.#failed = true
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
    this.#end(this.#failed ? undefined : this.#rows)
  }

  serverLost(): void {
    this.#end(undefined)
  }

  refuse(_error: StatementError): void {
    this.#end(undefined)
  }

  refuseWith(_fields: ErrorFields): void {
    this.#end(undefined)
  }

  takeElsewhere(): void {
    this.#end(undefined)
  }

  statementEnded(): void {}
  settingChanged(): void {}
  statementsDiscarded(): void {}
  serverDrained(): void {}

  #end(rows: readonly Row[] | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#done(rows)
  }
}
