import type { ErrorFields } from '../../wire/error-response.ts'
import { buildQuery } from '../../wire/session-state.ts'
import { bindNameEnds, buildParse } from '../../wire/statement.ts'
import { BIND, HEADER_BYTES, PARSE, QUERY } from '../pool/client-messages.ts'
import { buildStatementError } from '../pool/lost-transaction.ts'
import type { ClientStatements } from '../pool/prepared-statements.ts'
import type { MessageAt } from '../pool/statement-rewriter.ts'
import { textAt } from './read-unit.ts'

/** Not SQL, so that PostgreSQL refuses it in its turn, and with it the transaction, savepoints and all. */
const REFUSED = 'pg_metako_this_is_for_the_primary'
const SYNTAX_ERROR = '42601'
const QUERY_INSTEAD = buildQuery(REFUSED)
const PARSE_INSTEAD = buildParse('', Buffer.from(`${REFUSED}\0\0\0`))
const REFUSAL = buildStatementError({
  sqlState: '25006',
  message: 'cannot run this in a transaction that runs on a replica: it would mean nothing there',
  detail:
    'Locks, snapshots and what a session keeps are known to one server alone, and everybody else asks the primary',
  hint: "Begin without READ ONLY, or with /* pg-metako: primary */, or after SET pg_metako.route = 'primary'",
})

/** The text of the statement that a message brings or runs; `MORE`: too little of it is there; `undefined`: it brings none. */
export function watchedText(
  { type, chunk, at, end }: MessageAt,
  statements: Pick<ClientStatements, 'get'>,
): { readonly text: string } | 'MORE' | undefined {
  const body = at + HEADER_BYTES
  if (type === BIND) {
    const ends = bindNameEnds(chunk, body)
    if (!ends || ends.statement >= end) return chunk.length < end ? 'MORE' : undefined
    const known = statements.get(chunk.toString('utf8', ends.portal + 1, ends.statement))
    return known && { text: textAt(known.definition, 0, known.definition.length) }
  }
  if (type !== QUERY && type !== PARSE) return undefined
  if (chunk.length < end) return 'MORE'
  const nameEnd = type === PARSE ? chunk.indexOf(0, body) + 1 : body
  return { text: textAt(chunk, nameEnd, end) }
}

/** What is sent in its place, so that PostgreSQL's refusal comes in its turn. */
export function sentInstead(type: number): Buffer {
  return type === QUERY ? QUERY_INSTEAD : PARSE_INSTEAD
}

/** What the client is told where PostgreSQL speaks of what was sent instead. */
export function refusalFor({ C: code, M: text }: ErrorFields): Buffer | undefined {
  return code === SYNTAX_ERROR && text?.includes(REFUSED) === true ? REFUSAL : undefined
}
