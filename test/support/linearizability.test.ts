import { describe, expect, it } from 'vitest'
import { checkLinearizability, type HistoryOperation } from './linearizability.ts'
import type { RegisterAnswer, RegisterCall } from './register-model.ts'
import { seededRandom } from './seeded-random.ts'

const op = (
  client: string,
  [invokedAt, endedAt]: readonly [number, number?],
  [call, answer]: readonly [RegisterCall, RegisterAnswer?],
): HistoryOperation => ({
  client,
  key: 'k',
  invokedAt,
  call,
  ...(endedAt === undefined || answer === undefined ? {} : { outcome: { endedAt, answer } }),
})

const write = (value: string, revision?: number): [RegisterCall, RegisterAnswer?] =>
  revision === undefined
    ? [{ kind: 'write', value }]
    : [
        { kind: 'write', value },
        { kind: 'done', revision },
      ]
const read = (value: string, revision: number): [RegisterCall, RegisterAnswer] => [
  { kind: 'read' },
  { kind: 'seen', value, revision },
]
const nothing: [RegisterCall, RegisterAnswer] = [{ kind: 'read' }, { kind: 'seen', revision: 0 }]
const swap = (expected: number, value: string, revision?: number): [RegisterCall, RegisterAnswer] => [
  { kind: 'swap', expected, value },
  revision === undefined ? { kind: 'refused' } : { kind: 'done', revision },
]
const remove = (revision: number): [RegisterCall, RegisterAnswer] => [
  { kind: 'delete' },
  { kind: 'done', revision },
]

const good: Readonly<Record<string, readonly HistoryOperation[]>> = {
  'an empty history': [],
  'one after the other': [
    op('a', [0, 1], nothing),
    op('a', [2, 3], write('x', 2)),
    op('b', [4, 5], read('x', 2)),
    op('b', [6, 7], swap(2, 'y', 3)),
    op('a', [8, 9], remove(4)),
    op('b', [10, 11], nothing),
  ],
  'a read that overlaps a write and sees the old value': [
    op('a', [0, 1], write('x', 2)),
    op('a', [2, 9], write('y', 3)),
    op('b', [3, 4], read('x', 2)),
    op('b', [5, 6], read('y', 3)),
  ],
  'two overlapping writes that took effect against the order of their calls': [
    op('a', [0, 10], write('x', 3)),
    op('b', [1, 9], write('y', 2)),
    op('c', [11, 12], read('x', 3)),
  ],
  'a write without an answer that took effect much later': [
    op('a', [0, 1], write('x', 2)),
    op('b', [2], write('lost')),
    op('a', [3, 4], read('x', 2)),
    op('a', [5, 6], write('y', 3)),
    op('c', [7, 8], read('lost', 4)),
    op('c', [9, 10], swap(4, 'z', 5)),
  ],
  'a write without an answer that never took effect': [
    op('b', [0], write('lost')),
    op('a', [1, 2], nothing),
    op('a', [3, 4], write('y', 2)),
    op('a', [5, 6], read('y', 2)),
  ],
  'a refused swap explained by a write that nobody saw': [
    op('a', [0, 1], write('x', 2)),
    op('b', [2], write('lost')),
    op('a', [3, 4], swap(2, 'y')),
  ],
  'a deletion of nothing, answered with a foreign revision': [
    op('a', [0, 1], remove(7)),
    op('a', [2, 3], write('x', 5)),
  ],
}

const bad: Readonly<Record<string, readonly [readonly HistoryOperation[], string]>> = {
  'a stale read': [
    [op('a', [0, 1], write('x', 2)), op('a', [2, 3], write('y', 3)), op('b', [4, 5], read('x', 2))],
    'read → "x" of revision 2',
  ],
  'two reads that see a write come and go': [
    [
      op('a', [0, 1], write('x', 2)),
      op('a', [2, 20], write('y', 3)),
      op('b', [3, 4], read('y', 3)),
      op('c', [5, 6], read('x', 2)),
    ],
    'c ',
  ],
  'two swaps that won on one revision': [
    [op('a', [0, 1], write('x', 2)), op('a', [2, 9], swap(2, 'y', 3)), op('b', [3, 8], swap(2, 'z', 4))],
    'swap revision 2',
  ],
  'a read of what nobody wrote': [[op('a', [0, 1], read('ghost', 2))], 'ghost'],
  'an acknowledged write that is gone': [
    [op('a', [0, 1], write('x', 2)), op('b', [2, 3], nothing)],
    'absent',
  ],
  'a write that took effect twice': [
    [
      op('a', [0], write('x')),
      op('b', [1, 2], read('x', 2)),
      op('b', [3, 4], remove(3)),
      op('b', [5, 6], read('x', 4)),
    ],
    'revision 4',
  ],
  'a write without an answer that took effect before its call': [
    [op('b', [0, 1], read('x', 2)), op('a', [2], write('x'))],
    'read',
  ],
  'a refused swap without a reason': [
    [op('a', [0, 1], write('x', 2)), op('a', [2, 3], swap(2, 'y'))],
    'refused',
  ],
  'a revision that went back': [
    [op('a', [0, 1], write('x', 5)), op('a', [2, 3], write('y', 4))],
    'revision 4',
  ],
}

