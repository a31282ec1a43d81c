import { PROBLEM_MEDIA_TYPE, type Problem } from '#client'
import type { FastifyReply } from 'fastify'
import { remedyOf } from '../model/error-code.ts'

/** Codes that the API itself answers with; those of faults and refusals pass through. */
export type ApiCode =
  | 'API_UNAUTHENTICATED'
  | 'API_CROSS_ORIGIN'
  | 'API_ADDRESS_DENIED'
  | 'API_CERTIFICATE_REQUIRED'
  | 'API_ROUTE_UNKNOWN'
  | 'API_METHOD_NOT_ALLOWED'
  | 'API_REQUEST_MALFORMED'
  | 'API_BODY_NOT_JSON'
  | 'API_BODY_INVALID'
  | 'API_BODY_TOO_LARGE'
  | 'API_QUERY_INVALID'
  | 'API_TOO_MANY_JOINS'
  | 'API_NOT_THERE_YET'
  | 'API_INTERNAL'

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  412: 'Precondition failed',
  413: 'Body too large',
  429: 'Too many requests',
  500: 'Internal error',
  501: 'Not there yet',
  503: 'Not available',
  504: 'Outcome unknown',
}

export type ProblemFields = {
  readonly status: number
  readonly code: string
  /** What happened, for people: actual and wanted. Never a secret, never more of the request than it takes. */
  readonly detail: string
  readonly remedy?: string | undefined
}

/** The one place where an error becomes an HTTP answer (RFC 9457). */
function problemOf(fields: ProblemFields): Problem {
  const remedy = fields.remedy ?? remedyOf(fields.code)
  return {
    type: `urn:pg-metako:problem:${fields.code.toLowerCase().replaceAll('_', '-')}`,
    title: TITLES[fields.status] ?? 'Error',
    status: fields.status,
    code: fields.code,
    detail: fields.detail,
    ...(remedy === undefined ? {} : { remedy }),
  }
}

export function sendProblem(reply: FastifyReply, fields: ProblemFields): FastifyReply {
  return reply
    .code(fields.status)
    .header('content-type', PROBLEM_MEDIA_TYPE)
    .header('cache-control', 'no-store')
    .send(JSON.stringify(problemOf(fields)))
}

/** Thrown by a handler that cannot go on because of the request; the error handler sends it. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  readonly fields: ProblemFields

  constructor(fields: ProblemFields & { readonly code: ApiCode }) {
    super(fields.detail)
    this.fields = fields
  }
}

/** What a request carries cannot be read. */
export function invalidBody(detail: string, remedy?: string): RequestRefused {
  return new RequestRefused({ status: 400, code: 'API_BODY_INVALID', detail, remedy })
}
