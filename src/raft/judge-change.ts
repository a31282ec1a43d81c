import { memberNamed } from './configuration.ts'
import { MEMBERS_MAX, NAME_LENGTH_MAX } from './limits.ts'
import { lastIndex } from './log.ts'
import { INCARNATION_LENGTH_MAX, isIncarnation, memberId, nameOf } from './member-id.ts'
import type { ChangeVerdict, MembershipChange, MembershipRefusal } from './membership-change.ts'
import type { Configuration } from './message.ts'
import { MEMBERSHIP_VERSION } from './protocol.ts'
import { isQuorum, majority, membersOf } from './quorum.ts'
import { hasCommittedInTerm, versionOf, type RaftState } from './state.ts'

export type ChangeJudgement =
  | (ChangeVerdict & { readonly kind: 'refused' })
  | { readonly kind: 'append'; readonly configuration: Configuration; readonly leaving?: string }
  /** The learner is not as far as the leader yet. */
  | { readonly kind: 'catch-up'; readonly learner: string }

/** What a leader may do with a change now. Order: whether any change may begin comes before whether this one makes sense. */
export function judgeChange(state: RaftState, change: MembershipChange, now: number): ChangeJudgement {
  return mayBegin(state, change) ?? judgeKind(state, change, now)
}

/**
 * A single-server change is safe only while every quorum of the new configuration meets every quorum of the one before:
 * that holds between neighbours alone, so the one before must be committed; and it must be the one that this leader's
 * term builds on, so the leader must have committed an entry of its own term (the known bug of the thesis' first edition).
 */
function mayBegin(state: RaftState, change: MembershipChange): ChangeJudgement | undefined {
  if (!hasCommittedInTerm(state)) {
    return refused('NOT_READY', `the leader of term ${state.term} has not committed an entry of it yet`)
  }
  if (state.change !== undefined || state.configurationIndex > state.commit) {
    return refused('CHANGE_IN_PROGRESS', 'another change of members is not finished')
  }
  if (state.transfer !== undefined) {
    return refused('NOT_READY', `leadership is on its way to "${nameOf(state.transfer.to)}"`)
  }
  // One that was never heard must not be in the way, nor those that are to be removed: their release does not matter any more.
  const leaving = change.kind === 'remove' ? [change.member, ...(change.departed ?? [])] : []
  const outdated = membersOf(state.configuration).find(
    (member) =>
      !leaving.includes(nameOf(member)) &&
      state.versions.has(member) &&
      versionOf(state, member) < MEMBERSHIP_VERSION,
  )
  if (outdated === undefined) return undefined
  return refused('NOT_READY', `"${nameOf(outdated)}" runs a release that knows no changes of members`)
}

function judgeKind(state: RaftState, change: MembershipChange, now: number): ChangeJudgement {
  switch (change.kind) {
    case 'add-learner':
      return judgeAdd(state.configuration, change)
    case 'promote':
      return judgePromote(state, change.member, now)
    case 'remove':
      return judgeRemove(state, change.member, now)
  }
}

function judgeAdd(
  { voters, learners }: Configuration,
  { member, incarnation }: { readonly member: string; readonly incarnation: string },
): ChangeJudgement {
  const id = memberId(member, incarnation)
  const known = memberNamed({ voters, learners }, member)
  if (known !== undefined) {
    const message =
      known === id ? `"${member}" is a member` : `"${member}" is a member with another log: remove it first`
    return refused('ALREADY_MEMBER', message, known === id)
  }
  if (!isIncarnation(incarnation) || member === '' || id.length > NAME_LENGTH_MAX) {
    return refused('NOT_READY', `name or incarnation is not usable, limit is ${INCARNATION_LENGTH_MAX}`)
  }
  if (voters.length + learners.length >= MEMBERS_MAX) {
    return refused(
      'NOT_READY',
      `there are ${voters.length + learners.length} members, limit is ${MEMBERS_MAX}`,
    )
  }
  return { kind: 'append', configuration: { voters, learners: [...learners, id].toSorted() } }
}

function judgePromote(state: RaftState, name: string, now: number): ChangeJudgement {
  const { voters, learners } = state.configuration
  const id = memberNamed(state.configuration, name)
  if (id === undefined) return refused('UNKNOWN_MEMBER', `"${name}" is no member`)
  if (voters.includes(id)) return refused('ALREADY_MEMBER', `"${name}" is a voter`, true)
  const configuration = {
    voters: [...voters, id].toSorted(),
    learners: learners.filter((learner) => learner !== id),
  }
  if (!isWithinReach(state, id, now)) return refused('NOT_CAUGHT_UP', `"${name}" does not answer`)
  const missing = missingQuorum(state, configuration, now)
  if (missing !== undefined) return missing
  const match = state.peers.get(id)?.match ?? 0
  return match === lastIndex(state.log)
    ? { kind: 'append', configuration }
    : { kind: 'catch-up', learner: id }
}

function judgeRemove(state: RaftState, name: string, now: number): ChangeJudgement {
  const { voters, learners } = state.configuration
  const id = memberNamed(state.configuration, name)
  if (id === undefined) return refused('UNKNOWN_MEMBER', `"${name}" is no member`, true)
  const others = (members: readonly string[]): readonly string[] => members.filter((member) => member !== id)
  const configuration = { voters: others(voters), learners: others(learners) }
  if (configuration.voters.length === 0) return refused('LAST_VOTER', `"${name}" is the last voter`)
  return missingQuorum(state, configuration, now) ?? { kind: 'append', configuration, leaving: id }
}

/**
 * A configuration counts at once: one whose quorum does not answer could never be committed, and the leader that appended
 * it could not go back either.
 */
function missingQuorum(
  state: RaftState,
  configuration: Configuration,
  now: number,
): ChangeJudgement | undefined {
  const answers = (member: string): boolean => isWithinReach(state, member, now)
  if (isQuorum(configuration, answers)) return undefined
  const count = configuration.voters.filter(answers).length
  const { length } = configuration.voters
  return refused(
    'NOT_READY',
    `${count} of the ${length} voters that there would be answer, ${majority(length)} must`,
  )
}

/** Heard in this term, within the time after which a leader itself would step down. Who was only given time is not counted. */
export function isWithinReach(state: RaftState, member: string, now: number): boolean {
  if (member === state.self) return true
  const progress = state.peers.get(member)
  return progress?.hasAnswered === true && now < progress.heardAt + state.timing.electionMaxMs
}

function refused(
  reason: MembershipRefusal,
  message: string,
  isFulfilled = false,
): ChangeVerdict & { readonly kind: 'refused' } {
  return { kind: 'refused', reason, message, isFulfilled }
}
