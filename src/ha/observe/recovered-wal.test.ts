import { expect, it } from 'vitest'
import { running } from '../../../test/support/ha-fakes.ts'
import { NO_ACKS, walNameOf, type AckLink, type AckMember, type AckRule } from '../../model/ack-rule.ts'
import type { InstanceFacts } from '../../model/member.ts'
import { RecoveredWal } from './recovered-wal.ts'

const [holder, n2, n3] = ['n1', 'n2', 'n3'].map((name) => ({ name, incarnation: `disk-${name}` })) as [
  AckMember,
  AckMember,
  AckMember,
]
const oneOfTwo: AckRule = { k: 1, members: [n2, n3] }
const link = (rule: AckRule, next?: AckRule): AckLink => ({
  epoch: 7,
  holder,
  rule,
  ...(next ? { next } : {}),
})
const primary = (flushLsn: string, flushed: Readonly<Record<string, string>> = {}): InstanceFacts =>
  running('primary', {
    flushLsn,
    walSenders: Object.entries(flushed).map(([name, flush], pid) => ({
      name,
      pid,
      state: 'streaming',
      flushLsn: flush,
      syncPriority: 1,
    })),
  })

function started(): RecoveredWal {
  const wal = new RecoveredWal()
  wal.begin()
  return wal
}

it('keeps a primary closed until as many members as its rule asks for have all that it recovered', () => {
  const wal = started()
  wal.look(primary('0/5000'), link(oneOfTwo))
  expect(wal.isPending).toBe(true)
  wal.look(primary('0/6000', { [walNameOf(n3)]: '0/4F00', stranger: '0/6000' }), link(oneOfTwo))
  expect(wal.isPending).toBe(true)
  wal.look(primary('0/7000', { [walNameOf(n3)]: '0/5000' }), link(oneOfTwo))
  expect(wal.isPending).toBe(false)
})

it('stays open when standbys go away later', () => {
  const wal = started()
  wal.look(primary('0/5000', { [walNameOf(n2)]: '0/5000' }), link(oneOfTwo))
  wal.look(primary('0/9000'), link(oneOfTwo))
  expect(wal.isPending).toBe(false)
})

it('asks both rules while one follows the other', () => {
  const wal = started()
  const onlyN3 = { k: 1, members: [n3] }
  wal.look(primary('0/5000', { [walNameOf(n2)]: '0/5000' }), link(oneOfTwo, onlyN3))
  expect(wal.isPending).toBe(true)
  wal.look(primary('0/5000', { [walNameOf(n3)]: '0/5000' }), link(oneOfTwo, onlyN3))
  expect(wal.isPending).toBe(false)
})

it('is open at once where commits wait for nobody, and when it became a standby meanwhile', () => {
  for (const [facts, how] of [
    [primary('0/5000'), undefined],
    [primary('0/5000'), link(NO_ACKS)],
    [running('standby', {}), link(oneOfTwo)],
  ] as const) {
    const wal = started()
    wal.look(facts, how)
    expect(wal.isPending).toBe(false)
  }
})

it('waits for the position of an instance that is not up yet', () => {
  const wal = started()
  wal.look({ state: 'starting' }, link(oneOfTwo))
  wal.look({ state: 'running', role: 'primary' }, link(NO_ACKS))
  expect(wal.isPending).toBe(true)
  wal.look(primary('0/5000'), link(NO_ACKS))
  expect(wal.isPending).toBe(false)
})
