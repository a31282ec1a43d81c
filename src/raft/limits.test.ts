import { describe, expect, it } from 'vitest'
import type { Effect } from './effect.ts'
import {
  APPEND_ENTRIES_MAX,
  APPEND_LENGTH_MAX,
  ENTRY_LENGTH_MAX,
  INFLIGHT_MAX,
  MEMBERS_MAX,
  NAME_LENGTH_MAX,
  PENDING_READS_MAX,
  RECENT_CHANGES_MAX,
  REFUSAL_LENGTH_MAX,
  SENT_BYTES_MAX,
  SNAPSHOT_CHUNK_LENGTH,
  SNAPSHOT_LENGTH_MAX,
  UNCOMMITTED_LENGTH_MAX,
  VERSIONS_MAX,
} from './limits.ts'
import type { Entry, Message } from './message.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import { startRaft, step } from './raft.ts'
import type { RaftState } from './state.ts'
import { RAFT_TIMINGS } from './timing.ts'

/** `a` leads `a`, `b` and `c` in term 1, and has `count` entries with this body that nobody else has. */
function leaderWith(count: number, body: string, snapshotBody = ''): RaftState {
  const entries = Array.from({ length: count }, (_, at): Entry => {
    return { index: at + 1, term: 1, kind: 'command', body }
  })
  const start = {
    self: 'a',
    group: 'g',
    timing: RAFT_TIMINGS.lan,
    seed: 1,
    hardState: { term: 0 },
    snapshot: {
      index: 0,
      term: 0,
      configuration: { voters: ['a', 'b', 'c'], learners: [] },
      body: snapshotBody,
    },
    log: { baseIndex: 0, baseTerm: 0, entries },
  }
  let state = step(startRaft(start, 0), { kind: 'tick' }, 1000).state
  const vote = { kind: 'vote-response', term: 1, granted: true } as const
  state = step(state, from('b', { ...vote, pre: true }), 1001).state
  state = step(state, from('b', { ...vote, pre: false }), 1002).state
  state = step(state, { kind: 'persisted', term: 1, lastIndex: count, lastTerm: 1 }, 1003).state
  expect(state.role).toBe('leader')
  return state
}

const from = (sender: string, message: Message, version = 2) =>
  ({ kind: 'message', group: 'g', from: sender, version, message }) as const

function sentTo(peer: string, effects: readonly Effect[]): readonly Message[] {
  return effects.flatMap((effect) => (effect.kind === 'send' && effect.to === peer ? [effect.message] : []))
}

const bytesOf = (message: Message): number =>
  encodeMessage({ group: 'g', from: 'a', to: 'b', message }).length

