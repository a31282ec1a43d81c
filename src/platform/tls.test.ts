import { connect as connectPlain, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, expect, it, vi } from 'vitest'
import { makeCertificate } from '../../test/support/certificates.ts'
import {
  checkCertificate,
  describeTls,
  peerName,
  serverCertificate,
  startTls,
  TlsAcceptor,
  tlsClient,
  type HandshakeOutcome,
} from './tls.ts'

const authority = makeCertificate({ commonName: 'authority' })
const ofServer = makeCertificate({ commonName: 'server', hosts: ['127.0.0.1', 'db.test'], issuer: authority })
const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const
const servers: Server[] = []
const sockets: Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** Listens, reads the first chunk of each connection itself and hands it to the acceptor together with the connection. */
async function listening(acceptor: TlsAcceptor): Promise<{ port: number; outcomes: HandshakeOutcome[] }> {
  const outcomes: HandshakeOutcome[] = []
  const server = createServer({ allowHalfOpen: true }, (raw) => {
    sockets.push(raw)
    raw.on('error', () => {})
    raw.once('data', (first) => {
      raw.pause()
      acceptor.accept(raw, first, (outcome) => outcomes.push(outcome))
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, outcomes }
}

function secureClient(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority.cert, ...options }, () => resolve(socket))
    socket.on('error', reject)
    sockets.push(socket)
  })
}

const plainAcceptor = (): TlsAcceptor =>
  new TlsAcceptor({ ...ofServer, ...versions }, { wantsCertificate: false })

async function first<T>(list: readonly T[]): Promise<T> {
  return vi.waitFor(() => {
    const [one] = list
    if (one === undefined) throw new Error('nothing came')
    return one
  })
}

function secure(outcome: HandshakeOutcome): Extract<HandshakeOutcome, { kind: 'secure' }> {
  if (outcome.kind !== 'secure') throw new Error(outcome.reason)
  return outcome
}

it('speaks TLS on a connection whose first bytes were read already, in both directions', async () => {
  const { port, outcomes } = await listening(plainAcceptor())
  const client = await secureClient(port, { ALPNProtocols: ['postgresql'] })
  const { stream, isNamed } = secure(await first(outcomes))
  expect(isNamed).toBe(true)
  const heard: string[] = []
  stream.on('data', (chunk) => heard.push(String(chunk)))
  client.write('question')
  expect(await first(heard)).toBe('question')
  client.on('data', (chunk) => heard.push(String(chunk)))
  stream.write('answer')
  await vi.waitFor(() => expect(heard).toEqual(['question', 'answer']))
  expect(describeTls(stream)).toMatch(/^TLSv1\.3\/TLS_/)
  expect(serverCertificate(stream, 'server')).toEqual(client.getPeerX509Certificate()?.raw)
})

it('says why a handshake failed, and of a client that leaves that it left', async () => {
  const { port, outcomes } = await listening(plainAcceptor())
  const noise = connectPlain(port, '127.0.0.1', () => noise.write('no handshake at all'))
  noise.on('error', () => {})
  expect(await first(outcomes)).toMatchObject({ kind: 'failed', reason: expect.stringContaining('ERR_SSL') })
  const quitter = connectPlain(port, '127.0.0.1', () => quitter.end(Buffer.from([0x16])))
  await vi.waitFor(() => expect(outcomes[1]).toMatchObject({ kind: 'failed' }))
})

it('believes a client’s certificate only when the authority signed it and it is valid', async () => {
  const acceptor = new TlsAcceptor(
    { ...ofServer, ca: authority.cert, ...versions },
    { wantsCertificate: true },
  )
  const { port, outcomes } = await listening(acceptor)
  const verdict = async (identity: { cert?: string; key?: string }) => {
    const { cert, key } = identity
    await secureClient(port, cert && key ? { cert, key } : {})
    const { stream, distrust } = secure(await first(outcomes))
    outcomes.length = 0
    return { name: peerName(stream), distrust }
  }
  const issued = { commonName: 'app', issuer: authority }
  expect(await verdict(makeCertificate(issued))).toEqual({ name: 'app', distrust: undefined })
  expect(await verdict({})).toEqual({ name: undefined, distrust: 'NO_CERTIFICATE' })
  expect(await verdict(makeCertificate({ ...issued, validForMs: -1000 }))).toEqual({
    name: undefined,
    distrust: 'CERT_HAS_EXPIRED',
  })
  expect((await verdict(makeCertificate({ commonName: 'app' }))).distrust).toMatch(/SELF_SIGNED|ISSUER/)
})

