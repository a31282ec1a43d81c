import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore } from '../../test/support/ha-fakes.ts'
import { keysOf } from '../ha/keys.ts'
import { changeConfig } from './change-config.ts'

const keys = keysOf('service', 'main')

describe('a change of what is set for the whole cluster', () => {
  let store: MeddledStore

  beforeEach(() => {
    store = new MeddledStore()
  })

  const now = () => JSON.parse(store.peek(keys.config)?.value ?? '{}') as unknown
  const patch = (it: Record<string, unknown>) => changeConfig({ store, keys }, { kind: 'patch', patch: it })

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
})
