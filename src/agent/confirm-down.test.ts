import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { MeddledStore } from '../../test/support/ha-fakes.ts'
import { keysOf } from '../ha/keys.ts'
import { confirmDown } from './confirm-down.ts'

const keys = keysOf('service', 'main')

describe('confirmDown', () => {
  let store: MeddledStore
  let world: ReturnType<typeof newWorld>

  beforeEach(() => {
    store = new MeddledStore()
    world = newWorld()
    for (const line of [
      'member n1 primary heard=4000 guard=absent',
      'member n2 standby',
      'record holder=n1 epoch=7 open age=3200 unfenced',
    ])
      runCommand(world, line)
  })

  const ask = (name: string) => {
    const seen = snapshotOf(world, 'n2')
    const recordRevision = store.peek(keys.epoch)?.modRevision ?? 0
    return confirmDown({ store, keys, seen: { ...seen, store: { ...seen.store, recordRevision } } }, name)
  }

  it('leaves the word of the operator, for the last renewal of this primary', async () => {
    expect(await ask('n1')).toEqual({ kind: 'confirmed', name: 'n1', epoch: 7 })
    expect(JSON.parse(store.peek(keys.confirmedDown)?.value ?? '')).toEqual({ epoch: 7, seq: 10 })
  })

  it('takes no word against a primary that renews its lease meanwhile', async () => {
    store.meddle = async (_asked, commit) => {
      await store.put(keys.epoch, 'renewed')
      return commit()
    }
    expect(await ask('n1')).toMatchObject({ kind: 'refused', reason: 'BUSY' })
    expect(store.peek(keys.confirmedDown)).toBeUndefined()
  })

  it.each([
    ['n2', '', 'NOT_AWAITED'],
    ['n9', '', 'UNKNOWN'],
    ['n1', 'record holder=n1 epoch=7 open age=200 unfenced', 'NOT_AWAITED'],
    ['n1', 'record holder=n1 epoch=7 open age=3200', 'NOT_AWAITED'],
    ['n1', 'set n2 quorum=no', 'NO_QUORUM'],
  ])('refuses %s after "%s": %s', async (name, line, reason) => {
    if (line !== '') runCommand(world, line)
    expect(await ask(name)).toMatchObject({ kind: 'refused', reason })
    expect(store.transactions).toEqual([])
  })
})
