import { expect, it } from 'vitest'
import { after } from '../../platform/timers.ts'
import { monotonicMs } from '../../platform/clock.ts'
import { KeyValueTree } from '../key-value-tree.ts'
import { startTimeLimit } from './time-limit.ts'
import { Visibility } from './visibility.ts'

const timing = { now: monotonicMs, after }
const never = new AbortController().signal
const put = (key: string, modRevision: number) =>
  ({ kind: 'put', entry: { key, value: 'v', createRevision: modRevision, modRevision } }) as const

function arrange(lagMs = 10_000) {
  const tree = new KeyValueTree()
  let lags = 0
  const visibility = new Visibility({ tree, timing, onLag: () => (lags += 1) }, { lagMs })
  return {
    tree,
    visibility,
    lags: () => lags,
    follow(events: Parameters<KeyValueTree['follow']>[0], revision: number) {
      tree.follow(events, revision)
      visibility.changed()
    },
  }
}

it('waits until the mirror has the revision of a change', async () => {
  const { visibility, follow } = arrange()
  const limit = startTimeLimit(5000, timing, never)
  const seen = visibility.waitFor({ revision: 7 }, limit)
  follow([put('a', 6)], 6)
  follow([put('a', 7)], 7)
  expect(await seen).toBe(true)
  limit.clear()
})

it('does not wait for a revision that the watch will never tell, when the keys are as they were', async () => {
  const { visibility, follow } = arrange()
  follow([put('a', 3)], 3)
  const limit = startTimeLimit(5000, timing, never)
  const held = [
    { key: 'a', modRevision: 3 },
    { key: 'absent', modRevision: 0 },
  ]
  expect(await visibility.waitFor({ revision: 900, held }, limit)).toBe(true)
  const newer = visibility.waitFor({ revision: 900, held: [{ key: 'a', modRevision: 4 }] }, limit)
  const gone = visibility.waitFor({ revision: 900, held: [{ key: 'a', modRevision: 0 }] }, limit)
  follow([put('a', 4)], 4)
  expect(await newer).toBe(true)
  follow([{ kind: 'delete', key: 'a', modRevision: 5 }], 5)
  expect(await gone).toBe(true)
  limit.clear()
})

it('says that the watch lags, and gives up at the limit', async () => {
  const { visibility, lags } = arrange(10)
  const limit = startTimeLimit(60, timing, never)
  expect(await visibility.waitFor({ revision: 7 }, limit)).toBe(false)
  expect(lags()).toBe(1)
})
