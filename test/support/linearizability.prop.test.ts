import fc from 'fast-check'
import { expect, it } from 'vitest'
import { checkLinearizability, type HistoryOperation } from './linearizability.ts'
import {
  afterAnswer,
  afterSilence,
  initialState,
  type RegisterAnswer,
  type RegisterCall,
  type RegisterState,
} from './register-model.ts'

/** Every order of every choice of the unknown ones, tried one by one. */
function hasOrder(history: readonly HistoryOperation[]): boolean {
  const from = (state: RegisterState, rest: readonly HistoryOperation[]): boolean => {
    if (rest.every(({ outcome }) => outcome === undefined)) return true
    const firstEnd = Math.min(...rest.map(({ outcome }) => outcome?.endedAt ?? Number.POSITIVE_INFINITY))
    return rest.some((one) => {
      if (one.invokedAt > firstEnd) return false
      const { call, outcome } = one
      const after =
        outcome === undefined ? afterSilence(state, call) : afterAnswer(state, call, outcome.answer)
      const others = rest.filter((other) => other !== one)
      return after !== undefined && from(after, others)
    })
  }
  return from(initialState, history)
}

const value = fc.constantFrom('x', 'y')
const revision = fc.integer({ min: 1, max: 4 })

const exchange: fc.Arbitrary<readonly [RegisterCall, RegisterAnswer]> = fc.oneof(
  fc.tuple(
    fc.constant<RegisterCall>({ kind: 'read' }),
    fc.oneof(
      fc.constant<RegisterAnswer>({ kind: 'seen', revision: 0 }),
      fc.record({ kind: fc.constant('seen' as const), value, revision }),
    ),
  ),
  fc.tuple(
    fc.record({ kind: fc.constant('write' as const), value }),
    fc.record({ kind: fc.constant('done' as const), revision }),
  ),
  fc.tuple(
    fc.record({ kind: fc.constant('swap' as const), expected: fc.integer({ min: 0, max: 3 }), value }),
    fc.oneof(
      fc.constant<RegisterAnswer>({ kind: 'refused' }),
      fc.record({ kind: fc.constant('done' as const), revision }),
    ),
  ),
  fc.tuple(
    fc.constant<RegisterCall>({ kind: 'delete' }),
    fc.record({ kind: fc.constant('done' as const), revision }),
  ),
)

const operation = fc
  .tuple(
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 6 }),
    exchange,
    fc.integer({ max: 4, min: 0 }),
  )
  .map(([invokedAt, length, [call, answer], luck]): HistoryOperation => ({
    client: 'c',
    key: 'k',
    invokedAt,
    call,
    ...(luck === 0 ? {} : { outcome: { endedAt: invokedAt + length, answer } }),
  }))

const histories = fc.array(operation, { maxLength: 6 })

it('agrees with trying every order of a small history', () => {
  const seen = { linearizable: 0, violated: 0 }
  fc.assert(
    fc.property(histories, (history) => {
      const { kind } = checkLinearizability(history)
      seen[kind] += 1
      expect(kind).toBe(hasOrder(history) ? 'linearizable' : 'violated')
    }),
    { numRuns: 4000 },
  )
  expect(Math.min(seen.linearizable, seen.violated)).toBeGreaterThan(200)
})

it('tells a story that has no explanation either, with the stuck operation last', () => {
  fc.assert(
    fc.property(histories, (history) => {
      const verdict = checkLinearizability(history)
      if (verdict.kind === 'linearizable') return
      expect(verdict.prefix.at(-1)).toEqual(verdict.stuck)
      expect(hasOrder(verdict.prefix)).toBe(false)
    }),
    { numRuns: 2000 },
  )
})
