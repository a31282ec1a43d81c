import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isBroken,
  NO_ACKS,
  ruleOf,
  synchronousNamesOf,
  usualK,
  type AckMember,
  type AckRule,
} from './ack-rule.ts'

const member = (name: string): AckMember => ({ name, incarnation: `disk-${name}` })
const all = ['n2', 'n3', 'n4', 'n5', 'n6'].map(member)
const holder = member('n1')

const rules = fc
  .subarray(all, { minLength: 1 })
  .chain((members) => fc.integer({ min: 1, max: members.length }).map((k): AckRule => ({ k, members })))

/** Every way in which `k` members of a rule can acknowledge. */
function waysToAcknowledge({ k, members }: AckRule): AckMember[][] {
  if (k === 0) return [[]]
  return members.flatMap((one, index) =>
    waysToAcknowledge({ k: k - 1, members: members.slice(index + 1) }).map((rest) => [one, ...rest]),
  )
}

describe('an ack rule', () => {
  it('is broken exactly when every set that could acknowledge has a member that stopped', () => {
    fc.assert(
      fc.property(rules, fc.subarray(all), (rule, stopped) => {
        const isHit = waysToAcknowledge(rule).every((way) => way.some((one) => stopped.includes(one)))
        expect(isBroken({ epoch: 1, holder, rule }, stopped)).toBe(isHit)
      }),
    )
  })

  it('that is being changed is broken only when the old and the new one are', () => {
    fc.assert(
      fc.property(rules, rules, fc.subarray(all), (rule, next, stopped) => {
        const link = { epoch: 1, holder, rule }
        const isEach = isBroken(link, stopped) && isBroken({ ...link, rule: next }, stopped)
        expect(isBroken({ ...link, next }, stopped)).toBe(isEach)
      }),
    )
  })

  it('that waits for nobody is broken by its primary alone', () => {
    const link = { epoch: 1, holder, rule: { k: 0, members: [] } }
    expect(isBroken(link, all)).toBe(false)
    expect(isBroken(link, [holder])).toBe(true)
    expect(isBroken(link, [{ ...holder, incarnation: 'another disk' }])).toBe(false)
  })

  it('has at most 2k members, and k is half of the standbys of the cluster unless told otherwise', () => {
    expect([1, 2, 3, 4, 5].map(usualK)).toEqual([1, 1, 1, 1, 2])
    expect(ruleOf(all, 1).members).toHaveLength(2)
    expect(ruleOf(all.slice(0, 1), 2)).toEqual({ k: 1, members: [all[0]] })
    expect(ruleOf([], 1)).toEqual(NO_ACKS)
  })

  it('becomes names that PostgreSQL reads, and never an empty setting where commits must wait', () => {
    const rule = ruleOf([member('n2'), { name: 'N"3', incarnation: 'ab' }], 1)
    const quorum = { method: 'ANY', isStrict: true } as const
    expect(synchronousNamesOf(rule, quorum)).toBe('ANY 1 ("n2_disk-n2", "n""3_ab")')
    expect(synchronousNamesOf({ k: 0, members: [] }, quorum)).toBe('"metako_nobody"')
    expect(synchronousNamesOf({ k: 0, members: [] }, { ...quorum, isStrict: false })).toBe('')
  })
})
