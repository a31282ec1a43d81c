import { describe, expect, it } from 'vitest'
import { EMPTY_LOG } from './log.ts'
import { UNCOMMITTED_ENTRIES_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { startRaft, step } from './raft.ts'
import type { RaftState } from './state.ts'
import { RAFT_TIMINGS } from './timing.ts'

function member(self: string, voters = ['a', 'b', 'c']): RaftState {
  const configuration = { voters, outgoing: [], learners: [] }
  return startRaft(
    {
      self,
      group: 'g',
      timing: RAFT_TIMINGS.lan,
      seed: 1,
      hardState: { term: 0 },
      snapshot: { index: 0, term: 0, configuration, body: '' },
      log: EMPTY_LOG,
    },
    0,
  )
}

const from = (sender: string, message: Message, group = 'g') =>
  ({ kind: 'message', group, from: sender, message }) as const

function leader(): RaftState {
  let state = step(member('a'), { kind: 'tick' }, 1000).state
  const vote = { kind: 'vote-response', term: 1, granted: true } as const
  state = step(state, from('b', { ...vote, pre: true }), 1001).state
  state = step(state, from('b', { ...vote, pre: false }), 1002).state
  state = step(state, { kind: 'persisted', term: 1, lastIndex: 0, lastTerm: 0 }, 1003).state
  expect(state.role).toBe('leader')
  return state
}

describe('a member', () => {
  it('never changes the state that it was given', () => {
    const state = leader()
    const before = structuredClone({ ...state, timing: undefined })
    step(state, { kind: 'propose', ticket: 1, body: 'x' }, 1010)
    step(state, from('b', { kind: 'append-response', term: 1, index: 1 }), 1010)
    step(state, from('b', { kind: 'append-response', term: 9, index: 1 }), 1010)
    step(state, { kind: 'tick' }, 9000)
    expect({ ...state, timing: undefined }).toEqual(before)
  })

  it('refuses messages of another group and of strangers, without looking at them', () => {
    const state = member('a')
    const request = {
      kind: 'vote-request',
      term: 99,
      pre: false,
      transfer: true,
      lastIndex: 9,
      lastTerm: 9,
    } as const
    for (const [input, reason] of [
      [from('b', request, 'other'), 'OTHER_GROUP'],
      [from('x', request), 'NOT_A_MEMBER'],
      [from('a', request), 'NOT_A_MEMBER'],
    ] as const) {
      const result = step(state, input, 1)
      expect(result.state).toEqual(state)
      expect(result.effects).toEqual([{ kind: 'message-refused', from: input.from, reason }])
    }
  })

  it('asks for an election soon after its start, and at once when it is alone', () => {
    expect(member('a').electionAt).toBeLessThanOrEqual(RAFT_TIMINGS.lan.campaignMaxMs)
    expect(member('a').electionAt).toBeGreaterThanOrEqual(RAFT_TIMINGS.lan.campaignMinMs)
    expect(member('a', ['a']).electionAt).toBe(0)
  })

  it('that is the only voter leads and commits with its own disk alone', () => {
    let state = step(member('a', ['a']), { kind: 'tick' }, 0).state
    expect(state.role).toBe('candidate')
    state = step(state, { kind: 'persisted', term: 1, lastIndex: 0, lastTerm: 0 }, 1).state
    expect([state.role, state.commit]).toEqual(['leader', 0])
    state = step(state, { kind: 'persisted', term: 1, lastIndex: 1, lastTerm: 1 }, 2).state
    expect(state.commit).toBe(1)
    const read = step(state, { kind: 'read', id: 'r' }, 3)
    expect(read.effects).toContainEqual({ kind: 'read-confirmed', id: 'r', index: 1 })
  })

  it('votes once in a term', () => {
    const request = (term: number) =>
      ({ kind: 'vote-request', term, pre: false, transfer: false, lastIndex: 0, lastTerm: 0 }) as const
    const first = step(member('c'), from('a', request(1)), 1)
    const second = step(first.state, from('b', request(1)), 2)
    const again = step(second.state, from('a', request(1)), 3)
    const granted = [first, second, again].map(({ effects }) =>
      effects.flatMap((effect) =>
        effect.kind === 'send' && effect.message.kind === 'vote-response' ? [effect.message.granted] : [],
      ),
    )
    expect(granted).toEqual([[true], [false], [true]])
  })

  it('does not count a late answer to an earlier campaign', () => {
    let state = step(member('a'), { kind: 'tick' }, 1000).state
    state = step(state, from('b', { kind: 'vote-response', term: 7, pre: true, granted: true }), 1001).state
    expect(state.role).toBe('pre-candidate')
  })
})

describe('a leader', () => {
  it('does not move its commit index for an answer that cannot be true', () => {
    const state = leader()
    const lie = step(state, from('b', { kind: 'append-response', term: 1, index: 99 }), 1010)
    expect(lie.state.commit).toBe(0)
    expect(lie.effects).toEqual([{ kind: 'message-refused', from: 'b', reason: 'IMPOSSIBLE_INDEX' }])
    const round = step(state, from('b', { kind: 'heartbeat-response', term: 1, round: 99 }), 1010)
    expect(round.state.peers.get('b')?.round).toBe(0)
  })

  it('takes no more than a bounded number of entries that no quorum has', () => {
    let state = leader()
    let refused = 0
    for (let ticket = 1; ticket <= UNCOMMITTED_ENTRIES_MAX + 10; ticket += 1) {
      const result = step(state, { kind: 'propose', ticket, body: 'x' }, 1010)
      state = result.state
      refused += result.effects.filter((effect) => effect.kind === 'proposal-refused').length
    }
    expect(refused).toBe(11)
    expect(state.log.entries).toHaveLength(UNCOMMITTED_ENTRIES_MAX)
  })

  it('sends a follower ahead of its answers, but only so much', () => {
    let state = step(leader(), from('b', { kind: 'append-response', term: 1, index: 1 }), 1010).state
    let sent = 0
    for (let ticket = 1; ticket <= 200; ticket += 1) {
      const result = step(state, { kind: 'propose', ticket, body: 'x' }, 1010)
      state = result.state
      sent += result.effects.filter((effect) => effect.kind === 'send' && effect.to === 'b').length
    }
    expect(sent).toBe(64)
    const caughtUp = step(state, from('b', { kind: 'append-response', term: 1, index: 65 }), 1020)
    const entries = caughtUp.effects.flatMap((effect) =>
      effect.kind === 'send' && effect.to === 'b' && effect.message.kind === 'append'
        ? effect.message.entries
        : [],
    )
    expect(entries.at(-1)?.index).toBe(201)
  })
})
