import { describe, expect, it } from 'vitest'
import { VirtualGroup } from '../../test/support/virtual-group.ts'
import type { Transaction } from '../model/key-value.ts'
import { codeOf } from '../std/fault.ts'
import {
  COMPACT_ENTRIES,
  KEEP_ENTRIES,
  KEY_LENGTH_MAX,
  PENDING_CHANGES_MAX,
  PENDING_REQUESTS_MAX,
  SEGMENT_BYTES,
  TRANSACTION_LENGTH_MAX,
  TRANSACTION_PARTS_MAX,
  VALUE_LENGTH_MAX,
} from './limits.ts'
import { checkTransaction } from './transaction-rules.ts'

const puts = (...pairs: readonly (readonly [string, string])[]): Transaction => ({
  compares: [],
  operations: pairs.map(([key, value]) => ({ kind: 'put', key, value })),
})

function codeOfCheck(transaction: Transaction): string | undefined {
  try {
    checkTransaction(transaction)
    return undefined
  } catch (thrown) {
    return codeOf(thrown)
  }
}

describe('a transaction', () => {
  it('has keys, values, parts and a length within bounds', () => {
    const many = (count: number) => puts(...Array.from({ length: count }, (_, at) => [`k${at}`, ''] as const))
    const third = 'x'.repeat(TRANSACTION_LENGTH_MAX / 3)
    const bad = 'STORE_BAD_TRANSACTION'
    expect(codeOfCheck(puts(['k'.repeat(KEY_LENGTH_MAX), '']))).toBeUndefined()
    expect(codeOfCheck(puts(['k'.repeat(KEY_LENGTH_MAX + 1), '']))).toBe(bad)
    expect(codeOfCheck(puts(['k', 'x'.repeat(VALUE_LENGTH_MAX)]))).toBeUndefined()
    expect(codeOfCheck(puts(['k', 'x'.repeat(VALUE_LENGTH_MAX + 1)]))).toBe(bad)
    expect(codeOfCheck(many(TRANSACTION_PARTS_MAX))).toBeUndefined()
    expect(codeOfCheck(many(TRANSACTION_PARTS_MAX + 1))).toBe(bad)
    expect(codeOfCheck(puts(['a', third], ['b', third]))).toBeUndefined()
    expect(codeOfCheck(puts(['a', third], ['b', third], ['c', third]))).toBe(bad)
  })
})

describe('a node', () => {
  it('lets a bounded number of requests of each kind wait, and refuses more at once', async () => {
    const group = new VirtualGroup(['n1', 'n2', 'n3'])
    group.kill('n2')
    group.kill('n3')
    const store = group.store('n1')
    const within = { deadlineMs: 1000 }
    const change = { kind: 'remove', member: 'n3' } as const
    const settled: Promise<unknown>[] = []
    const failed = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error)
    for (let count = 0; count < PENDING_REQUESTS_MAX; count += 1) {
      settled.push(failed(store.transact(puts(['k', '']), within)), failed(store.read('', within)))
    }
    for (let count = 0; count < PENDING_CHANGES_MAX; count += 1) {
      settled.push(store.changeMembership(change, within))
    }
    await group.pass(1)
    const start = group.time.now
    expect(await failed(store.transact(puts(['k', '']), within))).toMatchObject({ code: 'STORE_OVERLOADED' })
    expect(await failed(store.read('', within))).toMatchObject({ code: 'STORE_OVERLOADED' })
    expect(await store.changeMembership(change, within)).toMatchObject({ reason: 'CHANGE_IN_PROGRESS' })
    expect(group.time.now).toBe(start)
    await group.pass(2000)
    expect(await Promise.all(settled)).toHaveLength(2 * PENDING_REQUESTS_MAX + PENDING_CHANGES_MAX)
  })

  it('keeps a bounded log: it is compacted by entries and in whole segments, also while somebody is away', async () => {
    const group = new VirtualGroup(['n1', 'n2', 'n3'])
    const leader = await group.leader()
    const [away] = ['n1', 'n2', 'n3'].filter((name) => name !== leader)
    group.kill(away ?? '')
    let largest = 0
    const value = 'x'.repeat(5000)
    for (let count = 0; count < 3 * COMPACT_ENTRIES; count += 64) {
      const round = Array.from({ length: 64 }, () =>
        group.store(leader).transact(puts(['k', value]), { deadlineMs: 5000 }),
      )
      await group.until(Promise.all(round))
      const segments = [...group.member(leader).disk.files].filter(([path]) => path.endsWith('.log'))
      largest = Math.max(
        largest,
        segments.reduce((sum, [, { bytes }]) => sum + bytes.length, 0),
      )
    }
    // What is behind the snapshot, what is kept before it, and one segment at either end.
    const entryBytes = 5200
    expect(largest).toBeLessThan((COMPACT_ENTRIES + 64 + KEEP_ENTRIES) * entryBytes + 2 * SEGMENT_BYTES)
    expect(largest).toBeGreaterThan(2 * SEGMENT_BYTES)
    group.start(away ?? '')
    await group.untilSeen(() => group.store(away ?? '').peek('k') !== undefined)
  }, 60_000)
})
