import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { VirtualClock, MeddledStore } from '../../test/support/ha-fakes.ts'
import { keysOf } from '../ha/keys.ts'
import { hold } from './hold.ts'

const keys = keysOf('service', 'main')

describe('hold', () => {
  let store: MeddledStore
  let clock: VirtualClock
  let seenRevision: number

  beforeEach(async () => {
    store = new MeddledStore()
    clock = new VirtualClock()
    await store.put(keys.epoch, 'as this node has seen it')
    seenRevision = store.peek(keys.epoch)?.modRevision ?? 0
  })
  const ask = () => {
    const world = newWorld()
    for (const line of ['member n1 primary', 'member n2 standby', 'record holder=n1 epoch=7 open age=10'])
      runCommand(world, line)
    const seen = snapshotOf(world, 'n2')
    const now = () => ({ ...seen, store: { ...seen.store, recordRevision: seenRevision } })
    return hold({ clock, store, keys, seen: now }, { name: 'n2', isHeld: true })
  }

  it('waits for its node to see what has become of the record where that was renewed meanwhile', async () => {
    await store.put(keys.epoch, 'renewed')
    clock.after(80, () => (seenRevision = store.peek(keys.epoch)?.modRevision ?? 0))
    const outcome = ask()
    await clock.advance(200)
    expect(await outcome).toEqual({ kind: 'done', name: 'n2' })
    expect(store.peek(keys.hold('n2'))).toBeDefined()
  })

  it('says that it was too busy where its node sees nothing new', async () => {
    await store.put(keys.epoch, 'renewed')
    const outcome = ask()
    await clock.advance(10_000)
    expect(await outcome).toMatchObject({ kind: 'refused', reason: 'BUSY' })
    expect(store.peek(keys.hold('n2'))).toBeUndefined()
  })
})
