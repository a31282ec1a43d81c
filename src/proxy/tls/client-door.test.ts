import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../../test/support/certificates.ts'
import { startFakeBackend, type FakeBackend } from '../../../test/support/fake-backend.ts'
import { connectRaw, eventually, rawOver, type RawClient } from '../../../test/support/raw-client.ts'
import { closed, directTls, negotiatedTls } from '../../../test/support/tls-client.ts'
import { tlsSettings } from '../../../test/support/tls-files.ts'
import type { TlsMode } from '../../model/tls-settings.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { bootMs, monotonicMs } from '../../platform/clock.ts'
import { silentLogger } from '../../platform/log.ts'
import { message } from '../../wire/frame.ts'
import { buildCancelRequest, buildGssRequest, buildSslRequest, buildStartup } from '../../wire/startup.ts'
import { listenOn, type PortListener } from '../frontend/port-listener.ts'
import { newPortCounters } from '../port-counters.ts'
import { Switchboard } from '../router/switchboard.ts'
import { RouterTls } from './router-tls.ts'

const authority = makeCertificate({ commonName: 'authority' })
const ofRouter = makeCertificate({ commonName: 'router', hosts: ['127.0.0.1'], issuer: authority })
const ca = authority.cert
const STARTUP = buildStartup({ user: 'app', database: 'app' })

function routerTls(mode: TlsMode): RouterTls {
  const files: Record<string, string> = { 'r.crt': ofRouter.cert, 'r.key': ofRouter.key, 'ca.crt': ca }
  const client = { mode, certFile: 'r.crt', keyFile: 'r.key', caFile: 'ca.crt' }
  return new RouterTls(tlsSettings({ client }), (path) => files[path] ?? '')
}

