import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RoutingTable } from '../../model/routing-table.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { silentLogger } from '../../platform/log.ts'
import { message } from '../../wire/frame.ts'
import { buildCancelRequest, buildGssRequest, buildSslRequest, buildStartup } from '../../wire/startup.ts'
import { echo, READY_IDLE, startFakeBackend, type FakeBackend } from '../../../test/support/fake-backend.ts'
import { connectRaw, eventually, startSession } from '../../../test/support/raw-client.ts'
import { listenOn, type PortListener } from '../frontend/port-listener.ts'
import { newPortCounters, type PortName } from '../port-counters.ts'
import { Switchboard, type SwitchboardOptions } from './switchboard.ts'

/** A clock that the test moves: `passMs` for both, `suspendMs` as only the boot clock sees it. */
function createClock() {
  let passed = 0
  let suspended = 0
  const start = performance.now()
  const elapsed = (): number => performance.now() - start + passed
  return {
    monotonicMs: () => 1000 + elapsed(),
    bootMs: () => 5000 + elapsed() + suspended,
    passMs: (ms: number) => void (passed += ms),
    suspendMs: (ms: number) => void (suspended += ms),
  }
}

async function createBench(options: Partial<SwitchboardOptions> = {}) {
  const clock = createClock()
  let jumps = 0
  const switchboard = new Switchboard(
    { log: silentLogger(), clock, onClockJump: () => void (jumps += 1) },
    { holdTimeoutMs: 5000, maxClientConnections: 100, ...options },
  )
  const names: readonly PortName[] = ['primary', 'replica', 'pooled']
  const counters = names.map((name) => newPortCounters(name, 0))
  const listeners: PortListener[] = []
  for (const count of counters) {
    const address = { host: '127.0.0.1', port: 0, retryForMs: 0 }
    listeners.push(await listenOn(address, (socket) => switchboard.accept(socket, count)))
  }
  const [primary = 0, replica = 0, pooled = 0] = listeners.map((listener) => listener.port)
  const [primaryCount = newPortCounters('primary', 0), replicaCount = newPortCounters('replica', 0)] =
    counters
  let current: RoutingTable = { epoch: 0, replicas: [], validUntil: 0 as MonotonicMs }
  return {
    clock,
    switchboard,
    ports: { primary, replica, pooled },
    counters: { primary: primaryCount, replica: replicaCount },
    jumps: () => jumps,
    offer: (table: {
      epoch: number
      primary?: FakeBackend
      replicas?: FakeBackend[]
      validForMs?: number
      holding?: 'SWITCHOVER'
    }) => {
      current = {
        epoch: table.epoch,
        ...(table.primary ? { primary: targetOf(table.primary) } : {}),
        replicas: (table.replicas ?? []).map((each) => ({ ...targetOf(each), lagBytes: 0 })),
        validUntil: (clock.monotonicMs() + (table.validForMs ?? 60_000)) as MonotonicMs,
        ...(table.holding ? { holding: table.holding } : {}),
      }
      return switchboard.holder.offer(current, 'test')
    },
    close: async () => {
      for (const listener of listeners) listener.close()
      await switchboard.stop()
    },
  }
}

function targetOf(backend: FakeBackend) {
  return { name: `node-${backend.port}`, host: backend.host, port: backend.port }
}

type Bench = Awaited<ReturnType<typeof createBench>>

