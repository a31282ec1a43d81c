import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import { bootMs, monotonicMs } from '../platform/clock.ts'
import { createLogger, silentLogger, type Logger } from '../platform/log.ts'
import { bootId } from '../platform/process.ts'
import { makeCertificate, type TestCertificate } from '../../test/support/certificates.ts'
import { startFakeBackend, type FakeBackend } from '../../test/support/fake-backend.ts'
import { buildCancelRequest } from '../wire/startup.ts'
import { connectRaw, eventually, startSession, type RawClient } from '../../test/support/raw-client.ts'
import { directTls } from '../../test/support/tls-client.ts'
import { tlsSettings } from '../../test/support/tls-files.ts'
import { startRouter, type RouterOptions, type RouterPace, type RunningRouter } from './router-process.ts'

const PACE: RouterPace = { portRetryMs: 2000, totalsEveryMs: 50, agentSilentMs: 150, pollEveryMs: 30 }

type FakeAgent = {
  readonly lines: Record<string, unknown>[]
  readonly links: () => number
  send: (value: unknown) => void
  sendText: (text: string) => void
  close: () => Promise<void>
}

async function startFakeAgent(path: string): Promise<FakeAgent> {
  const sockets = new Set<Socket>()
  const lines: Record<string, unknown>[] = []
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        lines.push(JSON.parse(text.slice(0, end)) as Record<string, unknown>)
        text = text.slice(end + 1)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const sendText = (text: string): void => {
    for (const socket of sockets) socket.write(text)
  }
  return {
    lines,
    links: () => sockets.size,
    sendText,
    send: (value) => sendText(`${JSON.stringify(value)}\n`),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

type FakeMember = {
  readonly url: string
  readonly asked: string[]
  answer: () => unknown
  delayMs: number
  close: () => Promise<void>
}

async function startFakeMember(answer: () => unknown): Promise<FakeMember> {
  const asked: string[] = []
  const server: HttpServer = createHttpServer((request, response) => {
    asked.push(`${request.url ?? ''} ${request.headers.authorization ?? ''}`)
    setTimeout(() => response.end(JSON.stringify(member.answer())), member.delayMs)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const member: FakeMember = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer,
    delayMs: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return member
}

describe('the router process', () => {
  const cleanUp: (() => Promise<unknown> | void)[] = []
  let folder: string
  let backend: FakeBackend
  let stops = 0

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'router-'))
    cleanUp.push(() => rmSync(folder, { recursive: true }))
    backend = await startFakeBackend({ name: 'first' })
    cleanUp.push(() => backend.close())
    stops = 0
  })
  afterEach(async () => {
    for (const task of cleanUp.splice(0).toReversed()) await task()
  })

  function optionsWith(changes: Partial<RouterOptions> = {}): RouterOptions {
    return {
      nodeName: 'n1',
      listenHost: '127.0.0.1',
      ports: { primary: 0, replica: 0, pooled: 0 },
      holdTimeoutMs: 5000,
      maxClientConnections: 100,
      agentSocket: join(folder, 'agent.sock'),
      members: [],
      routingToken: 'secret-token',
      logging: { level: 'error' },
      ...changes,
    }
  }
  async function start(
    changes: Partial<RouterOptions> = {},
    log: Logger = silentLogger(),
  ): Promise<RunningRouter> {
    const deps = {
      log,
      clock: { monotonicMs, bootMs },
      onStop: () => void (stops += 1),
      pace: PACE,
    }
    const router = await startRouter(optionsWith(changes), deps)
    cleanUp.push(() => router.stop())
    return router
  }
  async function agent(): Promise<FakeAgent> {
    const fake = await startFakeAgent(join(folder, 'agent.sock'))
    cleanUp.push(() => fake.close())
    return fake
  }
  async function member(answer: () => unknown): Promise<FakeMember> {
    const fake = await startFakeMember(answer)
    cleanUp.push(() => fake.close())
    return fake
  }
  function open(port: number): RawClient {
    const client = startSession(port)
    cleanUp.push(() => void client.socket.destroy())
    return client
  }
  function table(changes: Partial<RoutingTableMessage> = {}): RoutingTableMessage {
    return {
      epoch: 1,
      primary: { name: 'n1', host: backend.host, port: backend.port },
      replicas: [],
      validForMs: 60_000,
      validUntil: monotonicMs() + 60_000,
      bootId: bootId(),
      ...changes,
    }
  }

  it('says hello, takes tables and reports its counters again and again', async () => {
    const fake = await agent()
    const router = await start()
    await eventually(() => expect(fake.lines[0]).toEqual({ role: 'router', pid: process.pid }))
    fake.send(table())
    const client = open(router.ports.primary)
    await client.untilReady()
    client.query('select 1')
    await client.untilReady(2)
    const mine = {
      port: 'primary',
      listen: router.ports.primary,
      queries: 1,
      errors: 0,
      clients: 1,
      waiting: 0,
    }
    await eventually(() => {
      const last = fake.lines.findLast((line) => line['kind'] === 'totals')
      expect(last?.['totals']).toEqual([
        mine,
        expect.objectContaining({ port: 'replica' }),
        expect.objectContaining({ port: 'pooled' }),
      ])
    })
  })

  it('has its agent ask the other nodes for a cancel key that it does not know, and looks for theirs', async () => {
    const fake = await agent()
    const router = await start()
    await eventually(() => expect(fake.links()).toBe(1))
    const key = { processId: 7, secret: Buffer.from('abcd') }
    const request = connectRaw(router.ports.primary)
    cleanUp.push(() => void request.socket.destroy())
    request.socket.write(buildCancelRequest(key))
    const told = { kind: 'cancel', processId: 7, secret: key.secret.toString('base64') }
    await eventually(() => expect(fake.lines.find(({ kind }) => kind === 'cancel')).toMatchObject(told))
    expect(request.isClosed()).toBe(false)
    fake.send({ kind: 'cancelled', id: fake.lines.find(({ kind }) => kind === 'cancel')?.['id'] })
    await request.untilClosed()
    fake.send({ ...told, id: 33 })
    await eventually(() => expect(fake.lines).toContainEqual({ kind: 'cancelled', id: 33, isKnown: false }))
  })

  it('reads its certificates again when its agent says so, and says in the log when they end', async () => {
    const paths = { certFile: join(folder, 'r.crt'), keyFile: join(folder, 'r.key') }
    const write = (identity: TestCertificate): void => {
      writeFileSync(paths.certFile, identity.cert)
      writeFileSync(paths.keyFile, identity.key)
    }
    const hosts = ['127.0.0.1']
    const [old, renewed] = ['old', 'renewed'].map((commonName) =>
      makeCertificate({ commonName, hosts, validForMs: 20 * 86_400_000 }),
    )
    write(old!)
    const fake = await agent()
    const logFile = join(folder, 'router.log')
    const log = createLogger({ level: 'warn', destination: logFile })
    const router = await start({ tls: tlsSettings({ client: { mode: 'require', ...paths } }) }, log)
    await eventually(() => expect(fake.links()).toBe(1))
    await eventually(() => expect(readFileSync(logFile, 'utf8')).toMatch(/r\.crt.*ends soon/))
    write(renewed!)
    fake.send({ kind: 'reload' })
    await eventually(async () => {
      const socket = await directTls(router.ports.replica, { rejectUnauthorized: false })
      const { subject } = socket.getPeerCertificate()
      socket.destroy()
      expect(subject.CN).toBe('renewed')
    })
  })

  it('does not start with a key that belongs to another certificate, and listens on no port', async () => {
    const [one, other] = ['one', 'other'].map((commonName) => makeCertificate({ commonName }))
    const paths = { certFile: join(folder, 'r.crt'), keyFile: join(folder, 'r.key') }
    writeFileSync(paths.certFile, one!.cert)
    writeFileSync(paths.keyFile, other!.key)
    const tls = tlsSettings({ client: { mode: 'require', ...paths } })
    await expect(start({ tls })).rejects.toMatchObject({
      code: 'TLS_FILE_UNUSABLE',
      message: expect.stringContaining(paths.keyFile),
    })
  })

  it('survives its agent and is adopted by the next one', async () => {
    const old = await agent()
    const router = await start()
    await eventually(() => expect(old.links()).toBe(1))
    old.send(table())
    const client = open(router.ports.primary)
    await client.untilReady()
    await old.close()
    client.query('meanwhile')
    await client.untilReady(2)
    const next = await agent()
    await eventually(() => expect(next.lines[0]).toEqual({ role: 'router', pid: process.pid }))
    client.query('afterwards')
    await client.untilReady(3)
    next.send(table({ epoch: 2 }))
    await client.untilClosed()
    expect(client.error()?.['C']).toBe('57P01')
  })

  it('takes a table that comes in pieces and ignores lines that are none', async () => {
    const fake = await agent()
    const router = await start()
    await eventually(() => expect(fake.links()).toBe(1))
    const line = `${JSON.stringify(table())}\n`
    fake.sendText('not json\n{"epoch":"9"}\n[1]\nnull\n')
    fake.sendText(line.slice(0, 20))
    await eventually(() => expect(fake.lines.length).toBeGreaterThan(0))
    fake.sendText(line.slice(20))
    await open(router.ports.primary).untilReady()
  })

  it('does not trust a deadline of another boot', async () => {
    const fake = await agent()
    const router = await start({ holdTimeoutMs: 100 })
    await eventually(() => expect(fake.links()).toBe(1))
    fake.send(table({ bootId: 'another' }))
    const client = open(router.ports.primary)
    await client.untilClosed()
    expect(client.error()?.['D']).toContain('nobody could prove')
  })

  it('asks another member with the token while its agent is gone, and stops asking when it is back', async () => {
    const other = await member(() => table({ bootId: 'another' }))
    const router = await start({ members: [{ name: 'n2', apiUrl: other.url }] })
    await open(router.ports.primary).untilReady()
    expect(other.asked[0]).toBe('/v1/routing Bearer secret-token')
    const fake = await agent()
    await eventually(() => expect(fake.links()).toBe(1))
    const feeding = setInterval(() => fake.send(table()), 50)
    cleanUp.push(() => clearInterval(feeding))
    let before = -1
    let since = 0
    await eventually(() => {
      if (before !== other.asked.length) {
        before = other.asked.length
        since = monotonicMs()
      }
      expect(monotonicMs() - since).toBeGreaterThan(10 * PACE.pollEveryMs)
    })
  })

  it('asks the members that its agent named last', async () => {
    const old = await member(() => 'nonsense')
    const added = await member(() => table({ bootId: 'another' }))
    const router = await start({ members: [{ name: 'n2', apiUrl: old.url }] })
    const fake = await agent()
    await eventually(() => expect(fake.links()).toBe(1))
    fake.send({ kind: 'members', members: [{ name: 'n4', apiUrl: added.url }, { name: 7 }, null] })
    await open(router.ports.primary).untilReady()
    expect(added.asked.length).toBeGreaterThan(0)
  })

  it('goes to the next member when one is silent, down or behind', async () => {
    const behind = await member(() => table({ epoch: 0, bootId: 'another', validForMs: 0 }))
    const broken = await member(() => 'nonsense')
    const good = await member(() => table({ epoch: 3, bootId: 'another' }))
    const members = [
      { name: 'down', apiUrl: 'http://127.0.0.1:1' },
      { name: 'behind', apiUrl: behind.url },
      { name: 'broken', apiUrl: broken.url },
      { name: 'good', apiUrl: good.url },
    ]
    const router = await start({ members })
    const client = open(router.ports.primary)
    await client.untilReady()
    expect(broken.asked.length).toBeGreaterThan(0)
    const seen = good.asked.length
    behind.answer = () => table({ epoch: 2, bootId: 'another' })
    await eventually(() => expect(good.asked.length).toBeGreaterThan(seen + 1))
    expect(client.isClosed()).toBe(false)
  })

  it('counts a member’s validity from before it asked', async () => {
    const slow = await member(() => table({ bootId: 'another', validForMs: 60 }))
    slow.delayMs = 90
    const router = await start({ members: [{ name: 'n2', apiUrl: slow.url }] })
    const client = open(router.ports.primary)
    await eventually(() => expect(slow.asked.length).toBeGreaterThan(1))
    expect(client.bytes()).toHaveLength(0)
    slow.answer = () => table({ bootId: 'another', validForMs: 2000 })
    await client.untilReady()
  })

  it('names the port when it is busy, and keeps none of the others', async () => {
    const router = await start()
    const again = optionsWith({ ports: { primary: 0, replica: 0, pooled: router.ports.replica } })
    const deps = {
      log: silentLogger(),
      clock: { monotonicMs, bootMs },
      onStop: () => {},
      pace: { ...PACE, portRetryMs: 100 },
    }
    await expect(startRouter(again, deps)).rejects.toMatchObject({
      code: 'ROUTER_PORT_BUSY',
      message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${router.ports.replica}.*EADDRINUSE`)),
    })
  })

  it('takes a port over that a predecessor is just closing', async () => {
    const old = await start()
    const taking = start({ ports: old.ports })
    await old.stop()
    expect((await taking).ports).toEqual(old.ports)
  })

  it('passes on that its agent tells it to stop, and stops with a word to every client', async () => {
    const fake = await agent()
    const router = await start()
    await eventually(() => expect(fake.links()).toBe(1))
    fake.send(table())
    const joined = open(router.ports.primary)
    await joined.untilReady()
    const { primary: _left, ...holding } = table()
    fake.send(holding)
    const waiting = open(router.ports.primary)
    await eventually(() =>
      expect(fake.lines.some((line) => JSON.stringify(line).includes('"waiting":1'))).toBe(true),
    )
    fake.send({ kind: 'stop' })
    await eventually(() => expect(stops).toBe(1))
    await router.stop()
    await Promise.all([joined.untilClosed(), waiting.untilClosed()])
    for (const client of [joined, waiting]) expect(client.error()?.['M']).toContain('router is stopping')
  })
})
