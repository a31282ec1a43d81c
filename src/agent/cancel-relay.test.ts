import { beforeEach, describe, expect, it } from 'vitest'
import type { CancelOrder } from '../model/cancel-order.ts'
import { CancelRelay } from './cancel-relay.ts'

const ORDER: CancelOrder = { processId: 7, secret: 'AAAA' }

describe('CancelRelay', () => {
  const names = ['n1', 'n2', 'n3'] as const
  let relays: Map<string, CancelRelay>
  let listeners: Map<string, (peer: string, payload: Uint8Array) => void>
  let silent: Set<string>
  let asked: string[]
  let knows: (name: string) => Promise<boolean>

  beforeEach(() => {
    relays = new Map()
    listeners = new Map()
    silent = new Set()
    asked = []
    knows = () => Promise.resolve(false)
    for (const name of names) {
      const relay = new CancelRelay({
        link: {
          send: (peer, kind, payload) => {
            expect(kind).toBe('cancel')
            if (silent.has(peer)) return false
            queueMicrotask(() => listeners.get(peer)?.(name, payload))
            return true
          },
          onFrame: (_kind, listener) => {
            listeners.set(name, listener)
            return () => {}
          },
        },
        peers: () => names.filter((each) => each !== name),
        cancelHere: (order) => {
          expect(order).toEqual(ORDER)
          asked.push(name)
          return knows(name)
        },
      })
      relays.set(name, relay)
    }
  })

  it('asks every other member, and is done when none knows the key', async () => {
    await relays.get('n1')?.elsewhere(ORDER)
    expect(asked.toSorted((one, other) => one.localeCompare(other))).toEqual(['n2', 'n3'])
  })

  it('is done when one has acted, whatever the others do', async () => {
    knows = (name) => (name === 'n3' ? Promise.resolve(true) : new Promise(() => {}))
    await relays.get('n1')?.elsewhere(ORDER)
    expect(asked).toHaveLength(2)
  })

  it('does not wait for members that cannot be reached', async () => {
    silent.add('n2').add('n3')
    await relays.get('n1')?.elsewhere(ORDER)
    expect(asked).toEqual([])
  })

  it('has a bound of requests under way, behind which nobody is asked', async () => {
    knows = () => new Promise(() => {})
    for (let count = 0; count < 64; count += 1) void relays.get('n1')?.elsewhere(ORDER)
    await relays.get('n1')?.elsewhere(ORDER)
    expect(asked.length).toBeLessThanOrEqual(128)
  })

  it('passes over what it does not understand', async () => {
    for (const text of ['', 'null', '[]', '{"kind":"dance","id":1}'])
      listeners.get('n2')?.('n1', Buffer.from(text))
    await relays.get('n1')?.elsewhere(ORDER)
    expect(asked).toHaveLength(2)
  })
})
