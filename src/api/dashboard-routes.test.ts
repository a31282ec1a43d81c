import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import { silentLogger } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import type { DashboardFile } from './dashboard-routes.ts'
import { createApiServer, type ApiServer } from './server.ts'

const file = (mediaType: string, text: string): DashboardFile => ({
  mediaType,
  body: Buffer.from(text),
  gzip: Buffer.from(text),
  etag: `"${text.length}"`,
})
const files = new Map([
  ['index.html', file('text/html; charset=utf-8', '<!doctype html>page')],
  ['dashboard.js', file('text/javascript; charset=utf-8', 'code')],
])
const PERSON = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

let server: ApiServer
let base: string

async function serve(dashboard?: typeof files): Promise<void> {
  server = await createApiServer(
    {
      operations: new FakeOperations(sampleView()),
      log: silentLogger(),
      metrics: createMetrics({ ofProcess: false }),
      ...(dashboard ? { dashboard } : {}),
    },
    { host: '127.0.0.1', port: 0, token: 'token', routingToken: 'routing' },
  )
  base = `http://127.0.0.1:${(await server.listen()).port}`
}

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(base + path, { headers: { 'accept-encoding': 'identity', ...headers }, redirect: 'manual' })

afterEach(() => server.stop())

describe('the dashboard', () => {
  beforeEach(() => serve(files))

  it('is where a browser is led that opens the port', async () => {
    const led = await get('/', PERSON)
    expect([led.status, led.headers.get('location'), led.headers.get('vary')]).toEqual([
      302,
      '/dashboard/',
      'accept',
    ])
    const slash = await get('/dashboard', PERSON)
    expect([slash.status, slash.headers.get('location')]).toEqual([308, '/dashboard/'])
    const page = await get('/dashboard/', PERSON)
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await page.text()).toBe('<!doctype html>page')
  })

  it('leaves "/" a health check to whoever is no browser', async () => {
    for (const headers of [{}, { accept: '*/*' }, { accept: 'application/json' }]) {
      const answer = await get('/', headers)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toMatchObject({ role: 'primary' })
    }
    for (const method of ['HEAD', 'OPTIONS'])
      expect((await fetch(`${base}/`, { method, headers: PERSON, redirect: 'manual' })).status, method).toBe(
        200,
      )
  })

  it('lets nothing in from elsewhere, and nobody put it in a frame', async () => {
    const policy = (await get('/dashboard/')).headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'self';/)
    for (const part of [
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "object-src 'none'",
    ])
      expect(policy).toContain(part)
    expect(policy).not.toMatch(/unsafe|https?:|\*/)
    const { headers } = await get('/dashboard/dashboard.js')
    expect(headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('is sent again only when it has changed', async () => {
    const first = await get('/dashboard/dashboard.js')
    const etag = first.headers.get('etag') ?? ''
    expect(first.headers.get('cache-control')).toBe('no-cache')
    const again = await get('/dashboard/dashboard.js', { 'if-none-match': etag })
    expect([again.status, await again.text()]).toEqual([304, ''])
    expect((await get('/dashboard/dashboard.js', { 'if-none-match': '"old"' })).status).toBe(200)
  })

  it('has no other files', async () => {
    for (const path of [
      '/dashboard/nothing.js',
      '/dashboard/..%2f..%2fetc%2fpasswd',
      '/dashboard/index.html/x',
    ])
      expect((await get(path, PERSON)).status, path).toBe(404)
  })
})

it('is not served where it was not built, and "/" is what it was', async () => {
  await serve()
  expect((await get('/', PERSON)).status).toBe(200)
  expect((await get('/dashboard/', PERSON)).status).toBe(404)
})
