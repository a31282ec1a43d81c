import type {
  HistoryDocument,
  ReloadResult,
  RouterRestartResult,
  RoutingDocument,
  SwitchoverResult,
  ClusterView as ViewDocument,
} from '#client'
import type { FastifyInstance } from 'fastify'
import type { Metrics } from '../platform/metrics.ts'
import type { Access } from './access.ts'
import { clusterDocument, nodeStatus } from './coordination/node-status.ts'
import { ownMember } from './lease-holder.ts'
import type { ClusterOperations, ReloadOutcome, RouterRestartOutcome } from './ports.ts'
import { sendProblem, type ProblemFields } from './problem.ts'
import { readSwitchoverRequest, switchoverProblem, type OrderSwitchover } from './switchover-request.ts'

export type NodeRouteDeps = {
  readonly operations: ClusterOperations
  readonly metrics: Metrics
  readonly access: Access
  readonly orderSwitchover: OrderSwitchover
}

/** Our own API under `/v1`, the first generation's documents, and the page for Prometheus. */
export function addNodeRoutes(app: FastifyInstance, deps: NodeRouteDeps): void {
  const { operations } = deps
  // The annotations are the check that the contract of `client/` is kept: a field that is missing does not compile.
  app.get('/v1/cluster', (_request, reply) => {
    const document: ViewDocument = operations.view()
    return reply.send(document)
  })
  app.get('/v1/history', (_request, reply) => {
    const { scope, history, losses } = operations.view()
    const document: HistoryDocument = { scope, epochs: history, losses, failovers: operations.failovers() }
    return reply.send(document)
  })
  app.get(
    '/v1/routing',
    { onRequest: async (request) => deps.access.requireRouting(request) },
    (_request, reply) => {
      const document: RoutingDocument = operations.routing()
      return reply.header('cache-control', 'no-store').send(document)
    },
  )
  app.get('/cluster', (_request, reply) => reply.send(clusterDocument(operations.view())))
  app.get('/status', (_request, reply) => {
    const view = operations.view()
    const own = ownMember(view)
    return own ? reply.send(nodeStatus(view, own)) : sendProblem(reply, NOT_IN_VIEW)
  })
  app.get('/metrics', async (_request, reply) =>
    reply.type(deps.metrics.contentType).send(await deps.metrics.render()),
  )
  app.post('/v1/switchover', async (request, reply) => {
    const { outcome } = await deps.orderSwitchover(request, readSwitchoverRequest(request.body))
    if (outcome.kind !== 'done') return sendProblem(reply, switchoverProblem(outcome))
    const { from, to, epoch, tookMs } = outcome
    const result: SwitchoverResult = { from, to, epoch, tookMs }
    return reply.send(result)
  })
  app.post('/v1/router/restart', async (_request, reply) => {
    const outcome = await operations.restartRouter()
    if (outcome.kind === 'refused') return sendProblem(reply, routerProblem(outcome))
    const { router, retiring, drainTimeoutMs } = outcome
    const result: RouterRestartResult = { node: operations.view().self, router, retiring, drainTimeoutMs }
    return reply.send(result)
  })
  app.post('/v1/reload', async (_request, reply) => {
    const outcome = await operations.reload()
    if (outcome.kind === 'refused') return sendProblem(reply, reloadProblem(outcome))
    const { kind: _, ...result } = outcome satisfies { readonly kind: 'applied' } & ReloadResult
    return reply.send(result)
  })
  // Patroni's name for it, and its answer.
  app.post('/reload', async (_request, reply) => {
    const outcome = await operations.reload()
    if (outcome.kind === 'refused') return sendProblem(reply, reloadProblem(outcome))
    return reply.code(202).type('text/plain; charset=utf-8').send('reload scheduled')
  })
}

const NOT_IN_VIEW: ProblemFields = {
  status: 503,
  code: 'API_INTERNAL',
  detail: 'Cannot tell the status of this node: its agent is still starting',
}

function routerProblem({ message }: Extract<RouterRestartOutcome, { kind: 'refused' }>): ProblemFields {
  return {
    status: 409,
    code: 'ROUTER_RESTART_REFUSED',
    detail: message,
    remedy: "Clients are served as before; look at the router's log (router.log in the node's state folder)",
  }
}

function reloadProblem(outcome: Extract<ReloadOutcome, { kind: 'refused' }>): ProblemFields {
  return {
    status: 409,
    code: 'RELOAD_REFUSED',
    detail: outcome.message,
    remedy: 'Check the file with "pg-metako --config FILE --validate"; what was in force stays in force',
  }
}
