import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RoutingTable } from '../../model/routing-table.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { silentLogger } from '../../platform/log.ts'
import { message, MessageReader } from '../../wire/frame.ts'
import { buildStartup, parseBackendKey } from '../../wire/startup.ts'
import { poolOptions } from '../../../test/support/pool-options.ts'
import { echo, READY_IDLE, startFakeBackend, type FakeBackend } from '../../../test/support/fake-backend.ts'
import { connectRaw, eventually, type RawClient } from '../../../test/support/raw-client.ts'
import { listenOn } from '../frontend/port-listener.ts'
import { newPortCounters, totalsOf } from '../port-counters.ts'
import { Switchboard } from '../router/switchboard.ts'
import type { PoolOptions } from './pool-options.ts'
import { UserSecrets } from './user-secrets.ts'

/** A clock that the test moves. */
function createClock() {
  let passed = 0
  const start = performance.now()
  const monotonicMs = (): number => 1000 + performance.now() - start + passed
  return { monotonicMs, bootMs: monotonicMs, passMs: (ms: number) => void (passed += ms) }
}

async function createPool(changes: Partial<PoolOptions> = {}) {
  const clock = createClock()
  const options = poolOptions({ auth: { type: 'trust' }, ...changes })
  const switchboard = new Switchboard(
    { log: silentLogger(), clock, onClockJump: () => {} },
    {
      holdTimeoutMs: 5000,
      maxClientConnections: 100,
      pool: { options, secrets: new UserSecrets(), reload: () => undefined },
    },
  )
  const counters = newPortCounters('pooled', 0)
  const listener = await listenOn({ host: '127.0.0.1', port: 0, retryForMs: 0 }, (socket) =>
    switchboard.accept(socket, counters),
  )
  return {
    clock,
    counters,
    totals: () => totalsOf([counters], switchboard.waitingForServers)[0],
    port: listener.port,
    offer: (table: { epoch: number; primary?: FakeBackend; validForMs?: number }) => {
      const { primary } = table
      const offered: RoutingTable = {
        epoch: table.epoch,
        ...(primary
          ? { primary: { name: `node-${primary.port}`, host: primary.host, port: primary.port } }
          : {}),
        replicas: [],
        validUntil: (clock.monotonicMs() + (table.validForMs ?? 60_000)) as MonotonicMs,
      }
      switchboard.holder.offer(offered, 'test')
    },
    close: async () => {
      listener.close()
      await switchboard.stop()
    },
  }
}

