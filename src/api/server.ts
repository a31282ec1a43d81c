/**
 * The REST API of one node: Patroni's, the first generation's and our own under `/v1`, on one port, and the HTTP
 * Upgrade that the peer link comes in by. Reads show what the agent knows; whatever else than GET, HEAD and OPTIONS
 * needs the token, decided in one hook in front of all routes (G9); `/v1/join` alone is opened by an invitation. Must never decide anything about the cluster, and
 * never wait without a bound: it asks `ClusterOperations`, which the agent provides. A bad request costs its sender an
 * error and nobody else anything (G8).
 */
import fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify'
import { monotonicMs } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import type { Metrics } from '../platform/metrics.ts'
import { codeOf, Fault, messageOf } from '../std/fault.ts'
import { KiB, MiB, SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { createAccess, SAFE_METHODS, type Access, type AccessRules } from './access.ts'
import { clusterMetrics } from './cluster-metrics.ts'
import { addDashboardRoutes, type DashboardFiles } from './dashboard-routes.ts'
import { openApiPort, type ApiPort, type ApiPortOptions, type RequestHandler } from './api-port.ts'
import { addMemberRoutes, JOIN_PATH } from './member-routes.ts'
import { addNodeRoutes } from './node-routes.ts'
import { addConfigRoutes } from './config-routes.ts'
import { addPastRoutes } from './past-routes.ts'
import { addRestartRoutes } from './patroni/restart-routes.ts'
import { patroniMetrics } from './patroni/patroni-metrics.ts'
import { addPatroniRoutes } from './patroni/patroni-routes.ts'
import type { ClusterOperations, SwitchoverOrder } from './ports.ts'
import { RequestRefused, sendProblem, type ProblemFields } from './problem.ts'
import type { OrderSwitchover } from './switchover-request.ts'
import { unknownRoute, type Route } from './unknown-route.ts'

const REFUSAL_LOG_INTERVAL_MS = 10 * SECOND
const BODY_BYTES_MAX = 64 * KiB
const SWITCHOVER_DEADLINE_MS = 30 * SECOND
const MAXIMUM_LAG_BYTES = 1 * MiB

export type ApiDeps = {
  readonly operations: ClusterOperations
  readonly log: Logger
  readonly metrics: Metrics
  /** Absent: no dashboard is served. */
  readonly dashboard?: DashboardFiles
}

export type ApiOptions = ApiPortOptions & {
  /** Opens every change. Never empty. */
  readonly token: string
  /** Opens `/v1/routing` only. Never empty. */
  readonly routingToken: string
  readonly bodyLimitBytes?: number
  readonly switchoverDeadlineMs?: number
  readonly allowlist?: { readonly entries: readonly string[]; readonly includeMembers: boolean }
  /** Headers of every answer, beside ours. */
  readonly extraHeaders?: Readonly<Record<string, string>>
  /** Standbys within it are ready (`/readiness` without `?lag=`). */
  readonly maximumLagBytes?: number
}

export type ApiServer = {
  /** Every route that is served: what a check of the access rules walks through. */
  readonly routes: readonly Route[]
} & Pick<ApiPort, 'listen' | 'stop' | 'onUpgrade'>

/** Without a `port` it makes its own. One that is open already gets its answers from here as soon as this resolves. */
export async function createApiServer(
  deps: ApiDeps,
  options: ApiOptions,
  port: ApiPort = openApiPort(options),
): Promise<ApiServer> {
  const access = createAccess(options, accessRules(deps.operations, options))
  const { app, handler, routes } = createApp(options, port)
  guardChanges(app, { access, log: deps.log })
  readBodiesAsJson(app)
  answerErrors(app, { log: deps.log, routes })

  const orderSwitchover: OrderSwitchover = async (request, { leader, candidate }) => {
    const order: SwitchoverOrder = {
      requestedBy: request.ip,
      ...(leader === undefined ? {} : { from: leader }),
      ...(candidate === undefined ? {} : { to: candidate }),
    }
    deps.log.info('switchover requested', { ...order })
    const deadlineMs = options.switchoverDeadlineMs ?? SWITCHOVER_DEADLINE_MS
    return { order, outcome: await deps.operations.switchover(order, { deadlineMs }) }
  }
  deps.metrics.addSource(() => {
    const view = deps.operations.view()
    return [...patroniMetrics(view), ...clusterMetrics(view, deps.operations.latencies())]
  })
  addPatroniRoutes(app, {
    operations: deps.operations,
    orderSwitchover,
    maximumLagBytes: options.maximumLagBytes ?? MAXIMUM_LAG_BYTES,
  })
  addNodeRoutes(app, { ...deps, access, orderSwitchover })
  addMemberRoutes(app, deps)
  addConfigRoutes(app, deps)
  addRestartRoutes(app, deps)
  addPastRoutes(app, { operations: deps.operations, access })
  if (deps.dashboard) addDashboardRoutes(app, deps.dashboard)
  await app.ready()
  port.answerWith(handler)
  return {
    routes,
    listen: () => port.listen(),
    stop: async () => {
      await port.stop()
      await app.close()
    },
    onUpgrade: (protocol, upgrade) => port.onUpgrade(protocol, upgrade),
  }
}

function accessRules(operations: ClusterOperations, { allowlist, tls }: ApiOptions): AccessRules {
  const { entries = [], includeMembers = false } = allowlist ?? {}
  const members = (): readonly string[] => {
    if (!includeMembers) return []
    const { members: known, invitations } = operations.members()
    return [...known, ...invitations].map(({ apiHost }) => apiHost)
  }
  return {
    ...(entries.length > 0 || includeMembers ? { allowlist: { entries, members } } : {}),
    needsCertificate: tls?.clients !== undefined,
  }
}

/** Bodies are read by hand here, with messages of our own; no route has a schema. */
function noSchemas(): never {
  throw new Error('A route has a schema: there is no compiler for it')
}

function createApp(
  options: ApiOptions,
  port: ApiPort,
): { app: FastifyInstance; handler: RequestHandler; routes: readonly Route[] } {
  let handler: RequestHandler | undefined
  const app = fastify({
    bodyLimit: options.bodyLimitBytes ?? BODY_BYTES_MAX,
    exposeHeadRoutes: true,
    routerOptions: { ignoreTrailingSlash: true },
    // Without these fastify loads two compilers at every start, which took as long as all the rest of it.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    serverFactory: (answer) => {
      handler = answer
      return port.server
    },
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, malformed(error.message))
    },
  })
  const routes: Route[] = []
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) routes.push({ method, path: route.url })
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('server', 'pg-metako').headers(options.extraHeaders ?? {})
  })
  if (!handler) throw new Error('fastify did not ask for a server')
  return { app, handler, routes }
}

