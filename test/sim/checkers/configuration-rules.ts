import { configurationAt, configurationOf, latestConfiguration } from '../../../src/raft/configuration.ts'
import { termAt, type RaftLog } from '../../../src/raft/log.ts'
import type { Configuration, Snapshot } from '../../../src/raft/message.ts'
import { isQuorum, majority, membersOf } from '../../../src/raft/quorum.ts'
import { hasCommittedInTerm, mayCampaign, type RaftState } from '../../../src/raft/state.ts'
import { Violation } from './violation.ts'

/** Raft thesis §4.1: the configuration is the latest one in the log, from the moment when its entry is there. */
export function checkConfigurationFollowsTheLog(name: string, state: RaftState): void {
  const { configuration } = latestConfiguration(state.log, state.snapshot)
  if (JSON.stringify(configuration) === JSON.stringify(state.configuration)) return
  const used = membersOf(state.configuration).join()
  throw new Violation(
    `${name} goes by ${used}, its log says ${membersOf(configuration).join()}`,
    'configuration-follows-the-log',
  )
}

/** Whatever a majority of one decides, a majority of its neighbour cannot decide without one that knows. */
export function checkQuorumsOverlap(name: string, state: Pick<RaftState, 'log' | 'snapshot'>): void {
  for (const entry of state.log.entries) {
    if (entry.kind !== 'configuration' || entry.index <= state.snapshot.index) continue
    const before = configurationAt(state.log, state.snapshot, entry.index - 1).configuration.voters
    const after = configurationOf(entry).voters
    // A newcomer's log may not tell who was there before.
    if (before.length === 0) continue
    const shared = before.filter((voter) => after.includes(voter)).length
    const fromBefore = Math.max(0, majority(before.length) - (before.length - shared))
    const fromAfter = Math.max(0, majority(after.length) - (after.length - shared))
    if (fromBefore + fromAfter > shared) continue
    throw new Violation(
      `${name} has ${before.join()} and then ${after.join()} in its log`,
      'quorums-of-adjacent-configurations-overlap',
    )
  }
}

/** Raft thesis §4.1 and its erratum: the one before is committed, and so is an entry of the leader's own term. */
export function checkOneChangeAtATime(name: string, before: RaftState, after: RaftState): void {
  if (after.role !== 'leader' || after.configurationIndex <= before.configurationIndex) return
  if (before.role !== 'leader' || before.term !== after.term) return
  const what = `${name} appends a configuration at ${after.configurationIndex} in term ${after.term}`
  if (before.configurationIndex > before.commit) {
    const message = `${what} while that of ${before.configurationIndex} is not committed`
    throw new Violation(message, 'one-change-at-a-time')
  }
  if (!hasCommittedInTerm(before)) {
    throw new Violation(
      `${what} before it has committed anything of that term`,
      'change-only-after-own-term-commit',
    )
  }
}

/** Who is no member by a configuration that is committed does not lead. */
export function checkOnlyMembersLead(name: string, state: RaftState): void {
  if (state.role !== 'leader' || state.configurationIndex > state.commit) return
  if (membersOf(state.configuration).includes(state.self)) return
  throw new Violation(`${name} leads and was removed at ${state.configurationIndex}`, 'only-members-lead')
}

/** Nobody asks for a vote that counts who is no voter, or was none until an entry that may not be committed. */
export function checkOnlyVotersCampaign(name: string, state: RaftState): void {
  if (state.role !== 'candidate' && state.role !== 'pre-candidate') return
  if (mayCampaign(state)) return
  throw new Violation(`${name} campaigns and is no voter`, 'only-voters-campaign')
}

/** What lies on one disk, seen from outside. */
export type DiskView = { readonly log: RaftLog; readonly snapshot: Snapshot }

/**
 * A leader's commit index has a majority of disks behind it, each read from outside: learners, promises and memory do not
 * count. `diskOf` gives `undefined` for a disk that is gone; what stood on it may have been acknowledged.
 */
export function checkCommitHasAQuorum(
  name: string,
  state: RaftState,
  diskOf: (member: string) => DiskView | undefined,
): void {
  const { commit, configuration } = state
  const term = termAt(state.log, commit)
  if (isQuorum(configuration, (member) => holds(diskOf(member), { index: commit, term }))) return
  throw new Violation(
    `${name} commits ${commit}@${term} without a majority of ${describe(configuration)}`,
    'commit-has-a-quorum',
  )
}

function holds(disk: DiskView | undefined, entry: { index: number; term: number | undefined }): boolean {
  if (disk === undefined || disk.snapshot.index >= entry.index) return true
  return termAt(disk.log, entry.index) === entry.term
}

function describe({ voters }: Configuration): string {
  return voters.join()
}
