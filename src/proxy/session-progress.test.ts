import { describe, expect, it } from 'vitest'
import { message } from '../wire/frame.ts'
import type { CancelKey } from '../wire/startup.ts'
import { newPortCounters } from './port-counters.ts'
import { SessionProgress } from './session-progress.ts'

function createProgress() {
  const counters = newPortCounters('primary', 0)
  const keys: CancelKey[] = []
  const progress = new SessionProgress(counters, (key) => void keys.push(key))
  const client = (types: string): void => {
    for (const type of types) progress.scanToBackend(message(type, Buffer.from('x\0')))
  }
  const ready = (status: string): void => progress.scanToClient(message('Z', Buffer.from(status)))
  return { progress, counters, keys, client, ready }
}

describe('the progress of a session', () => {
  it('follows ReadyForQuery and counts queries, executes and function calls', () => {
    const { progress, counters, client, ready } = createProgress()
    expect(progress.status).toBe('starting')
    client('p')
    ready('I')
    expect([progress.status, progress.isIdle]).toEqual(['idle', true])
    client('Q')
    expect(progress.isIdle).toBe(false)
    ready('T')
    expect([progress.status, progress.isIdle]).toEqual(['transaction', false])
    client('PBDES')
    ready('E')
    client('F')
    ready('I')
    expect([progress.status, progress.isIdle, counters.queries]).toEqual(['idle', true, 3])
  })

  it('is not idle while pipelined answers are owed or a batch has no Sync yet', () => {
    const { progress, client, ready } = createProgress()
    ready('I')
    client('PBESPBESPBE')
    ready('I')
    expect(progress.isIdle).toBe(false)
    ready('I')
    expect(progress.isIdle).toBe(false)
    client('S')
    ready('I')
    expect(progress.isIdle).toBe(true)
  })

  it('does not wait for the Sync that PostgreSQL ignores before a COPY ends', () => {
    const { progress, client, ready } = createProgress()
    ready('I')
    client('PBDESddcS')
    ready('I')
    expect(progress.isIdle).toBe(true)
    client('Qddc')
    ready('I')
    expect(progress.isIdle).toBe(true)
  })

  it('takes the cancel key and counts errors', () => {
    const { progress, counters, keys } = createProgress()
    const secret = Buffer.alloc(32, 7)
    progress.scanToClient(message('K', Buffer.concat([Buffer.from([0, 0, 0, 42]), secret])))
    progress.scanToClient(message('E', Buffer.from('\0')))
    expect(keys).toEqual([{ processId: 42, secret }])
    expect([counters.errors, progress.endIsExplained]).toEqual([1, true])
    progress.scanToClient(message('Z', Buffer.from('I')))
    expect(progress.endIsExplained).toBe(false)
  })
})
