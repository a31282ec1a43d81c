import { ClientError } from './client-error.ts'
import type { ClusterView, HistoryDocument, RoutingDocument } from './cluster-view.ts'
import type { ClusterDocument, NodeStatus } from './coordination-documents.ts'
import type { DoctorDocument } from './doctor-documents.ts'
import type {
  InviteRequest,
  InviteResult,
  JoinAnswer,
  JoinRequest,
  MembersDocument,
  ConfirmDownResult,
  HoldRequest,
  HoldResult,
  ReinitResult,
  RemoveResult,
} from './member-documents.ts'
import {
  PROBLEM_MEDIA_TYPE,
  type DynamicConfigDocument,
  type Problem,
  type ReloadResult,
  type RestartResult,
  type RouterRestartResult,
  type SwitchoverRequest,
  type SwitchoverResult,
} from './operations.ts'
import type { ConfigDocument, EstimateDocument, LogDocument, RecentDocument } from './past-documents.ts'
import type { PatroniHistoryLine, PatroniStatus } from './patroni-documents.ts'
import { fetchTransport, type HttpAnswer, type HttpTransport } from './transport.ts'
import type { WhyDocument } from './why-documents.ts'

/** Long enough for an agent that is busy, short enough for a person who waits. */
const TIMEOUT_MS_DEFAULT = 5_000
/** A switchover answers when it is done; the agent itself gives up earlier. */
const SWITCHOVER_TIMEOUT_MS_DEFAULT = 60_000
/** Longer than an agent waits for commits, and then for consensus, to let a member go. */
const REMOVE_TIMEOUT_MS_DEFAULT = 30_000
/** The agent itself answers earlier, whatever becomes of it. */
const RESTART_TIMEOUT_MS_DEFAULT = 70_000
/** The next router has to begin first. */
const ROUTER_RESTART_TIMEOUT_MS_DEFAULT = 30_000
/** It waits for what does not answer: longer than any of its own limits. */
const DOCTOR_TIMEOUT_MS_DEFAULT = 15_000
/** The largest document is the view of a cluster with a long history of losses: some hundred kilobytes. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024

export type ClientOptions = {
  /** `http://10.0.0.1:8008`, with or without a slash at the end. */
  readonly url: string
  /** Needed for changes and for the routing table. */
  readonly token?: string
  /** For each call. */
  readonly timeoutMs?: number
  readonly transport?: HttpTransport
}

export type CallOptions = { readonly signal?: AbortSignal; readonly timeoutMs?: number }

/** Names of the health checks: 200 or 503, nothing else. */
export type HealthCheck =
  | 'health'
  | 'primary'
  | 'leader'
  | 'read-write'
  | 'replica'
  | 'read-only'
  | 'liveness'
  | 'readiness'

export type Health = { readonly healthy: boolean; readonly status?: PatroniStatus }

/** One agent's API. Every method rejects with a `ClientError` and with nothing else. */
export type Client = {
  readonly url: string
  /** The cluster as this agent sees it: all that there is to know. */
  view(options?: CallOptions): Promise<ClusterView>
  epochs(options?: CallOptions): Promise<HistoryDocument>
  routing(options?: CallOptions): Promise<RoutingDocument>
  /** What that agent saw lately, behind the number that the last answer gave. */
  recent(after?: number, options?: CallOptions): Promise<RecentDocument>
  /** What losing the primary would cost now. */
  estimate(options?: CallOptions): Promise<EstimateDocument>
  /** Why things are as they are, by the decisions of that agent. */
  why(options?: CallOptions): Promise<WhyDocument>
  /** Needs the token, as the next one. */
  config(options?: CallOptions): Promise<ConfigDocument>
  log(after?: number, options?: CallOptions): Promise<LogDocument>
  /** Has that node looked at now: its disks, its PostgreSQL, the way to the others. Needs the token. */
  doctor(options?: CallOptions): Promise<DoctorDocument>
  /** Patroni's status of this node. */
  patroni(options?: CallOptions): Promise<PatroniStatus>
  cluster(options?: CallOptions): Promise<ClusterDocument>
  status(options?: CallOptions): Promise<NodeStatus>
  history(options?: CallOptions): Promise<readonly PatroniHistoryLine[]>
  /** A health check that says "no" is an answer, not an error. */
  check(name: HealthCheck, options?: CallOptions): Promise<Health>
  /** Prometheus text. */
  metrics(options?: CallOptions): Promise<string>
  switchover(request: SwitchoverRequest, options?: CallOptions): Promise<SwitchoverResult>
  reload(options?: CallOptions): Promise<ReloadResult>
  /** Has another process take the place of this node's router, without dropping clients. */
  restartRouter(options?: CallOptions): Promise<RouterRestartResult>
  members(options?: CallOptions): Promise<MembersDocument>
  invite(request: InviteRequest, options?: CallOptions): Promise<InviteResult>
  removeMember(name: string, options?: CallOptions): Promise<RemoveResult>
  /** Has the data of a member cloned anew from the primary. */
  reinit(name: string, options?: CallOptions): Promise<ReinitResult>
  /** Takes a standby out of service: it takes over from nobody and gets no reads. */
  hold(name: string, request?: HoldRequest, options?: CallOptions): Promise<HoldResult>
  unhold(name: string, options?: CallOptions): Promise<HoldResult>
  /** Has the PostgreSQL of a member started anew; answers when it runs again. */
  restart(name: string, options?: CallOptions): Promise<RestartResult>
  /** An order in Patroni's words and at its address; the answer is a sentence for people, whatever became of it. */
  patroniOrder(
    method: 'POST' | 'DELETE',
    path: string,
    body?: object,
  ): Promise<{ readonly status: number; readonly text: string }>
  /** What is set for the whole cluster while it runs. */
  dynamicConfig(options?: CallOptions): Promise<DynamicConfigDocument>
  /** Changes it, as JSON merge patch: `null` takes a setting away. All or nothing. */
  patchConfig(patch: DynamicConfigDocument, options?: CallOptions): Promise<DynamicConfigDocument>
  /** Says that the PostgreSQL of a silent primary does not run, where the others wait for that word. */
  confirmDown(name: string, options?: CallOptions): Promise<ConfirmDownResult>
  /** Needs no token of the API: the request proves an invitation. */
  join(request: JoinRequest, options?: CallOptions): Promise<JoinAnswer>
}

