import { describe, expect, it } from 'vitest'
import { poolOptions } from '../../../test/support/pool-options.ts'
import { liveOptions } from './live-options.ts'

describe('settings that change while clients are connected', () => {
  const current = poolOptions({
    poolMode: 'transaction',
    databases: [{ name: 'app', poolMode: 'session', poolSize: 1 }],
  })

  it('are limits, times and who may do what', () => {
    const next = poolOptions({
      defaultPoolSize: 3,
      queryTimeoutMs: 5,
      adminUsers: ['me'],
      serverRoundRobin: true,
    })
    expect(liveOptions(current, next)).toEqual({ ...next, databases: [] })
  })

  it('are none of those that clients and pools were begun with', () => {
    const next = poolOptions({
      poolMode: 'session',
      maxPreparedStatements: 0,
      readWriteSplit: true,
      readFunctions: ['f'],
      writeFunctions: ['g'],
      auth: { type: 'trust' },
      listenAddr: '10.0.0.7',
      databases: [
        { name: 'app', poolMode: 'transaction', poolSize: 2 },
        { name: 'new', poolMode: 'statement' },
      ],
      users: [{ name: 'app', poolMode: 'statement', queryTimeoutMs: 7 }],
    })
    expect(liveOptions(current, next)).toEqual({
      ...current,
      databases: [{ name: 'app', poolMode: 'session', poolSize: 2 }, { name: 'new' }],
      users: [{ name: 'app', queryTimeoutMs: 7 }],
    })
  })
})
