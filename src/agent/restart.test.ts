import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { MeddledStore, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import { sampleMember } from '../../test/support/sample-view.ts'
import type { RestartOutcome, RestartWish } from '../api/ports.ts'
import { keysOf } from '../ha/keys.ts'
import type { InstanceFacts } from '../model/member.ts'
import { requestRestart } from './restart.ts'

const keys = keysOf('service', 'main')

describe('an order to restart', () => {
  let clock: VirtualClock
  let store: MeddledStore
  let instance: InstanceFacts
  let world: ReturnType<typeof newWorld>

  beforeEach(() => {
    clock = new VirtualClock()
    store = new MeddledStore()
    instance = {
      state: 'running',
      role: 'standby',
      startedAt: 'yesterday',
      postmasterPid: 7,
      serverVersion: 180004,
    }
    world = newWorld()
    for (const line of ['member n1 primary', 'member n2 standby', 'record holder=n1 epoch=7 open'])
      runCommand(world, line)
  })

  /** Seen from the member itself. */
  const ask = (wish: Partial<RestartWish> = {}, deadlineMs = 5000): Promise<RestartOutcome> =>
    requestRestart(
      {
        clock,
        store,
        keys,
        seen: () => snapshotOf(world, 'n2'),
        own: () => ({ ...sampleMember('n2').facts, instance }),
      },
      { name: 'n2', ...wish },
      deadlineMs,
    )

  it('names the life that it means, and is done when another one runs', async () => {
    const asked = ask()
    await settle()
    expect(JSON.parse(store.peek(keys.restart('n2'))?.value ?? '')).toEqual({ life: 'yesterday 7' })
    instance = { state: 'stopped' }
    await clock.advance(400)
    instance = { state: 'running', role: 'standby', startedAt: 'today', postmasterPid: 9 }
    await clock.advance(100)
    expect(await asked).toMatchObject({ kind: 'done', name: 'n2' })
  })

  it('says after its deadline that it may still happen, and why it has not', async () => {
    const asked = ask({}, 1000)
    await settle()
    instance = { state: 'stopped', trouble: 'no room' }
    await clock.advance(1100)
    expect(await asked).toMatchObject({ kind: 'unknown', message: expect.stringContaining('no room') })
  })

  it.each([
    [{ name: 'n9' }, 'UNKNOWN'],
    [{ role: 'primary' as const }, 'NOT_MEANT'],
    [{ onlyPending: true }, 'NOT_MEANT'],
    [{ version: 180004 }, 'NOT_MEANT'],
  ])('under %o is refused: %s', async (wish, reason) => {
    expect(await ask(wish)).toMatchObject({ kind: 'refused', reason })
    expect(store.peek(keys.restart('n2'))).toBeUndefined()
  })

  it('is refused while nobody is primary, and of what can neither be told to run nor to be stopped', async () => {
    instance = { state: 'starting' }
    expect(await ask()).toMatchObject({ kind: 'refused', reason: 'HAS_NO_DATA' })
    runCommand(world, 'record holder=n1 epoch=7 released')
    expect(await ask()).toMatchObject({ kind: 'refused', reason: 'TAKE_OVER' })
  })
})
