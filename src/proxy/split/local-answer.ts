import { buildCommandComplete, buildReady } from '../../wire/session-state.ts'
import { bindNameEnds, statementOfAbout } from '../../wire/statement.ts'
import { BIND, DESCRIBE, EXECUTE, FLUSH, HEADER_BYTES, PARSE, QUERY, SYNC } from '../pool/client-messages.ts'
import { BIND_COMPLETE, NO_DATA, NO_PARAMETERS, PARSE_COMPLETE } from '../pool/lost-transaction.ts'
import type { ClientStatements } from '../pool/prepared-statements.ts'
import { textAt } from './read-unit.ts'

/** What a server would answer to a Query or a batch of one statement that has no parameters and gives no rows. */
export type LocalAnswer = {
  readonly build: (tag: string, ready: 'I' | 'T') => Buffer
  /** A named statement that exists from then on: text and types, as in the Parse. */
  readonly prepares?: { readonly name: string; readonly definition: Buffer }
}

const NO_TYPES = Buffer.alloc(2)
/** What stands for CommandComplete, whose tag is not known yet. */
const COMPLETE = Buffer.alloc(0)

/**
 * The answer of the router itself, or nothing where PostgreSQL might say something else: a second portal, parameters, a name
 * that is taken. `end`: where the unit ends; it is there as a whole.
 */
export function localAnswer(
  chunk: Buffer,
  { from, end }: { readonly from: number; readonly end: number },
  statements: Pick<ClientStatements, 'get' | 'isFull'>,
): LocalAnswer | undefined {
  if (chunk[from] === QUERY) return { build: (tag, ready) => answer([COMPLETE], tag, ready) }
  const pieces: Buffer[] = []
  let prepares: LocalAnswer['prepares']
  /** The statement that the batch is about, once it is known. */
  let about: string | undefined
  let state: 'begun' | 'bound' | 'executed' = 'begun'
  for (let at = from; at < end; at += 1 + chunk.readInt32BE(at + 1)) {
    const body = chunk.subarray(at + HEADER_BYTES, at + 1 + chunk.readInt32BE(at + 1))
    switch (chunk[at] ?? 0) {
      case PARSE: {
        const name = textAt(body, 0, body.length)
        const isNew = name === '' || (statements.get(name) === undefined && !statements.isFull)
        if (about !== undefined || !isNew || !body.subarray(-2).equals(NO_TYPES)) return undefined
        about = name
        if (name !== '') prepares = { name, definition: body.subarray(body.indexOf(0) + 1) }
        pieces.push(PARSE_COMPLETE)
        break
      }
      case BIND: {
        const name = boundWithoutParameters(body)
        if (state !== 'begun' || name === undefined || name !== (about ??= name)) return undefined
        state = 'bound'
        pieces.push(BIND_COMPLETE)
        break
      }
      case DESCRIBE: {
        const name = statementOfAbout(body)
        if (name === undefined ? state === 'begun' : name !== (about ??= name)) return undefined
        pieces.push(...(name === undefined ? [NO_DATA] : [NO_PARAMETERS, NO_DATA]))
        break
      }
      case EXECUTE:
        if (state !== 'bound' || body[0] !== 0) return undefined
        state = 'executed'
        pieces.push(COMPLETE)
        break
      case FLUSH:
      case SYNC:
        break
      default:
        return undefined
    }
  }
  if (state !== 'executed') return undefined
  return { build: (tag, ready) => answer(pieces, tag, ready), ...(prepares ? { prepares } : {}) }
}

function answer(pieces: readonly Buffer[], tag: string, ready: 'I' | 'T'): Buffer {
  const told = pieces.map((piece) => (piece === COMPLETE ? buildCommandComplete(tag) : piece))
  return Buffer.concat([...told, buildReady(ready)])
}

/** The statement that is bound to the portal without a name; nothing where PostgreSQL might complain. */
function boundWithoutParameters(body: Buffer): string | undefined {
  const ends = bindNameEnds(body, 0)
  if (!ends || ends.portal !== 0 || body.length < ends.statement + 5) return undefined
  const formats = body.readInt16BE(ends.statement + 1)
  const countAt = ends.statement + 3 + formats * 2
  const isPlain =
    formats >= 0 && formats <= 1 && body.length >= countAt + 2 && body.readInt16BE(countAt) === 0
  return isPlain ? body.toString('utf8', 1, ends.statement) : undefined
}