type Call = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly timeoutMs?: number
  readonly options: CallOptions | undefined
}

export function createClient(options: ClientOptions): Client {
  const url = baseUrl(options.url)
  const send = (call: Call) => exchange(call, { ...options, url })
  const get = async <Document>(path: string, call: CallOptions | undefined) =>
    readJson<Document>(path, expectSuccess(path, await send({ method: 'GET', path, options: call })))
  const post = async <Document>(call: Omit<Call, 'method'>) =>
    readJson<Document>(call.path, expectSuccess(call.path, await send({ ...call, method: 'POST' })))
  const remove = async <Document>(call: Omit<Call, 'method'>) =>
    readJson<Document>(call.path, expectSuccess(call.path, await send({ ...call, method: 'DELETE' })))
  const member = (name: string, what = '') => `/v1/members/${encodeURIComponent(name)}${what}`

  return {
    url,
    view: async (call) => expectView(await get<ClusterView>('/v1/cluster', call)),
    epochs: (call) => get('/v1/history', call),
    routing: (call) => get('/v1/routing', call),
    recent: (after, call) => get(`/v1/recent?after=${after ?? 0}`, call),
    estimate: (call) => get('/v1/estimate', call),
    why: (call) => get('/v1/why', call),
    config: (call) => get('/v1/config', call),
    doctor: (call) => get('/v1/doctor', { timeoutMs: DOCTOR_TIMEOUT_MS_DEFAULT, ...call }),
    log: (after, call) => get(`/v1/log?after=${after ?? 0}`, call),
    patroni: (call) => get('/patroni', call),
    cluster: (call) => get('/cluster', call),
    status: (call) => get('/status', call),
    history: (call) => get('/history', call),
    check: async (name, call) => {
      const path = `/${name}`
      const answer = await send({ method: 'GET', path, options: call })
      if (answer.status !== 503 || answer.mediaType === PROBLEM_MEDIA_TYPE) expectSuccess(path, answer)
      const status = answer.body === '' ? undefined : readJson<PatroniStatus>(path, answer)
      return { healthy: answer.status === 200, ...(status ? { status } : {}) }
    },
    metrics: async (call) =>
      expectSuccess('/metrics', await send({ method: 'GET', path: '/metrics', options: call })).body,
    switchover: (body, call) =>
      post({ path: '/v1/switchover', body, timeoutMs: SWITCHOVER_TIMEOUT_MS_DEFAULT, options: call }),
    reload: (call) => post({ path: '/v1/reload', body: {}, options: call }),
    restartRouter: (call) =>
      post({
        path: '/v1/router/restart',
        body: {},
        timeoutMs: ROUTER_RESTART_TIMEOUT_MS_DEFAULT,
        options: call,
      }),
    members: (call) => get('/v1/members', call),
    invite: (body, call) => post({ path: '/v1/members', body, options: call }),
    removeMember: (name, call) =>
      remove({ path: member(name), timeoutMs: REMOVE_TIMEOUT_MS_DEFAULT, options: call }),
    reinit: (name, call) => post({ path: member(name, '/reinit'), body: {}, options: call }),
    hold: (name, body = {}, call) => post({ path: member(name, '/hold'), body, options: call }),
    unhold: (name, call) => remove({ path: member(name, '/hold'), options: call }),
    confirmDown: (name, call) => post({ path: member(name, '/confirm-down'), body: {}, options: call }),
    restart: (name, call) =>
      post({
        path: member(name, '/restart'),
        body: {},
        timeoutMs: RESTART_TIMEOUT_MS_DEFAULT,
        options: call,
      }),
    patroniOrder: (method, path, body) => sentence(send, { method, path, body }),
    dynamicConfig: (call) => get('/config', call),
    patchConfig: async (body, call) => {
      const path = '/config'
      return readJson(path, expectSuccess(path, await send({ method: 'PATCH', path, body, options: call })))
    },
    join: (body, call) => post({ path: '/v1/join', body, options: call }),
  }
}