it('resumes no session: who showed no certificate cannot come back as somebody who did', async () => {
  const acceptor = new TlsAcceptor(
    { ...ofServer, ca: authority.cert, ...versions },
    { wantsCertificate: true },
  )
  const { port, outcomes } = await listening(acceptor)
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const sessions: Buffer[] = []
    const one = await secureClient(port, { maxVersion })
    one.on('session', (session) => sessions.push(session))
    const { stream } = secure(await first(outcomes))
    outcomes.length = 0
    stream.end('over')
    one.resume()
    await new Promise((resolve) => one.once('close', resolve))
    const session = sessions.at(-1) ?? one.getSession()
    const again = await secureClient(port, { maxVersion, ...(session ? { session } : {}) })
    expect(again.isSessionReused()).toBe(false)
    expect(secure(await first(outcomes)).distrust).toBe('NO_CERTIFICATE')
    outcomes.length = 0
  }
})

it('takes a new certificate for the handshakes that follow, and keeps the old one when the new is none', async () => {
  const acceptor = plainAcceptor()
  const { port } = await listening(acceptor)
  const renewed = makeCertificate({ commonName: 'renewed', hosts: ['127.0.0.1'], issuer: authority })
  const subject = async () => (await secureClient(port)).getPeerCertificate().subject.CN
  acceptor.replace({ ...renewed, ...versions })
  expect(await subject()).toBe('renewed')
  expect(() => acceptor.replace({ cert: ofServer.cert, key: renewed.key, ...versions })).toThrow(/key/)
  expect(await subject()).toBe('renewed')
})

it('drops what a slow reader has not taken when it is reset', async () => {
  const { port, outcomes } = await listening(plainAcceptor())
  const client = await secureClient(port)
  client.pause()
  const { stream } = secure(await first(outcomes))
  const closed = new Promise((resolve) => stream.once('close', resolve))
  const over = new Promise((resolve) => client.once('close', resolve))
  client.removeAllListeners('error')
  client.on('error', () => {})
  stream.write(Buffer.alloc(16 * 1024 * 1024))
  // The kernels have megabytes by now, the client's process next to nothing.
  await vi.waitFor(() => expect(stream.bytesWritten).toBeGreaterThan(0))
  stream.resetAndDestroy()
  await closed
  let read = 0
  client.on('data', (chunk) => (read += chunk.length))
  client.resume()
  await over
  expect(read).toBeLessThan(1024 * 1024)
})

it('checks a server’s certificate as far as it is told to', async () => {
  const stranger = makeCertificate({ commonName: 'stranger' })
  const { port } = await listening(plainAcceptor())
  const attempt = (ca: string, check: 'nothing' | 'authority' | 'host', host = 'db.test') =>
    new Promise<string>((resolve) => {
      const raw = connectPlain(port, '127.0.0.1', () =>
        startTls(raw, { client: tlsClient({ ca, ...versions }, check), host }, (outcome) => {
          resolve(outcome.kind === 'secure' ? 'secure' : outcome.reason)
        }),
      )
      raw.on('error', () => {})
      sockets.push(raw)
    })
  expect(await attempt(stranger.cert, 'nothing')).toBe('secure')
  expect(await attempt(stranger.cert, 'authority')).toMatch(/certificate/)
  expect(await attempt(authority.cert, 'authority', 'other.test')).toBe('secure')
  expect(await attempt(authority.cert, 'host', 'other.test')).toMatch(/other\.test/)
  expect(await attempt(authority.cert, 'host')).toBe('secure')
  expect(await attempt(authority.cert, 'host', '127.0.0.1')).toBe('secure')
})

it('tells what is wrong with a certificate or its key', () => {
  const other = makeCertificate({ commonName: 'other' })
  expect(checkCertificate(ofServer.cert, ofServer.key).validUntil).toBeGreaterThan(Date.now())
  expect(() => checkCertificate(ofServer.cert, other.key)).toThrow('the key belongs to another certificate')
  expect(() => checkCertificate('none', other.key)).toThrow(/^the certificate cannot be read/)
  expect(() => checkCertificate(ofServer.cert, 'none')).toThrow(/^the key cannot be read/)
})
