import { describe, expect, it } from 'vitest'
import type { NodeConfig } from '../config/node-config.ts'
import { findOwnAddress } from './own-address.ts'

function config(identity: object, members: readonly object[] = []): NodeConfig {
  return { identity, members } as unknown as NodeConfig
}

describe('findOwnAddress', () => {
  it('takes what the operator says', async () => {
    const found = await findOwnAddress(config({ advertiseHost: 'db1.example', apiHost: '0.0.0.0' }))
    expect(found).toEqual({ host: 'db1.example', from: 'advertise_host' })
  })

  it('takes the address that the API listens on, unless that is a wildcard', async () => {
    expect(await findOwnAddress(config({ apiHost: '10.0.0.1' }))).toEqual({
      host: '10.0.0.1',
      from: 'api_host',
    })
    expect((await findOwnAddress(config({ apiHost: '::' }))).from).toBe('hostname')
  })

  it('takes the address that the kernel uses towards the first peer that there is a way to, up or not', async () => {
    const members = [
      { apiHost: '255.255.255.255', apiPort: 8008 },
      { apiHost: '127.0.0.1', apiPort: 1 },
    ]
    expect(await findOwnAddress(config({ apiHost: '0.0.0.0' }, members))).toEqual({
      host: '127.0.0.1',
      from: 'route',
    })
  })
})
