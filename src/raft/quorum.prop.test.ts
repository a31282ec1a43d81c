import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Configuration } from './message.ts'
import { isQuorum, majority, quorumValue, tally } from './quorum.ts'

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
const half = fc.subarray(names, { minLength: 1 })
const configuration: fc.Arbitrary<Configuration> = fc.record({
  voters: half,
  learners: fc.constant(['z']),
})
const subset = fc.subarray(names).map((members) => new Set(members))

describe('a quorum', () => {
  it('always shares a member with every other quorum of the same configuration', () => {
    fc.assert(
      fc.property(configuration, subset, subset, (config, left, right) => {
        const areQuorums = [left, right].every((set) => isQuorum(config, (member) => set.has(member)))
        fc.pre(areQuorums)
        const shared = config.voters.filter((member) => left.has(member) && right.has(member))
        expect(shared.length).toBeGreaterThan(0)
      }),
    )
  })

  it('meets every quorum of a configuration with one voter more or less', () => {
    fc.assert(
      fc.property(half, fc.constantFrom(...names), subset, subset, (voters, other, left, right) => {
        const changed = voters.includes(other)
          ? voters.filter((voter) => voter !== other)
          : [...voters, other]
        fc.pre(changed.length > 0)
        const isQuorumOf = (set: ReadonlySet<string>, members: readonly string[]): boolean =>
          isQuorum({ voters: members, learners: [] }, (member) => set.has(member))
        fc.pre(isQuorumOf(left, voters) && isQuorumOf(right, changed))
        const shared = names.filter((member) => left.has(member) && right.has(member))
        expect(shared.some((member) => voters.includes(member) && changed.includes(member))).toBe(true)
      }),
    )
  })

  it('is not helped by learners', () => {
    const config = { voters: ['a', 'b', 'c'], learners: ['d', 'e'] }
    expect(isQuorum(config, (member) => ['a', 'd', 'e'].includes(member))).toBe(false)
  })

  it('of n members needs more than half', () => {
    expect([1, 2, 3, 4, 5].map(majority)).toEqual([1, 2, 2, 3, 3])
  })
})

describe('the value of a quorum', () => {
  it('is the largest one that a quorum has reached', () => {
    fc.assert(
      fc.property(
        configuration,
        fc.array(fc.nat(20), { minLength: names.length, maxLength: names.length }),
        (config, values) => {
          const valueOf = (member: string): number => values[names.indexOf(member)] ?? 0
          const reached = quorumValue(config, valueOf)
          expect(isQuorum(config, (member) => valueOf(member) >= reached)).toBe(true)
          expect(isQuorum(config, (member) => valueOf(member) >= reached + 1)).toBe(false)
        },
      ),
    )
  })
})

describe('an election', () => {
  const votes = fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.boolean()), {
    selector: ([name]) => name,
  })

  it('that is decided stays decided whatever votes come later', () => {
    fc.assert(
      fc.property(configuration, votes, votes, (config, early, late) => {
        const before = tally(config, new Map(early))
        const after = tally(config, new Map([...late, ...early]))
        if (before !== 'open') expect(after).toBe(before)
      }),
    )
  })

  it('is not open any more when everybody has voted for or against', () => {
    fc.assert(
      fc.property(configuration, fc.infiniteStream(fc.boolean()), (config, granted) => {
        const all = new Map(config.voters.map((voter) => [voter, granted.next().value === true]))
        const won = isQuorum(config, (member) => all.get(member) === true)
        expect(tally(config, all)).toBe(won ? 'won' : 'lost')
      }),
    )
  })
})
