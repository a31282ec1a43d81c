import type {
  ConfirmDownResult,
  HoldResult,
  InviteResult,
  JoinAnswer,
  MembersDocument,
  ReinitResult,
  RemoveResult,
} from '#client'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { monotonicMs } from '../platform/clock.ts'
import type { Logger } from '../platform/log.ts'
import { KiB, SECOND } from '../std/units.ts'
import { readHoldRequest, readInviteRequest, readJoinRequest, readMemberName } from './member-requests.ts'
import type {
  ClusterOperations,
  ConfirmDownRefusal,
  HoldRefusal,
  HoldWish,
  JoinOutcome,
  MemberRefusal,
  Refused,
  ReinitRefusal,
} from './ports.ts'
import { RequestRefused, sendProblem, type ProblemFields } from './problem.ts'

/** The one change that needs no token of the API: its body proves an invitation. */
export const JOIN_PATH = '/v1/join'

const JOIN_BODY_BYTES_MAX = 2 * KiB
/** Nobody can guess a token; this bounds what trying costs the consensus, which each of them asks. */
const JOINS_MAX = 20
const JOINS_WINDOW_MS = 10 * SECOND

export type MemberRouteDeps = { readonly operations: ClusterOperations; readonly log: Logger }

/** Who belongs to the cluster, and changes of that. */
export function addMemberRoutes(app: FastifyInstance, { operations, log }: MemberRouteDeps): void {
  const orderReinit = (name: string, request: FastifyRequest) => {
    log.warn('A member is to be cloned anew', { name, requestedBy: request.ip })
    return operations.reinit(name)
  }
  app.get('/v1/members', (_request, reply) => {
    const document: MembersDocument = operations.members()
    return reply.send(document)
  })
  app.post('/v1/members', async (request, reply) => {
    const { name, apiHost, apiPort } = readInviteRequest(request.body)
    log.info('A member is invited', { name, apiHost, apiPort, requestedBy: request.ip })
    const outcome = await operations.invite({ name, apiHost, apiPort, requestedBy: request.ip })
    if (outcome.kind === 'refused') return sendProblem(reply, memberProblem(outcome))
    const { token, expiresAt, urls } = outcome
    const result: InviteResult = { name, token, expiresAt, urls }
    return reply.code(201).header('cache-control', 'no-store').send(result)
  })
  app.delete<{ Params: { name: string } }>('/v1/members/:name', async (request, reply) => {
    const name = readMemberName(request.params.name)
    log.warn('A member is removed', { name, requestedBy: request.ip })
    const outcome = await operations.removeMember({ name, requestedBy: request.ip })
    if (outcome.kind === 'refused') return sendProblem(reply, memberProblem(outcome))
    const { removedAt, consensus, remaining } = outcome
    const result: RemoveResult = { name, removedAt, consensus, remaining }
    return reply.send(result)
  })
  app.post<{ Params: { name: string } }>('/v1/members/:name/reinit', async (request, reply) => {
    const outcome = await orderReinit(readMemberName(request.params.name), request)
    if (outcome.kind === 'refused') return sendProblem(reply, memberProblem(outcome))
    const result: ReinitResult = { name: outcome.name, from: outcome.from }
    return reply.code(202).send(result)
  })
  app.post<{ Params: { name: string } }>('/v1/members/:name/confirm-down', async (request, reply) => {
    const name = readMemberName(request.params.name)
    log.warn('Somebody says that the PostgreSQL of a member does not run', { name, requestedBy: request.ip })
    const outcome = await operations.confirmDown(name)
    if (outcome.kind === 'refused') return sendProblem(reply, memberProblem(outcome))
    const result: ConfirmDownResult = { name: outcome.name, epoch: outcome.epoch }
    return reply.send(result)
  })
  const setHold = async (reply: FastifyReply, wish: HoldWish, request: FastifyRequest) => {
    const { name, isHeld, reason } = wish
    log.warn(isHeld ? 'A member is held' : 'A member is held no more', {
      name,
      ...(reason === undefined ? {} : { reason }),
      requestedBy: request.ip,
    })
    const outcome = await operations.hold(wish)
    if (outcome.kind === 'refused') return sendProblem(reply, memberProblem(outcome))
    const result: HoldResult = { name: outcome.name, held: isHeld }
    return reply.send(result)
  }
  app.post<{ Params: { name: string } }>('/v1/members/:name/hold', (request, reply) => {
    const { reason } = readHoldRequest(request.body)
    return setHold(reply, { name: readMemberName(request.params.name), isHeld: true, reason }, request)
  })
  app.delete<{ Params: { name: string } }>('/v1/members/:name/hold', (request, reply) =>
    setHold(reply, { name: readMemberName(request.params.name), isHeld: false }, request),
  )
  // Patroni's name for it: this very node.
  app.post('/reinitialize', async (request, reply) => {
    const outcome = await orderReinit(operations.view().self, request)
    reply.type('text/plain; charset=utf-8')
    // Whoever asks on this route prints the sentence, and knows one status for a no.
    if (outcome.kind === 'refused') return reply.code(503).send(`${outcome.message}, can not reinitialize`)
    return reply.send('reinitialize started')
  })
  addJoin(app, { operations, log })
}

