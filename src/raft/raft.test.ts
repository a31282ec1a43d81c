import { describe, expect, it } from 'vitest'
import { EMPTY_LOG } from './log.ts'
import { UNCOMMITTED_ENTRIES_MAX } from './limits.ts'
import type { Message } from './message.ts'
import { startRaft, step } from './raft.ts'
import type { RaftState } from './state.ts'
import { RAFT_TIMINGS } from './timing.ts'

function member(self: string, voters = ['a', 'b', 'c']): RaftState {
  const configuration = { voters, learners: [] }
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
    const answer = { kind: 'append-response', term: 99, index: 9 } as const
    const vote = { kind: 'vote-response', term: 99, pre: false, granted: true } as const
    for (const [input, reason] of [
      [from('b', answer, 'other'), 'OTHER_GROUP'],
      [from('x', answer), 'NOT_A_MEMBER'],
      [from('x', vote), 'NOT_A_MEMBER'],
      [from('b#2', vote), 'NOT_A_MEMBER'],
      [from('x', { kind: 'propose', body: '' }), 'NOT_A_MEMBER'],
      [from('a', answer), 'NOT_A_MEMBER'],
    ] as const) {
      const result = step(state, input, 1)
      expect(result.state).toEqual(state)
      expect(result.effects).toEqual([{ kind: 'message-refused', from: input.from, reason }])
    }
  })

  it('that hears its leader is not moved by a stranger, not even by one that speaks of a transfer', () => {
    const led = step(member('a'), from('b', { kind: 'heartbeat', term: 3, commit: 0, round: 0 }), 1000).state
    const request = { kind: 'vote-request', term: 99, lastIndex: 9, lastTerm: 9 } as const
    for (const pre of [true, false]) {
      const { state } = step(led, from('x', { ...request, pre, transfer: true }), 1001)
      expect(state).toMatchObject({ term: 3, leader: 'b' })
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

  it('begins no further term while its vote for itself is not durable', () => {
    let state = step(member('a', ['a']), { kind: 'tick' }, 0).state
    for (let now = 300; now <= 3000; now += 300) state = step(state, { kind: 'tick' }, now).state
    expect(state).toMatchObject({ role: 'candidate', term: 1 })
    state = step(state, { kind: 'persisted', term: 1, lastIndex: 0, lastTerm: 0 }, 3100).state
    expect(state.role).toBe('leader')
  })

  it('does not count a late answer to an earlier campaign', () => {
    let state = step(member('a'), { kind: 'tick' }, 1000).state
    state = step(state, from('b', { kind: 'vote-response', term: 7, pre: true, granted: true }), 1001).state
    expect(state.role).toBe('pre-candidate')
  })
})

/** A leader whose learner `d#1` has entry 1 of `entries` and answers. */
function leaderWithLearner(entries: number): RaftState {
  const v2 = { version: 2 }
  const ack = (sender: string, index: number) => ({
    ...from(sender, { kind: 'append-response', term: 1, index }),
    ...v2,
  })
  let state = step(leader(), { kind: 'persisted', term: 1, lastIndex: 1, lastTerm: 1 }, 1004).state
  state = step(state, ack('b', 1), 1005).state
  const change = { kind: 'add-learner', member: 'd', incarnation: '1' } as const
  state = step(state, { kind: 'change', id: 'add', attempt: 1, change }, 1006).state
  state = step(state, { kind: 'persisted', term: 1, lastIndex: 2, lastTerm: 1 }, 1006).state
  state = step(state, ack('b', 2), 1007).state
  for (let ticket = 1; ticket <= entries - 2; ticket += 1) {
    state = step(state, { kind: 'propose', ticket, body: 'x' }, 1008).state
  }
  return step(state, ack('d#1', 1), 1009).state
}

describe('a learner that is to be promoted', () => {
  const promote = { kind: 'change', id: 'p', attempt: 1, change: { kind: 'promote', member: 'd' } } as const

  it('has ten rounds to show that it keeps pace, then the answer is no', () => {
    let state = step(leaderWithLearner(100), promote, 1010).state
    let now = 1010
    let answered: unknown
    let rounds = 0
    for (let index = 100; answered === undefined && rounds < 30; rounds += 1) {
      // Each round takes longer than an election timeout, and meanwhile there is more.
      now += RAFT_TIMINGS.lan.electionMinMs
      state = step(state, { kind: 'propose', ticket: 1, body: 'x' }, now).state
      const result = step(
        state,
        { ...from('d#1', { kind: 'append-response', term: 1, index }), version: 2 },
        now,
      )
      state = result.state
      index += 1
      answered = result.effects.find(({ kind }) => kind === 'change-answered')
    }
    expect(answered).toMatchObject({ verdict: { kind: 'refused', reason: 'NOT_CAUGHT_UP' } })
    expect(rounds).toBe(10)
    expect(state).toMatchObject({ change: undefined, configuration: { voters: ['a', 'b', 'c'] } })
  })

  it('is promoted at the end of the first short round, though there is more by then', () => {
    let state = step(leaderWithLearner(100), promote, 1010).state
    expect(state.change?.catchUp?.target).toBe(100)
    state = step(state, { kind: 'propose', ticket: 1, body: 'x' }, 1011).state
    const answer = from('d#1', { kind: 'append-response', term: 1, index: 100 })
    state = step(state, { ...answer, version: 2 }, 1100).state
    expect(state.configuration).toMatchObject({ voters: ['a', 'b', 'c', 'd#1'], learners: [] })
  })

  it('may not take for ever over one round', () => {
    const started = step(leaderWithLearner(100), promote, 1010).state
    let state = started
    const heard = (now: number) => {
      for (const peer of ['b', 'd#1']) {
        const beat = from(peer, { kind: 'heartbeat-response', term: 1, round: 0 })
        state = step(state, { ...beat, version: 2 }, now).state
      }
    }
    for (let now = 1100; now < 30_000 && state.change !== undefined; now += 100) {
      heard(now)
      state = step(state, { kind: 'tick' }, now).state
    }
    expect(state.change).toBeUndefined()
    expect(state.role).toBe('leader')
  })
})

describe('a change of members', () => {
  it('is refused while a member is known to run a release that would not understand it', () => {
    const old = step(leaderWithLearner(2), from('c', { kind: 'heartbeat-response', term: 1, round: 0 }), 1010)
    const change = { kind: 'remove', member: 'd' } as const
    const { effects } = step(old.state, { kind: 'change', id: 'r', attempt: 1, change }, 1011)
    expect(effects).toMatchObject([{ verdict: { kind: 'refused', reason: 'NOT_READY' } }])
  })

  it('is refused where the voters that there would be do not answer, and for the last voter', () => {
    const answerTo = (state: RaftState, member: string, now: number) => {
      const { effects } = step(
        state,
        { kind: 'change', id: 'r', attempt: 1, change: { kind: 'remove', member } },
        now,
      )
      const answer = effects.find(({ kind }) => kind === 'change-answered')
      return answer?.kind === 'change-answered' ? answer.verdict : undefined
    }
    // c was never heard: without b it would have to agree, also when the term is so new that it is given time.
    const state = leaderWithLearner(2)
    expect(answerTo(state, 'b', 1010)).toMatchObject({ reason: 'NOT_READY' })
    const later = 1007 + RAFT_TIMINGS.lan.electionMaxMs - 1
    expect(answerTo(state, 'b', later)).toMatchObject({ reason: 'NOT_READY' })
    expect(answerTo(state, 'c', later)).toBeUndefined()
    expect(answerTo(state, 'x', 1010)).toMatchObject({ reason: 'UNKNOWN_MEMBER', isFulfilled: true })
    let alone = step(member('a', ['a']), { kind: 'tick' }, 0).state
    alone = step(alone, { kind: 'persisted', term: 1, lastIndex: 0, lastTerm: 0 }, 1).state
    alone = step(alone, { kind: 'persisted', term: 1, lastIndex: 1, lastTerm: 1 }, 2).state
    expect(answerTo(alone, 'a', 3)).toMatchObject({ reason: 'LAST_VOTER' })
  })

  it('that was refused is not made when a copy of the request comes late, only by a further attempt', () => {
    let state = step(
      leaderWithLearner(2),
      from('b', { kind: 'append-response', term: 1, index: 2 }, 'g'),
      1010,
    ).state
    const request = {
      kind: 'change-request',
      term: 1,
      id: 'x',
      change: { kind: 'remove', member: 'd' },
    } as const
    const ask = (attempt: number, now: number) =>
      step(state, { ...from('b', { ...request, attempt }), version: 2 }, now)
    // While leadership is on its way no change begins.
    state = step(state, { kind: 'transfer', to: 'b' }, 1011).state
    const refused = ask(1, 1012)
    expect(refused.state.refusedChanges).toEqual(new Map([['x', 1]]))
    state = step(refused.state, { kind: 'tick' }, 1011 + RAFT_TIMINGS.lan.electionMinMs).state
    expect(state.transfer).toBeUndefined()
    expect(ask(1, 1700).state.log).toBe(state.log)
    expect(ask(2, 1700).state.configuration.learners).toEqual([])
    // … and a request of an earlier term asks nobody.
    const older = { ...from('b', { ...request, term: 0, attempt: 3 }), version: 2 }
    expect(step(state, older, 1700).state.log).toBe(state.log)
  })

  it('that is asked for twice under one id is made once, also by a later leader', () => {
    const change = { kind: 'add-learner', member: 'e', incarnation: '1' } as const
    const once = step(leaderWithLearner(2), { kind: 'change', id: 'x', attempt: 1, change }, 1010).state
    const twice = step(once, { kind: 'change', id: 'x', attempt: 1, change }, 1011)
    expect(twice.state.log).toBe(once.log)
    expect(twice.effects).toEqual([])
    const forgotten: RaftState = { ...once, change: undefined }
    const again = step(forgotten, { kind: 'change', id: 'x', attempt: 1, change }, 1012)
    expect(again.state.log).toBe(once.log)
    expect(again.state.change).toEqual({ id: 'x', attempt: 1, from: 'a', index: 3 })
    // … and when its entry was compacted away.
    const committed: RaftState = { ...forgotten, commit: 3 }
    const compacted = step(committed, { kind: 'compact', index: 3, body: '', keep: 0 }, 1012).state
    expect(step(compacted, { kind: 'change', id: 'x', attempt: 1, change }, 1013).effects).toEqual([
      { kind: 'change-answered', id: 'x', attempt: 1, verdict: { kind: 'done' } },
    ])
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
