import { describe, expect, it } from 'vitest'
import { AddressList } from './address-list.ts'

const has = (address: string, ...entries: readonly string[]) => new AddressList().has(address, entries)

describe('a list of addresses', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3', '10.0.0.0/8', true],
    ['11.1.2.3', '10.0.0.0/8', false],
    ['::ffff:10.1.2.3', '10.0.0.0/8', true],
    ['fd00::7', 'fd00::/16', true],
    ['10.1.2.3', 'fd00::/16', false],
    ['127.0.0.1', 'localhost', true],
    ['10.1.2.3', 'localhost', false],
    ['10.1.2.3', 'no-such-name.invalid', false],
    ['', '10.0.0.0/8', false],
  ])('has %s where it holds %s: %s', async (address, entry, isIn) => {
    expect(await has(address, entry)).toBe(isIn)
    expect(await has(address, '192.0.2.1', entry)).toBe(isIn)
  })

  it('that is empty has nobody', async () => {
    expect(await has('127.0.0.1')).toBe(false)
  })
})
