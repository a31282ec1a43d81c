import { describe, expect, it } from 'vitest'
import { GuardRule } from './guard-rule.ts'

/** Both clocks at one time: a host that never slept. */
const awake = (at: number) => ({ monotonic: at, boot: at })

describe('the rule of the guard', () => {
  it('does nothing before the deadline and fences when it passes', () => {
    const rule = new GuardRule(awake(0))
    expect(rule.look(awake(5), true)).toEqual({ kind: 'nothing' })
    rule.arm(100)
    expect(rule.look(awake(99), true)).toEqual({ kind: 'nothing' })
    expect(rule.look(awake(100), true)).toEqual({ kind: 'fence' })
  })

  it('never lets a late order shorten a newer deadline', () => {
    const rule = new GuardRule(awake(0))
    rule.arm(200)
    rule.arm(100)
    expect(rule.held).toBe(200)
    expect(rule.look(awake(150), true)).toEqual({ kind: 'nothing' })
  })

  it('does not fence a second time while it fences, and tries again when something was left alive', () => {
    const rule = new GuardRule(awake(0))
    rule.arm(100)
    expect(rule.look(awake(100), true)).toEqual({ kind: 'fence' })
    expect(rule.look(awake(120), true)).toEqual({ kind: 'nothing' })
    expect(rule.fenced(100, { isDead: false, processes: 2 })).toBe(true)
    expect(rule.look(awake(140), true)).toEqual({ kind: 'fence' })
  })

  it('goes on looking for what is started after it fenced, until somebody takes the deadline away', () => {
    const rule = new GuardRule(awake(0))
    rule.arm(100)
    rule.look(awake(100), true)
    expect(rule.fenced(100, { isDead: true, processes: 3 })).toBe(true)
    expect(rule.held).toBeUndefined()
    expect(rule.look(awake(150), true)).toEqual({ kind: 'nothing' })
    expect(rule.look(awake(200), true)).toEqual({ kind: 'fence' })
    expect(rule.fenced(200, { isDead: true, processes: 0 })).toBe(false)
    rule.disarm()
    expect(rule.look(awake(400), true)).toEqual({ kind: 'nothing' })
  })

  it('counts the time that the host slept against the deadline', () => {
    const slept: number[] = []
    const rule = new GuardRule(awake(0), (ms) => slept.push(ms))
    rule.arm(1000)
    expect(rule.look({ monotonic: 100, boot: 1150 }, true)).toEqual({ kind: 'fence' })
    expect(slept).toEqual([1050])
  })

  it('ends when it holds nothing and no agent came for a minute', () => {
    const rule = new GuardRule(awake(0))
    expect(rule.look(awake(60_000), false)).toEqual({ kind: 'nothing' })
    expect(rule.look(awake(60_001), false)).toEqual({ kind: 'end' })
    rule.arm(100_000)
    expect(rule.look(awake(90_000), false)).toEqual({ kind: 'nothing' })
  })
})
