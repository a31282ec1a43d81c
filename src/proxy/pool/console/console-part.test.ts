import { expect, it } from 'vitest'
import { mergeParts, type ConsolePart } from './console-part.ts'

function part(changes: Partial<ConsolePart>): ConsolePart {
  return {
    pools: [],
    databases: [],
    clientUsers: [],
    logins: 0,
    clients: [],
    servers: [],
    classifier: [],
    statements: [],
    latencies: [],
    ...changes,
  }
}

const database = (name: string, averages: readonly number[], isPaused = false) => ({
  name,
  totals: averages.map((_average, index) => index),
  averages,
  isPaused,
  isDisabled: false,
})

it('adds up what workers count, and what they count in a second', () => {
  const one = database('app', [1, 10, 20, 100, 200, 0, 0, 5, 0, 0, 0, 3])
  const merged = mergeParts([part({ databases: [one], logins: 1 }), part({ databases: [one], logins: 2 })])
  expect(merged.logins).toBe(3)
  expect(merged.databases).toHaveLength(1)
  expect(merged.databases[0]?.totals).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22])
  expect(merged.databases[0]?.averages).toEqual([2, 20, 40, 200, 400, 0, 0, 10, 0, 0, 0, 6])
})

it('weighs the time of a transaction by transactions, and that of a query by queries', () => {
  const busy = database('app', [0, 90, 300, 0, 0, 1000, 100, 0, 0, 0, 0, 0])
  const idle = database('app', [0, 10, 100, 0, 0, 2000, 500, 0, 0, 0, 0, 0])
  const averages = mergeParts([part({ databases: [busy] }), part({ databases: [idle] })]).databases[0]
    ?.averages
  expect(averages?.slice(5, 7)).toEqual([1100, 200])
})

it('keeps databases, users and pools apart, and says of a database that it is paused where one worker says so', () => {
  const merged = mergeParts([
    part({ databases: [database('one', []), database('two', [])], clientUsers: [['ann', 2]] }),
    part({
      databases: [database('two', [], true)],
      clientUsers: [
        ['ann', 1],
        ['bob', 4],
      ],
    }),
  ])
  expect(merged.databases.map(({ name, isPaused }) => [name, isPaused])).toEqual([
    ['one', false],
    ['two', true],
  ])
  expect(merged.clientUsers).toEqual([
    ['ann', 3],
    ['bob', 4],
  ])
})

it('adds up rows that say the same, and keeps the others', () => {
  const merged = mergeParts([
    part({
      classifier: [
        ['cache', 'hits', 3],
        ['read', 'PLAIN', 1],
      ],
    }),
    part({ classifier: [['cache', 'hits', 4]] }),
  ])
  expect(merged.classifier).toEqual([
    ['cache', 'hits', 7],
    ['read', 'PLAIN', 1],
  ])
})

it('adds up the statements and latencies of all workers, each user of each database by itself', () => {
  const statement = {
    database: 'app',
    user: 'me',
    statement: 'select 1',
    calls: 1,
    errors: 0,
    totalMs: 2,
    maxMs: 2,
  }
  const latency = { database: 'app', user: 'me', counts: [1, 2], maxMs: 3 }
  const other = { ...latency, user: 'you' }
  const merged = mergeParts([
    part({ statements: [statement], latencies: [latency] }),
    part({ statements: [statement], latencies: [latency, other] }),
  ])
  expect(merged.statements).toEqual([{ ...statement, calls: 2, totalMs: 4 }])
  expect(merged.latencies).toEqual([{ ...latency, counts: [2, 4] }, other])
})
