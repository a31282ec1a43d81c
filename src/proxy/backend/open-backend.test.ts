import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, expect, it } from 'vitest'
import { makeCertificate } from '../../../test/support/certificates.ts'
import { eventually } from '../../../test/support/raw-client.ts'
import { tlsSettings } from '../../../test/support/tls-files.ts'
import type { TlsMode } from '../../model/tls-settings.ts'
import { isTls } from '../../platform/tls.ts'
import { buildSslRequest } from '../../wire/startup.ts'
import { RouterTls } from '../tls/router-tls.ts'
import { openBackend, type OpenOutcome } from './open-backend.ts'

const authority = makeCertificate({ commonName: 'authority' })
const hosts = ['127.0.0.1']
const SILENCE = 'silence'
const servers: Server[] = []
const sockets: Socket[] = []

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** A server that answers a request for TLS with these bytes, and then speaks it when it said `S`. */
async function serving(answer: string, certificate = makeCertificate({ commonName: 'a', hosts })) {
  const heard: Buffer[] = []
  const secure = createTlsServer({ cert: certificate.cert, key: certificate.key })
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', (bytes) => {
      heard.push(bytes)
      if (answer === SILENCE) return
      if (answer === '') return void socket.end()
      socket.pause()
      socket.write(answer)
      if (answer === 'S') secure.emit('connection', socket)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { target: { name: 'n1', host: '127.0.0.1', port }, heard }
}

async function attempt(mode: TlsMode, target: { name: string; host: string; port: number }) {
  const server = { mode, caFile: 'ca.crt' }
  const { forServers } = new RouterTls(tlsSettings({ server }), () => authority.cert)
  const outcome = await new Promise<OpenOutcome>((resolve) => openBackend(target, forServers, resolve))
  if (outcome.kind === 'failed') return outcome.text
  sockets.push(outcome.socket)
  return isTls(outcome.socket) ? 'secure' : 'plain'
}

const UNCERTAIN = ['allow', 'prefer'] as const
const CERTAIN = ['require', 'verify-ca', 'verify-full'] as const

it('sends nothing of its own without TLS', async () => {
  const { target, heard } = await serving('N')
  expect(await attempt('disable', target)).toBe('plain')
  expect(heard).toEqual([])
})

it('goes on without TLS where the server has none, and only where that is allowed', async () => {
  const { target, heard } = await serving('N')
  for (const mode of UNCERTAIN) expect(await attempt(mode, target)).toBe('plain')
  for (const mode of CERTAIN) expect(await attempt(mode, target)).toMatch(/does not speak TLS/)
  expect(heard[0]).toEqual(buildSslRequest())
})

it('speaks TLS where the server has it, and trusts it as far as the mode says', async () => {
  const stranger = await serving('S')
  for (const mode of [...UNCERTAIN, 'require'] as const) {
    expect(await attempt(mode, stranger.target)).toBe('secure')
  }
  expect(await attempt('verify-ca', stranger.target)).toMatch(/^no TLS with it: /)
  const nameless = await serving('S', makeCertificate({ commonName: 'a', issuer: authority }))
  expect(await attempt('verify-ca', nameless.target)).toBe('secure')
  expect(await attempt('verify-full', nameless.target)).toMatch(/127\.0\.0\.1/)
  const named = await serving('S', makeCertificate({ commonName: 'a', hosts, issuer: authority }))
  expect(await attempt('verify-full', named.target)).toBe('secure')
})

it('refuses unencrypted bytes behind the answer, whoever put them there', async () => {
  for (const answer of ['SR\0\0\0\x08\0\0\0\0', 'NR\0\0\0\x08\0\0\0\0']) {
    const { target } = await serving(answer)
    expect(await attempt('prefer', target)).toMatch(/unencrypted bytes/)
  }
})

it('takes an error, an end and a server that is not there for failures', async () => {
  const { target: refusing } = await serving('E')
  expect(await attempt('prefer', refusing)).toMatch(/does not speak TLS/)
  const { target: closing } = await serving('')
  expect(await attempt('prefer', closing)).toMatch(/closed the connection/)
  const { target: gone } = await serving('N')
  servers.pop()?.close()
  expect(await attempt('prefer', gone)).toMatch(/ECONNREFUSED/)
})

it('tells once and not at every attempt why there is no TLS with a server', async () => {
  const { target } = await serving('N')
  const told: string[] = []
  const settings = tlsSettings({ server: { mode: 'require' } })
  const { forServers } = new RouterTls(settings, undefined, (server, reason) =>
    told.push(`${server} ${reason}`),
  )
  for (let attempts = 0; attempts < 3; attempts += 1) {
    await new Promise<OpenOutcome>((resolve) => openBackend(target, forServers, resolve))
  }
  expect(told).toEqual([expect.stringMatching(`^127.0.0.1:${target.port} it does not speak TLS`)])
})

it('ends silently when it is told to, in every phase', async () => {
  const { target, heard } = await serving(SILENCE)
  const { forServers } = new RouterTls(tlsSettings({ server: { mode: 'require' } }), () => '')
  const outcomes: OpenOutcome[] = []
  openBackend(target, forServers, (outcome) => outcomes.push(outcome))()
  const stop = openBackend(target, forServers, (outcome) => outcomes.push(outcome))
  await eventually(() => expect(heard.length).toBeGreaterThan(0))
  stop()
  expect(await attempt('disable', target)).toBe('plain')
  expect(outcomes).toEqual([])
})
