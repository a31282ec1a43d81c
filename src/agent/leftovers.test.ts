import { describe, expect, it } from 'vitest'
import { FakeInstance, running } from '../../test/support/ha-fakes.ts'
import { silentLogger } from '../platform/log.ts'
import { Fault } from '../std/fault.ts'
import { endLeftovers } from './leftovers.ts'

describe('endLeftovers', () => {
  it('kills the orphans of a postmaster that died while nobody watched', async () => {
    const instance = new FakeInstance()
    instance.now = { state: 'crashed' }
    await endLeftovers(instance, silentLogger())
    expect(instance.done).toEqual(['kill'])
  })

  it('leaves an instance alone that runs or comes up', async () => {
    const instance = new FakeInstance()
    for (const now of [running('primary'), { state: 'starting' } as const, { state: 'unknown' } as const]) {
      instance.now = now
      await endLeftovers(instance, silentLogger())
    }
    expect(instance.done).toEqual([])
  })

  it('lets the agent start when they cannot be killed', async () => {
    const instance = new FakeInstance()
    instance.before = () => {
      throw new Fault('PG_NOT_DEAD', 'process 7 is left')
    }
    await expect(endLeftovers(instance, silentLogger())).resolves.toBeUndefined()
  })
})
