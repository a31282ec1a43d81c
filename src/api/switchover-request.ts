import type { FastifyRequest } from 'fastify'
import type { SwitchoverRequest } from '#client'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import type { SwitchoverOrder, SwitchoverOutcome } from './ports.ts'
import { invalidBody, type ProblemFields, type RequestRefused } from './problem.ts'

const NAME_LENGTH_MAX = 128

export type OrderSwitchover = (
  request: FastifyRequest,
  asked: SwitchoverRequest,
) => Promise<{ order: SwitchoverOrder; outcome: SwitchoverOutcome }>

/** What a body may hold: our word first, then Patroni's aliases for it. */
const FIELDS: Readonly<Record<string, keyof SwitchoverRequest>> = {
  leader: 'leader',
  primary: 'leader',
  candidate: 'candidate',
  member: 'candidate',
}

/**
 * Reads the body of a switchover. An unknown field is refused: a misspelt candidate must not mean "anyone". A time is handed to
 * `isScheduled`, and refused where nobody wants one.
 */
export function readSwitchoverRequest(body: unknown, isScheduled?: (at: unknown) => void): SwitchoverRequest {
  if (body === undefined || body === null) return {}
  if (typeof body !== 'object' || Array.isArray(body))
    throw invalidBody('Cannot read the body: wanted a JSON object')
  const request: { leader?: string; candidate?: string } = {}
  for (const [key, value] of Object.entries(body)) {
    if (value === null || value === '') continue
    if (key === 'scheduled_at') {
      if (isScheduled) isScheduled(value)
      else
        throw invalidBody(
          'Cannot schedule a switchover here: "scheduled_at" is taken by POST /switchover',
          'Call that, or this without "scheduled_at" when the time has come',
        )
      continue
    }
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined
    if (field === undefined) throw unknownField(key)
    if (typeof value !== 'string' || value.length > NAME_LENGTH_MAX)
      throw invalidBody(`Cannot read "${key}": wanted a member name of at most ${NAME_LENGTH_MAX} characters`)
    request[field] = value
  }
  return request
}

function unknownField(key: string): RequestRefused {
  const meant = nearest(key.slice(0, NAME_LENGTH_MAX), Object.keys(FIELDS))
  return invalidBody(
    `Cannot read the body: unknown field "${visibleText(key, 40)}", wanted "leader" or "candidate"`,
    meant === undefined ? undefined : `Did you mean "${meant}"?`,
  )
}

type Refusal = Extract<SwitchoverOutcome, { kind: 'refused' }>['reason']

const REFUSALS: Readonly<Record<Refusal, { readonly status: number; readonly code: string }>> = {
  NO_PRIMARY: { status: 412, code: 'SWITCHOVER_NO_PRIMARY' },
  PRIMARY_IS_ANOTHER: { status: 412, code: 'SWITCHOVER_PRIMARY_IS_ANOTHER' },
  CANDIDATE_UNKNOWN: { status: 412, code: 'SWITCHOVER_CANDIDATE_UNKNOWN' },
  CANDIDATE_IS_PRIMARY: { status: 400, code: 'SWITCHOVER_CANDIDATE_IS_PRIMARY' },
  CANDIDATE_NOT_ELIGIBLE: { status: 412, code: 'SWITCHOVER_CANDIDATE_NOT_ELIGIBLE' },
  NO_ELIGIBLE_CANDIDATE: { status: 412, code: 'SWITCHOVER_NO_ELIGIBLE_CANDIDATE' },
  IN_PROGRESS: { status: 409, code: 'SWITCHOVER_IN_PROGRESS' },
  NO_QUORUM: { status: 503, code: 'SWITCHOVER_NO_QUORUM' },
  ATTACHED: { status: 409, code: 'SWITCHOVER_ATTACHED' },
}

/** A switchover that did not happen, as a problem. */
export function switchoverProblem(outcome: Exclude<SwitchoverOutcome, { kind: 'done' }>): ProblemFields {
  switch (outcome.kind) {
    case 'refused':
      return { ...REFUSALS[outcome.reason], detail: outcome.message, remedy: outcome.remedy }
    case 'failed':
      return {
        status: 503,
        code: 'SWITCHOVER_FAILED',
        detail: outcome.message,
        remedy: 'See "pg-metako list" and the logs of both members',
      }
    case 'unknown':
      return {
        status: 504,
        code: 'SWITCHOVER_OUTCOME_UNKNOWN',
        detail: outcome.message,
        remedy: 'Look at "pg-metako list" before trying again: it may still happen',
      }
  }
}
