import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RoutingTable } from '../../model/routing-table.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { chooseTarget, judgeBinding } from './choose-target.ts'
import { TableHolder, type TableChange } from './table-holder.ts'
import { answeredTable, parseTableMessage, pushedTable } from './table-message.ts'

function createHolder() {
  const now = { monotonic: 1000, boot: 9000 }
  const changes: TableChange[] = []
  const jumps: number[] = []
  const holder = new TableHolder(
    { monotonicMs: () => now.monotonic, bootMs: () => now.boot },
    { tableChanged: (change) => void changes.push(change), clockJumped: (byMs) => void jumps.push(byMs) },
  )
  return { holder, now, changes, jumps }
}

function table(epoch: number, validUntil: number): RoutingTable {
  return { epoch, replicas: [], validUntil: validUntil as MonotonicMs }
}

const one = { name: 'n1', host: 'a', port: 1 }
const two = { name: 'n2', host: 'b', port: 2 }

describe('the table holder', () => {
  it('never goes back to a lower epoch, in whatever order tables come', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.nat(5000)), { maxLength: 20 }), (offers) => {
        const { holder } = createHolder()
        let highest = 0
        for (const [epoch, until] of offers) {
          expect(holder.offer(table(epoch, until), 'test')).toBe(epoch < highest ? 'stale' : 'accepted')
          highest = Math.max(highest, epoch)
          expect(holder.epoch).toBe(highest)
        }
      }),
    )
  })

  it('keeps the longest proof within an epoch and takes none over into the next', () => {
    const { holder, now } = createHolder()
    holder.offer(table(1, 3000), 'agent')
    holder.offer(table(1, 2000), 'member')
    now.monotonic = 2500
    now.boot = 10_500
    expect(holder.primaryOpen()).toBe(true)
    holder.offer(table(2, 2400), 'agent')
    expect(holder.primaryOpen()).toBe(false)
  })

  it('is closed from the very millisecond at which the validity ends', () => {
    const { holder, now } = createHolder()
    holder.offer(table(1, 1500), 'agent')
    now.monotonic += 499.9
    now.boot += 499.9
    expect(holder.primaryOpen()).toBe(true)
    now.monotonic += 0.1
    now.boot += 0.1
    expect(holder.primaryOpen()).toBe(false)
  })

  it('finds a suspended host before it lets the next byte pass', () => {
    const { holder, now, jumps } = createHolder()
    holder.offer(table(1, 60_000), 'agent')
    now.monotonic += 10
    now.boot += 10 + 99
    expect(holder.primaryOpen()).toBe(true)
    now.monotonic += 10
    now.boot += 10 + 20
    expect(holder.primaryOpen()).toBe(false)
    expect(jumps).toEqual([119])
    holder.offer(table(1, 60_000), 'agent')
    expect(holder.primaryOpen()).toBe(true)
  })
})

describe('the choice of a target', () => {
  const base = { port: 'primary', primaryOpen: true, turn: 0, mayDial: () => true } as const
  const full = { ...table(3, 0), primary: one, replicas: [{ ...two, lagBytes: 0 }] }

  it('says why there is none', () => {
    expect(chooseTarget({ ...base, table: undefined })).toEqual({ kind: 'wait', reason: 'NO_TABLE' })
    expect(chooseTarget({ ...base, table: table(1, 0) })).toEqual({ kind: 'wait', reason: 'NO_PRIMARY' })
    expect(chooseTarget({ ...base, table: { ...table(1, 0), holding: 'SWITCHOVER' } })).toEqual({
      kind: 'wait',
      reason: 'SWITCHOVER',
    })
    expect(chooseTarget({ ...base, table: full, primaryOpen: false })).toEqual({
      kind: 'wait',
      reason: 'TABLE_EXPIRED',
    })
    expect(chooseTarget({ ...base, table: full, mayDial: () => false })).toEqual({
      kind: 'wait',
      reason: 'BACKEND_UNAVAILABLE',
    })
  })

  it('sends readers to a replica also when the primary’s right is not proven', () => {
    const choice = chooseTarget({ ...base, port: 'replica', table: full, primaryOpen: false })
    expect(choice).toMatchObject({ kind: 'dial', binding: { role: 'replica', target: two, epoch: 3 } })
  })

  it('cuts a session of the primary within its epoch only when the table names another address', () => {
    const binding = { target: one, role: 'primary', epoch: 3 } as const
    expect(judgeBinding(binding, full).kind).toBe('keep')
    expect(judgeBinding(binding, table(3, 0)).kind).toBe('keep')
    expect(judgeBinding(binding, { ...full, primary: { ...one, port: 9 } }).kind).toBe('cut')
    expect(judgeBinding(binding, { ...full, epoch: 4 }).kind).toBe('cut')
  })

  it('makes a reader’s session a primary session when its replica is promoted', () => {
    const verdict = judgeBinding({ target: two, role: 'replica', epoch: 3 }, { ...table(4, 0), primary: two })
    expect(verdict).toEqual({ kind: 'rebind', binding: { target: two, role: 'primary', epoch: 4 } })
  })
})

describe('a table from another process', () => {
  const message = { epoch: 1, replicas: [], validForMs: 500, validUntil: 7000, bootId: 'here' }

  it('keeps its deadline when it was pushed on the same boot, and counts from the question when it was asked for', () => {
    expect(pushedTable(message, 'here').validUntil).toBe(7000)
    expect(pushedTable(message, 'there').validUntil).toBe(Number.NEGATIVE_INFINITY)
    expect(answeredTable(message, 100).validUntil).toBe(600)
    expect(answeredTable(message, 100)).toEqual({ epoch: 1, replicas: [], validUntil: 600 })
  })

  it('is refused when it is not one', () => {
    const wrong: unknown[] = [
      null,
      [],
      'x',
      {},
      { ...message, epoch: -1 },
      { ...message, epoch: 1.5 },
      { ...message, validForMs: null },
      { ...message, validUntil: 'soon' },
      { ...message, bootId: 5 },
      { ...message, holding: 'LUNCH' },
      { ...message, replicas: 'none' },
      { ...message, replicas: [{ name: 'x' }] },
      { ...message, replicas: Array.from({ length: 65 }, () => ({ ...one, lagBytes: 0 })) },
      { ...message, primary: { ...one, port: 0 } },
      { ...message, primary: { ...one, host: '' } },
    ]
    for (const value of wrong) expect(parseTableMessage(value)).toBeUndefined()
    expect(parseTableMessage({ ...message, primary: one, more: 1 })).toEqual({ ...message, primary: one })
    fc.assert(fc.property(fc.anything(), (value) => void parseTableMessage(value)))
  })
})
