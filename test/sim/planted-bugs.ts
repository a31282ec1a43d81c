import type { Effect } from '../../src/raft/effect.ts'
import { configurationAt } from '../../src/raft/configuration.ts'
import type { Input } from '../../src/raft/input.ts'
import { judgeChange } from '../../src/raft/judge-change.ts'
import { lastIndex, termAt } from '../../src/raft/log.ts'
import type { ChangeAttempt } from '../../src/raft/membership-change.ts'
import { appendConfiguration } from '../../src/raft/on-change.ts'
import { membersOf, quorumValue } from '../../src/raft/quorum.ts'
import { step, type Step } from '../../src/raft/raft.ts'
import { hasCommittedInTerm, type RaftState } from '../../src/raft/state.ts'
import type { DurableState } from '../support/raft-node.ts'
import type { SimulationProfile } from './simulation-shape.ts'

/** What the simulator must find: each is a line of the core left out. This measures the simulator. */
export type PlantedBug = {
  /** Who finds it, in this kind of runs. */
  readonly checker: string
  readonly profile?: SimulationProfile
  readonly keepsIdentity?: boolean
  readonly step?: typeof step
  readonly disk?: (durable: DurableState) => DurableState
}

export const plantedBugs: Readonly<Record<string, PlantedBug>> = {
  'a vote is not durable': {
    checker: 'one-leader-per-term',
    disk: (durable) => ({ ...durable, hardState: { term: durable.hardState.term } }),
  },
  'a term is not durable': {
    checker: 'one-leader-per-term',
    disk: (durable) => ({ ...durable, hardState: { term: Math.max(0, durable.hardState.term - 1) } }),
  },
  'messages leave before they are durable': {
    checker: 'commit-has-a-quorum',
    step: changed({
      effect: (effect) => (effect.kind === 'send' ? { ...effect, after: 'nothing' } : effect),
    }),
  },
  'a vote goes to any log': {
    checker: 'committed-entries-stay',
    profile: 'regicide',
    step: changed({
      input: (input) =>
        input.kind === 'message' && input.message.kind === 'vote-request'
          ? { ...input, message: { ...input.message, lastTerm: input.message.term } }
          : input,
    }),
  },
  'an append is taken without looking at the entry before it': {
    checker: 'log-matching',
    profile: 'regicide',
    step: changed({
      input: (input, state) => {
        if (input.kind !== 'message' || input.message.kind !== 'append') return input
        const prevTerm = termAt(state.log, input.message.prevIndex) ?? input.message.prevTerm
        return { ...input, message: { ...input.message, prevTerm } }
      },
    }),
  },
  'a leader answers reads without asking anybody': { checker: 'linearizable-register', step: readAtOnce },
  'a leader without a quorum commits alone': { checker: 'commit-has-a-quorum', step: commitAlone },
  'a change is made before the leader has committed an entry of its term': {
    checker: 'change-only-after-own-term-commit',
    profile: 'membership',
    step: (state, input, now) =>
      hasCommittedInTerm(state)
        ? step(state, input, now)
        : changeAsIf({ ...state, commit: lastIndex(state.log) }, state, { input, now }),
  },
  'two changes are made at once': {
    checker: 'one-change-at-a-time',
    profile: 'membership',
    step: (state, input, now) =>
      changeAsIf({ ...state, change: undefined, configurationIndex: 0 }, state, { input, now }),
  },
  'a configuration counts when it is committed': {
    checker: 'configuration-follows-the-log',
    profile: 'membership',
    step: configuredAtCommit,
  },
  'a learner is counted in a quorum': {
    checker: 'commit-has-a-quorum',
    profile: 'membership',
    step: countLearners,
  },
  'a voter whose disk was replaced votes under its old identity': {
    checker: 'committed-entries-stay',
    profile: 'wipes',
    keepsIdentity: true,
  },
  'a piece of a snapshot is taken for one of another transfer': {
    checker: 'committed-entries-stay',
    profile: 'snapshots',
    step: mixChunks,
  },
  'a leader that was removed goes on leading': {
    checker: 'only-members-lead',
    profile: 'membership',
    step: leadOn,
  },
}

