import { createClient, type ClientError } from '#client'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import { silentLogger } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createApiServer, type ApiServer } from './server.ts'

let operations: FakeOperations
let server: ApiServer
let url: string

beforeEach(async () => {
  operations = new FakeOperations(sampleView())
  server = await createApiServer(
    { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
    { host: '127.0.0.1', port: 0, token: 'token', routingToken: 'routing' },
  )
  url = `http://127.0.0.1:${(await server.listen()).port}`
})

afterEach(() => server.stop())

it('every method of the client is understood by the server', async () => {
  const client = createClient({ url, token: 'token' })
  expect((await client.view()).record?.holder).toBe('n1')
  expect((await client.epochs()).epochs).toHaveLength(2)
  expect((await client.routing()).primary?.name).toBe('n1')
  expect((await client.recent()).series[0]?.name).toBe('n1')
  expect((await client.recent(2)).events).toEqual([])
  expect((await client.estimate()).survives).toBe(1)
  expect((await client.why()).cluster[0]?.reason).toBe('HOLDS_LEASE')
  expect((await client.doctor()).facts.node).toBe('n1')
  expect((await client.config()).settings).toHaveLength(2)
  expect((await client.log()).lines).toHaveLength(1)
  expect((await client.log(1)).lines).toEqual([])
  expect((await client.patroni()).patroni.scope).toBe('main')
  expect((await client.cluster()).current_master).toBe('n1')
  expect((await client.status()).node_name).toBe('n1')
  expect((await client.history())[0]?.[4]).toBe('n1')
  expect(await client.metrics()).toContain('pg_metako_epoch')
  expect((await client.switchover({ leader: 'n1', candidate: 'n2' })).to).toBe('n2')
  expect((await client.reload()).changed).toEqual(['logging.level'])
  expect(operations.changes).toEqual(['switchover n1 n2', 'reload'])
})

it('every health check that the client knows has an answer', async () => {
  const client = createClient({ url })
  const names = [
    'health',
    'primary',
    'leader',
    'read-write',
    'replica',
    'read-only',
    'liveness',
    'readiness',
  ] as const
  const answers = await Promise.all(names.map(async (name) => [name, (await client.check(name)).healthy]))
  expect(Object.fromEntries(answers)).toEqual({
    health: true,
    primary: true,
    leader: true,
    'read-write': true,
    replica: false,
    'read-only': true,
    liveness: true,
    readiness: true,
  })
  expect((await client.check('replica')).status?.role).toBe('primary')
})

it('a refusal arrives with its code and remedy', async () => {
  const refused = await createClient({ url, token: 'wrong' })
    .reload()
    .catch((error: unknown) => error as ClientError)
  expect(refused).toMatchObject({ kind: 'refused', code: 'API_UNAUTHENTICATED', status: 401 })
})
