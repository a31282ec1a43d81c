import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { SwitchoverOrder, SwitchoverOutcome } from '../ports.ts'
import { RequestRefused } from '../problem.ts'
import { readSwitchoverRequest, switchoverProblem } from '../switchover-request.ts'
import { say, type Sentence } from './sentence.ts'

export type OrderSwitchover = (
  request: FastifyRequest,
) => Promise<{ order: SwitchoverOrder; outcome: SwitchoverOutcome }>

type Verb = { readonly done: string; readonly noun: string }

const SWITCHOVER: Verb = { done: 'switched', noun: 'Switchover' }
const FAILOVER: Verb = { done: 'failed', noun: 'Failover' }

/** Routes that Patroni has and that can do nothing here, each with what its users are told. */
const ABSENT: readonly (readonly [path: string, why: string])[] = [
  ['/citus', 'Citus is not there yet'],
  ['/mpp', 'Citus is not there yet'],
]

/** What changes the cluster, in Patroni's words. Answers are sentences, and `patronictl` prints them as they are. */
export function addPatroniOrders(app: FastifyInstance, orderSwitchover: OrderSwitchover): void {
  app.post('/switchover', async (request, reply) => {
    const { order, outcome } = await orderSwitchover(request)
    return say(reply, sentenceOf(SWITCHOVER, order, outcome))
  })
  app.post('/failover', async (request, reply) => {
    const { candidate, leader } = readSwitchoverRequest(request.body)
    if (candidate === undefined)
      return say(reply, { status: 400, text: 'Failover could be performed only to a specific candidate' })
    const { order, outcome } = await orderSwitchover(request)
    // Who names the primary as well means a switchover.
    return say(reply, sentenceOf(leader === undefined ? FAILOVER : SWITCHOVER, order, outcome))
  })
  // Nothing is ever scheduled, so there is nothing to call off.
  app.delete('/switchover', (_request, reply) =>
    say(reply, { status: 404, text: 'no switchover is scheduled' }),
  )
  app.delete('/restart', (_request, reply) => say(reply, { status: 404, text: 'no restarts are scheduled' }))
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