function changed(change: {
  readonly input?: (input: Input, state: RaftState) => Input
  readonly effect?: (effect: Effect) => Effect
}): typeof step {
  return (state, input, now) => {
    const result = step(state, change.input?.(input, state) ?? input, now)
    const { effect } = change
    return effect === undefined ? result : { ...result, effects: result.effects.map((each) => effect(each)) }
  }
}

/** Raft figure 8. Chance meets its five steps in a row too rarely; `figure-8.test.ts` walks them. */
export function commitByCounting(state: RaftState, input: Input, now: number): Step {
  const result = step(state, input, now)
  const after = result.state
  if (after.role !== 'leader') return result
  return commit(
    result,
    quorumValue(after.configuration, (member) =>
      member === after.self ? after.stable : (after.peers.get(member)?.match ?? 0),
    ),
  )
}

function commitAlone(state: RaftState, input: Input, now: number): Step {
  const result = step(state, input, now)
  const { role, log } = result.state
  return role === 'leader' ? commit(result, lastIndex(log)) : result
}

function commit(result: Step, index: number): Step {
  if (index <= result.state.commit) return result
  return {
    state: { ...result.state, commit: index },
    effects: [...result.effects, { kind: 'commit', index }],
  }
}

function readAtOnce(state: RaftState, input: Input, now: number): Step {
  if (input.kind !== 'read' || state.role !== 'leader') return step(state, input, now)
  return { state, effects: [{ kind: 'read-confirmed', id: input.id, index: state.commit }] }
}

/** Takes a change by what `seen` says and makes it in `state`. */
function changeAsIf(seen: RaftState, state: RaftState, given: { input: Input; now: number }): Step {
  const { input, now } = given
  const asked = askedFor(input, state)
  if (asked === undefined || state.role !== 'leader') return step(state, input, now)
  const judgement = judgeChange(seen, asked.change, now)
  if (judgement.kind !== 'append') return step(state, input, now)
  const turn = { node: { ...state }, effects: [], now }
  appendConfiguration(turn, asked, judgement)
  return { state: turn.node, effects: turn.effects }
}

function askedFor(input: Input, state: RaftState): (ChangeAttempt & { readonly from: string }) | undefined {
  if (input.kind === 'change') return { ...input, from: state.self }
  if (input.kind !== 'message' || input.message.kind !== 'change-request') return undefined
  return { ...input.message, from: input.from }
}

function configuredAtCommit(state: RaftState, input: Input, now: number): Step {
  const result = step(state, input, now)
  const { configuration } = configurationAt(result.state.log, result.state.snapshot, result.state.commit)
  return { ...result, state: { ...result.state, configuration } }
}

function countLearners(state: RaftState, input: Input, now: number): Step {
  const result = step(state, input, now)
  const { role, configuration, self, stable, peers, log, term } = result.state
  if (role !== 'leader') return result
  const counted = { voters: membersOf(configuration), learners: [] }
  const reached = quorumValue(counted, (member) =>
    member === self ? stable : (peers.get(member)?.match ?? 0),
  )
  return termAt(log, reached) === term ? commit(result, reached) : result
}

/** What is there already counts for the transfer that begins, as far as its length allows. */
function mixChunks(state: RaftState, input: Input, now: number): Step {
  const known = state.incoming
  if (known === undefined || input.kind !== 'message' || input.message.kind !== 'snapshot-chunk') {
    return step(state, input, now)
  }
  const { length, snapshot, term } = input.message
  const body = known.body.slice(0, length - 1)
  const incoming = { from: input.from, leaderTerm: term, index: snapshot.index, length, body }
  return step({ ...state, incoming }, input, now)
}

function leadOn(state: RaftState, input: Input, now: number): Step {
  const result = step(state, input, now)
  if (state.role !== 'leader' || result.state.removedAt === undefined) return result
  const { log, commit: committed, configuration, configurationIndex } = result.state
  return {
    state: { ...state, log, commit: committed, configuration, configurationIndex, change: undefined },
    effects: result.effects.filter(({ kind }) => kind !== 'removed'),
  }
}