function addJoin(app: FastifyInstance, { operations, log }: MemberRouteDeps): void {
  let windowEndsAt = Number.NEGATIVE_INFINITY
  let joins = 0
  app.post(JOIN_PATH, { bodyLimit: JOIN_BODY_BYTES_MAX }, async (request, reply) => {
    if (monotonicMs() > windowEndsAt) {
      windowEndsAt = monotonicMs() + JOINS_WINDOW_MS
      joins = 0
    }
    joins += 1
    if (joins > JOINS_MAX) {
      throw new RequestRefused({
        status: 429,
        code: 'API_TOO_MANY_JOINS',
        detail: `Cannot answer: more than ${JOINS_MAX} requests to join within ${JOINS_WINDOW_MS / SECOND} s`,
      })
    }
    const order = readJoinRequest(request.body)
    const outcome = await operations.join(order)
    log.info('Asked to join', { outcome: outcome.kind, invitation: order.invitation, from: request.ip })
    if (outcome.kind !== 'done') return sendProblem(reply, joinProblem(outcome))
    const answer: JoinAnswer = { nonce: outcome.nonce, sealed: outcome.sealed }
    return reply.header('cache-control', 'no-store').send(answer)
  })
}

const REFUSALS: Readonly<
  Record<
    MemberRefusal | ReinitRefusal | ConfirmDownRefusal | HoldRefusal,
    { readonly status: number; readonly code: string }
  >
> = {
  NO_QUORUM: { status: 503, code: 'MEMBER_NO_QUORUM' },
  NOT_READY: { status: 409, code: 'MEMBER_NOT_READY' },
  EXISTS: { status: 409, code: 'MEMBER_EXISTS' },
  UNKNOWN: { status: 404, code: 'MEMBER_UNKNOWN' },
  IS_PRIMARY: { status: 409, code: 'MEMBER_IS_PRIMARY' },
  IS_LAST: { status: 409, code: 'MEMBER_IS_LAST' },
  IS_NEEDED: { status: 409, code: 'MEMBER_IS_NEEDED' },
  IS_ONLY_STANDBY: { status: 409, code: 'MEMBER_IS_ONLY_STANDBY' },
  TAKE_OVER: { status: 409, code: 'MEMBER_TAKE_OVER' },
  BUSY: { status: 409, code: 'MEMBER_BUSY' },
  HAS_NO_DATA: { status: 409, code: 'MEMBER_HAS_NO_DATA' },
  NOT_HELD: { status: 409, code: 'MEMBER_NOT_HELD' },
  NOT_AWAITED: { status: 409, code: 'MEMBER_NOT_AWAITED' },
}

function memberProblem({
  reason,
  message,
  remedy,
}: Refused<MemberRefusal | ReinitRefusal | ConfirmDownRefusal | HoldRefusal>): ProblemFields {
  return { ...REFUSALS[reason], detail: message, remedy }
}

function joinProblem(outcome: Exclude<JoinOutcome, { kind: 'done' }>): ProblemFields {
  switch (outcome.kind) {
    case 'refused':
      return memberProblem(outcome)
    case 'not-invited':
      return { status: 403, code: 'JOIN_NOT_INVITED', detail: 'Cannot join: this token is not known here' }
    case 'expired':
      return { status: 403, code: 'JOIN_EXPIRED', detail: 'Cannot join: the token has expired' }
    case 'used':
      return { status: 403, code: 'JOIN_USED', detail: 'Cannot join: the token was used already' }
  }
}
