import { describe, expect, it } from 'vitest'
import { nearest } from './nearest.ts'

describe('nearest', () => {
  const words = ['switchover', 'status', 'cluster', 'history', 'dsn']

  it('finds the word behind a slip of the finger', () => {
    expect(nearest('swtichover', words)).toBe('switchover')
    expect(nearest('clusters', words)).toBe('cluster')
    expect(nearest('Histroy', words)).toBe('history')
    expect(nearest('dns', words)).toBe('dsn')
  })

  it('prefers silence to a wild guess', () => {
    expect(nearest('primary', words)).toBeUndefined()
    expect(nearest('', words)).toBeUndefined()
    expect(nearest('x'.repeat(10_000), words)).toBeUndefined()
  })
})
