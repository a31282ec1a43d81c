import { KiB } from '../../std/units.ts'
import { bindNameEnds } from '../../wire/statement.ts'
import { textAt } from '../split/read-unit.ts'
import { BIND, EXECUTE, HEADER_BYTES, PARSE, QUERY, SYNC } from './client-messages.ts'
import type { ClientStatements } from './prepared-statements.ts'
import type { MessageAt } from './statement-rewriter.ts'

/** A longer one is not kept until it has ended. */
const TEXT_BYTES_MAX = 64 * KiB

/** What the statements are that a server connection still owes answers to, by ReadyForQuery: of a batch, the first that runs. */
export class StatementLabels {
  readonly #owed: ({ readonly text: string | undefined } | undefined)[] = []
  /** What was prepared or bound last. */
  #text: string | undefined
  #batch: { readonly text: string | undefined } | undefined

  get isEmpty(): boolean {
    return this.#owed.length === 0
  }

  /** A message was sent; `owed`: ReadyForQuery messages that are to come, that of this one among them. */
  sent(at: MessageAt, statements: Pick<ClientStatements, 'get'>, owed: number): void {
    const { type, chunk, end } = at
    const body = at.at + HEADER_BYTES
    switch (type) {
      case QUERY:
        return this.#owes({ text: textOf(chunk, body, end) }, owed)
      case PARSE:
        this.#text = textOf(chunk, chunk.indexOf(0, body) + 1, end)
        return
      case BIND: {
        const ends = bindNameEnds(chunk, body)
        if (!ends || ends.statement >= end || ends.statement === ends.portal + 1) return
        const known = statements.get(chunk.toString('utf8', ends.portal + 1, ends.statement))?.definition
        this.#text = known && textOf(known, 0, known.length)
        return
      }
      case EXECUTE:
        this.#batch ??= { text: this.#text }
        return
      case SYNC:
        if (this.#batch) this.#owes(this.#batch, owed)
        this.#batch = undefined
    }
  }

  /** A ReadyForQuery came, and so many are still to come. Says what has ended; nothing where nobody has asked at its beginning. */
  ended(owed: number): { readonly text: string | undefined } | undefined {
    if (this.#owed.length <= owed) return undefined
    return this.#owed.splice(0, this.#owed.length - owed)[0]
  }

  clear(): void {
    this.#owed.length = 0
    this.#batch = undefined
  }

  #owes(what: { readonly text: string | undefined }, owed: number): void {
    while (this.#owed.length < owed - 1) this.#owed.push(undefined)
    this.#owed.push(what)
  }
}

/** Nothing where it is not there as a whole. */
function textOf(chunk: Buffer, from: number, end: number): string | undefined {
  if (end > chunk.length || end - from > TEXT_BYTES_MAX) return undefined
  return textAt(chunk, from, end)
}