async function sentence(
  send: (call: Call) => Promise<HttpAnswer>,
  order: Pick<Call, 'method' | 'path' | 'body'>,
): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await send({ ...order, timeoutMs: RESTART_TIMEOUT_MS_DEFAULT, options: undefined })
  if (answer.mediaType === PROBLEM_MEDIA_TYPE) expectSuccess(order.path, answer)
  return { status: answer.status, text: answer.body }
}

function baseUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new TypeError(`Cannot use "${text}" as an API address: not a URL, wanted http://HOST:PORT`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new TypeError(
      `Cannot use "${text}" as an API address: scheme is ${url.protocol}, wanted http or https`,
    )
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

async function exchange(call: Call, client: ClientOptions): Promise<HttpAnswer> {
  const timeoutMs = call.options?.timeoutMs ?? call.timeoutMs ?? client.timeoutMs ?? TIMEOUT_MS_DEFAULT
  const deadline = AbortSignal.timeout(timeoutMs)
  const signal = call.options?.signal ? AbortSignal.any([deadline, call.options.signal]) : deadline
  const transport = client.transport ?? fetchTransport
  try {
    return await transport({
      method: call.method,
      url: client.url + call.path,
      headers: {
        accept: 'application/json',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(client.token === undefined ? {} : { authorization: `Bearer ${client.token}` }),
      },
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal,
      maxBytes: ANSWER_BYTES_MAX,
    })
  } catch (error) {
    throw noAnswer(error, { url: client.url, timeoutMs, timedOut: deadline.aborted })
  }
}

function noAnswer(
  cause: unknown,
  about: { readonly url: string; readonly timeoutMs: number; readonly timedOut: boolean },
): ClientError {
  if (cause instanceof Error && cause.name === 'TooLarge')
    return new ClientError('failed', `Cannot use the answer of ${about.url}: ${cause.message}`, {
      code: 'ANSWER_TOO_LARGE',
      cause,
    })
  const why = about.timedOut ? `no answer within ${about.timeoutMs} ms` : reasonOf(cause)
  return new ClientError('unreachable', `Cannot reach ${about.url}: ${why}`, {
    code: about.timedOut ? 'TIMEOUT' : 'UNREACHABLE',
    cause,
  })
}

/** `fetch` hides the errno in a cause, and for a name with several addresses in the errors of an AggregateError. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error.cause
  if (inner instanceof Error) return reasonOf(inner)
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && !error.message.includes(code)
    ? `${code} ${error.message}`.trim()
    : error.message
}

function expectSuccess(path: string, answer: HttpAnswer): HttpAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer
  const problem = answer.mediaType === PROBLEM_MEDIA_TYPE ? tryProblem(answer.body) : undefined
  throw new ClientError(
    answer.status >= 400 && answer.status < 500 ? 'refused' : 'failed',
    problem?.detail ?? `Cannot get ${path}: the answer is HTTP ${answer.status}`,
    { code: problem?.code ?? 'ANSWER_NOT_UNDERSTOOD', status: answer.status, remedy: problem?.remedy },
  )
}

function tryProblem(body: string): Problem | undefined {
  try {
    const parsed: unknown = JSON.parse(body)
    const { code, detail, remedy } = parsed as Problem
    if (typeof code !== 'string' || typeof detail !== 'string') return undefined
    return { ...(parsed as Problem), ...(typeof remedy === 'string' ? { remedy } : {}) }
  } catch {
    return undefined
  }
}

function readJson<Document>(path: string, answer: HttpAnswer): Document {
  try {
    const parsed: unknown = JSON.parse(answer.body)
    if (typeof parsed === 'object' && parsed !== null) return parsed as Document
  } catch {
    // Falls through: both cases are the same to the caller.
  }
  throw notUnderstood(path, answer.status)
}

/** Other programs answer any path with some object: what every caller relies on is looked at. */
function expectView(view: ClusterView): ClusterView {
  const { members, consensus, history } = view as Partial<ClusterView>
  if (Array.isArray(members) && Array.isArray(history) && typeof consensus === 'object') return view
  throw notUnderstood('/v1/cluster', 200)
}

function notUnderstood(path: string, status: number): ClientError {
  return new ClientError('failed', `Cannot read the answer to ${path}: is this a pg-metako agent?`, {
    code: 'ANSWER_NOT_UNDERSTOOD',
    status,
  })
}
