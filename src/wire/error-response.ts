import { message } from './frame.ts'

/** Fields by PostgreSQL's letters: S severity, V severity untranslated, C SQLSTATE, M message, D detail, H hint … */
export type ErrorFields = Readonly<Record<string, string>>

/** A whole ErrorResponse message. Zero bytes in a value are left out: they would end the field. */
export function buildErrorResponse(fields: ErrorFields): Buffer {
  let text = ''
  for (const [letter, value] of Object.entries(fields)) text += `${letter}${value.replaceAll('\0', '')}\0`
  return message('E', Buffer.from(`${text}\0`, 'utf8'))
}

/** An ErrorResponse after which the connection ends. */
export function buildFatalResponse(error: {
  readonly sqlState: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}): Buffer {
  return buildErrorResponse({
    S: 'FATAL',
    V: 'FATAL',
    C: error.sqlState,
    M: error.message,
    ...(error.detail === undefined ? {} : { D: error.detail }),
    ...(error.hint === undefined ? {} : { H: error.hint }),
  })
}

/** The fields of an ErrorResponse or NoticeResponse body. Never throws: what is cut off is left out. */
export function parseErrorResponse(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  let at = 0
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1)
    if (end < 0) break
    fields[String.fromCharCode(body[at] as number)] = body.toString('utf8', at + 1, end)
    at = end + 1
  }
  return fields
}

/**
 * Whether a NoticeResponse says that the wait for synchronous standbys was given up: the transaction is committed here, and may be nowhere
 * else. By the routine that said it, since the words are translated (PostgreSQL's syncrep.c, SyncRepWaitForLSN).
 */
export function isWaitCancelled(noticeBody: Buffer): boolean {
  return parseErrorResponse(noticeBody)['R'] === 'SyncRepWaitForLSN'
}
