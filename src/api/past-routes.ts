import type {
  ConfigDocument,
  DoctorDocument,
  EstimateDocument,
  LogDocument,
  RecentDocument,
  WhyDocument,
} from '#client'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access } from './access.ts'
import type { ClusterOperations } from './ports.ts'
import { RequestRefused } from './problem.ts'

/** What was lately, what could be next, and what one node says of itself: for people and their dashboard. */
export function addPastRoutes(
  app: FastifyInstance,
  { operations, access }: { readonly operations: ClusterOperations; readonly access: Access },
): void {
  app.get('/v1/recent', (request, reply) => {
    const document: RecentDocument = operations.recent(numberAfter(request))
    return reply.send(document)
  })
  app.get('/v1/estimate', (_request, reply) => {
    const document: EstimateDocument = operations.estimate()
    return reply.send(document)
  })
  app.get('/v1/why', (_request, reply) => {
    const document: WhyDocument = operations.why()
    return reply.send(document)
  })
  const guarded = { onRequest: async (request: FastifyRequest) => access.requireToken(request) }
  app.get('/v1/config', guarded, (_request, reply) => {
    const document: ConfigDocument = operations.config()
    return reply.header('cache-control', 'no-store').send(document)
  })
  // Guarded: it makes PostgreSQL, disks and peers work, and says where a cluster is weak.
  app.get('/v1/doctor', guarded, async (_request, reply) => {
    const document: DoctorDocument = await operations.doctor()
    return reply.header('cache-control', 'no-store').send(document)
  })
  app.get('/v1/log', guarded, (request, reply) => {
    const document: LogDocument = operations.log(numberAfter(request))
    return reply.header('cache-control', 'no-store').send(document)
  })
}

/** `?after=`: of the last thing that is known already. */
function numberAfter(request: FastifyRequest): number {
  const { after = '0' } = request.query as { after?: unknown }
  if (typeof after === 'string' && /^\d{1,15}$/.test(after)) return Number(after)
  throw new RequestRefused({
    status: 400,
    code: 'API_QUERY_INVALID',
    detail: 'Cannot read the query parameter "after": wanted a number that an earlier answer gave as "next"',
  })
}
