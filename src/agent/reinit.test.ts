import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { MeddledStore } from '../../test/support/ha-fakes.ts'
import { keysOf } from '../ha/keys.ts'
import { requestReinit } from './reinit.ts'

const keys = keysOf('service', 'main')

describe('requestReinit', () => {
  let store: MeddledStore
  let world: ReturnType<typeof newWorld>

  beforeEach(() => {
    store = new MeddledStore()
    world = newWorld()
    for (const line of [
      'member n1 primary',
      'member n2 standby',
      'member n3 standby',
      'record holder=n1 epoch=7 open',
    ])
      runCommand(world, line)
  })

  const ask = (name: string) => requestReinit({ store, keys, seen: snapshotOf(world, 'n2') }, name)

  it('leaves an order that names the copy and the epoch, from whichever member', async () => {
    for (const name of ['n2', 'n3']) {
      expect(await ask(name)).toEqual({ kind: 'asked', name, from: 'n1' })
      expect(JSON.parse(store.peek(keys.reinit(name))?.value ?? '')).toEqual({
        incarnation: `disk-${name}`,
        epoch: 7,
      })
    }
  })

  it('refuses the only standby that streams where commits wait for one, whatever happens', async () => {
    runCommand(world, 'member n3 standby streaming=no')
    expect(await ask('n2')).toMatchObject({ kind: 'asked' })
    runCommand(world, 'policy acks=strict')
    expect(await ask('n2')).toMatchObject({ kind: 'refused', reason: 'IS_ONLY_STANDBY' })
    expect(await ask('n3')).toMatchObject({ kind: 'asked' })
  })

  it.each([
    ['n1', '', 'IS_PRIMARY'],
    ['n9', '', 'UNKNOWN'],
    ['n3', 'record holder=n1 epoch=7 released', 'TAKE_OVER'],
    ['n3', 'set n2 quorum=no', 'NO_QUORUM'],
    ['n3', 'member n3 standby heard=never', 'HAS_NO_DATA'],
  ])('refuses %s after "%s": %s', async (name, line, reason) => {
    if (line !== '') runCommand(world, line)
    expect(await ask(name)).toMatchObject({ kind: 'refused', reason })
    expect(store.transactions).toEqual([])
  })
})