describe('the router', () => {
  let bench: Bench
  let first: FakeBackend
  let second: FakeBackend
  const clients: ReturnType<typeof connectRaw>[] = []

  function open(port: number) {
    const client = startSession(port)
    clients.push(client)
    return client
  }
  function raw(port: number) {
    const client = connectRaw(port)
    clients.push(client)
    return client
  }

  beforeEach(async () => {
    bench = await createBench()
    first = await startFakeBackend({ name: 'first' })
    second = await startFakeBackend({ name: 'second' })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy()
    await first.close()
    await second.close()
    await bench.close()
  })

  it('passes start-up, queries and answers through byte for byte, and counts them', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = raw(bench.ports.primary)
    const startup = buildStartup({ user: 'app', database: 'app', application_name: 'ünïcode' }, { minor: 2 })
    for (const byte of startup) client.socket.write(Buffer.from([byte]))
    await client.untilReady()
    client.query('select 1')
    await client.untilReady(2)
    expect(first.sessions[0]?.startup).toEqual(startup)
    expect(client.types()).toBe('RSKZDCZ')
    expect(Buffer.concat(first.sessions[0]?.received ?? [])).toEqual(message('Q', Buffer.from('select 1\0')))
    expect(bench.counters.primary).toMatchObject({ queries: 1, errors: 0, clients: 1, waiting: 0 })
    client.socket.destroy()
    await eventually(() => expect(bench.counters.primary.clients).toBe(0))
  })

  it('answers requests for encryption with no and goes on in plain text', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = raw(bench.ports.pooled)
    client.socket.write(buildGssRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('N'))
    client.socket.write(buildSslRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('NN'))
    client.socket.write(buildStartup({ user: 'app' }))
    await eventually(() => expect(client.bytes().subarray(-READY_IDLE.length)).toEqual(READY_IDLE))
  })

  it('lets a client wait while there is no primary and then gives it the new one', async () => {
    const client = open(bench.ports.primary)
    await eventually(() => expect(bench.counters.primary.waiting).toBe(1))
    bench.offer({ epoch: 1 })
    bench.offer({ epoch: 2, primary: first })
    await client.untilReady()
    expect(first.sessions).toHaveLength(1)
    expect(bench.counters.primary.waiting).toBe(0)
  })

  it.each(['starting', 'closing'] as const)(
    'tries again while PostgreSQL is %s, and the client sees none of it',
    async (mode) => {
      first.mode = mode
      bench.offer({ epoch: 1, primary: first })
      const client = open(bench.ports.primary)
      await eventually(() => expect(first.attempts()).toBeGreaterThan(2))
      expect(client.bytes()).toHaveLength(0)
      first.mode = 'ready'
      await client.untilReady()
      expect(client.types()).toBe('RSKZ')
    },
  )

  it('tries again while the port refuses', async () => {
    const { port } = first
    await first.close()
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await eventually(() => expect(bench.counters.primary.waiting).toBe(1))
    first = await startFakeBackend({ name: 'first', port })
    await client.untilReady()
  })

  it('sends one attempt at a time to a PostgreSQL that refuses, however many clients wait', async () => {
    first.mode = 'starting'
    bench.offer({ epoch: 1, primary: first })
    const probe = open(bench.ports.primary)
    await eventually(() => expect(first.attempts()).toBeGreaterThan(0))
    const many = Array.from({ length: 40 }, () => open(bench.ports.primary))
    await eventually(() => expect(bench.counters.primary.waiting).toBe(41))
    const before = first.attempts()
    await eventually(() => expect(first.attempts()).toBeGreaterThanOrEqual(before + 3))
    expect(first.attempts()).toBeLessThan(before + 40)
    first.mode = 'ready'
    await Promise.all([probe, ...many].map((client) => client.untilReady()))
  })

  it('gives up an unanswered attempt when the primary changes, and the client never knows', async () => {
    first.mode = 'silent'
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await eventually(() => expect(first.attempts()).toBe(1))
    bench.offer({ epoch: 2, primary: second })
    await client.untilReady()
    expect(second.sessions).toHaveLength(1)
    expect(client.types()).toBe('RSKZ')
  })

  it('cuts every session of the old primary at a higher epoch, with a reason, and takes new ones to the new', async () => {
    bench.offer({ epoch: 1, primary: first })
    const idle = open(bench.ports.primary)
    const onReplicaPort = open(bench.ports.replica)
    await Promise.all([idle.untilReady(), onReplicaPort.untilReady()])
    bench.offer({ epoch: 2 })
    await Promise.all([idle.untilClosed(), onReplicaPort.untilClosed()])
    for (const client of [idle, onReplicaPort]) {
      expect(client.error()).toMatchObject({
        S: 'FATAL',
        C: '57P01',
        M: expect.stringContaining('the primary changed'),
      })
      expect(client.error()?.['D']).toBeUndefined()
    }
    bench.offer({ epoch: 2, primary: second })
    const fresh = open(bench.ports.primary)
    await fresh.untilReady()
    expect(second.sessions).toHaveLength(1)
  })

  it('says that the outcome is unknown when a statement was under way at the cut', async () => {
    first.onMessage = () => {}
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    client.query('insert')
    await eventually(() => expect(bench.counters.primary.queries).toBe(1))
    bench.offer({ epoch: 2, primary: second })
    await client.untilClosed()
    expect(client.error()?.['D']).toContain('unknown')
  })

  it('cuts in the middle of a message without adding a byte', async () => {
    const half = message('D', Buffer.alloc(100)).subarray(0, 50)
    first.onMessage = (_type, _body, session) => void session.socket.write(half)
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    const before = client.bytes().length
    client.query('select')
    await eventually(() => expect(client.bytes().length).toBe(before + 50))
    bench.offer({ epoch: 2, primary: second })
    await client.untilClosed()
    expect(client.bytes().length).toBe(before + 50)
  })

  it('cuts also when the same node comes back with a higher epoch', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    bench.offer({ epoch: 2, primary: first })
    await client.untilClosed()
    expect(client.error()?.['C']).toBe('57P01')
  })

  it('keeps sessions while a primary leaves the table within its epoch, and lets new ones wait', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    bench.offer({ epoch: 1 })
    client.query('commit')
    await client.untilReady(2)
    const late = open(bench.ports.primary)
    await eventually(() => expect(bench.counters.primary.waiting).toBe(1))
    expect(late.bytes()).toHaveLength(0)
    bench.offer({ epoch: 2, primary: second })
    await late.untilReady()
    await client.untilClosed()
  })

  it('ends a session behind the answer to its last statement when the primary is about to move, in one piece', async () => {
    first.onMessage = (type, body, session) => {
      if (type !== 'Q') return
      const status = body.toString().startsWith('commit') ? 'I' : 'T'
      const tag = message('C', Buffer.from('DONE\0'))
      session.socket.write(Buffer.concat([tag, message('Z', Buffer.from(status))]))
    }
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    client.query('begin')
    await client.untilReady(2)
    bench.offer({ epoch: 1, holding: 'SWITCHOVER' })
    const idle = open(bench.ports.replica)
    await eventually(() => expect(bench.counters.replica.waiting).toBe(1))
    client.query('insert')
    await client.untilReady(3)
    expect(client.isClosed()).toBe(false)
    const pieces: Buffer[] = []
    client.socket.on('data', (chunk) => pieces.push(chunk))
    client.query('commit')
    await client.untilClosed()
    expect(client.types()).toBe('RSKZCZCZCZE')
    expect(client.error()).toMatchObject({ C: '57P01', M: expect.stringContaining('about to move') })
    expect(client.error()?.['D']).toBeUndefined()
    expect(pieces).toHaveLength(1)
    bench.offer({ epoch: 2, primary: second })
    await idle.untilReady()
    expect([first.sessions.length, second.sessions.length]).toEqual([1, 1])
  })

  it('ends what says nothing while the primary is about to move, and leaves what waits for an answer', async () => {
    bench.offer({ epoch: 1, primary: first })
    const [idle, fresh, busy] = [1, 2, 3].map(() => open(bench.ports.primary))
    await Promise.all([idle!.untilReady(), fresh!.untilReady(), busy!.untilReady()])
    idle!.query('select 1')
    await idle!.untilReady(2)
    first.onMessage = () => {}
    busy!.query('slow')
    await eventually(() => expect(bench.counters.primary.queries).toBe(2))
    bench.offer({ epoch: 1, holding: 'SWITCHOVER' })
    await Promise.all([idle!.untilClosed(), fresh!.untilClosed()])
    expect([idle!, fresh!].map((client) => client.error()?.['C'])).toEqual(['57P01', '57P01'])
    expect(busy!.isClosed()).toBe(false)
    first.sessions.at(2)?.socket.write(Buffer.concat([message('C', Buffer.from('SELECT 1\0')), READY_IDLE]))
    await busy!.untilClosed()
    expect(busy!.types()).toBe('RSKZCZE')
  })

  it('answers the first statement of a session that has only just begun when the primary is about to move', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = raw(bench.ports.primary)
    first.onMessage = () => {}
    client.socket.write(buildStartup({ user: 'app' }))
    client.query('select 1')
    await client.untilReady()
    bench.offer({ epoch: 1, holding: 'SWITCHOVER' })
    first.sessions[0]?.socket.write(Buffer.concat([message('C', Buffer.from('SELECT 1\0')), READY_IDLE]))
    await client.untilClosed()
    expect(client.types()).toBe('RSKZCZE')
  })

  it('lets sessions go on when the primary stays after all', async () => {
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    first.onMessage = () => {}
    client.query('slow')
    await eventually(() => expect(bench.counters.primary.queries).toBe(1))
    bench.offer({ epoch: 1, holding: 'SWITCHOVER' })
    bench.offer({ epoch: 1, primary: first })
    first.sessions[0]?.socket.write(Buffer.concat([message('C', Buffer.from('SELECT 1\0')), READY_IDLE]))
    await client.untilReady(2)
    first.onMessage = echo
    client.query('select 1')
    await client.untilReady(3)
    expect(client.types()).toBe('RSKZCZDCZ')
  })

  it('never goes back to a lower epoch', async () => {
    bench.offer({ epoch: 5, primary: second })
    expect(bench.offer({ epoch: 4, primary: first })).toBe('stale')
    await open(bench.ports.primary).untilReady()
    expect([first.sessions.length, second.sessions.length]).toEqual([0, 1])
  })

  /** Once its answer is there, the router has seen everything that was sent to it before. */
  async function roundTrip(reader: ReturnType<typeof connectRaw>): Promise<void> {
    for (let turn = 0; turn < 3; turn += 1) {
      const seen = reader.types().split('Z').length - 1
      reader.query('read')
      await reader.untilReady(seen + 1)
    }
  }

  it('holds a statement past the validity and passes it, byte for byte, when the same epoch is proven again', async () => {
    bench.offer({ epoch: 1, primary: first, replicas: [second], validForMs: 1000 })
    const client = open(bench.ports.primary)
    const reader = open(bench.ports.replica)
    await Promise.all([client.untilReady(), reader.untilReady()])
    bench.clock.passMs(1000)
    const text = Buffer.alloc(300_000, 'x')
    client.socket.write(message('Q', text))
    client.query('second')
    await roundTrip(reader)
    expect(first.sessions[0]?.received).toHaveLength(0)
    bench.offer({ epoch: 1, primary: first, replicas: [second], validForMs: 0 })
    await roundTrip(reader)
    expect(first.sessions[0]?.received).toHaveLength(0)
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    await client.untilReady(3)
    const sent = Buffer.concat([message('Q', text), message('Q', Buffer.from('second\0'))])
    expect(Buffer.concat(first.sessions[0]?.received ?? []).equals(sent)).toBe(true)
  })

  it('reports nothing past the validity, and everything when the same epoch is proven again', async () => {
    const rows = Buffer.concat([
      message('D', Buffer.alloc(200_000, 'r')),
      message('C', Buffer.from('COMMIT\0')),
      READY_IDLE,
    ])
    let reply: () => void = () => {}
    first.onMessage = (_type, _body, session) => {
      reply = () => void session.socket.write(rows)
    }
    bench.offer({ epoch: 1, primary: first, replicas: [second], validForMs: 1000 })
    const client = open(bench.ports.primary)
    const reader = open(bench.ports.replica)
    await Promise.all([client.untilReady(), reader.untilReady()])
    const before = client.bytes().length
    client.query('commit')
    await eventually(() => expect(first.sessions[0]?.received).toHaveLength(1))
    bench.clock.passMs(1000)
    reply()
    await roundTrip(reader)
    expect(client.bytes()).toHaveLength(before)
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    await client.untilReady(2)
    expect(client.bytes().subarray(before).equals(rows)).toBe(true)
  })

  it('drops what it held past the validity when the next table has a higher epoch', async () => {
    bench.offer({ epoch: 1, primary: first, validForMs: 1000 })
    const client = open(bench.ports.primary)
    await client.untilReady()
    bench.clock.passMs(1000)
    client.query('insert')
    await eventually(() => expect(bench.switchboard.primaryOpen()).toBe(false))
    bench.offer({ epoch: 2, primary: second })
    await client.untilClosed()
    expect(client.types()).toBe('RSKZE')
    expect(first.sessions[0]?.received).toHaveLength(0)
  })

  it('holds idle sessions at the deadline by itself', async () => {
    bench.offer({ epoch: 1, primary: first, validForMs: 80 })
    const client = open(bench.ports.primary)
    await client.untilReady()
    await eventually(() => expect(bench.switchboard.primaryOpen()).toBe(false))
    first.sessions[0]?.socket.write(message('N', Buffer.from('\0')))
    const late = open(bench.ports.primary)
    await eventually(() => expect(bench.counters.primary.waiting).toBe(1))
    expect(client.types()).toBe('RSKZ')
    bench.offer({ epoch: 1, primary: first })
    await late.untilReady()
    await eventually(() => expect(client.types()).toBe('RSKZN'))
  })

  it('treats a suspended host as a table that ran out, until it is proven again', async () => {
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    const client = open(bench.ports.primary)
    const left = open(bench.ports.primary)
    const reader = open(bench.ports.replica)
    await Promise.all([client.untilReady(), left.untilReady(), reader.untilReady()])
    bench.clock.suspendMs(150)
    bench.switchboard.holder.checkClock()
    expect([bench.jumps(), bench.switchboard.primaryOpen()]).toEqual([1, false])
    client.query('insert')
    first.sessions[1]?.socket.end(Buffer.concat([message('C', Buffer.from('COMMIT\0')), READY_IDLE]))
    const late = open(bench.ports.primary)
    await roundTrip(reader)
    expect([first.sessions[0]?.received.length, left.types(), late.types()]).toEqual([0, 'RSKZ', ''])
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    await Promise.all([client.untilReady(2), late.untilReady(), left.untilClosed()])
    expect(left.types()).toBe('RSKZCZE')
  })

  it('sends a cancel request that comes in on any port to the backend that owns the key', async () => {
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    const writer = open(bench.ports.primary)
    const reader = open(bench.ports.replica)
    await Promise.all([writer.untilReady(), reader.untilReady()])
    const key = first.sessions[0]?.key
    const other = second.sessions[0]?.key
    if (!key || !other) throw new Error('no session')
    for (const each of [key, other]) {
      const request = raw(bench.ports.pooled)
      request.socket.write(buildCancelRequest(each))
      await request.untilClosed()
    }
    const unknown = raw(bench.ports.primary)
    unknown.socket.write(buildCancelRequest({ processId: 1, secret: Buffer.from('none') }))
    await unknown.untilClosed()
    expect([first.cancels, second.cancels]).toEqual([[key], [other]])
    writer.socket.destroy()
    await eventually(() => expect(bench.counters.primary.clients).toBe(0))
    const late = raw(bench.ports.primary)
    late.socket.write(buildCancelRequest(key))
    await late.untilClosed()
    expect(first.cancels).toHaveLength(1)
  })

  it('shares readers out over the replicas in turn', async () => {
    const third = await startFakeBackend({ name: 'third' })
    bench.offer({ epoch: 1, primary: third, replicas: [first, second] })
    const readers = Array.from({ length: 6 }, () => open(bench.ports.replica))
    await Promise.all(readers.map((reader) => reader.untilReady()))
    expect([first, second, third].map((backend) => backend.sessions.length)).toEqual([3, 3, 0])
    await third.close()
  })

  it('takes a reader to the next replica, then to the primary, when replicas fail', async () => {
    const third = await startFakeBackend({ name: 'third', mode: 'starting' })
    await second.close()
    bench.offer({ epoch: 1, primary: first, replicas: [second, third] })
    const reader = open(bench.ports.replica)
    await reader.untilReady()
    expect(first.sessions).toHaveLength(1)
    expect(third.attempts()).toBe(1)
    await third.close()
  })

  it('keeps the readers of a replica that becomes the primary, and cuts them when that one is replaced', async () => {
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    const reader = open(bench.ports.replica)
    await reader.untilReady()
    bench.offer({ epoch: 2, primary: second })
    reader.query('read')
    await reader.untilReady(2)
    bench.offer({ epoch: 3, primary: first, replicas: [second] })
    await reader.untilClosed()
    expect(reader.error()?.['C']).toBe('57P01')
  })

  it('cuts the readers of a replica that a higher epoch no longer has', async () => {
    bench.offer({ epoch: 1, primary: first, replicas: [second] })
    const reader = open(bench.ports.replica)
    await reader.untilReady()
    bench.offer({ epoch: 1, primary: first })
    reader.query('read')
    await reader.untilReady(2)
    bench.offer({ epoch: 2, primary: first })
    await reader.untilClosed()
    expect(reader.error()?.['M']).toContain('replica left')
  })

  it('slows a fast backend down to a slow client instead of filling memory', async () => {
    let written = 0
    let blocked = false
    const megabyte = message('D', Buffer.alloc(1024 * 1024))
    first.onMessage = (_type, _body, session) => {
      const pour = (): void => {
        while (written < 64) {
          written += 1
          if (session.socket.write(megabyte)) continue
          session.socket.once('drain', pour)
          blocked = true
          return
        }
        blocked = false
        session.socket.write(READY_IDLE)
      }
      pour()
    }
    bench.offer({ epoch: 1, primary: first })
    const client = open(bench.ports.primary)
    await client.untilReady()
    client.socket.pause()
    const before = process.memoryUsage().arrayBuffers
    client.query('select')
    let last = -1
    let since = 0
    await eventually(() => {
      if (written !== last) since = performance.now()
      last = written
      if (!blocked || performance.now() - since < 250) throw new Error(`still pouring: ${written} MB`)
    })
    // What is under way sits in kernel buffers (some MB) and in one chunk per socket.
    expect(written).toBeLessThan(40)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024)
    const expected = client.bytes().length + 64 * megabyte.length + READY_IDLE.length
    let got = client.bytes().length
    client.socket.removeAllListeners('data')
    client.socket.on('data', (chunk) => void (got += chunk.length))
    client.socket.resume()
    await eventually(() => expect(got).toBe(expected))
  })

  it('tells a client whose backend vanished, and passes on what PostgreSQL itself said', async () => {
    bench.offer({ epoch: 1, primary: first })
    const vanished = open(bench.ports.primary)
    await vanished.untilReady()
    first.sessions[0]?.socket.destroy()
    await vanished.untilClosed()
    expect(vanished.error()?.['C']).toBe('08006')
    const told = open(bench.ports.primary)
    await told.untilReady()
    const words = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating\0\0'))
    first.sessions[1]?.socket.end(words)
    await told.untilClosed()
    expect(told.types()).toBe('RSKZE')
    expect(told.bytes().subarray(-words.length)).toEqual(words)
  })

  it('lets a client that closed its side read the rest of its answer', async () => {
    first.onMessage = (type, body, session) => {
      if (type === 'Q') setImmediate(() => echo(type, body, session))
      if (type === 'Q') session.socket.once('end', () => session.socket.end())
    }
    bench.offer({ epoch: 1, primary: first })
    const client = connect({ host: '127.0.0.1', port: bench.ports.primary, allowHalfOpen: true })
    const chunks: Buffer[] = []
    client.on('data', (chunk) => chunks.push(chunk))
    client.write(buildStartup({ user: 'app' }))
    await eventually(() => expect(Buffer.concat(chunks).subarray(-READY_IDLE.length)).toEqual(READY_IDLE))
    const before = Buffer.concat(chunks).length
    client.end(message('Q', Buffer.from('last\0')))
    await eventually(() => {
      expect(Buffer.concat(chunks).length).toBeGreaterThan(before)
      expect(Buffer.concat(chunks).subarray(-READY_IDLE.length)).toEqual(READY_IDLE)
    })
    client.destroy()
  })
})

