import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import { silentLogger } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createApiServer, type ApiServer } from './server.ts'

const bearer = { authorization: 'Bearer token' }

let server: ApiServer
let base: string

beforeEach(async () => {
  server = await createApiServer(
    {
      operations: new FakeOperations(sampleView()),
      log: silentLogger(),
      metrics: createMetrics({ ofProcess: false }),
    },
    { host: '127.0.0.1', port: 0, token: 'token', routingToken: 'routing' },
  )
  base = `http://127.0.0.1:${(await server.listen()).port}`
})

afterEach(() => server.stop())

const get = (path: string, headers: Record<string, string> = {}) => fetch(base + path, { headers })

it('lately and next are open', async () => {
  expect(await (await get('/v1/recent')).json()).toMatchObject({
    next: 2,
    events: [{ text: 'n2 is heard again' }],
  })
  expect(await (await get('/v1/recent?after=2')).json()).toMatchObject({ events: [] })
  expect(await (await get('/v1/estimate')).json()).toMatchObject({ crashMs: 180, lossBytes: 0 })
})

it('configuration and log are for who has the token', async () => {
  for (const path of ['/v1/config', '/v1/log']) {
    expect((await get(path)).status, path).toBe(401)
    expect((await get(path, { authorization: 'Bearer routing' })).status, path).toBe(401)
    expect((await get(path, bearer)).headers.get('cache-control'), path).toBe('no-store')
  }
  expect(await (await get('/v1/config', bearer)).json()).toMatchObject({ node: 'n1' })
  expect(await (await get('/v1/log', bearer)).json()).toMatchObject({
    lines: [expect.stringContaining('Promoted')],
  })
  expect(await (await get('/v1/log?after=1', bearer)).json()).toMatchObject({ next: 1, lines: [] })
})

it('a number that is none is refused', async () => {
  for (const after of ['', 'x', '-1', '1&after=2']) {
    const answer = await get(`/v1/recent?after=${after}`)
    expect([answer.status, ((await answer.json()) as { code: string }).code], after).toEqual([
      400,
      'API_QUERY_INVALID',
    ])
  }
})
