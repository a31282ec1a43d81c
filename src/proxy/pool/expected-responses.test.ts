import { describe, expect, it } from 'vitest'
import { ExpectedResponses } from './expected-responses.ts'

describe('the responses that a server connection owes', () => {
  it('come in order, and READY takes what was skipped before it', () => {
    const expected = new ExpectedResponses()
    expected.push('PASS')
    expected.push('DROP')
    expected.push('READY')
    expected.push('AS_PARSED')
    expected.push('READY')
    expect([expected.takeComplete(), expected.takeComplete(), expected.takeComplete()]).toEqual([
      'PASS',
      'DROP',
      'READY',
    ])
    expect([expected.takeReady(), expected.owedReady]).toEqual([true, 1])
    expect([expected.takeReady(), expected.isEmpty, expected.owedReady]).toEqual([true, true, 0])
    expect(expected.takeReady()).toBe(false)
    expect(expected.takeComplete()).toBeUndefined()
  })

  it('undoes what an error made PostgreSQL skip, the last first, and nothing beyond the Sync', () => {
    const expected = new ExpectedResponses()
    const undone: string[] = []
    for (const name of ['first', 'second']) expected.push('PASS', () => undone.push(name))
    expected.push('READY')
    expected.push('PASS', () => undone.push('next batch'))
    expected.push('READY')
    expected.failBatch()
    expect(undone).toEqual(['second', 'first'])
    expected.takeReady()
    expect(expected.takeComplete()).toBe('PASS')
    expect(undone).toEqual(['second', 'first'])
  })

  it('owes nothing for the Syncs that a COPY has swallowed', () => {
    const expected = new ExpectedResponses()
    expected.push('READY')
    expected.executed()
    expected.push('READY')
    expected.push('READY')
    expected.copyInBegan()
    expect(expected.owedReady).toBe(1)
    expected.takeReady()
    expected.push('READY')
    expected.executed()
    expected.copyInBegan()
    expect(expected.owedReady).toBe(1)
  })
})
