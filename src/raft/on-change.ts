import { encodeConfiguration } from './configuration.ts'
import { isWithinReach, judgeChange } from './judge-change.ts'
import { CATCH_UP_ROUNDS_MAX, RECENT_CHANGES_MAX, REFUSED_CHANGES_MAX } from './limits.ts'
import { lastIndex } from './log.ts'
import { nameOf } from './member-id.ts'
import type { ChangeAttempt, ChangeVerdict, MembershipChange } from './membership-change.ts'
import type { Configuration } from './message.ts'
import { MEMBERSHIP_VERSION } from './protocol.ts'
import { appendOwn, becomeRemoved } from './roles.ts'
import { isMember, sendNow, versionOf, type CatchUp, type PendingChange, type Turn } from './state.ts'

type Asked = { readonly id: string; readonly attempt: number; readonly from: string }

/** A change that this node asks for: decided here where it leads, else by the leader. */
export function onChange(turn: Turn, { id, attempt, change }: ChangeAttempt): void {
  const { node } = turn
  const asked = { id, attempt, from: node.self }
  if (node.role === 'leader') return takeChange(turn, asked, change)
  if (node.leader === undefined)
    return refuse(turn, asked, { reason: 'NOT_LEADER', message: 'there is no leader' })
  if (versionOf(node, node.leader) < MEMBERSHIP_VERSION) {
    const message = `the leader "${nameOf(node.leader)}" runs a release that knows no changes of members`
    return refuse(turn, asked, { reason: 'NOT_READY', message })
  }
  sendNow(turn, node.leader, { kind: 'change-request', term: node.term, id, attempt, change })
}

/** Not passed on: its sender asks again when it knows the leader. */
export function onForwardedChange(turn: Turn, from: string, { id, attempt, change }: ChangeAttempt): void {
  if (turn.node.role === 'leader') takeChange(turn, { id, attempt, from }, change)
}

function takeChange(turn: Turn, asked: Asked, change: MembershipChange): void {
  const { node } = turn
  if ((node.refusedChanges.get(asked.id) ?? 0) >= asked.attempt) return
  if (node.change?.id === asked.id) {
    node.change = { ...node.change, attempt: Math.max(node.change.attempt, asked.attempt) }
    return
  }
  if (node.configuration.changes?.includes(asked.id) === true) {
    // An earlier leader took it, or its answer was lost: it is not made a second time, and answered with its entry.
    node.change ??= { ...asked, index: node.configurationIndex }
    return settleChange(turn)
  }
  const judgement = judgeChange(node, change, turn.now)
  switch (judgement.kind) {
    case 'refused':
      return answer(turn, asked, judgement)
    case 'append':
      return appendConfiguration(turn, asked, judgement)
    case 'catch-up': {
      const { learner } = judgement
      const catchUp = { learner, round: 1, target: lastIndex(node.log), startedAt: turn.now }
      node.change = { ...asked, catchUp }
    }
  }
}

/** From here on the new configuration counts. */
export function appendConfiguration(
  turn: Turn,
  asked: Asked,
  next: { readonly configuration: Configuration; readonly leaving?: string },
): void {
  const { node } = turn
  const { id, attempt, from } = asked
  const change: PendingChange = { id, attempt, from, index: lastIndex(node.log) + 1 }
  node.change = next.leaving === undefined ? change : { ...change, leaving: next.leaving }
  const changes = [...(node.configuration.changes ?? []), asked.id].slice(-RECENT_CHANGES_MAX)
  appendOwn(turn, 'configuration', encodeConfiguration({ ...next.configuration, changes }))
}

