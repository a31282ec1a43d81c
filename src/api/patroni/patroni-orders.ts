import type { FastifyInstance, FastifyRequest } from 'fastify'
import { wallMs } from '../../platform/clock.ts'
import type {
  ClusterOperations,
  ScheduleOutcome,
  SwitchoverOrder,
  SwitchoverOutcome,
  UnscheduleOutcome,
} from '../ports.ts'
import { RequestRefused } from '../problem.ts'
import { readSwitchoverRequest, switchoverProblem, type OrderSwitchover } from '../switchover-request.ts'
import { scheduleTime } from './schedule-time.ts'
import { say, type Sentence } from './sentence.ts'

type Verb = { readonly done: string; readonly noun: string }

const SWITCHOVER: Verb = { done: 'switched', noun: 'Switchover' }
const FAILOVER: Verb = { done: 'failed', noun: 'Failover' }

/** Routes that Patroni has and that can do nothing here, each with what its users are told. */
const ABSENT: readonly (readonly [path: string, why: string])[] = [
  ['/citus', 'Citus is not there yet'],
  ['/mpp', 'Citus is not there yet'],
]

/** What changes the cluster, in Patroni's words. Answers are sentences, and `patronictl` prints them as they are. */
export function addPatroniOrders(
  app: FastifyInstance,
  { operations, orderSwitchover }: { operations: ClusterOperations; orderSwitchover: OrderSwitchover },
): void {
  const order = async (verb: Verb, request: FastifyRequest): Promise<Sentence> => {
    let scheduledAt: unknown
    const asked = readSwitchoverRequest(request.body, (at) => (scheduledAt = at))
    const { leader, candidate } = asked
    if (verb === FAILOVER && candidate === undefined)
      return { status: 400, text: 'Failover could be performed only to a specific candidate' }
    // Who names the primary as well means a switchover.
    const meant = verb === FAILOVER && leader === undefined ? FAILOVER : SWITCHOVER
    if (scheduledAt !== undefined) {
      if (meant === FAILOVER) return { status: 400, text: "Failover can't be scheduled" }
      if (leader === undefined)
        return { status: 400, text: 'Switchover could be performed only from a specific leader' }
      if (leader === candidate) return { status: 400, text: 'Switchover target and source are the same' }
      const time = scheduleTime(scheduledAt, { action: 'switchover', now: wallMs() })
      if (!('at' in time)) return time
      return scheduled(
        await operations.schedule({
          kind: 'switchover',
          ...time,
          from: leader,
          ...(candidate === undefined ? {} : { to: candidate }),
        }),
      )
    }
    const { order: given, outcome } = await orderSwitchover(request, asked)
    return sentenceOf(meant, given, outcome)
  }
  app.post('/switchover', async (request, reply) => say(reply, await order(SWITCHOVER, request)))
  app.post('/failover', async (request, reply) => say(reply, await order(FAILOVER, request)))
  app.delete('/switchover', async (_request, reply) => {
    const outcome = await operations.unschedule('switchover')
    return say(
      reply,
      calledOff(outcome, { deleted: 'scheduled switchover deleted', none: 'no switchover is scheduled' }),
    )
  })
  app.delete('/restart', async (_request, reply) => {
    const outcome = await operations.unschedule('restart')
    return say(
      reply,
      calledOff(outcome, { deleted: 'scheduled restart deleted', none: 'no restarts are scheduled' }),
    )
  })
  for (const [path, why] of ABSENT)
    app.post(path, async () => {
      throw new RequestRefused({ status: 501, code: 'API_NOT_THERE_YET', detail: `Cannot do this: ${why}` })
    })
  // With failsafe mode off, which it is for good: the members prove themselves to each other on a wire of their own.
  for (const method of ['GET', 'POST'] as const)
    app.route({
      method,
      url: '/failsafe',
      handler: (_request, reply) => say(reply, { status: 502, text: 'failsafe mode is off' }),
    })
}

function scheduled(outcome: ScheduleOutcome): Sentence {
  if (outcome.kind === 'scheduled') return { status: 202, text: 'Switchover scheduled' }
  if (outcome.reason === 'PAUSED')
    return { status: 400, text: "Can't schedule switchover in the paused state" }
  return { status: 503, text: 'failed to write failover key into DCS' }
}

function calledOff(
  outcome: UnscheduleOutcome,
  texts: { readonly deleted: string; readonly none: string },
): Sentence {
  if (outcome.kind === 'refused')
    return { status: outcome.reason === 'BUSY' ? 409 : 503, text: outcome.message }
  return { status: outcome.kind === 'deleted' ? 200 : 404, text: texts[outcome.kind] }
}

function sentenceOf(verb: Verb, order: SwitchoverOrder, outcome: SwitchoverOutcome): Sentence {
  if (outcome.kind === 'done') {
    const { to } = outcome
    const isAsWanted = order.to === undefined || order.to === to
    const text = isAsWanted
      ? `Successfully ${verb.done} over to "${to}"`
      : `${verb.done === 'failed' ? 'Failed' : 'Switched'} over to "${to}" instead of "${order.to}"`
    return { status: 200, text }
  }
  const { status, detail } = switchoverProblem(outcome)
  if (outcome.kind === 'refused') return { status, text: detail }
  const text =
    outcome.kind === 'failed' ? `${verb.noun} failed: ${detail}` : `${verb.noun} status unknown: ${detail}`
  return { status: 503, text }
}
