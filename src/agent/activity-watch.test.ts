import { expect, it } from 'vitest'
import type { ActivityFacts } from '../model/member.ts'
import { ActivityWatch } from './activity-watch.ts'

const counted: ActivityFacts = {
  atMs: 1,
  transactions: 2,
  busyMs: 3,
  connections: 4,
  active: 0,
  connectionsMax: 100,
}

it('knows what PostgreSQL said last, and nothing once it runs no more or does not answer', async () => {
  let isRunning = true
  let answer: () => Promise<ActivityFacts | undefined> = () => Promise.resolve(counted)
  const watch = new ActivityWatch({ activity: () => answer() }, () => isRunning)
  expect(watch.facts).toBeUndefined()
  await watch.ask()
  expect(watch.facts).toBe(counted)
  answer = () => Promise.reject(new Error('no slot'))
  await watch.ask()
  expect(watch.facts).toBeUndefined()
  answer = () => Promise.resolve(counted)
  await watch.ask()
  isRunning = false
  await watch.ask()
  expect(watch.facts).toBeUndefined()
})

it('has one question out at a time', async () => {
  let asked = 0
  let finish: (facts: ActivityFacts) => void = () => undefined
  const activity = () => {
    asked += 1
    return new Promise<ActivityFacts>((resolve) => (finish = resolve))
  }
  const watch = new ActivityWatch({ activity }, () => true)
  const first = watch.ask()
  await watch.ask()
  expect(asked).toBe(1)
  finish(counted)
  await first
  expect(watch.facts).toBe(counted)
})
