import { beforeEach, describe, expect, it } from 'vitest'
import { settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { MemberFacts } from '../model/member.ts'
import { silentLogger } from '../platform/log.ts'
import { Heartbeats, type Heartbeat } from './heartbeats.ts'
import type { PeerWire } from './host-ports.ts'

const factsOf = (name: string): MemberFacts => ({
  name,
  host: name,
  port: 5432,
  apiUrl: '',
  agentUptimeMs: 1,
  guard: 'idle',
  instance: { state: 'running' },
  stopping: false,
  seen: { epoch: 7, seq: 1, state: 'open', expired: false, witnessed: true },
  version: '0',
})
const genesis = { nonce: 'a', list: 'l', isEmpty: true }

/** Two agents whose messages the test carries, with clocks that have nothing in common. */
class Wire {
  readonly sent: Heartbeat[] = []
  last: Buffer = Buffer.alloc(0)
  hear: (payload: Heartbeat) => void = () => undefined
  /** As it came from the other wire. */
  carry: (payload: Buffer) => void = () => undefined

  constructor(peer: string) {
    this.link = {
      send: (_to: string, _kind: string, payload: Buffer) => {
        this.sent.push(JSON.parse(payload.toString()) as Heartbeat)
        this.last = payload
        return true
      },
      onFrame: (_kind: string, listener: (from: string, payload: Buffer) => void) => {
        this.carry = (payload) => listener(peer, payload)
        this.hear = (beat) => this.carry(Buffer.from(JSON.stringify(beat)))
      },
      onConnected: () => undefined,
    } as unknown as PeerWire
  }

  readonly link: PeerWire
}

describe('Heartbeats', () => {
  let holderClock: VirtualClock
  let otherClock: VirtualClock
  let holderWire: Wire
  let otherWire: Wire
  let holder: Heartbeats
  let other: Heartbeats
  let lives = 0
  let lease: { epoch: number; remainingMs: number } | undefined

  beforeEach(() => {
    holderClock = new VirtualClock(50_000)
    otherClock = new VirtualClock(9_000_000)
    holderWire = new Wire('n2')
    otherWire = new Wire('n1')
    lease = { epoch: 7, remainingMs: 2000 }
    holder = make('n1', 'n2', holderClock, holderWire)
    other = make('n2', 'n1', otherClock, otherWire)
  })

  function make(
    self: string,
    peer: string,
    clock: VirtualClock,
    wire: Wire,
    facts = () => factsOf(self),
  ): Heartbeats {
    return new Heartbeats(
      { clock, log: silentLogger(), link: wire.link },
      {
        life: `life ${(lives += 1)} of ${self}`,
        peers: [peer],
        periodMs: 100,
        describe: () => ({ facts: facts(), genesis, ...(self === 'n1' && lease ? { lease } : {}) }),
      },
    )
  }

  async function says(from: Heartbeats, wire: Wire): Promise<Heartbeat> {
    from.push()
    await settle()
    const beat = wire.sent.at(-1)
    if (!beat) throw new Error('nothing was sent')
    return beat
  }

  it('counts a holder’s lease from before the holder stated it, on the own clock', async () => {
    const asked = otherClock.monotonic()
    holderWire.hear(await says(other, otherWire))
    const stated = await says(holder, holderWire)
    await otherClock.advance(300)
    otherWire.hear(stated)
    expect(other.lease('n1')).toEqual({ epoch: 7, validUntil: asked + 2000 })
  })

  it('takes no lease from a holder that has not heard this agent', async () => {
    otherWire.hear(await says(holder, holderWire))
    expect(other.lease('n1')).toBeUndefined()
  })

  it('takes no lease by the clock of an earlier life of this host', async () => {
    holderWire.hear(await says(other, otherWire))
    const stated = await says(holder, holderWire)
    // n2's host was started anew: its clock begins at zero, and the old echo would be valid for hours.
    otherClock = new VirtualClock(100)
    otherWire = new Wire('n1')
    other = make('n2', 'n1', otherClock, otherWire)
    otherWire.hear(stated)
    expect(other.lease('n1')).toBeUndefined()
  })

  it('forgets the lease with the next heartbeat that states none', async () => {
    holderWire.hear(await says(other, otherWire))
    otherWire.hear(await says(holder, holderWire))
    lease = undefined
    otherWire.hear(await says(holder, holderWire))
    expect(other.lease('n1')).toBeUndefined()
  })

  it('ignores who speaks for another member, and what is no heartbeat', async () => {
    const beat = await says(holder, holderWire)
    otherWire.hear({ ...beat, facts: factsOf('n3') })
    otherWire.hear('junk' as unknown as Heartbeat)
    expect(other.facts()).toEqual([])
  })

  it('forgets who is no member any more, and speaks to who is new', async () => {
    otherWire.hear(await says(holder, holderWire))
    expect(other.facts()).toHaveLength(1)
    other.setPeers(['n3'])
    await settle()
    expect(other.facts()).toEqual([])
    otherWire.hear(await says(holder, holderWire))
    expect(other.facts(), 'heard from a stranger').toEqual([])
    const before = otherWire.sent.length
    other.setPeers(['n3', 'n1'])
    await settle()
    expect(otherWire.sent.length).toBe(before + 2)
  })

  it('founds nothing with what somebody said long ago', async () => {
    otherWire.hear(await says(holder, holderWire))
    expect(other.genesisHellos().has('n1')).toBe(true)
    await otherClock.advance(1100)
    expect(other.genesisHellos().has('n1')).toBe(false)
  })

  it('takes what is said again for the same, and hears what is new beside it', async () => {
    let facts = factsOf('n1')
    holder = make('n1', 'n2', holderClock, holderWire, () => facts)
    const carryOne = async () => {
      await says(holder, holderWire)
      otherWire.carry(holderWire.last)
      const [peer] = other.facts()
      return peer
    }
    const first = await carryOne()
    await otherClock.advance(100)
    const second = await carryOne()
    expect(second?.facts).toBe(first?.facts)
    expect(second?.heardAt).toBe((first?.heardAt ?? 0) + 100)
    // Its clock moves on and it has heard an echo: the head of the message is never the old one.
    holderWire.hear(await says(other, otherWire))
    await carryOne()
    expect(other.lease('n1')?.epoch).toBe(7)
    facts = { ...facts, guard: 'armed' }
    expect((await carryOne())?.facts.guard).toBe('armed')
  })

  it('wakes for news that a decision may hang on, not for every position', async () => {
    let woken = 0
    other.onChange(() => (woken += 1))
    const beat = await says(holder, holderWire)
    otherWire.hear(beat)
    otherWire.hear({ ...beat, facts: { ...beat.facts, instance: { state: 'running', flushLsn: '0/9' } } })
    expect(woken).toBe(1)
    otherWire.hear({ ...beat, facts: { ...beat.facts, instance: { state: 'crashed' } } })
    expect(woken).toBe(2)
  })
})
