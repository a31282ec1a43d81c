import { beforeEach, describe, expect, it } from 'vitest'
import { ConnectionLender, type Recall } from './connection-lender.ts'
import { SharedCounts, type Limit } from './shared-counts.ts'

const pool = (max: number, name = 'pool a'): Limit => ({ name, max })

describe('ConnectionLender', () => {
  let counts: SharedCounts
  let lender: ConnectionLender
  let lent: { readonly worker: number; readonly wish: number }[]
  let recalls: ({ readonly worker: number } & Recall)[]
  let lastId = 0

  beforeEach(() => {
    lent = []
    recalls = []
    counts = new SharedCounts()
    lender = new ConnectionLender(counts, {
      lend: (worker, wish) => void lent.push({ worker, wish }),
      recall: (worker, recall) => void recalls.push({ worker, ...recall }),
    })
  })

  function wish(worker: number, limits: readonly Limit[], now = 0): number {
    lastId += 1
    lender.wish({ worker, id: lastId, limits, since: now }, now)
    return lastId
  }
  const take = (worker: number, count: number, limits: readonly Limit[]): void => {
    for (let each = 0; each < count; each += 1) wish(worker, limits)
  }
  const workersLent = (): readonly number[] => lent.map(({ worker }) => worker)

  it('lends up to the limit, whoever wishes', () => {
    take(0, 3, [pool(4)])
    take(1, 3, [pool(4)])
    expect(workersLent()).toEqual([0, 0, 0, 1])
    expect(counts.total('pool a')).toBe(4)
  })

  it('asks who has more than a fair share for what another wishes, and no more', () => {
    take(0, 6, [pool(6)])
    wish(1, [pool(6)])
    expect(recalls).toEqual([{ worker: 0, limit: 'pool a', most: 5, idle: 1 }])
    take(1, 5, [pool(6)])
    lender.settle(50)
    expect(recalls.at(-1)).toEqual({ worker: 0, limit: 'pool a', most: 3, idle: 6 })
  })

  it('brings nobody below a fair share: only what is not used is asked for', () => {
    take(0, 2, [pool(4)])
    take(1, 2, [pool(4)])
    wish(1, [pool(4)])
    expect(recalls).toEqual([{ worker: 0, limit: 'pool a', most: 2, idle: 1 }])
  })

  it('gives what comes free to the worker that has least, though another has wished before', () => {
    take(0, 4, [pool(4)])
    wish(0, [pool(4)])
    const second = wish(1, [pool(4)])
    lender.giveBack(0, [pool(4)], 10)
    expect(lent.at(-1)).toEqual({ worker: 1, wish: second })
  })

  it('lets a connection go round where there are fewer than workers, but not at once', () => {
    wish(0, [pool(1)])
    wish(1, [pool(1)])
    expect(recalls).toEqual([{ worker: 0, limit: 'pool a', most: 1, idle: 1 }])
    lender.settle(199)
    expect(recalls.at(-1)?.most).toBe(1)
    lender.settle(250)
    expect(recalls.at(-1)).toEqual({ worker: 0, limit: 'pool a', most: 0, idle: 1 })
  })

  it('asks at most once in 50 ms', () => {
    take(0, 4, [pool(4)])
    wish(1, [pool(4)])
    for (let now = 1; now < 50; now += 1) lender.settle(now)
    expect(recalls).toHaveLength(1)
    lender.settle(50)
    expect(recalls).toHaveLength(2)
  })

  it('counts pools of one database together, and makes room in another pool of it', () => {
    const database = { name: 'database app', max: 2 }
    take(0, 2, [pool(20, 'pool a'), database])
    wish(1, [pool(20, 'pool b'), database])
    expect(workersLent()).toEqual([0, 0])
    expect(recalls).toEqual([{ worker: 0, limit: 'database app', most: 1, idle: 1 }])
    lender.giveBack(0, [pool(20, 'pool a'), database], 1)
    expect(workersLent()).toEqual([0, 0, 1])
  })

  it('forgets what a worker had and wished when it has ended', () => {
    take(0, 2, [pool(2)])
    wish(0, [pool(2)])
    wish(1, [pool(2)])
    counts.forget(0)
    lender.forget(0, 1)
    expect(workersLent()).toEqual([0, 0, 1])
    expect(counts.total('pool a')).toBe(1)
    expect(lender.isWanted).toBe(false)
  })

  it('lends nothing for a wish that was withdrawn, and says when it was lent before', () => {
    take(0, 1, [pool(1)])
    const waiting = wish(1, [pool(1)])
    expect(lender.withdraw(1, waiting)).toBe(true)
    lender.giveBack(0, [pool(1)], 1)
    expect(workersLent()).toEqual([0])
    expect(lender.withdraw(0, lent[0]?.wish ?? 0)).toBe(false)
  })
})
