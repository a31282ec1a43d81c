import { describe, expect, it } from 'vitest'
import { checkAppliedOnce, type Told } from './checkers/applied-once.ts'
import { Violation } from './checkers/violation.ts'
import { WatchWithoutGaps } from './checkers/watch-without-gaps.ts'
import { simulateStore, type StoreRun } from './store-simulation.ts'

/** Few: one run costs as much as ten of the bare core. */
const SEEDS = 25

describe('the store on Raft', () => {
  it(`applies what it acknowledged once, reads the newest and leaves no gap, in ${SEEDS} runs`, async () => {
    const runs: StoreRun[] = []
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      try {
        runs.push(await simulateStore(seed))
      } catch (thrown) {
        throw new Error(`seed ${seed}: ${String(thrown)}`, { cause: thrown })
      }
    }
    const sum = (field: keyof StoreRun): number => runs.reduce((total, run) => total + run[field], 0)
    expect(sum('acknowledged')).toBeGreaterThan(100 * SEEDS)
    expect(sum('reads')).toBeGreaterThan(50 * SEEDS)
    expect(sum('unknown')).toBeGreaterThan(SEEDS)
    expect(sum('refused')).toBeGreaterThan(SEEDS)
  })
})

describe('a run that once found a bug finds it no more:', () => {
  it.each([
    { story: 'a log was refused whose segment ended before the entry that its head follows', seed: 211 },
    { story: 'a new leader counted a voter whose disk was gone, and changed members for ever', seed: 98 },
    { story: 'a late copy of a refused change of members was made after all', seed: 5468 },
  ])('$story (seed $seed)', async ({ seed }) => {
    expect((await simulateStore(seed)).acknowledged).toBeGreaterThan(0)
  })
})

describe('its checkers', () => {
  const entry = (key: string, createRevision: number, modRevision: number) => ({
    key,
    value: '',
    createRevision,
    modRevision,
  })

  it('find a transaction that was lost, applied in spite of a refusal, or applied twice', () => {
    const told = (answer: Told) => new Map([['k', answer]])
    checkAppliedOnce(told({ kind: 'done', revision: 5 }), [entry('k', 5, 5)])
    checkAppliedOnce(told({ kind: 'unknown' }), [entry('k', 5, 5)])
    for (const [answer, entries] of [
      [{ kind: 'done', revision: 5 }, []],
      [{ kind: 'not-applied' }, [entry('k', 5, 5)]],
      [{ kind: 'unknown' }, [entry('k', 5, 6)]],
    ] as const) {
      expect(() => checkAppliedOnce(told(answer), entries)).toThrow(Violation)
    }
  })

  it('find a gap, a repetition and a difference in what watchers saw', () => {
    const put = (modRevision: number, value = '') =>
      ({ kind: 'put', entry: { key: 'k', value, createRevision: 2, modRevision } }) as const
    const see = (...deliveries: (readonly ReturnType<typeof put>[])[]) => {
      const checker = new WatchWithoutGaps()
      deliveries.forEach((events, index) => {
        checker.see(`w${index % 2}`, events, events.at(-1)?.entry.modRevision ?? 0, false)
      })
    }
    see([put(2)], [put(2), put(3)], [put(3), put(4)])
    expect(() => see([put(2)], [put(2)], [put(4)])).toThrow(Violation)
    expect(() => see([put(2)], [put(2)], [put(2)])).toThrow(Violation)
    expect(() => see([put(2, 'a')], [put(2, 'b')])).toThrow(Violation)
  })
})
