import { describe, expect, it } from 'vitest'
import { editDistance } from '../std/nearest.ts'
import { nearestKey, nearestWord } from './nearest-key.ts'

describe('the nearest key', () => {
  it('counts inserts, deletes, replacements and swaps as one edit each', () => {
    const pairs = [
      ['port', 'port', 0],
      ['prot', 'port', 1],
      ['por', 'port', 1],
      ['portt', 'port', 1],
      ['', 'port', 4],
      ['interval', 'timeout', 7],
    ] as const
    for (const [a, b, edits] of pairs) expect([a, b, editDistance(a, b)]).toEqual([a, b, edits])
  })

  it('prefers the same section, then the same word elsewhere, then what is near', () => {
    const known = ['a.timeout', 'b.timeout', 'b.interval', 'c.heartbeat_interval']
    expect(nearestKey('b.timeuot', known)).toBe('b.timeout')
    expect(nearestKey('b.heartbeat_interval', known)).toBe('c.heartbeat_interval')
    expect(nearestKey('d.hartbeat_interval', known)).toBe('c.heartbeat_interval')
    expect(nearestKey('d.colour', known)).toBeUndefined()
  })

  it('is indifferent to case and hyphens, and gives up on endless words', () => {
    expect(nearestWord('heartbeatInterval', ['heartbeat_interval'])).toBe('heartbeat_interval')
    expect(nearestWord('Heartbeat-Interval', ['heartbeat_interval'])).toBe('heartbeat_interval')
    expect(nearestWord('x'.repeat(100_000), ['heartbeat_interval'])).toBeUndefined()
  })
})
