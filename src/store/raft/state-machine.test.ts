import { describe, expect, it } from 'vitest'
import { SESSIONS_MAX } from '../limits.ts'
import { decodeCommand, encodeCommand } from './command.ts'
import { StateMachine } from './state-machine.ts'

const open = (machine: StateMachine, index: number, nonce = `n${index}`) =>
  machine.apply(index, encodeCommand({ kind: 'open', nonce }))

function put(
  machine: StateMachine,
  options: { index: number; session: number; sequence: number; low?: number; value: string },
) {
  const { index, session, sequence, low = 1, value } = options
  const transaction = { compares: [], operations: [{ kind: 'put', key: 'k', value }] } as const
  return machine.apply(index, encodeCommand({ kind: 'transact', session, sequence, low, transaction }))
}

describe('the state machine', () => {
  it('applies a transaction once, and answers a copy of it as the first', () => {
    const machine = new StateMachine()
    expect(open(machine, 1)).toEqual({ kind: 'opened', nonce: 'n1', session: 1 })
    const first = put(machine, { index: 2, session: 1, sequence: 1, value: 'a' })
    put(machine, { index: 3, session: 1, sequence: 2, value: 'b' })
    const copy = put(machine, { index: 4, session: 1, sequence: 1, value: 'a' })
    expect(copy).toEqual(first)
    expect(machine.tree.get('k')?.value).toBe('b')
  })

  it('takes transactions in any order of their numbers', () => {
    const machine = new StateMachine()
    open(machine, 1)
    put(machine, { index: 2, session: 1, sequence: 2, value: 'b' })
    expect(put(machine, { index: 3, session: 1, sequence: 1, value: 'a' })).toMatchObject({
      kind: 'answered',
    })
    expect(machine.tree.get('k')?.value).toBe('a')
  })

  it('ignores what its client has given up on', () => {
    const machine = new StateMachine()
    open(machine, 1)
    put(machine, { index: 2, session: 1, sequence: 5, low: 5, value: 'b' })
    expect(put(machine, { index: 3, session: 1, sequence: 4, value: 'late' })).toEqual({ kind: 'ignored' })
    expect(machine.tree.get('k')?.value).toBe('b')
    expect(machine.answerOf(1, 4)).toBe('open')
  })

  it('applies nothing under a session that it forgot, not even when another was opened with its nonce', () => {
    const machine = new StateMachine()
    open(machine, 1, 'old')
    put(machine, { index: 2, session: 1, sequence: 1, value: 'a' })
    for (let index = 3; index < 3 + SESSIONS_MAX; index += 1) open(machine, index)
    expect(machine.answerOf(1, 1)).toBe('no-session')
    open(machine, 500, 'old')
    expect(put(machine, { index: 501, session: 1, sequence: 1, value: 'again' })).toMatchObject({
      kind: 'no-session',
    })
    expect(machine.tree.get('k')?.value).toBe('a')
  })

  it('forgets the session that was not used for the longest time', () => {
    const machine = new StateMachine()
    open(machine, 1)
    open(machine, 2)
    for (let index = 3; index <= SESSIONS_MAX; index += 1) open(machine, index)
    put(machine, { index: 200, session: 1, sequence: 1, value: 'a' })
    open(machine, 201)
    expect(machine.answerOf(1, 1)).not.toBe('no-session')
    expect(machine.answerOf(2, 1)).toBe('no-session')
  })

  it('is the same after a snapshot: tree, history and answers', () => {
    const machine = new StateMachine()
    open(machine, 1)
    put(machine, { index: 2, session: 1, sequence: 1, value: 'a' })
    put(machine, { index: 3, session: 1, sequence: 2, value: 'b' })
    const copy = new StateMachine()
    copy.restore(machine.image())
    expect(copy.image()).toBe(machine.image())
    expect(copy.tree.eventsAfter(1)).toEqual(machine.tree.eventsAfter(1))
    expect(copy.sessionOf('n1')).toBe(1)
    const [again, inCopy] = [machine, copy].map((each) =>
      put(each, { index: 4, session: 1, sequence: 2, value: 'c' }),
    )
    expect(inCopy).toEqual(again)
    expect(copy.image()).toBe(machine.image())
  })

  it('stops at a command that it does not know: to skip it would make its tree another one', () => {
    for (const body of ['', '{}', 'null', '{"kind":"transact"}', '{"kind":"open","nonce":7}']) {
      expect(decodeCommand(body)).toBeUndefined()
      expect(() => new StateMachine().apply(1, body)).toThrow(
        expect.objectContaining({ code: 'STORE_COMMAND_UNKNOWN' }),
      )
    }
  })
})
