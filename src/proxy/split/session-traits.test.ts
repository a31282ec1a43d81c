import { describe, expect, it } from 'vitest'
import type { SessionEffect } from '../../sql/session-effect.ts'
import type { Verdict } from '../../sql/verdict.ts'
import { SessionTraits } from './session-traits.ts'

const READ: Verdict = { kind: 'read', reason: 'READS_ONLY', statementCount: 1, effects: [] }
const DOUBT: Verdict = { ...READ, kind: 'unknown', reason: 'VOLATILE_FUNCTION' }

function after(...effects: readonly SessionEffect[]): SessionTraits {
  const traits = new SessionTraits()
  traits.follow(effects, (setting) => setting === 'timezone')
  return traits
}

describe('reads of a session', () => {
  it.each<[string, SessionEffect]>([
    ['left something in a backend', { kind: 'pin', cause: 'temporary-object' }],
    ['made a setting that nobody carries', { kind: 'set', name: 'work_mem', value: '1', local: false }],
    ['wants the primary', { kind: 'route', to: 'primary' }],
  ])('stay on the primary when it %s', (_, effect) => {
    expect(after(effect).judge(READ).kind).toBe('unknown')
  })

  it.each<[string, SessionEffect]>([
    ['a setting that is carried', { kind: 'set', name: 'timezone', value: 'UTC', local: false }],
    ['a setting of its transaction', { kind: 'set', name: 'work_mem', value: '1', local: true }],
    ['the end of a pin that it has not', { kind: 'unpin', cause: 'listen' }],
    ['a route that is none', { kind: 'route', to: undefined }],
  ])('are free after %s', (_, effect) => {
    expect(after(effect).judge(READ)).toEqual(READ)
  })

  it('are free again after DISCARD ALL alone', () => {
    const pin: SessionEffect = { kind: 'pin', cause: 'advisory-lock' }
    expect(after(pin, { kind: 'unpin', cause: 'all' }).judge(READ).kind).toBe('read')
    expect(after(pin, { kind: 'unpin', cause: 'advisory-lock' }).judge(READ).kind).toBe('unknown')
  })

  it('that are in doubt go where it wants', () => {
    const traits = after({ kind: 'route', to: 'replica' })
    expect(traits.judge(DOUBT).kind).toBe('read')
    traits.follow([{ kind: 'route', to: 'auto' }], () => false)
    expect(traits.judge(DOUBT).kind).toBe('unknown')
  })
})
