import { createServer as createPlain, type RequestListener, type Server } from 'node:http'
import { createServer as createTls } from 'node:https'
import { createServer as createTcp, type AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { testCertificate, testKey } from '../../test/support/tls-fixture.ts'
import { HttpConnections, type HttpFailure } from './http-connections.ts'

const open: { close(): void }[] = []

afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

async function serve(listener: RequestListener, tls?: { mutual: boolean }): Promise<string> {
  const secure = { key: testKey, cert: testCertificate, ca: testCertificate }
  const server: Server = tls
    ? createTls({ ...secure, requestCert: tls.mutual, rejectUnauthorized: tls.mutual }, listener)
    : createPlain(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

function connections(
  options: Partial<ConstructorParameters<typeof HttpConnections>[0]> = {},
): HttpConnections {
  const made = new HttpConnections({ connectMs: 2000, ...options })
  open.push(made)
  return made
}

const post = (url: string) => ({ url, headers: {}, body: '{}' })
const within = (ms = 5000, maxBytes = 1000) => ({ signal: AbortSignal.timeout(ms), maxBytes })

async function failureOf(promise: Promise<unknown>): Promise<HttpFailure> {
  return promise.then(
    () => expect.unreachable('the exchange succeeded'),
    (error: unknown) => error as HttpFailure,
  )
}

it('uses one connection for one request after another', async () => {
  const ports = new Set<number | undefined>()
  const url = await serve((request, response) => {
    ports.add(request.socket.remotePort)
    response.end(request.headers['content-length'])
  })
  const http = connections()
  for (let count = 0; count < 3; count += 1) {
    expect(await http.exchange(post(url), within())).toEqual({ status: 200, body: '2' })
  }
  expect(ports.size).toBe(1)
})

it('says of a request that nobody could receive that it was not sent', async () => {
  const server = createTcp()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const failure = await failureOf(connections().exchange(post(`http://127.0.0.1:${port}/`), within()))
  expect(failure).toMatchObject({ name: 'HttpFailure', wasSent: false })
  const untrusted = await serve((_request, response) => response.end(), { mutual: false })
  expect(await failureOf(connections().exchange(post(untrusted), within()))).toMatchObject({ wasSent: false })
})

it('gives a connection that does not come about up in its own time, not sent', async () => {
  // Takes the connection and never answers the TLS handshake.
  const mute = createTcp(() => undefined)
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  open.push(mute)
  const { port } = mute.address() as AddressInfo
  const http = connections({ connectMs: 50 })
  expect(await failureOf(http.exchange(post(`https://127.0.0.1:${port}/`), within()))).toMatchObject({
    wasSent: false,
    message: expect.stringContaining('no connection within 50 ms'),
  })
})

it('says of a request whose answer did not come that it may have arrived', async () => {
  const silent = await serve(() => undefined)
  expect(await failureOf(connections().exchange(post(silent), within(50)))).toMatchObject({ wasSent: true })
  const broken = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half')
    setImmediate(() => response.destroy())
  })
  expect(await failureOf(connections().exchange(post(broken), within()))).toMatchObject({ wasSent: true })
})

it('sends nothing a second time when a kept connection was closed', async () => {
  let requests = 0
  const url = await serve((request, response) => {
    requests += 1
    if (requests === 1) response.end('first')
    else request.socket.destroy()
  })
  const http = connections()
  await http.exchange(post(url), within())
  expect(await failureOf(http.exchange(post(url), within()))).toMatchObject({ wasSent: true })
  expect(requests).toBe(2)
})

it('stops reading where the caller has enough', async () => {
  const url = await serve((_request, response) => response.end('x'.repeat(5000)))
  const failure = await failureOf(connections().exchange(post(url), within()))
  expect(failure.message).toContain('more than 1000 bytes')
})

it('shows its own certificate to a server that wants one, and trusts the given authority', async () => {
  const url = await serve((_request, response) => response.end('in'), { mutual: true })
  const anonymous = connections({ tls: { ca: testCertificate } })
  await failureOf(anonymous.exchange(post(url), within()))
  const known = connections({ tls: { ca: testCertificate, cert: testCertificate, key: testKey } })
  expect((await known.exchange(post(url), within())).body).toBe('in')
})

it('gives a long answer as it comes and tells its end once', async () => {
  let finish: () => void = () => {}
  const url = await serve((_request, response) => {
    response.write('one ')
    finish = () => response.end('two')
  })
  const seen: string[] = []
  const ends: HttpFailure[] = []
  connections().stream(post(url), {
    signal: AbortSignal.timeout(5000),
    onText: (text) => seen.push(text),
    onEnd: (failure) => ends.push(failure),
  })
  await eventually('the first part', () => seen.length > 0)
  expect([seen, ends]).toEqual([['one '], []])
  finish()
  await eventually('the end', () => ends.length > 0)
  expect([seen.join(''), ends.length]).toEqual(['one two', 1])
})

it('ends a long answer when its caller wants to', async () => {
  let closed = false
  const url = await serve((_request, response) => {
    response.on('close', () => {
      closed = true
    })
    response.write('one')
  })
  const abort = new AbortController()
  const ends: HttpFailure[] = []
  connections().stream(post(url), {
    signal: abort.signal,
    onText: () => abort.abort(),
    onEnd: (failure) => ends.push(failure),
  })
  await eventually('the end on both sides', () => closed && ends.length > 0)
  expect(ends).toHaveLength(1)
})
