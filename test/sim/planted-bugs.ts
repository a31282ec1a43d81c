import type { Effect } from '../../src/raft/effect.ts'
import type { Input } from '../../src/raft/input.ts'
import { lastIndex, termAt } from '../../src/raft/log.ts'
import { quorumValue } from '../../src/raft/quorum.ts'
import { step, type Step } from '../../src/raft/raft.ts'
import type { RaftState } from '../../src/raft/state.ts'
import type { DurableState } from '../support/raft-node.ts'

/** What the simulator must find: each is a line of the core left out. This measures the simulator. */
export type PlantedBug = {
  readonly step?: typeof step
  readonly disk?: (durable: DurableState) => DurableState
}

export const plantedBugs: Readonly<Record<string, PlantedBug>> = {
  'a vote is not durable': {
    disk: (durable) => ({ ...durable, hardState: { term: durable.hardState.term } }),
  },
  'a term is not durable': {
    disk: (durable) => ({ ...durable, hardState: { term: Math.max(0, durable.hardState.term - 1) } }),
  },
  'messages leave before they are durable': {
    step: changed({
      effect: (effect) => (effect.kind === 'send' ? { ...effect, after: 'nothing' } : effect),
    }),
  },
  'a vote goes to any log': {
    step: changed({
      input: (input) =>
        input.kind === 'message' && input.message.kind === 'vote-request'
          ? { ...input, message: { ...input.message, lastTerm: input.message.term } }
          : input,
    }),
  },
  'an append is taken without looking at the entry before it': {
    step: changed({
      input: (input, state) => {
        if (input.kind !== 'message' || input.message.kind !== 'append') return input
        const prevTerm = termAt(state.log, input.message.prevIndex) ?? input.message.prevTerm
        return { ...input, message: { ...input.message, prevTerm } }
      },
    }),
  },
  'a leader answers reads without asking anybody': { step: readAtOnce },
  'a leader without a quorum commits alone': { step: commitAlone },
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