describe('the pooled port', () => {
  let pool: Awaited<ReturnType<typeof createPool>>
  let first: FakeBackend
  let second: FakeBackend
  const clients: RawClient[] = []

  beforeEach(async () => {
    pool = await createPool()
    first = await startFakeBackend({ name: 'first' })
    second = await startFakeBackend({ name: 'second' })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy()
    await first.close()
    await second.close()
    await pool.close()
  })

  async function login(startup = buildStartup({ user: 'app' })): Promise<RawClient> {
    const client = connectRaw(pool.port)
    clients.push(client)
    client.socket.write(startup)
    await client.untilReady()
    return client
  }

  /** Waits until a number stays as it is while others are served: the router does what it can by then. */
  async function untilStill(value: () => number): Promise<void> {
    const watcher = await login()
    let seen = Number.NaN
    let rounds = 1
    await eventually(async () => {
      for (let count = 0; count < 10; count += 1) {
        watcher.socket.write(message('S', Buffer.alloc(0)))
        rounds += 1
        await watcher.untilReady(rounds)
      }
      const before = seen
      seen = value()
      expect(seen).toBe(before)
    })
  }

  const queriesOf = (backend: FakeBackend): string[] =>
    backend.sessions.flatMap(({ received }) => {
      const reader = new MessageReader()
      reader.push(Buffer.concat(received))
      const found: string[] = []
      for (let next = reader.next(); next; next = reader.next()) {
        if (next.type === 0x51) found.push(next.body.toString('utf8', 0, next.body.length - 1))
      }
      return found
    })

  it('sends nothing past the end of the table, and everything once it is renewed', async () => {
    pool.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = await login()
    client.query('select 1')
    await client.untilReady(2)
    pool.clock.passMs(2000)
    client.query('select 2')
    pool.offer({ epoch: 1, primary: first, validForMs: 0 })
    const other = connectRaw(pool.port)
    clients.push(other)
    await eventually(() => expect(other.socket.connecting).toBe(false))
    expect(queriesOf(first)).toEqual(['select 1'])
    pool.offer({ epoch: 1, primary: first })
    await client.untilReady(3)
    expect(queriesOf(first)).toEqual(['select 1', 'select 2'])
  })

  it('sends nothing of an open transaction past the end of the table, and the rest once it is renewed', async () => {
    pool.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = await login()
    first.onMessage = (_type, _body, { socket }) => void socket.write(message('Z', Buffer.from('T')))
    client.query('begin')
    await client.untilReady(2)
    pool.clock.passMs(2000)
    client.query('insert')
    const other = connectRaw(pool.port)
    clients.push(other)
    other.socket.write(buildStartup({ user: '' }))
    await other.untilClosed()
    expect(queriesOf(first)).toEqual(['begin'])
    pool.offer({ epoch: 1, primary: first })
    await client.untilReady(3)
    expect(queriesOf(first)).toEqual(['begin', 'insert'])
  })

  it('keeps an answer back that comes past the end of the table, and passes it on once it is renewed', async () => {
    pool.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = await login()
    let answer = (): void => {}
    first.onMessage = (type, body, session) => {
      answer = () => echo(type, body, session)
    }
    client.query('select 1')
    await eventually(() => expect(queriesOf(first)).toEqual(['select 1']))
    pool.clock.passMs(2000)
    answer()
    const other = connectRaw(pool.port)
    clients.push(other)
    await eventually(() => expect(other.socket.connecting).toBe(false))
    expect(client.types()).not.toMatch(/ZDCZ$/)
    pool.offer({ epoch: 1, primary: first })
    await client.untilReady(2)
    expect(client.types()).toMatch(/ZDCZ$/)
  })

  it('never passes on what an old primary says after the table of a newer epoch', async () => {
    pool.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = await login()
    first.onMessage = () => {}
    client.query('insert')
    await eventually(() => expect(queriesOf(first)).toEqual(['insert']))
    pool.clock.passMs(2000)
    first.sessions[0]?.socket.write(Buffer.concat([message('C', Buffer.from('INSERT 0 1\0')), READY_IDLE]))
    pool.offer({ epoch: 2, primary: second })
    await client.untilReady(2)
    expect(client.types()).toMatch(/ZEZ$/)
    expect(client.error()).toMatchObject({ S: 'ERROR', C: '40003' })
    client.query('select 2')
    await client.untilReady(3)
    expect([queriesOf(first), queriesOf(second)]).toEqual([['insert'], ['select 2']])
  })

  it('gives up what could not be proven within the time limit, and the client goes on', async () => {
    pool.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = await login()
    first.onMessage = () => {}
    client.query('insert')
    await eventually(() => expect(queriesOf(first)).toEqual(['insert']))
    pool.clock.passMs(2000)
    pool.offer({ epoch: 1, primary: first, validForMs: 0 })
    pool.clock.passMs(6000)
    await client.untilReady(2)
    expect(client.error()).toMatchObject({ C: '40003' })
    expect(client.isClosed()).toBe(false)
  })

  it('ends a client that has not taken yet what an old primary said: it is not to be said any more', async () => {
    pool.offer({ epoch: 1, primary: first })
    const client = await login()
    // As large as a read, so that what was passed on ends with a whole row: an error could follow it.
    const row = message('D', Buffer.alloc(65_536 - 5))
    first.onMessage = (_type, _body, session) => {
      for (let count = 0; count < 400; count += 1) session.socket.write(row)
    }
    client.socket.pause()
    client.query('select all')
    await untilStill(() => first.sessions[0]?.socket.writableLength ?? 0)
    expect(first.sessions[0]?.socket.writableLength).toBeGreaterThan(0)
    pool.offer({ epoch: 2, primary: second })
    client.socket.resume()
    await client.untilClosed()
    expect(client.error()).toBeUndefined()
  })

  it('slows PostgreSQL down to the speed of a client that does not read', async () => {
    pool.offer({ epoch: 1, primary: first })
    const client = await login()
    const row = message('D', Buffer.alloc(60_000))
    let sent = 0
    first.onMessage = (_type, _body, { socket }) => {
      const sendMore = (): void => {
        while (sent < 2000) {
          sent += 1
          if (!socket.write(row)) {
            socket.once('drain', sendMore)
            return
          }
        }
        socket.write(READY_IDLE)
      }
      sendMore()
    }
    client.socket.pause()
    client.query('select all')
    await eventually(() => expect(sent).toBeGreaterThan(10))
    await untilStill(() => sent)
    expect(sent).toBeLessThan(2000)
    client.socket.resume()
    await eventually(() => expect(sent).toBe(2000), 15_000)
  })

  it('speaks protocol 3.2 at most, and says so to a client that wants more', async () => {
    pool.offer({ epoch: 1, primary: first })
    const startup = buildStartup({ user: 'app', '_pq_.unheard': 'x' })
    startup.writeInt32BE((3 << 16) | 9999, 4)
    const client = await login(startup)
    expect(client.types()).toMatch(/^vRS*KZ$/)
    const reader = new MessageReader()
    reader.push(client.bytes())
    const negotiation = reader.next()?.body
    expect(negotiation?.readInt32BE(0)).toBe((3 << 16) | 2)
    expect(negotiation?.subarray(4)).toEqual(
      Buffer.concat([Buffer.from([0, 0, 0, 1]), Buffer.from('_pq_.unheard\0')]),
    )
    for (let next = reader.next(); next; next = reader.next()) {
      if (next.type === 0x4b) expect(parseBackendKey(next.body)?.secret).toHaveLength(32)
    }
    const plain = await login()
    expect(plain.types()).toMatch(/^RS*KZ$/)
  })

  it.each([
    ['an unknown message', message('?', Buffer.alloc(3))],
    ['a length below 4', Buffer.from([0x51, 0, 0, 0, 1])],
    ['a name without an end', message('B', Buffer.alloc(40_000, 'x'))],
    ['an endless name', Buffer.concat([Buffer.from([0x42, 0x40, 0, 0, 0]), Buffer.alloc(40_000, 'x')])],
    ['a named statement beyond the limit', Buffer.from([0x50, 0x40, 0, 0, 0, 0x61])],
  ])('refuses %s, and everybody else goes on', async (_what, bytes) => {
    pool.offer({ epoch: 1, primary: first })
    const [bad, good] = [await login(), await login()]
    bad.socket.write(bytes)
    await bad.untilClosed()
    expect(bad.error()).toMatchObject({ S: 'FATAL', C: '08P01' })
    good.query('select 1')
    await good.untilReady(2)
    expect(queriesOf(first)).toEqual(['select 1'])
  })

  it('drops a client that goes while it waits, and never runs what it had sent', async () => {
    pool.offer({ epoch: 1, primary: first })
    const client = await login()
    client.query('select 1')
    await client.untilReady(2)
    pool.offer({ epoch: 1 })
    client.query('insert')
    client.socket.end()
    await eventually(() => expect(pool.counters.clients).toBe(0))
    pool.offer({ epoch: 1, primary: first })
    const other = await login()
    other.query('select 2')
    await other.untilReady(2)
    expect(queriesOf(first)).toEqual(['select 1', 'select 2'])
  })

  it('counts clients, statements and who waits, for the metrics of its port', async () => {
    pool.offer({ epoch: 1, primary: first })
    const client = await login()
    client.query('select 1')
    await client.untilReady(2)
    expect(pool.totals()).toMatchObject({ clients: 1, waiting: 0, queries: 1, errors: 0 })
    pool.offer({ epoch: 1 })
    client.query('select 2')
    await eventually(() => expect(pool.totals()).toMatchObject({ clients: 1, waiting: 1, queries: 1 }))
    pool.offer({ epoch: 1, primary: first })
    await client.untilReady(3)
    expect(pool.totals()).toMatchObject({ clients: 1, waiting: 0, queries: 2 })
    client.socket.end()
    await eventually(() => expect(pool.totals()).toMatchObject({ clients: 0, waiting: 0 }))
  })

  it('takes no server connection for what it can answer itself', async () => {
    pool.offer({ epoch: 1, primary: first })
    const client = await login()
    const close = message('C', Buffer.from('Sgone\0'))
    client.socket.write(Buffer.concat([close, message('S', Buffer.alloc(0)), message('H', Buffer.alloc(0))]))
    await client.untilReady(2)
    expect(client.types()).toMatch(/Z3Z$/)
    expect(first.sessions[0]?.received).toEqual([])
  })
})