/** The learner has answered. A round that was shorter than an election timeout shows that it keeps pace. */
export function continueCatchUp(turn: Turn, from: string): void {
  const { node } = turn
  const pending = node.change
  const catchUp = pending?.catchUp
  if (pending === undefined || catchUp?.learner !== from) return
  const match = node.peers.get(from)?.match ?? 0
  if (match < catchUp.target) return
  if (turn.now - catchUp.startedAt >= node.timing.electionMinMs && match < lastIndex(node.log)) {
    return nextRound(turn, pending, catchUp)
  }
  node.change = undefined
  const change = { kind: 'promote', member: nameOf(from) } as const
  const judgement = judgeChange(node, change, turn.now)
  if (judgement.kind === 'refused') return answer(turn, pending, judgement)
  const { voters, learners } = node.configuration
  const configuration = {
    voters: [...voters, from].toSorted(),
    learners: learners.filter((learner) => learner !== from),
  }
  appendConfiguration(turn, pending, { configuration })
}

function nextRound(turn: Turn, pending: PendingChange, catchUp: CatchUp): void {
  const { node } = turn
  if (catchUp.round >= CATCH_UP_ROUNDS_MAX) {
    return giveUp(turn, pending, `did not keep pace within ${CATCH_UP_ROUNDS_MAX} rounds`)
  }
  const { learner, round } = catchUp
  const next = { learner, round: round + 1, target: lastIndex(node.log), startedAt: turn.now }
  node.change = { ...pending, catchUp: next }
}

/** To be called on every tick of a leader: a learner that does not answer, or hardly, ends the wait. */
export function watchCatchUp(turn: Turn): void {
  const { node } = turn
  const pending = node.change
  if (pending?.catchUp === undefined) return
  const { learner, startedAt } = pending.catchUp
  if (!isWithinReach(node, learner, turn.now)) return giveUp(turn, pending, 'does not answer')
  const roundMaxMs = CATCH_UP_ROUNDS_MAX * node.timing.electionMaxMs
  if (turn.now >= startedAt + roundMaxMs)
    giveUp(turn, pending, `needed more than ${roundMaxMs} ms for one round`)
}

function giveUp(turn: Turn, pending: PendingChange, why: string): void {
  turn.node.change = undefined
  const name = nameOf(pending.catchUp?.learner ?? '')
  refuse(turn, pending, { reason: 'NOT_CAUGHT_UP', message: `"${name}" ${why}` })
}

/** To be called when a leader's commit index has risen: a change that is committed is answered, and may have been the leader's own end. */
export function settleChange(turn: Turn): void {
  const { node } = turn
  const pending = node.change
  if (pending?.index !== undefined && pending.index <= node.commit) {
    node.change = undefined
    answer(turn, pending, { kind: 'done' })
    if (pending.leaving !== undefined && pending.leaving !== node.self) {
      sendNow(turn, pending.leaving, { kind: 'removed', index: node.commit })
    }
  }
  if (node.configurationIndex > node.commit || isMember(node)) return
  // Raft thesis §4.2.2: it has led a group that it was no part of only until that was committed.
  const heir = bestVoter(turn)
  if (heir !== undefined) sendNow(turn, heir, { kind: 'timeout-now', term: node.term })
  becomeRemoved(turn, node.configurationIndex)
}

function bestVoter({ node }: Turn): string | undefined {
  let best: string | undefined
  let bestMatch = -1
  for (const voter of node.configuration.voters) {
    const match = node.peers.get(voter)?.match ?? -1
    if (match > bestMatch) [best, bestMatch] = [voter, match]
  }
  return best
}

function refuse(
  turn: Turn,
  asked: Asked,
  why: Pick<ChangeVerdict & { readonly kind: 'refused' }, 'reason' | 'message'>,
): void {
  answer(turn, asked, { kind: 'refused', isFulfilled: false, ...why })
}

function answer(turn: Turn, { id, attempt, from }: Asked, verdict: ChangeVerdict): void {
  const { node } = turn
  if (verdict.kind === 'refused' && node.role === 'leader') {
    const kept = [...node.refusedChanges].slice(1 - REFUSED_CHANGES_MAX)
    node.refusedChanges = new Map([...kept, [id, attempt]])
  }
  if (from === node.self) turn.effects.push({ kind: 'change-answered', id, attempt, verdict })
  else sendNow(turn, from, { kind: 'change-answer', id, attempt, verdict })
}