describe('the linearizability checker', () => {
  it.each(Object.entries(good))('accepts %s', (_name, history) => {
    expect(checkLinearizability(history)).toEqual({ kind: 'linearizable' })
  })

  it.each(Object.entries(bad))('rejects %s', (_name, [history, words]) => {
    const verdict = checkLinearizability(history)
    expect(verdict.kind).toBe('violated')
    if (verdict.kind === 'violated') expect(verdict.explanation).toContain(words)
  })

  it('judges every key by itself', () => {
    const [history = []] = bad['a stale read'] ?? []
    const apart = history.map((one, index) => ({ ...one, key: index === 1 ? 'other' : 'k' }))
    expect(checkLinearizability(apart)).toEqual({ kind: 'linearizable' })
  })

  it('tells the shortest story that it finds, in words', () => {
    const noise = Array.from({ length: 200 }, (_, index) => [
      op('n', [index * 10, index * 10 + 1], write(`v${index}`, index + 2)),
      op('m', [index * 10 + 2, index * 10 + 3], read(`v${index}`, index + 2)),
    ]).flat()
    const verdict = checkLinearizability([
      ...noise,
      op('w', [3000, 3001], write('new', 900)),
      op('r', [3002, 3003], read('v199', 201)),
    ])
    if (verdict.kind === 'linearizable') throw new Error('accepted a stale read')
    expect(verdict.prefix.map(({ client }) => client)).toEqual(['n', 'w', 'r'])
    expect(verdict.explanation).toBe(
      [
        'Key "k" did not behave like one register. No order of these operations explains the last answer:',
        '  n             1990.0 …    1991.0  write "v199" → done at revision 201',
        '  w             3000.0 …    3001.0  write "new" → done at revision 900',
        '  r             3002.0 …    3003.0  read → "v199" of revision 201',
        'Before it the key could only hold "new" of revision 900.',
      ].join('\n'),
    )
  })

  it(
    'judges 10 000 operations of 5 clients on 20 keys, with unknown outcomes among them',
    { timeout: 60_000 },
    () => {
      const history = honestHistory({ operations: 10_000, keys: 20, clients: 5, seed: 7 })
      expect(history.filter(({ outcome }) => outcome === undefined).length).toBeGreaterThan(50)
      expect(checkLinearizability(history)).toEqual({ kind: 'linearizable' })
      const reads = history.filter(({ call, outcome }) => call.kind === 'read' && outcome !== undefined)
      const last = reads.at(-1)
      const stale = history.map((one) => (one === last ? withOldValue(one, history) : one))
      expect(checkLinearizability(stale).kind).toBe('violated')
    },
  )
})

function withOldValue(last: HistoryOperation, history: readonly HistoryOperation[]): HistoryOperation {
  const first = history.find(({ key, call, outcome }) => key === last.key && call.kind === 'write' && outcome)
  if (first?.outcome?.answer.kind !== 'done' || first.call.kind !== 'write') throw new Error('no write')
  const answer = { kind: 'seen', value: first.call.value, revision: first.outcome.answer.revision } as const
  return { ...last, outcome: { endedAt: last.outcome?.endedAt ?? 0, answer } }
}

/** What clients of a correct store see: every operation takes effect at a random moment of its own. */
function honestHistory(shape: {
  operations: number
  keys: number
  clients: number
  seed: number
}): readonly HistoryOperation[] {
  const random = seededRandom(shape.seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const starts = new Map<number, number>()
  const plans = Array.from({ length: shape.operations }, (_, index) => {
    const client = index % shape.clients
    const invokedAt = (starts.get(client) ?? 0) + random()
    const effectAt = invokedAt + random() * 5
    const endedAt = effectAt + random() * 5
    starts.set(client, endedAt)
    return { client: `c${client}`, key: `k${below(shape.keys)}`, invokedAt, effectAt, endedAt, index }
  })
  const tree = new Map<string, { value: string; revision: number }>()
  let revision = 1
  const done = plans
    .toSorted((left, right) => left.effectAt - right.effectAt)
    .map(({ client, key, invokedAt, endedAt, index }): HistoryOperation => {
      const held = tree.get(key)
      const put = (value: string): RegisterAnswer => {
        revision += 1
        tree.set(key, { value, revision })
        return { kind: 'done', revision }
      }
      const kind = below(10)
      const expected = below(2) === 0 ? (held?.revision ?? 0) : below(revision)
      const act = (): [RegisterCall, RegisterAnswer] => {
        if (kind < 5) return [{ kind: 'read' }, { kind: 'seen', ...(held ?? { revision: 0 }) }]
        if (kind < 7) return [{ kind: 'write', value: `v${index}` }, put(`v${index}`)]
        if (kind < 9) {
          const matches = expected === (held?.revision ?? 0)
          const call = { kind: 'swap', expected, value: `v${index}` } as const
          return [call, matches ? put(call.value) : { kind: 'refused' }]
        }
        if (held !== undefined) revision += 1
        tree.delete(key)
        return [{ kind: 'delete' }, { kind: 'done', revision }]
      }
      const [call, answer] = act()
      const outcome = below(40) === 0 ? {} : { outcome: { endedAt, answer } }
      return { client, key, invokedAt, call, ...outcome }
    })
  return done
}
