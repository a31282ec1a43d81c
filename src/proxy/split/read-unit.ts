import { bindNameEnds, statementOfAbout } from '../../wire/statement.ts'
import {
  BIND,
  CLOSE,
  DESCRIBE,
  EXECUTE,
  FLUSH,
  HEADER_BYTES,
  PARSE,
  QUERY,
  SYNC,
} from '../pool/client-messages.ts'
import type { ClientStatements } from '../pool/prepared-statements.ts'

/** Messages of one batch that are looked at; a longer one goes to the primary. */
const MESSAGES_MAX = 200

export type ReadUnit = {
  readonly texts: readonly string[]
  /** Where it ends. */
  readonly end: number
  /** Whether it may be sent once more as it is: it changes nothing in what the router knows of the client. */
  readonly isRepeatable: boolean
  /** Whether it runs anything: what is only prepared may be executed by the next batch, and some drivers do not name it. */
  readonly executes: boolean
}

/**
 * The statements of what a server runs as one piece: of a Query, or of a batch up to its Sync. `undefined` where they are not
 * all known: it is not there as a whole yet, or names what nobody prepared. A batch has to be known to its end before it goes
 * anywhere, since nothing of it can be moved later.
 */
export function readUnit(chunk: Buffer, from: number, statements: ClientStatements): ReadUnit | undefined {
  if (chunk[from] === QUERY) {
    const end = wholeEnd(chunk, from)
    if (end === undefined) return undefined
    return { texts: [textAt(chunk, from + HEADER_BYTES, end)], end, isRepeatable: true, executes: true }
  }
  return new BatchReader(chunk, statements).read(from)
}

class BatchReader {
  readonly #chunk: Buffer
  readonly #statements: ClientStatements
  readonly #prepared = new Map<string, string>()
  readonly #texts: string[] = []
  #executes = false
  #isRepeatable = true

  constructor(chunk: Buffer, statements: ClientStatements) {
    this.#chunk = chunk
    this.#statements = statements
  }

  read(from: number): ReadUnit | undefined {
    let at = from
    for (let count = 0; count < MESSAGES_MAX; count += 1) {
      const end = wholeEnd(this.#chunk, at)
      if (end === undefined) return undefined
      if (this.#chunk[at] === SYNC) {
        return { texts: this.#texts, end, isRepeatable: this.#isRepeatable, executes: this.#executes }
      }
      if (!this.#take(at, end)) return undefined
      at = end
    }
    return undefined
  }

  #take(at: number, end: number): boolean {
    const body = at + HEADER_BYTES
    switch (this.#chunk[at] ?? 0) {
      case PARSE: {
        const nameEnd = this.#chunk.indexOf(0, body)
        if (nameEnd < 0 || nameEnd >= end) return false
        const text = textAt(this.#chunk, nameEnd + 1, end)
        this.#prepared.set(this.#chunk.toString('utf8', body, nameEnd), text)
        if (nameEnd > body) this.#isRepeatable = false
        this.#texts.push(text)
        return true
      }
      case BIND: {
        const ends = bindNameEnds(this.#chunk.subarray(0, end), body)
        if (ends === undefined) return false
        return this.#uses(this.#chunk.toString('utf8', ends.portal + 1, ends.statement))
      }
      case DESCRIBE: {
        const name = statementOfAbout(this.#chunk.subarray(body, end))
        return name === undefined || this.#uses(name)
      }
      case EXECUTE:
        this.#executes = true
        return true
      case CLOSE:
        this.#isRepeatable = false
        return true
      case FLUSH:
        return true
      default:
        return false
    }
  }

  #uses(name: string): boolean {
    if (this.#prepared.has(name)) return true
    const statement = this.#statements.get(name)
    if (statement === undefined) return false
    this.#texts.push(textAt(statement.definition, 0, statement.definition.length))
    return true
  }
}

/** Where the message ends; `undefined` where it is not there as a whole. */
function wholeEnd(chunk: Buffer, at: number): number | undefined {
  if (chunk.length - at < HEADER_BYTES) return undefined
  const length = chunk.readInt32BE(at + 1)
  const end = at + 1 + length
  return length < 4 || end > chunk.length ? undefined : end
}

export function textAt(bytes: Buffer, from: number, end: number): string {
  const zero = bytes.indexOf(0, from)
  return bytes.toString('utf8', from, zero < 0 || zero > end ? end : zero)
}
