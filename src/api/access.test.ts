import { afterEach, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../test/support/certificates.ts'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import { createHttpExchange, type ClientTls } from '../platform/http-client.ts'
import { silentLogger } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createApiServer, type ApiOptions, type ApiServer } from './server.ts'

const TOKEN = 'right-token'
const authority = makeCertificate({ commonName: 'authority' })
const own = makeCertificate({ commonName: 'node1', hosts: ['127.0.0.1'], issuer: authority })
const operator = makeCertificate({ commonName: 'operator', issuer: authority })
const stranger = makeCertificate({
  commonName: 'operator',
  issuer: makeCertificate({ commonName: 'authority' }),
})
const trusting = { ca: authority.cert }
const knownTo = ({ cert, key }: ClientTls): ClientTls => ({ ...trusting, cert, key })

let server: ApiServer | undefined
let url = ''

async function serve(
  options: Partial<ApiOptions>,
  operations = new FakeOperations(sampleView()),
): Promise<void> {
  server = await createApiServer(
    { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
    { host: '127.0.0.1', port: 0, token: TOKEN, routingToken: 'routing-token', ...options },
  )
  const { port } = await server.listen()
  url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`
}
afterEach(() => server?.stop())

/** The status, with the code of a refusal; `none` where there is no answer at all. */
async function ask(
  method: 'GET' | 'POST',
  path: string,
  tls: ClientTls = {},
  token = TOKEN,
): Promise<string> {
  const headers = { authorization: `Basic ${Buffer.from(`admin:${token}`).toString('base64')}` }
  const request = {
    method,
    url: url + path,
    headers,
    body: undefined,
    signal: AbortSignal.timeout(5000),
    maxBytes: 100_000,
  }
  try {
    const { status, body } = await createHttpExchange(tls)(request)
    const [, code] = /"code":"(\w+)"/.exec(body) ?? []
    return [status, code].filter(Boolean).join(' ')
  } catch {
    return 'none'
  }
}

describe('an allowlist', () => {
  it('lets changes in from its addresses, networks and names, and reads from everywhere', async () => {
    for (const entry of ['127.0.0.1', '127.0.0.0/8', 'localhost']) {
      await serve({ allowlist: { entries: ['192.0.2.1', entry], includeMembers: false } })
      expect(await ask('POST', '/reload'), entry).toBe('202')
      await server?.stop()
    }
    await serve({ allowlist: { entries: ['192.0.2.0/24'], includeMembers: false } })
    expect(await ask('POST', '/reload')).toBe('403 API_ADDRESS_DENIED')
    expect(await ask('POST', '/v1/join')).toBe('403 API_ADDRESS_DENIED')
    expect(await ask('GET', '/patroni')).toBe('200')
    expect(await ask('GET', '/primary')).toBe('200')
  })

  it('is judged before the token, which is needed all the same', async () => {
    await serve({ allowlist: { entries: ['192.0.2.1'], includeMembers: false } })
    expect(await ask('POST', '/reload', {}, 'wrong-token')).toBe('403 API_ADDRESS_DENIED')
    await server?.stop()
    await serve({ allowlist: { entries: ['127.0.0.1'], includeMembers: false } })
    expect(await ask('POST', '/reload', {}, 'wrong-token')).toBe('401 API_UNAUTHENTICATED')
  })

  it('has the members, when it is told to, as they come and go', async () => {
    const operations = new FakeOperations(sampleView())
    await serve({ allowlist: { entries: [], includeMembers: true } }, operations)
    expect(await ask('POST', '/reload')).toBe('403 API_ADDRESS_DENIED')
    const { members } = operations
    const entry = {
      name: 'n5',
      apiHost: '127.0.0.1',
      apiPort: 8008,
      consensus: 'voter',
      reachable: true,
    } as const
    operations.members = () => {
      const document = members.call(operations)
      return { ...document, members: [...document.members, entry] }
    }
    expect(await ask('POST', '/reload')).toBe('202')
  })
})

describe('certificates of clients', () => {
  const tls = { cert: own.cert, key: own.key, ca: authority.cert }

  it('that are required shut everybody out who has none that is sound', async () => {
    await serve({ tls: { ...tls, clients: 'required' } })
    for (const client of [trusting, knownTo(stranger)]) {
      expect(await ask('GET', '/primary', client)).toBe('none')
      expect(await ask('POST', '/reload', client)).toBe('none')
    }
    expect(await ask('GET', '/primary', knownTo(operator))).toBe('200')
    expect(await ask('POST', '/reload', knownTo(operator))).toBe('202')
    expect(await ask('POST', '/reload', knownTo(operator), 'wrong-token')).toBe('401 API_UNAUTHENTICATED')
  })

  it('that are optional are needed for changes alone', async () => {
    await serve({ tls: { ...tls, clients: 'optional' } })
    for (const client of [trusting, knownTo(stranger)]) {
      expect(await ask('GET', '/primary', client)).toBe('200')
      expect(await ask('POST', '/reload', client)).toBe('403 API_CERTIFICATE_REQUIRED')
    }
    expect(await ask('POST', '/reload', knownTo(operator))).toBe('202')
  })

  it('are asked of nobody otherwise', async () => {
    await serve({ tls })
    expect(await ask('POST', '/reload', trusting)).toBe('202')
  })

  it('of the server are not checked by who does not care', async () => {
    await serve({ tls })
    expect(await ask('GET', '/primary')).toBe('none')
    expect(await ask('GET', '/primary', { isInsecure: true })).toBe('200')
  })
})

it('further headers are in every answer, and none of ours is lost', async () => {
  await serve({ extraHeaders: { 'X-Frame-Options': 'DENY', 'Strict-Transport-Security': 'max-age=1' } })
  for (const path of ['/primary', '/no-such-path', '/v1/cluster']) {
    const { headers } = await fetch(url + path)
    expect([
      headers.get('x-frame-options'),
      headers.get('strict-transport-security'),
      headers.get('server'),
    ]).toEqual(['DENY', 'max-age=1', 'pg-metako'])
  }
})