/** In front of everything, unknown routes included: nothing but a read gets further without the token. */
function guardChanges(app: FastifyInstance, { access, log }: { access: Access; log: Logger }): void {
  let lastLogged = Number.NEGATIVE_INFINITY
  let unlogged = 0
  const logRefusal = (request: FastifyRequest, why: string) => {
    // One line for a while: who guesses tokens must not fill the disk as well.
    if (monotonicMs() - lastLogged < REFUSAL_LOG_INTERVAL_MS) return void unlogged++
    const path = visibleText(pathOf(request), 100)
    log.warn('refused a change', {
      why,
      method: request.method,
      path,
      from: request.ip,
      unlogged,
    })
    lastLogged = monotonicMs()
    unlogged = 0
  }
  app.addHook('onRequest', async (request) => {
    if (SAFE_METHODS.has(request.method)) return
    try {
      await access.requireAddress(request)
      // What is asked there proves itself, and a node that is not yet one of us has no token and no certificate.
      if (request.method === 'POST' && pathOf(request) === JOIN_PATH) return
      access.requireCertificate(request)
      access.requireToken(request)
    } catch (error) {
      logRefusal(request, messageOf(error))
      throw error
    }
  })
}

/** Whatever the media type says: `curl -d` calls JSON a form. */
function readBodiesAsJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body.length === 0) return done(null, undefined)
    try {
      done(null, JSON.parse(body.toString()))
    } catch {
      done(
        new RequestRefused({
          status: 400,
          code: 'API_BODY_NOT_JSON',
          detail: 'Cannot read the body: it is not JSON',
          remedy: 'Send an object, such as {"candidate": "NAME"}',
        }),
      )
    }
  })
}

function answerErrors(
  app: FastifyInstance,
  { log, routes }: { log: Logger; routes: readonly Route[] },
): void {
  app.setNotFoundHandler((request, reply) => {
    const { allow, ...problem } = unknownRoute({ method: request.method, path: pathOf(request) }, routes)
    if (allow !== undefined) reply.header('allow', allow)
    return sendProblem(reply, problem)
  })
  app.setErrorHandler((error: FastifyError | Error, request, reply) => {
    const fields = problemFieldsOf(error)
    if (fields.status === 401)
      reply.header('www-authenticate', 'Bearer realm="pg-metako", Basic realm="pg-metako", charset="UTF-8"')
    if (fields.status >= 500)
      log.error('request failed', { method: request.method, path: visibleText(pathOf(request), 100), error })
    return sendProblem(reply, fields)
  })
}

function problemFieldsOf(error: Error): ProblemFields {
  if (error instanceof RequestRefused) return error.fields
  if (error instanceof Fault)
    return { status: error.retryable ? 503 : 500, code: error.code, detail: error.message }
  if (codeOf(error) === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return { status: 413, code: 'API_BODY_TOO_LARGE', detail: `Cannot read the body: ${messageOf(error)}` }
  const { statusCode } = error as { statusCode?: unknown }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) return malformed(error.message)
  // What broke is for our log: a stranger's message may hold anything, a secret too.
  return {
    status: 500,
    code: 'API_INTERNAL',
    detail: 'Cannot answer: an internal error, see the log of this node',
  }
}

function malformed(why: string): ProblemFields {
  return {
    status: 400,
    code: 'API_REQUEST_MALFORMED',
    detail: `Cannot read the request: ${visibleText(why)}`,
  }
}

function pathOf(request: FastifyRequest): string {
  const path = request.url.split('?', 1)[0] ?? '/'
  return path.length > 1 ? path.replace(/\/+$/, '') || '/' : path
}
