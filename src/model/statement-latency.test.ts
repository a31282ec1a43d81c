import { expect, it } from 'vitest'
import { boundedLatencies, LATENCY_PAIRS_MAX, OTHERS } from './statement-latency.ts'

const latency = (user: string, count: number) => ({ database: 'app', user, counts: [count, 1], sumMs: count })

it('latencies of several processes are one of each pair', () => {
  expect(boundedLatencies([latency('me', 1), latency('you', 9), latency('me', 2)])).toEqual([
    latency('you', 9),
    { ...latency('me', 3), counts: [3, 2] },
  ])
})

it('of many pairs those with most statements are told by name, and nothing of the others is lost', () => {
  const many = Array.from({ length: 200 }, (_, index) => latency(`user${index}`, index))
  const told = boundedLatencies(many)
  expect(told).toHaveLength(LATENCY_PAIRS_MAX)
  expect(told[0]?.user).toBe('user199')
  expect(told.at(-1)?.user).toBe(OTHERS)
  expect(told.reduce((sum, { sumMs }) => sum + sumMs, 0)).toBe((200 * 199) / 2)
  // Once more, with what another process says.
  expect(boundedLatencies([...told, ...many]).length).toBeLessThanOrEqual(LATENCY_PAIRS_MAX)
})
