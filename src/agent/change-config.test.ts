import { beforeEach, describe, expect, it } from 'vitest'
import { FakeInstance, MeddledStore } from '../../test/support/ha-fakes.ts'
import { keysOf } from '../ha/keys.ts'
import { changeConfig } from './change-config.ts'

const keys = keysOf('service', 'main')

describe('a change of what is set for the whole cluster', () => {
  let store: MeddledStore

  beforeEach(() => {
    store = new MeddledStore()
  })

  const now = () => JSON.parse(store.peek(keys.config)?.value ?? '{}') as unknown
  const instance = new FakeInstance()
  const patch = (it: Record<string, unknown>) =>
    changeConfig({ store, keys, instance }, { kind: 'patch', patch: it })

  it('merges what it names, takes away what is null, and leaves the rest', async () => {
    expect(await patch({ pause: true })).toEqual({ kind: 'done', config: { pause: true } })
    expect(await patch({})).toEqual({ kind: 'done', config: { pause: true } })
    expect(await patch({ pause: null })).toEqual({ kind: 'done', config: {} })
    expect(now()).toEqual({})
  })

  it('is all or nothing: with one setting that cannot be, the old ones stay', async () => {
    await patch({ pause: true })
    expect(await patch({ pause: null, ttl: 'soon' })).toMatchObject({ kind: 'refused', reason: 'INVALID' })
    expect(now()).toEqual({ pause: true })
  })

  it('overwrites nobody who was faster: it is merged with what is there then', async () => {
    let isFirst = true
    store.meddle = async (_asked, commit) => {
      if (isFirst) {
        isFirst = false
        await store.put(keys.config, { pause: false })
      }
      return commit()
    }
    expect(await patch({ pause: true })).toEqual({ kind: 'done', config: { pause: true } })
    store.meddle = async (_asked, commit) => {
      await store.put(keys.config, { pause: false })
      return commit()
    }
    expect(await patch({ pause: null })).toMatchObject({ kind: 'refused', reason: 'BUSY' })
  })

  it('of PostgreSQL is judged by PostgreSQL, and by nobody where it does not answer', async () => {
    const parameters = { work_mem: '64MB', max_conections: 5 }
    instance.judgeParameters = () => Promise.resolve([{ name: 'max_conections', rule: 'is no parameter' }])
    expect(await patch({ postgresql: { parameters } })).toMatchObject({
      kind: 'refused',
      message: '"postgresql.parameters.max_conections" is no parameter',
    })
    instance.judgeParameters = () => Promise.reject(new Error('it is down'))
    expect(await patch({ postgresql: { parameters } })).toMatchObject({ kind: 'done' })
  })

  it.each([
    [{ postgresql: { parameters: { work_mem: [1] } } }, '"postgresql.parameters.work_mem" must be a text'],
    [{ postgresql: { parameters: 5 } }, '"postgresql.parameters" must have parameters'],
    [{ postgresql: { use_slots: false } }, '"postgresql.use_slots" cannot be set for the whole cluster'],
    [{ postgresql: true }, '"postgresql" must have settings under it'],
  ])('that cannot be is refused with its place: %o', async (wanted, message) => {
    expect(await patch(wanted)).toMatchObject({ kind: 'refused', message: expect.stringContaining(message) })
  })
})
