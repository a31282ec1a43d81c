import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { statusDocument } from './status-document.ts'
import { patroniHistory } from './cluster-members.ts'
import type { OrderSwitchover } from '../switchover-request.ts'
import { addPatroniOrders } from './patroni-orders.ts'
import {
  healthChecks,
  isAlive,
  type HealthCheck,
  type HealthFacts,
  type HealthQuery,
} from './health-checks.ts'
import type { ClusterOperations } from '../ports.ts'

/** HAProxy asks with OPTIONS, others with HEAD: for them the status is all. */
const ASK = ['GET', 'HEAD', 'OPTIONS']

export type PatroniDeps = {
  readonly operations: ClusterOperations
  readonly orderSwitchover: OrderSwitchover
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
    handler: ({ method }, reply) =>
      method === 'GET' ? reply.send(statusDocument(deps.operations.view())) : reply.send(),
  })
  app.get('/history', (_request, reply) => reply.send(patroniHistory(deps.operations.view())))
  addPatroniOrders(app, deps)
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