describe('a message', () => {
  it('carries so many entries, and stops before a length', () => {
    for (const [body, least] of [
      ['', 100],
      ['x'.repeat(20_000), 10],
    ] as const) {
      const leader = leaderWith(600, body)
      const rejected = { index: 600, hintIndex: 0, hintTerm: 0 }
      let state = step(
        leader,
        from('b', { kind: 'append-response', term: 1, index: 0, rejected }),
        1010,
      ).state
      const { effects } = step(state, from('b', { kind: 'append-response', term: 1, index: 1 }), 1011)
      const appends = sentTo('b', effects).filter((message) => message.kind === 'append')
      expect(appends.length).toBeGreaterThan(1)
      for (const { entries } of appends) {
        expect(entries.length).toBeLessThanOrEqual(APPEND_ENTRIES_MAX)
        expect(entries.reduce((sum, entry) => sum + entry.body.length, 0)).toBeLessThanOrEqual(
          APPEND_LENGTH_MAX,
        )
      }
      expect(Math.max(...appends.map(({ entries }) => entries.length))).toBeGreaterThan(least)
      state = step(state, { kind: 'tick' }, 1012).state
      expect(state.peers.get('b')?.inflight.length ?? 0).toBeLessThanOrEqual(INFLIGHT_MAX)
    }
  })

  it('is never longer than what one longest entry needs, in the longest letters', () => {
    // Three bytes of UTF-8 for one unit of UTF-16.
    const entry: Entry = { index: 1, term: 1, kind: 'command', body: '語'.repeat(ENTRY_LENGTH_MAX) }
    const append = {
      kind: 'append',
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      commit: 0,
      entries: [entry],
    } as const
    expect(bytesOf(append)).toBeLessThanOrEqual(SENT_BYTES_MAX)
    expect(decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message: append })).kind).toBe(
      'message',
    )
    const longer = { ...append, entries: [{ ...entry, body: `${entry.body}x` }] }
    expect(decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message: longer })).kind).toBe(
      'refused',
    )
  })

  it('carries a piece of a snapshot of at most 256 KiB, and no half letters', () => {
    const body = `x${'🐘'.repeat(SNAPSHOT_CHUNK_LENGTH)}`
    const leader = { ...leaderWith(0, '', body), versions: new Map([['b', 2]]) }
    const log = { ...leader.log, baseIndex: 1, baseTerm: 1, entries: [] }
    let state: RaftState = { ...leader, log, snapshot: { ...leader.snapshot, index: 1, term: 1 }, commit: 1 }
    const rejected = { index: 0, hintIndex: 0, hintTerm: 0 }
    const peers = new Map(state.peers)
    const peer = peers.get('b')
    if (peer !== undefined) peers.set('b', { ...peer, next: 1, isProbing: false })
    state = { ...state, peers }
    let result = step(state, from('b', { kind: 'append-response', term: 1, index: 0, rejected }), 1010)
    let text = ''
    while (text.length < body.length) {
      const [chunk] = sentTo('b', result.effects)
      if (chunk?.kind !== 'snapshot-chunk') throw new Error(`No piece after ${text.length}`)
      expect(bytesOf(chunk)).toBeLessThanOrEqual(256 * 1024)
      const decoded = decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message: chunk }))
      expect(decoded).toMatchObject({ kind: 'message', envelope: { message: chunk } })
      text += chunk.body
      const progress = { kind: 'snapshot-progress', term: 1, index: 1, offset: text.length } as const
      result = step(result.state, from('b', progress), 1011)
    }
    expect(text).toBe(body)
  })

  it('announces no snapshot that is longer than a receiver would hold', () => {
    const chunk = {
      kind: 'snapshot-chunk',
      term: 1,
      snapshot: { index: 1, term: 1, configuration: { voters: ['a'], learners: [] } },
      length: SNAPSHOT_LENGTH_MAX,
      offset: 0,
      body: 'x',
    } as const
    const kindOf = (message: Message) =>
      decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message })).kind
    expect(kindOf(chunk)).toBe('message')
    expect(kindOf({ ...chunk, length: SNAPSHOT_LENGTH_MAX + 1 })).toBe('refused')
    expect(kindOf({ ...chunk, length: 10, offset: 10 })).toBe('refused')
    const long = { ...chunk, body: 'x'.repeat(SNAPSHOT_CHUNK_LENGTH + 2) }
    expect(kindOf(long)).toBe('refused')
  })

  it('has names, members and texts of bounded length', () => {
    const kindOf = (message: Message) =>
      decodeMessage(encodeMessage({ group: 'g', from: 'a', to: 'b', message })).kind
    expect(kindOf({ kind: 'read', id: 'x'.repeat(NAME_LENGTH_MAX) })).toBe('message')
    expect(kindOf({ kind: 'read', id: 'x'.repeat(NAME_LENGTH_MAX + 1) })).toBe('refused')
    const answer = (length: number): Message => ({
      kind: 'change-answer',
      id: 'c',
      attempt: 1,
      verdict: { kind: 'refused', reason: 'NOT_READY', message: 'x'.repeat(length), isFulfilled: false },
    })
    expect(kindOf(answer(REFUSAL_LENGTH_MAX))).toBe('message')
    expect(kindOf(answer(REFUSAL_LENGTH_MAX + 1))).toBe('refused')
    const install = (members: number): Message => {
      const voters = Array.from({ length: members }, (_, at) => `n${at}`)
      return {
        kind: 'install-snapshot',
        term: 1,
        snapshot: { index: 1, term: 1, configuration: { voters, learners: [] }, body: '' },
      }
    }
    expect(kindOf(install(MEMBERS_MAX))).toBe('message')
    expect(kindOf(install(MEMBERS_MAX + 1))).toBe('refused')
  })
})

