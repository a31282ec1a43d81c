import { describe, expect, it } from 'vitest'
import { Violation } from './checkers/violation.ts'
import { plantedBugs } from './planted-bugs.ts'
import { RaftSimulation, SimulationFailure } from './raft-simulation.ts'

const SEEDS = 200

describe('Raft under loss, crashes, pauses and partitions', () => {
  it(`keeps its promises in ${SEEDS} runs, and agrees again when the faults end`, () => {
    const sum = { committed: 0, completed: 0, terms: 0, crashes: 0, snapshots: 0 }
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const result = new RaftSimulation({ seed }).run()
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result[key]
    }
    // Runs in which nothing happens would prove nothing.
    expect(sum.committed).toBeGreaterThan(30 * SEEDS)
    expect(sum.completed).toBeGreaterThan(30 * SEEDS)
    expect(sum.terms).toBeGreaterThan(3 * SEEDS)
    expect(sum.crashes).toBeGreaterThan(3 * SEEDS)
    expect(sum.snapshots).toBeGreaterThan(SEEDS / 10)
  })

  it('is the same run for the same seed', () => {
    const [first, second] = [7, 7].map((seed) => new RaftSimulation({ seed }).run())
    expect(first?.trace.length).toBeGreaterThan(100)
    expect(first?.trace).toEqual(second?.trace)
  })
})

describe('a run that once found a bug finds it no more:', () => {
  it.each([
    {
      story: 'a leader that removed itself had the only whole log, and might not be elected again',
      profile: 'wipes',
      seed: 2,
    },
    {
      story: 'the same after its restart, with a snapshot from before it was a voter',
      profile: 'any',
      seed: 2558,
    },
    {
      story: 'a change of members was made twice, since compaction had taken the first copy',
      profile: 'membership',
      seed: 89,
    },
    {
      story: 'a vote left before it was durable: in the list of effects the answer stood before the write',
      profile: 'any',
      seed: 782,
    },
    {
      story: 'a member of the release before and its leader asked and answered each other without end',
      profile: 'any',
      seed: 41618,
    },
    {
      story: 'with a slow disk every term ended before the own vote was durable',
      profile: 'any',
      seed: 2080,
    },
  ] as const)('$story ($profile, seed $seed)', ({ profile, seed }) => {
    expect(new RaftSimulation({ seed, profile }).run().committed).toBeGreaterThan(0)
  })
})

describe('the simulator finds a planted bug:', () => {
  it.each(Object.entries(plantedBugs))('%s', (_name, { checker, ...bug }) => {
    const found = new Set<string>()
    for (let seed = 1; seed <= 50 && !found.has(checker); seed += 1) {
      try {
        new RaftSimulation({ seed, ...bug }).run()
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(SimulationFailure)
        const { cause } = thrown as SimulationFailure
        found.add(cause instanceof Violation ? (cause.checker ?? '') : String(cause))
      }
    }
    expect([...found]).toContain(checker)
  })
})
