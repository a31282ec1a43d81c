import {
  bindNameEnds,
  buildAboutStatement,
  buildBindHead,
  buildParse,
  isAboutNamed,
  statementOfAbout,
} from '../../wire/statement.ts'
import { BIND, CLOSE, HEADER_BYTES, PARSE } from './client-messages.ts'
import type { DatabaseStats } from './pool-stats.ts'
import {
  NO_STATEMENT,
  STATEMENT_PREFIX,
  type ClientStatements,
  type PreparedStatement,
  type StatementRegistry,
} from './prepared-statements.ts'
import type { ServerConnection } from './server-connection.ts'

/** A client's named statements on whichever server connection it has now. */
export type RewriteContext = {
  readonly server: ServerConnection
  readonly statements: ClientStatements
  readonly registry: StatementRegistry
  readonly stats: DatabaseStats
  /** Statements that a server connection keeps at most. */
  readonly limit: number
}

/** A message within a chunk: `end` may lie beyond it. */
export type MessageAt = {
  readonly type: number
  readonly chunk: Buffer
  readonly at: number
  readonly end: number
}

/** What becomes of a Parse, Bind, Describe or Close. `AS_IS`: it names no statement. `MORE`: too little of it is there. */
export type StatementVerdict = 'AS_IS' | 'NAMED' | 'MORE' | 'MALFORMED'

const CLOSE_NOTHING = buildAboutStatement('C', NO_STATEMENT)

export function judgeStatement({ type, chunk, at, end }: MessageAt): StatementVerdict {
  const bodyAt = at + HEADER_BYTES
  const isWhole = chunk.length >= end
  if (type === BIND) {
    // Two names that are empty, as most drivers send: there is nothing to look for.
    if (chunk[bodyAt] === 0 && chunk[bodyAt + 1] === 0 && end >= bodyAt + 2) return 'AS_IS'
    const ends = bindNameEnds(chunk, bodyAt)
    if (!ends || ends.statement >= end) return isWhole ? 'MALFORMED' : 'MORE'
    return ends.statement === ends.portal + 1 ? 'AS_IS' : 'NAMED'
  }
  if (type === PARSE) {
    if (chunk.length > bodyAt && chunk[bodyAt] === 0) return 'AS_IS'
    if (!isWhole) return 'MORE'
    const nameEnd = chunk.indexOf(0, bodyAt)
    return nameEnd < 0 || nameEnd >= end ? 'MALFORMED' : 'NAMED'
  }
  if (!isWhole) return 'MORE'
  return isAboutNamed(chunk, bodyAt, end) ? 'NAMED' : 'AS_IS'
}

/** Sends what stands for a message that names a statement. Returns where what may follow as it is begins. */
export function sendNamed(message: MessageAt, context: RewriteContext): number {
  const { type, chunk, at, end } = message
  if (type === BIND) return sendBindHead(message, context)
  const body = chunk.subarray(at + HEADER_BYTES, end)
  if (type === PARSE) sendParse(body, context)
  else if (type === CLOSE) sendClose(statementOfAbout(body) ?? '', context)
  else context.server.write(buildAboutStatement('D', nameOnServer(statementOfAbout(body) ?? '', context)))
  return end
}

function sendParse(body: Buffer, context: RewriteContext): void {
  const { server, statements, registry, stats } = context
  const nameEnd = body.indexOf(0)
  const name = body.toString('utf8', 0, nameEnd)
  stats.clientParses += 1
  const known = statements.get(name)
  if (known) {
    // PostgreSQL says so itself (42P05): the name that it complains of is there, under the other name.
    ensurePrepared(known, context)
    server.expected.push('PASS')
    server.write(buildParse(known.name, body.subarray(nameEnd + 1)))
    return
  }
  const statement = registry.take(body.subarray(nameEnd + 1))
  statements.set(name, statement)
  const forget = (): void => {
    // By what it says: closed and brought back in between, it may be another object.
    if (statements.get(name)?.definition.equals(statement.definition)) statements.delete(name)
  }
  if (server.statements.use(statement)) {
    // Order: the client's ParseComplete comes in its turn, since PostgreSQL answers this in its turn.
    server.expected.push('AS_PARSED', forget)
    server.write(CLOSE_NOTHING)
    return
  }
  prepare(statement, context)
  server.expected.push('PASS', () => {
    server.statements.delete(statement)
    forget()
  })
  evict(context)
}

/** The rest of the Bind follows as it is: its parameters may be large. */
function sendBindHead({ chunk, at, end }: MessageAt, context: RewriteContext): number {
  const ends = bindNameEnds(chunk, at + HEADER_BYTES)
  if (!ends) return at
  context.stats.binds += 1
  const name = chunk.toString('utf8', ends.portal + 1, ends.statement)
  const portal = chunk.subarray(at + HEADER_BYTES, ends.portal)
  const statementBytes = ends.statement - ends.portal - 1
  const nameThere = nameOnServer(name, context)
  context.server.write(buildBindHead({ portal, statementBytes, length: end - at - 1 }, nameThere))
  return ends.statement + 1
}

/** Other clients may have the same statement: PostgreSQL keeps it, the client forgets it. */
function sendClose(name: string, context: RewriteContext): void {
  const { server, statements, registry } = context
  const statement = statements.get(name)
  statements.delete(name)
  server.expected.push('PASS', () => {
    if (statement) statements.set(name, registry.take(statement.definition))
  })
  server.write(CLOSE_NOTHING)
}

/** A name that the client has not prepared goes on as it is: PostgreSQL says that it does not exist (26000). */
function nameOnServer(name: string, context: RewriteContext): string {
  const statement = context.statements.get(name)
  if (!statement) return name.startsWith(STATEMENT_PREFIX) ? NO_STATEMENT : name
  ensurePrepared(statement, context)
  return statement.name
}

function ensurePrepared(statement: PreparedStatement, context: RewriteContext): void {
  const { server } = context
  if (server.statements.use(statement)) return
  prepare(statement, context)
  server.expected.push('DROP', () => server.statements.delete(statement))
  evict(context)
}

function prepare(statement: PreparedStatement, { server, stats }: RewriteContext): void {
  stats.serverParses += 1
  server.statements.add(statement)
  server.write(buildParse(statement.name, statement.definition))
}

function evict({ server, limit }: RewriteContext): void {
  const oldest = server.statements.evictAbove(limit)
  if (!oldest) return
  server.expected.push('DROP', () => server.statements.add(oldest))
  server.write(buildAboutStatement('C', oldest.name))
}
