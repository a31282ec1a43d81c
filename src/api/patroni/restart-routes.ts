import type { RestartResult } from '#client'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { wallMs } from '../../platform/clock.ts'
import type { Logger } from '../../platform/log.ts'
import { isObject } from '../../model/dynamic-config.ts'
import { SECOND } from '../../std/units.ts'
import { visibleText } from '../../std/visible-text.ts'
import { readMemberName } from '../member-requests.ts'
import type {
  ClusterOperations,
  RestartOutcome,
  RestartRefusal,
  RestartWish,
  ScheduleOutcome,
} from '../ports.ts'
import { invalidBody, sendProblem, type ProblemFields } from '../problem.ts'
import { scheduleTime } from './schedule-time.ts'
import { say, type Sentence } from './sentence.ts'

/** Crash recovery can take long; whoever asks is told then that it goes on. */
const DEADLINE_MS = 60 * SECOND

/** Starting the PostgreSQL of a member anew: ours for any member, Patroni's for this one. */
export function addRestartRoutes(
  app: FastifyInstance,
  { operations, log }: { readonly operations: ClusterOperations; readonly log: Logger },
): void {
  const order = (name: string, request: FastifyRequest) => {
    const { deadlineMs = DEADLINE_MS, ...conditions } = readRestartRequest(request.body)
    log.warn('PostgreSQL of a member is to be restarted', { name, ...conditions, requestedBy: request.ip })
    return operations.restart({ name, ...conditions }, { deadlineMs })
  }
  app.post<{ Params: { name: string } }>('/v1/members/:name/restart', async (request, reply) => {
    const outcome = await order(readMemberName(request.params.name), request)
    if (outcome.kind !== 'done') return sendProblem(reply, problemOf(outcome))
    const result: RestartResult = { name: outcome.name, tookMs: outcome.tookMs }
    return reply.send(result)
  })
  app.post('/restart', async (request, reply) => {
    const { schedule: text, ...now } = isObject(request.body) ? request.body : {}
    if (text === undefined || text === null)
      return say(reply, sentenceOf(await order(operations.view().self, request)))
    const time = scheduleTime(text, { action: 'restart', now: wallMs() })
    if (!('at' in time)) return say(reply, time)
    const { deadlineMs: _now, ...conditions } = readRestartRequest(now)
    log.warn('PostgreSQL of this member is to be restarted later', {
      ...time,
      ...conditions,
      requestedBy: request.ip,
    })
    return say(reply, scheduled(await operations.schedule({ kind: 'restart', ...time, ...conditions })))
  })
}

function scheduled(outcome: ScheduleOutcome): Sentence {
  if (outcome.kind === 'scheduled') return { status: 202, text: 'Restart scheduled' }
  if (outcome.reason === 'PAUSED') return { status: 500, text: "Can't schedule restart in the paused state" }
  if (outcome.reason === 'EXISTS') return { status: 409, text: 'Another restart is already scheduled' }
  return { status: 503, text: outcome.message }
}

/** Patroni's words, which patronictl prints as they are. */
function sentenceOf(outcome: RestartOutcome): Sentence {
  if (outcome.kind === 'done') return { status: 200, text: 'restarted successfully' }
  if (outcome.kind === 'unknown') return { status: 503, text: `restart failed: ${outcome.message}` }
  if (outcome.reason === 'NOT_MEANT') return { status: 503, text: 'restart conditions are not satisfied' }
  return { status: 503, text: outcome.message }
}

type Conditions = Omit<RestartWish, 'name'> & { readonly deadlineMs?: number }

/** In Patroni's fields. An unknown one is refused: a condition that is misspelt must not mean none. */
function readRestartRequest(body: unknown): Conditions {
  if (body === undefined || body === null) return {}
  if (typeof body !== 'object' || Array.isArray(body))
    throw invalidBody('Cannot read the body: wanted a JSON object')
  let conditions: Conditions = {}
  for (const [key, value] of Object.entries(body)) {
    if (value === null) continue
    conditions = { ...conditions, ...readCondition(key, value) }
  }
  return conditions
}

function readCondition(key: string, value: unknown): Conditions {
  switch (key) {
    case 'role':
      if (value === 'primary' || value === 'master') return { role: 'primary' }
      if (value === 'replica' || value === 'standby') return { role: 'standby' }
      throw invalidBody(`Cannot read "role": wanted primary or replica, not ${shown(value)}`)
    case 'restart_pending':
      if (typeof value === 'boolean') return value ? { onlyPending: true } : {}
      throw invalidBody(`Cannot read "restart_pending": wanted true or false, not ${shown(value)}`)
    case 'postgres_version':
      return { version: versionNumber(value) }
    case 'timeout':
      if (typeof value === 'number' && value > 0 && value <= 86_400) return { deadlineMs: value * SECOND }
      throw invalidBody(`Cannot read "timeout": wanted seconds, not ${shown(value)}`)
    case 'schedule':
      throw invalidBody(
        'Cannot schedule a restart here: "schedule" is taken by POST /restart of the member itself',
        'Call that, or this without "schedule" when the time has come',
      )
    default:
      throw invalidBody(
        `Cannot read the body: unknown field ${shown(key)}, wanted role, restart_pending, postgres_version or timeout`,
      )
  }
}

/** "18.4" as `server_version_num` has it: 180004. */
function versionNumber(value: unknown): number {
  const match = /^(\d{2,3})\.(\d{1,3})$/.exec(typeof value === 'string' ? value : '')
  if (match === null)
    throw invalidBody(`Cannot read "postgres_version": wanted such as "18.4", not ${shown(value)}`)
  return Number(match[1]) * 10_000 + Number(match[2])
}

function shown(value: unknown): string {
  return visibleText(JSON.stringify(value) ?? 'nothing', 40)
}

const REFUSALS: Readonly<Record<RestartRefusal, { readonly status: number; readonly code: string }>> = {
  NO_QUORUM: { status: 503, code: 'MEMBER_NO_QUORUM' },
  UNKNOWN: { status: 404, code: 'MEMBER_UNKNOWN' },
  TAKE_OVER: { status: 409, code: 'MEMBER_TAKE_OVER' },
  HAS_NO_DATA: { status: 409, code: 'MEMBER_HAS_NO_DATA' },
  NOT_MEANT: { status: 412, code: 'RESTART_NOT_MEANT' },
}

function problemOf(outcome: Exclude<RestartOutcome, { kind: 'done' }>): ProblemFields {
  if (outcome.kind === 'unknown')
    return { status: 504, code: 'RESTART_OUTCOME_UNKNOWN', detail: outcome.message }
  const { reason, message, remedy } = outcome
  return { ...REFUSALS[reason], detail: message, remedy }
}