describe('the stop of a router', () => {
  it('waits for a transaction to end, and not for idle sessions', async () => {
    const bench = await createBench()
    const backend = await startFakeBackend({ name: 'only' })
    backend.onMessage = (type, body, session) => {
      if (type !== 'Q') return
      const isCommit = body.toString().startsWith('commit')
      session.socket.write(message('Z', Buffer.from(isCommit ? 'I' : 'T')))
    }
    bench.offer({ epoch: 1, primary: backend })
    const idle = startSession(bench.ports.primary)
    const busy = startSession(bench.ports.primary)
    await Promise.all([idle.untilReady(), busy.untilReady()])
    busy.query('begin')
    await busy.untilReady(2)
    const stopped = bench.close()
    await idle.untilClosed()
    expect(busy.isClosed()).toBe(false)
    busy.query('commit')
    await busy.untilReady(3)
    await Promise.all([busy.untilClosed(), stopped])
    expect([idle.types(), busy.types()]).toEqual(['RSKZE', 'RSKZZZE'])
    await backend.close()
  })
})

describe('the router’s limits', () => {
  it('refuse a client with 53300 when there are too many, but let cancel requests in', async () => {
    const bench = await createBench({ maxClientConnections: 1 })
    const backend = await startFakeBackend({ name: 'only' })
    bench.offer({ epoch: 1, primary: backend })
    const first = startSession(bench.ports.primary)
    await first.untilReady()
    const second = startSession(bench.ports.primary)
    await second.untilClosed()
    expect(second.error()).toMatchObject({ C: '53300' })
    const request = connectRaw(bench.ports.primary)
    request.socket.write(
      buildCancelRequest(backend.sessions[0]?.key ?? { processId: 0, secret: Buffer.alloc(4) }),
    )
    await request.untilClosed()
    expect(backend.cancels).toHaveLength(1)
    first.socket.destroy()
    await backend.close()
    await bench.close()
  })

  it('end a wait that takes too long with an error that says what was waited for', async () => {
    const bench = await createBench({ holdTimeoutMs: 120 })
    const backend = await startFakeBackend({ name: 'slow', mode: 'starting' })
    const nobody = startSession(bench.ports.primary)
    await nobody.untilClosed()
    expect(nobody.error()).toMatchObject({ C: '57P03', D: expect.stringContaining('no member has said yet') })
    bench.offer({ epoch: 1, primary: backend })
    const starting = startSession(bench.ports.primary)
    await starting.untilClosed()
    expect(starting.error()?.['D']).toContain('the database system is starting up')
    await backend.close()
    await bench.close()
  })

  it('end a session that was held too long', async () => {
    const bench = await createBench({ holdTimeoutMs: 120 })
    const backend = await startFakeBackend({ name: 'only' })
    bench.offer({ epoch: 1, primary: backend, validForMs: 60 })
    const client = startSession(bench.ports.primary)
    await client.untilReady()
    await client.untilClosed()
    expect(client.error()).toMatchObject({ C: '08006', M: expect.stringContaining('prove') })
    await backend.close()
    await bench.close()
  })

  it('close clients that say nothing, and those that talk nonsense, and go on', async () => {
    const bench = await createBench({ startupTimeoutMs: 60 })
    const backend = await startFakeBackend({ name: 'only' })
    bench.offer({ epoch: 1, primary: backend })
    const hostile = [
      Buffer.alloc(0),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0x16, 3, 1, 2, 0]),
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
      Buffer.from([0, 0, 0, 9, 0, 3, 0, 0]),
      Buffer.concat([buildSslRequest(), buildSslRequest(), buildSslRequest()]),
      Buffer.from([0, 0, 0, 12, 0, 3, 0, 0, 0x75, 0, 0x61, 0x70]),
    ]
    for (const bytes of hostile) {
      const client = connectRaw(bench.ports.primary)
      client.socket.write(bytes)
      await client.untilClosed()
    }
    // Past start-up PostgreSQL judges the bytes; the router only must not fall over them.
    const nonsense = startSession(bench.ports.primary)
    await nonsense.untilReady()
    nonsense.socket.write(Buffer.alloc(1000, 0xff))
    await eventually(() => expect(Buffer.concat(backend.sessions[0]?.received ?? [])).toHaveLength(1000))
    const good = startSession(bench.ports.primary)
    await good.untilReady()
    nonsense.socket.destroy()
    good.socket.destroy()
    await backend.close()
    await bench.close()
  })
})
