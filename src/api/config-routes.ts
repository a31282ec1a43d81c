import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '../platform/log.ts'
import { isObject, type JsonObject } from '../model/dynamic-config.ts'
import type { ClusterOperations, ConfigOutcome } from './ports.ts'
import { invalidBody, sendProblem } from './problem.ts'

const REFUSALS = {
  NO_QUORUM: { status: 503, code: 'CONFIG_NO_QUORUM' },
  INVALID: { status: 400, code: 'CONFIG_REFUSED' },
  BUSY: { status: 409, code: 'CONFIG_BUSY' },
} as const

/** Patroni's routes for what is set for the whole cluster while it runs. */
export function addConfigRoutes(
  app: FastifyInstance,
  { operations, log }: { readonly operations: ClusterOperations; readonly log: Logger },
): void {
  const answer = (change: Parameters<ClusterOperations['changeConfig']>[0], request: FastifyRequest) => {
    log.warn('The settings of the whole cluster are to be changed', {
      ...change,
      requestedBy: request.ip,
    })
    return operations.changeConfig(change)
  }
  app.get('/config', (_request, reply) => reply.send(operations.dynamicConfig()))
  app.patch('/config', async (request, reply) => {
    const outcome = await answer({ kind: 'patch', patch: bodyOf(request) }, request)
    return outcome.kind === 'done' ? reply.send(outcome.config) : sendProblem(reply, problemOf(outcome))
  })
  app.put('/config', async (request, reply) => {
    const outcome = await answer({ kind: 'replace', config: bodyOf(request) }, request)
    return outcome.kind === 'done' ? reply.send(outcome.config) : sendProblem(reply, problemOf(outcome))
  })
}

function bodyOf({ body }: FastifyRequest): JsonObject {
  if (isObject(body)) return body
  throw invalidBody(
    'Cannot read the body: wanted an object of settings',
    'Send what shall change, such as {"pause": true}',
  )
}

function problemOf({ reason, message, remedy }: Extract<ConfigOutcome, { kind: 'refused' }>) {
  return { ...REFUSALS[reason], detail: message, remedy }
}
