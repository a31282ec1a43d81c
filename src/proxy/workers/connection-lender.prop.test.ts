import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ConnectionLender } from './connection-lender.ts'
import { SharedCounts, type Limit } from './shared-counts.ts'

const STEP_MS = 25
const WORKERS = 3

/** A worker as it is: it has connections, each of them busy for a while, and gives back what is recalled. */
class ModelWorker {
  held: { limits: readonly Limit[]; busyUntil: number; isDoomed: boolean }[] = []
  readonly wishes = new Map<number, readonly Limit[]>()
  served = 0
}

it('never lends more than any limit, and serves every worker that goes on wishing', () => {
  const step = fc.record({
    worker: fc.nat(WORKERS - 1),
    pool: fc.nat(1),
    busy: fc.integer({ min: 1, max: 8 }),
  })
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 20, maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 5 }),
      (steps, size, ofDatabase) => {
        const workers = Array.from({ length: WORKERS }, () => new ModelWorker())
        const counts = new SharedCounts()
        let now = 0
        const lender = new ConnectionLender(counts, {
          lend: (place, id) => {
            const worker = workers[place]!
            worker.held.push({ limits: worker.wishes.get(id)!, busyUntil: now + STEP_MS, isDoomed: false })
            worker.wishes.delete(id)
            worker.served += 1
          },
          recall: (place, { limit, most }) => {
            const held = workers[place]!.held.filter(({ limits }) =>
              limits.some(({ name }) => name === limit),
            )
            const kept = held.filter(({ isDoomed }) => !isDoomed)
            for (const each of kept.slice(0, Math.max(0, kept.length - most))) each.isDoomed = true
          },
        })
        let lastId = 0
        const limitsOf = (pool: number): readonly Limit[] => [
          { name: `pool ${pool}`, max: size },
          { name: 'database', max: ofDatabase },
        ]
        const check = (): void => {
          const all = workers.flatMap(({ held }) => held)
          const has = (name: string): number =>
            all.filter(({ limits }) => limits.some((limit) => limit.name === name)).length
          for (const name of ['pool 0', 'pool 1']) expect(has(name)).toBeLessThanOrEqual(size)
          expect(has('database')).toBeLessThanOrEqual(ofDatabase)
        }
        const pass = (): void => {
          now += STEP_MS
          for (const [place, worker] of workers.entries()) {
            for (const held of worker.held.filter(
              ({ busyUntil, isDoomed }) => isDoomed && busyUntil <= now,
            )) {
              worker.held.splice(worker.held.indexOf(held), 1)
              lender.giveBack(place, held.limits, now)
              check()
            }
          }
          lender.settle(now)
          check()
        }
        for (const { worker: place, pool, busy } of steps) {
          const worker = workers[place]!
          lastId += 1
          worker.wishes.set(lastId, limitsOf(pool))
          lender.wish({ worker: place, id: lastId, limits: limitsOf(pool), since: now }, now)
          check()
          for (const held of worker.held) held.busyUntil = now + busy * STEP_MS
          pass()
        }
        const wishing = workers.filter(({ wishes }) => wishes.size > 0)
        for (let round = 0; round < 100 && wishing.some(({ served }) => served === 0); round += 1) pass()
        for (const worker of wishing) expect(worker.served).toBeGreaterThan(0)
      },
    ),
    { numRuns: 60 },
  )
})
