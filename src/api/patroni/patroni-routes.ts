import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { statusDocument } from './status-document.ts'
import { patroniHistory } from './cluster-members.ts'
import {
  healthChecks,
  isAlive,
  type HealthCheck,
  type HealthFacts,
  type HealthQuery,
} from './health-checks.ts'
import type { ClusterOperations, SwitchoverOrder, SwitchoverOutcome } from '../ports.ts'
import { switchoverProblem } from '../switchover-request.ts'

/** HAProxy asks with OPTIONS, others with HEAD: for them the status is all. */
const ASK = ['GET', 'HEAD', 'OPTIONS']

export type PatroniDeps = {
  readonly operations: ClusterOperations
  readonly orderSwitchover: (
    request: FastifyRequest,
  ) => Promise<{ order: SwitchoverOrder; outcome: SwitchoverOutcome }>
  readonly maximumLagBytes: number
}

/** Patroni's REST API, in Patroni's words: what HAProxy, `patronictl` and its dashboards call. */
export function addPatroniRoutes(app: FastifyInstance, deps: PatroniDeps): void {
  for (const [path, check] of Object.entries(healthChecks))
    app.route({
      method: ASK,
      url: path,
      handler: (request, reply) => answerCheck(check, factsNow(deps), { request, reply }),
    })
  app.route({
    method: ASK,
    url: '/liveness',
    handler: (request, reply) =>
      reply.code(isAlive(factsNow(deps), request.query as HealthQuery) ? 200 : 503).send(),
  })
  app.route({
    method: ASK,
    url: '/patroni',
    handler: (_request, reply) => reply.send(statusDocument(deps.operations.view())),
  })
  app.get('/history', (_request, reply) => reply.send(patroniHistory(deps.operations.view())))
  app.post('/switchover', async (request, reply) => {
    const { order, outcome } = await deps.orderSwitchover(request)
    const { status, text } = switchoverText(order, outcome)
    return reply.code(status).type('text/plain; charset=utf-8').send(text)
  })
}

function factsNow({ operations, maximumLagBytes }: PatroniDeps): HealthFacts {
  return { view: operations.view(), loopAgeMs: operations.loopAgeMs(), maximumLagBytes }
}

/** Load balancers ask several times a second: the body is drawn only for those who read it. */
function answerCheck(
  check: HealthCheck,
  facts: HealthFacts,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
): FastifyReply {
  reply.code(check(facts, request.query as HealthQuery) ? 200 : 503)
  return request.method === 'GET' ? reply.send(statusDocument(facts.view)) : reply.send()
}

/** Patroni answers in sentences, and `patronictl` prints them as they are. */
function switchoverText(
  order: SwitchoverOrder,
  outcome: SwitchoverOutcome,
): { status: number; text: string } {
  if (outcome.kind === 'done') {
    const asWanted = order.to === undefined || order.to === outcome.to
    return {
      status: 200,
      text: asWanted
        ? `Successfully switched over to "${outcome.to}"`
        : `Switched over to "${outcome.to}" instead of "${order.to}"`,
    }
  }
  const { status, detail } = switchoverProblem(outcome)
  if (outcome.kind === 'refused') return { status, text: detail }
  return {
    status: 503,
    text: outcome.kind === 'failed' ? `Switchover failed: ${detail}` : `Switchover status unknown: ${detail}`,
  }
}