describe('a leader', () => {
  it('takes no longer entry, and no more text than a bound that no quorum has', () => {
    const refusal = (state: RaftState, length: number) => {
      const { effects } = step(state, { kind: 'propose', ticket: 1, body: 'x'.repeat(length) }, 1010)
      const refused = effects.find(({ kind }) => kind === 'proposal-refused')
      return refused?.kind === 'proposal-refused' ? refused.reason : undefined
    }
    expect(refusal(leaderWith(0, ''), ENTRY_LENGTH_MAX)).toBeUndefined()
    expect(refusal(leaderWith(0, ''), ENTRY_LENGTH_MAX + 1)).toBe('TOO_LARGE')
    const half = leaderWith(UNCOMMITTED_LENGTH_MAX / ENTRY_LENGTH_MAX - 1, 'x'.repeat(ENTRY_LENGTH_MAX))
    expect(refusal(half, ENTRY_LENGTH_MAX)).toBeUndefined()
    const full = leaderWith(UNCOMMITTED_LENGTH_MAX / ENTRY_LENGTH_MAX, 'x'.repeat(ENTRY_LENGTH_MAX))
    expect(refusal(full, 1)).toBe('OVERLOADED')
  })

  it('lets a bounded number of reads wait, its own and those of others', () => {
    let state = leaderWith(0, '')
    for (let count = 0; count < PENDING_READS_MAX; count += 1) {
      state = step(state, { kind: 'read', id: `r${count}` }, 1010).state
    }
    const own = step(state, { kind: 'read', id: 'more' }, 1010)
    expect(own.effects).toEqual([{ kind: 'read-refused', id: 'more', reason: 'OVERLOADED' }])
    const forwarded = step(state, from('b', { kind: 'read', id: 'theirs' }), 1010)
    expect(forwarded.state.reads).toHaveLength(PENDING_READS_MAX)
  })

  it('remembers a bounded number of changes of members', () => {
    let state = step(leaderWith(0, ''), { kind: 'persisted', term: 1, lastIndex: 1, lastTerm: 1 }, 1004).state
    const commit = (index: number) => {
      state = step(state, { kind: 'persisted', term: 1, lastIndex: index, lastTerm: 1 }, 1010).state
      state = step(state, from('b', { kind: 'append-response', term: 1, index }), 1010).state
      expect(state.commit).toBe(index)
    }
    commit(1)
    for (let count = 1; count <= 2 * RECENT_CHANGES_MAX; count += 1) {
      const change =
        count % 2 === 1
          ? ({ kind: 'add-learner', member: 'd', incarnation: `${count}` } as const)
          : ({ kind: 'remove', member: 'd' } as const)
      state = step(state, { kind: 'change', id: `c${count}`, attempt: 1, change }, 1010).state
      commit(count + 1)
    }
    expect(state.configuration.changes).toHaveLength(RECENT_CHANGES_MAX)
    expect(state.configuration.changes?.at(-1)).toBe(`c${2 * RECENT_CHANGES_MAX}`)
  })

  it('has no more members than a message can name', () => {
    const leader = leaderWith(0, '')
    const learners = Array.from({ length: MEMBERS_MAX - 3 }, (_, at) => `m${at}#1`)
    const full: RaftState = {
      ...leader,
      commit: 1,
      configuration: { ...leader.configuration, learners },
    }
    const change = { kind: 'add-learner', member: 'one-more', incarnation: '1' } as const
    const { effects } = step(full, { kind: 'change', id: 'c', attempt: 1, change }, 1010)
    expect(effects).toMatchObject([{ verdict: { kind: 'refused', reason: 'NOT_READY' } }])
  })
})

it('a member remembers the versions of a bounded number of others', () => {
  let state = leaderWith(0, '')
  for (let count = 0; count < 3 * VERSIONS_MAX; count += 1) {
    const request = { kind: 'vote-request', term: 1, pre: true, transfer: false } as const
    state = step(state, from(`s${count}`, { ...request, lastIndex: 0, lastTerm: 0 }), 1010).state
  }
  expect(state.versions.size).toBeLessThanOrEqual(VERSIONS_MAX)
})