describe('a port of the router', () => {
  let backend: FakeBackend
  let listener: PortListener
  let switchboard: Switchboard
  const clients: RawClient[] = []

  beforeEach(async () => {
    backend = await startFakeBackend({ name: 'n1' })
  })
  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.destroy()
    listener.close()
    await switchboard.stop()
    await backend.close()
  })

  async function open(mode: TlsMode, startupTimeoutMs = 10_000): Promise<number> {
    switchboard = new Switchboard(
      { log: silentLogger(), clock: { monotonicMs, bootMs }, onClockJump: () => {} },
      { holdTimeoutMs: 5000, maxClientConnections: 100, startupTimeoutMs, tls: routerTls(mode) },
    )
    const counters = newPortCounters('primary', 0)
    listener = await listenOn({ host: '127.0.0.1', port: 0, retryForMs: 0 }, (socket) =>
      switchboard.accept(socket, counters),
    )
    const primary = { name: 'n1', host: backend.host, port: backend.port }
    offer({ epoch: 1, primary })
    return listener.port
  }

  function offer(table: { epoch: number; primary?: { name: string; host: string; port: number } }): void {
    const validUntil = (monotonicMs() + 60_000) as MonotonicMs
    switchboard.holder.offer({ ...table, replicas: [], validUntil }, 'test')
  }

  function own(client: RawClient): RawClient {
    clients.push(client)
    return client
  }

  it.each(['allow', 'prefer', 'require'] as const)(
    'lets a client in by TLS in mode %s, asked for or direct',
    async (mode) => {
      const port = await open(mode)
      for (const reach of [negotiatedTls, directTls]) {
        const client = own(rawOver(await reach(port, { ca })))
        client.socket.write(STARTUP)
        await client.untilReady()
        client.query('select 1')
        await client.untilReady(2)
        expect(client.types()).toBe('RSKZDCZ')
      }
      expect(backend.sessions.map(({ startup }) => startup)).toEqual([STARTUP, STARTUP])
    },
  )

  it('lets a client in without TLS in modes allow and prefer, and refuses it from require on', async () => {
    const attempt = async (mode: TlsMode): Promise<string | undefined> => {
      const client = own(connectRaw(await open(mode)))
      client.socket.write(STARTUP)
      await eventually(() => expect(client.types()).toMatch(/Z|E/))
      const code = client.error()?.['C']
      listener.close()
      await switchboard.stop()
      return code
    }
    expect(await attempt('allow')).toBeUndefined()
    expect(await attempt('prefer')).toBeUndefined()
    expect(await attempt('require')).toBe('28000')
    expect(await attempt('verify-ca')).toBe('28000')
    expect(await attempt('verify-full')).toBe('28000')
  })

  it('says that there is no TLS where it is off, and goes on without', async () => {
    const port = await open('disable')
    const client = own(connectRaw(port))
    client.socket.write(buildSslRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('N'))
    client.socket.write(STARTUP)
    await eventually(() => expect(backend.sessions.length).toBe(1))
    await expect(directTls(port, { ca })).rejects.toThrow(/wrong version|closed/i)
  })

  it('refuses what was sent unencrypted behind the request for TLS, and passes none of it on', async () => {
    const client = own(connectRaw(await open('allow')))
    client.socket.write(Buffer.concat([buildSslRequest(), STARTUP]))
    await client.untilClosed()
    expect(client.bytes()[0]).toBe('E'.charCodeAt(0))
    expect(client.error()).toMatchObject({ C: '08P01', S: 'FATAL' })
    expect(backend.attempts()).toBe(0)
  })

  it('takes unencrypted bytes that came after its answer for a broken handshake', async () => {
    const client = own(connectRaw(await open('allow')))
    client.socket.write(buildSslRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('S'))
    client.socket.write(STARTUP)
    await client.untilClosed()
    expect(backend.attempts()).toBe(0)
  })

  it('ends a handshake that takes too long, and one that was never begun', async () => {
    const port = await open('require', 300)
    const hesitant = own(connectRaw(port))
    hesitant.socket.write(buildSslRequest())
    const halfway = own(connectRaw(port))
    halfway.socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
    const silent = own(rawOver(await directTls(port, { ca })))
    for (const client of [hesitant, halfway, silent]) await client.untilClosed()
    expect(hesitant.bytes().toString()).toBe('S')
  })

  it('refuses GSSAPI as ever and takes TLS after that', async () => {
    const port = await open('require')
    const socket = connect({ host: '127.0.0.1', port })
    const client = own(rawOver(socket))
    socket.write(buildGssRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('N'))
    socket.write(buildSslRequest())
    await eventually(() => expect(client.bytes().toString()).toBe('NS'))
  })

  it('refuses another request for encryption inside of TLS', async () => {
    const client = own(rawOver(await negotiatedTls(await open('require'), { ca })))
    client.socket.write(buildSslRequest())
    await client.untilClosed()
    expect(client.error()).toMatchObject({ C: '0A000' })
  })

  it('refuses direct TLS that does not name PostgreSQL, and TLS for another protocol', async () => {
    const port = await open('require')
    const unnamed = own(rawOver(await directTls(port, { ca, ALPNProtocols: [] })))
    await unnamed.untilClosed()
    expect(unnamed.error()).toMatchObject({ C: '08P01' })
    await expect(directTls(port, { ca, ALPNProtocols: ['http/1.1'] })).rejects.toThrow(/protocol/i)
    const asked = own(rawOver(await negotiatedTls(port, { ca })))
    asked.socket.write(STARTUP)
    await asked.untilReady()
  })

  it('forwards a cancel request that comes by TLS, and one that comes without where TLS is wanted', async () => {
    const port = await open('require')
    const client = own(rawOver(await negotiatedTls(port, { ca })))
    client.socket.write(STARTUP)
    await client.untilReady()
    const { key } = backend.sessions[0]!
    for (const socket of [await directTls(port, { ca }), connect({ host: '127.0.0.1', port })]) {
      socket.write(buildCancelRequest(key))
      await closed(socket)
    }
    expect(backend.cancels).toEqual([key, key])
  })

  it('believes only certificates that the authority signed, in both verifying modes, and says so', async () => {
    const stranger = makeCertificate({ commonName: 'app' })
    const friend = makeCertificate({ commonName: 'app', issuer: authority })
    for (const mode of ['verify-ca', 'verify-full'] as const) {
      const port = await open(mode)
      for (const identity of [{}, { cert: stranger.cert, key: stranger.key }]) {
        const refused = own(rawOver(await negotiatedTls(port, { ca, ...identity })))
        refused.socket.write(STARTUP)
        await refused.untilClosed()
        expect(refused.error()).toMatchObject({ C: '28000', D: expect.stringMatching(/CERT/) })
      }
      const known = own(rawOver(await negotiatedTls(port, { ca, cert: friend.cert, key: friend.key })))
      known.socket.write(STARTUP)
      await known.untilReady()
      listener.close()
      await switchboard.stop()
    }
  })

  it('still answers a client that has closed its side of the TLS', async () => {
    const client = own(rawOver(await negotiatedTls(await open('require'), { ca })))
    client.socket.write(STARTUP)
    await client.untilReady()
    const answer = backend.onMessage
    backend.onMessage = (type, body, session) => {
      if (type === 'Q') session.socket.once('end', () => answer(type, body, session))
    }
    client.query('select 1')
    client.socket.end()
    await client.untilClosed()
    expect(client.types()).toBe('RSKZDCZ')
  })

  it('tells a client by TLS why its session ends', async () => {
    const client = own(rawOver(await negotiatedTls(await open('require'), { ca })))
    client.socket.write(STARTUP)
    await client.untilReady()
    offer({ epoch: 2 })
    await client.untilClosed()
    expect(client.error()).toMatchObject({ C: '57P01' })
  })

  it('slows a fast backend down to a slow client behind TLS instead of filling memory', async () => {
    const client = own(rawOver(await negotiatedTls(await open('require'), { ca })))
    client.socket.write(STARTUP)
    await client.untilReady()
    const megabyte = message('D', Buffer.alloc(1024 * 1024))
    let written = 0
    let isBlocked = false
    backend.onMessage = (_type, _body, { socket }) => {
      const pour = (): void => {
        for (isBlocked = false; written < 32 && !isBlocked; written += 1) isBlocked = !socket.write(megabyte)
        if (isBlocked) socket.once('drain', pour)
      }
      pour()
    }
    client.socket.pause()
    client.query('select')
    let last = -1
    let since = 0
    await eventually(() => {
      if (written !== last) since = performance.now()
      last = written
      if (!isBlocked || performance.now() - since < 250) throw new Error(`still pouring: ${written} MB`)
    })
    // What is under way sits in kernel buffers (some MB) and in one chunk per socket.
    expect(written).toBeLessThan(28)
    let got = 0
    client.socket.removeAllListeners('data')
    client.socket.on('data', (chunk) => void (got += chunk.length))
    client.socket.resume()
    await eventually(() => expect(got).toBe(32 * megabyte.length), 12_000)
  })
})
