import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import { sampleMember, sampleView } from '../../test/support/sample-view.ts'
import { testCertificate, testKey } from '../../test/support/tls-fixture.ts'
import { silentLogger } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { createHttpExchange } from '../platform/http-client.ts'
import { readFileSync } from '../platform/disk.ts'
import { connect, connectTls, type Duplex } from '../platform/net.ts'
import { Fault } from '../std/fault.ts'
import { createApiServer, type ApiServer } from './server.ts'

const TOKEN = 'right-token'
const ROUTING_TOKEN = 'routing-token'

let operations: FakeOperations
let server: ApiServer
let base: string

beforeEach(async () => {
  operations = new FakeOperations(sampleView())
  server = await createApiServer(
    { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
    {
      host: '127.0.0.1',
      port: 0,
      token: TOKEN,
      routingToken: ROUTING_TOKEN,
      limits: { requestTimeoutMs: 400, headersTimeoutMs: 200, checkEveryMs: 50 },
    },
  )
  const { port } = await server.listen()
  base = `http://127.0.0.1:${port}`
})

afterEach(() => server.stop())

const bearer = { authorization: `Bearer ${TOKEN}` }
const get = (path: string, init: RequestInit = {}) => fetch(base + path, init)
const post = (path: string, body: string, headers: Record<string, string> = bearer) =>
  fetch(base + path, { method: 'POST', body, headers })

async function problem(
  response: Response,
): Promise<{ status: number; code: string; detail: string; remedy?: string }> {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  return (await response.json()) as never
}

/** Sends raw bytes and returns everything that comes back until the server closes. */
function exchange(bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(base).port) })
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(answer) : reject(error),
    )
    socket.write(bytes)
  })
}

describe('health checks', () => {
  it('answer 200 on the primary and 503 on a standby, for GET, HEAD and OPTIONS alike', async () => {
    for (const path of ['/', '/primary', '/master', '/leader', '/read-write'])
      for (const method of ['GET', 'HEAD', 'OPTIONS']) {
        operations.current = sampleView()
        expect((await get(path, { method })).status, `${method} ${path}`).toBe(200)
        operations.current = sampleView({ self: 'n2' })
        expect((await get(path, { method })).status, `${method} ${path}`).toBe(503)
      }
  })

  it('answer HAProxy, which asks in HTTP/1.0 and without a host', async () => {
    expect(await exchange('OPTIONS / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    operations.current = sampleView({ leaseRemainingMs: 0 })
    expect(await exchange('OPTIONS /primary HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 503 /)
  })

  it("give the status in Patroni's words as the body", async () => {
    operations.current = sampleView({ self: 'n2' })
    const status = await (await get('/replica')).json()
    expect(status).toMatchObject({
      state: 'running',
      role: 'replica',
      server_version: 180004,
      replication_state: 'streaming',
      postmaster_start_time: '2026-05-04 02:00:00.500000+00:00',
      xlog: { received_location: 0x5000000, replayed_location: 0x5000000, paused: false },
      patroni: { version: '0.1.0', scope: 'main', name: 'n2' },
    })
  })

  it('refuse a lag that they cannot read instead of ignoring it', async () => {
    expect((await problem(await get('/replica?lag=lots'))).code).toBe('API_QUERY_INVALID')
    expect((await problem(await get('/replica?lag=1&lag=2'))).status).toBe(400)
  })

  it('let /health say whether PostgreSQL runs', async () => {
    expect((await get('/health')).status).toBe(200)
    operations.current = sampleView({ members: [sampleMember('n1', { instance: { state: 'crashed' } })] })
    expect((await get('/health')).status).toBe(503)
    expect((await get('/patroni')).status).toBe(200)
  })

  it('let /liveness say whether the HA loop turns', async () => {
    expect((await get('/liveness')).status).toBe(200)
    operations.loopAge = 60_000
    expect((await get('/liveness')).status).toBe(503)
  })
})

describe('documents', () => {
  it("/cluster is Patroni's object and the coordination API's in one", async () => {
    const cluster = await (await get('/cluster')).json()
    expect(cluster).toMatchObject({
      scope: 'main',
      current_master: 'n1',
      last_update: '2026-05-04T03:02:01.000Z',
      nodes: {
        n2: {
          node_name: 'n2',
          is_healthy: true,
          role: 'slave',
          local_db_healthy: true,
          api_version: '1.0.0',
        },
      },
      members: [
        {
          name: 'n1',
          role: 'leader',
          state: 'running',
          api_url: 'http://10.0.0.1:8008/patroni',
          timeline: 2,
        },
        { name: 'n2', role: 'replica', state: 'streaming', lag: 0, lsn: '0/5000000' },
        { name: 'n3', role: 'replica', replay_lag: 256, replay_lsn: '0/4FFFF00' },
      ],
    })
  })

  it("/status is this node in the coordination API's words", async () => {
    expect(await (await get('/status')).json()).toEqual({
      node_name: 'n1',
      is_healthy: true,
      role: 'master',
      last_heartbeat: '2026-05-04T03:02:00.960Z',
      local_db_healthy: true,
      api_version: '1.0.0',
    })
  })

  it('/history lists the timelines that ended, /v1/history how each right was taken', async () => {
    expect(await (await get('/history')).json()).toEqual([
      [1, 0x3000148, 'PRIMARY_CRASHED', '2026-05-04T02:00:00.000Z', 'n1'],
    ])
    expect(await (await get('/v1/history')).json()).toMatchObject({
      epochs: [
        { epoch: 1, takeover: 'bootstrap' },
        { epoch: 2, takeover: 'lease', reason: 'PRIMARY_CRASHED' },
      ],
      losses: [],
      failovers: [
        { epoch: 2, steps: [{ atMs: 0, step: 'noticed' }, { step: 'begun' }, { atMs: 160, step: 'open' }] },
      ],
    })
  })

  it('/v1/cluster is the whole view', async () => {
    expect(await (await get('/v1/cluster')).json()).toEqual(JSON.parse(JSON.stringify(operations.current)))
  })

  it("/metrics has Patroni's names and ours", async () => {
    const response = await get('/metrics')
    const page = await response.text()
    expect(response.headers.get('content-type')).toContain('text/plain')
    for (const line of [
      'patroni_primary{scope="main",name="n1"} 1',
      'patroni_xlog_location{scope="main",name="n1"} 83886080',
      'pg_metako_epoch{scope="main",name="n1"} 2',
      'pg_metako_lease_remaining_seconds{scope="main",name="n1"} 2.4',
      'pg_metako_raft_term{scope="main",name="n1"} 5',
      'pg_metako_has_quorum{scope="main",name="n1"} 1',
      'pg_metako_failovers_total{scope="main",name="n1",reason="PRIMARY_CRASHED"} 1',
      'pg_metako_failovers_total{scope="main",name="n1",reason="LEASE_EXPIRED"} 0',
      'pg_metako_lost_transactions_total{scope="main",name="n1"} 0',
      'pg_metako_router_queries_total{scope="main",name="n1",port="replica"} 20',
      'pg_metako_statement_duration_seconds_bucket{scope="main",name="n1",database="app",user="me",le="0.00025"} 3',
      'pg_metako_statement_duration_seconds_bucket{scope="main",name="n1",database="app",user="me",le="0.001"} 5',
      'pg_metako_statement_duration_seconds_bucket{scope="main",name="n1",database="app",user="me",le="65.536"} 5',
      'pg_metako_statement_duration_seconds_bucket{scope="main",name="n1",database="app",user="me",le="+Inf"} 6',
      'pg_metako_statement_duration_seconds_sum{scope="main",name="n1",database="app",user="me"} 1.5',
      'pg_metako_statement_duration_seconds_count{scope="main",name="n1",database="app",user="me"} 6',
    ])
      expect(page).toContain(line)
  })
})

describe('access', () => {
  const wrong: Readonly<Record<string, Record<string, string>>> = {
    none: {},
    'a wrong token': { authorization: 'Bearer wrong' },
    'the routing token': { authorization: `Bearer ${ROUTING_TOKEN}` },
    'an empty token': { authorization: 'Bearer ' },
    'an empty password': { authorization: `Basic ${Buffer.from('admin:').toString('base64')}` },
    'an unknown scheme': { authorization: `Token ${TOKEN}` },
    'the token as user': { authorization: `Basic ${Buffer.from(`${TOKEN}:x`).toString('base64')}` },
  }

  it('no request without the token changes anything, on any route', async () => {
    const unsafe = server.routes.filter((route) => !['GET', 'HEAD', 'OPTIONS'].includes(route.method))
    expect(unsafe.map((route) => route.path).toSorted()).toEqual(
      [
        '/reload',
        '/switchover',
        '/switchover',
        '/failover',
        '/restart',
        '/failsafe',
        '/citus',
        '/mpp',
        '/config',
        '/config',
        '/v1/join',
        '/v1/members',
        '/reinitialize',
        '/v1/members/:name',
        '/v1/members/:name/reinit',
        '/v1/members/:name/confirm-down',
        '/v1/members/:name/hold',
        '/v1/members/:name/hold',
        '/v1/members/:name/restart',
        '/restart',
        '/v1/reload',
        '/v1/router/restart',
        '/v1/switchover',
      ].toSorted(),
    )
    // What is asked there proves an invitation, which is the operation's to judge.
    const guarded = unsafe.filter(({ path }) => path !== '/v1/join')
    for (const { method, path } of guarded)
      for (const [name, headers] of Object.entries(wrong)) {
        const response = await get(path, { method, headers, body: '{}' })
        expect(response.status, `${method} ${path} with ${name}`).toBe(401)
        expect(response.headers.get('www-authenticate')).toContain('Bearer')
        expect(await response.text()).not.toContain(TOKEN)
      }
    expect(operations.changes).toEqual([])
  })

  it('every method that is not a read needs the token, also where no route is', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const path of ['/cluster', '/nowhere', '//switchover', '/switchover/'])
        expect((await get(path, { method })).status, `${method} ${path}`).toBe(401)
    for (const line of ['TRACE / HTTP/1.1', 'PROPFIND /switchover HTTP/1.1'])
      expect(await exchange(`${line}\r\nhost: a\r\nconnection: close\r\n\r\n`)).toMatch(
        /^HTTP\/1\.1 40[0145] /,
      )
    expect(operations.changes).toEqual([])
  })

  it('takes the token as Bearer and as a Basic password', async () => {
    expect((await post('/v1/reload', '')).status).toBe(200)
    const basic = Buffer.from(`anyone:${TOKEN}`).toString('base64')
    expect((await post('/reload', '', { authorization: `Basic ${basic}` })).status).toBe(202)
    expect(operations.changes).toEqual(['reload', 'reload'])
  })

  it('restarts the router of this node, and says why not', async () => {
    const answer = await post('/v1/router/restart', '')
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({ node: 'n1', router: 12, retiring: 11, drainTimeoutMs: 300_000 })
    operations.routerOutcome = {
      kind: 'refused',
      reason: 'FAILED',
      message: 'The next router could not begin',
    }
    const refusal = await post('/v1/router/restart', '')
    expect(refusal.status).toBe(409)
    expect(await refusal.json()).toMatchObject({
      code: 'ROUTER_RESTART_REFUSED',
      detail: 'The next router could not begin',
    })
    expect(operations.changes).toEqual(['restart router', 'restart router'])
  })

  it('takes no change from a page of another origin, whatever the browser remembers', async () => {
    const response = await post('/reload', '', { ...bearer, origin: 'http://evil.example' })
    expect((await problem(response)).code).toBe('API_CROSS_ORIGIN')
    expect((await post('/reload', '', { ...bearer, origin: base })).status).toBe(202)
    expect(operations.changes).toEqual(['reload'])
  })

  it('shows the routing table to routers only', async () => {
    expect((await get('/v1/routing')).status).toBe(401)
    expect((await get('/v1/routing', { method: 'HEAD' })).status).toBe(401)
    for (const token of [TOKEN, ROUTING_TOKEN]) {
      const response = await get('/v1/routing', { headers: { authorization: `Bearer ${token}` } })
      expect(await response.json()).toMatchObject({ epoch: 2, validForMs: 900 })
    }
  })
})

describe('members', () => {
  const order = {
    invitation: '0123456789abcdef',
    nonce: 'a'.repeat(32),
    incarnation: 'b'.repeat(32),
    proof: 'c'.repeat(64),
  }
  const remove = (path: string) => get(path, { method: 'DELETE', headers: bearer })

  it('are listed for everybody and changed with the token', async () => {
    expect(await (await get('/v1/members')).json()).toMatchObject({ self: 'n1', isRegistered: true })
    const invited = await post('/v1/members', '{"name":"n4","apiHost":"10.0.0.4"}')
    expect([invited.status, invited.headers.get('cache-control')]).toEqual([201, 'no-store'])
    expect(await invited.json()).toMatchObject({ token: '0123456789abcdef.secret' })
    expect(await (await remove('/v1/members/n3')).json()).toMatchObject({ remaining: ['n1', 'n2'] })
    expect(operations.changes).toEqual(['invite n4 10.0.0.4:8008', 'remove n3'])
  })

  it.each([
    ['{"apiHost":"10.0.0.4"}', 'name'],
    ['{"name":"n 4","apiHost":"10.0.0.4"}', 'name'],
    ['{"name":"n4"}', 'apiHost'],
    ['{"name":"n4","apiHost":"0.0.0.0"}', 'apiHost'],
    ['{"name":"n4","apiHost":"10.0.0.4","apiPort":70000}', 'apiPort'],
    ['{"name":"n4","apiHost":"10.0.0.4","port":8009}', 'port'],
    ['[]', 'object'],
  ])('cannot be invited with %s', async (body, what) => {
    const answer = await problem(await post('/v1/members', body))
    expect(answer).toMatchObject({ code: 'API_BODY_INVALID', detail: expect.stringContaining(what) })
    expect(operations.changes).toEqual([])
  })

  it('say as a problem why they are not changed, and what to do', async () => {
    operations.removeOutcome = {
      kind: 'refused',
      reason: 'IS_PRIMARY',
      message: '"n1" is the primary',
      remedy: 'First: pg-metako switchover',
    }
    expect(await problem(await remove('/v1/members/n1'))).toMatchObject({
      status: 409,
      code: 'MEMBER_IS_PRIMARY',
      remedy: 'First: pg-metako switchover',
    })
    operations.inviteOutcome = { kind: 'refused', reason: 'EXISTS', message: '"n2" is a member' }
    const answer = await problem(await post('/v1/members', '{"name":"n2","apiHost":"10.0.0.2"}'))
    expect(answer).toMatchObject({ code: 'MEMBER_EXISTS', remedy: expect.stringContaining('member remove') })
  })

  it('are cloned anew when somebody with the token says so, but for the primary', async () => {
    const asked = await post('/v1/members/n2/reinit', '{}')
    expect([asked.status, await asked.json()]).toEqual([202, { name: 'n2', from: 'n1' }])
    expect(await (await post('/reinitialize', '{"force":true}')).text()).toBe('reinitialize started')
    expect(operations.changes).toEqual(['reinit n2', 'reinit n1'])
    operations.reinitOutcome = { kind: 'refused', reason: 'IS_PRIMARY', message: '"n1" is the primary' }
    expect(await problem(await post('/v1/members/n1/reinit', '{}'))).toMatchObject({
      status: 409,
      code: 'MEMBER_IS_PRIMARY',
    })
  })

  it('are confirmed to be down by somebody with the token, where the others wait for that', async () => {
    const confirmed = await post('/v1/members/n1/confirm-down', '{}')
    expect([confirmed.status, await confirmed.json()]).toEqual([200, { name: 'n1', epoch: 2 }])
    operations.confirmDownOutcome = { kind: 'refused', reason: 'NOT_AWAITED', message: 'Nobody waits' }
    expect(await problem(await post('/v1/members/n1/confirm-down', '{}'))).toMatchObject({
      status: 409,
      code: 'MEMBER_NOT_AWAITED',
    })
    expect(operations.changes).toEqual(['confirm-down n1', 'confirm-down n1'])
  })

  it('are paused, shown so, and resumed in the words that Patroni has for it', async () => {
    const change = (method: string, body: unknown) =>
      get('/config', { method, headers: bearer, body: JSON.stringify(body) })
    expect(await (await get('/config')).json()).toEqual({})
    expect(await (await change('PATCH', { pause: true })).json()).toEqual({ pause: true })
    for (const path of ['/cluster', '/patroni'])
      expect(await (await get(path)).json(), path).toMatchObject({ pause: true })
    expect(await (await change('PATCH', { pause: null })).json()).toEqual({})
    expect(await (await get('/cluster')).json()).not.toHaveProperty('pause')
    expect(await (await change('PUT', { pause: false })).json()).toEqual({ pause: false })
  })

  it('have their PostgreSQL restarted, this node in the words that Patroni has for it', async () => {
    const asked = await post('/v1/members/n2/restart', '{"role": "replica", "timeout": 5}')
    expect([asked.status, await asked.json()]).toEqual([200, { name: 'n2', tookMs: 412 }])
    expect(await (await post('/restart', '')).text()).toBe('restarted successfully')
    await post('/restart', '{"restart_pending": true, "postgres_version": "18.4", "role": "master"}')
    expect(operations.changes).toEqual([
      'restart n2 {"role":"standby"}',
      'restart n1 {}',
      'restart n1 {"onlyPending":true,"version":180004,"role":"primary"}',
    ])
    operations.restartOutcome = { kind: 'refused', reason: 'NOT_MEANT', message: 'it is a standby' }
    const refused = await post('/restart', '{"role": "primary"}')
    expect([refused.status, await refused.text()]).toEqual([503, 'restart conditions are not satisfied'])
    expect(await problem(await post('/v1/members/n2/restart', '{}'))).toMatchObject({
      status: 412,
      code: 'RESTART_NOT_MEANT',
    })
  })

  it.each([
    ['{"rol": "primary"}', 'unknown field "rol"'],
    ['{"role": "leader"}', 'wanted primary or replica'],
    ['{"postgres_version": "18"}', 'such as "18.4"'],
    ['{"timeout": -1}', 'wanted seconds'],
    ['{"restart_pending": "yes"}', 'true or false'],
    ['{"schedule": "2030-01-01T00:00:00Z"}', 'Cannot schedule a restart here'],
    ['[]', 'JSON object'],
  ])('are not restarted under a condition that nobody understands: %s', async (body, why) => {
    const refused = await problem(await post('/v1/members/n2/restart', body))
    expect([refused.status, refused.detail.includes(why)]).toEqual([400, true])
    expect(operations.changes).toEqual([])
  })

  it('get no settings that are none, all or nothing, and hear which and why', async () => {
    const patch = (body: string) => get('/config', { method: 'PATCH', headers: bearer, body })
    const refused = await problem(await patch('{"pause": "yes", "tll": 30}'))
    expect(refused).toMatchObject({ status: 400, code: 'CONFIG_REFUSED' })
    expect(refused.detail).toContain('"pause" must be true or false, not "yes"')
    expect(await problem(await patch('[true]'))).toMatchObject({ status: 400, code: 'API_BODY_INVALID' })
    expect([operations.settings, operations.changes]).toEqual([{}, []])
  })

  it('join without the token of the API: the body proves an invitation', async () => {
    const join = (body: unknown) => post('/v1/join', JSON.stringify(body), {})
    expect(await (await join(order)).json()).toEqual({ nonce: 'aa', sealed: 'bb' })
    for (const kind of ['not-invited', 'used', 'expired'] as const) {
      operations.joinOutcome = { kind }
      expect((await problem(await join(order))).status, kind).toBe(403)
    }
    expect((await problem(await join({ ...order, proof: 'x' }))).code).toBe('API_BODY_INVALID')
    expect((await problem(await join({ ...order, more: 'x'.repeat(3000) }))).status).toBe(413)
    expect((await get('/v1/join', { method: 'PUT', body: '{}' })).status).toBe(401)
  })

  it('join at a bounded rate: trying costs the cluster nothing', async () => {
    operations.joinOutcome = { kind: 'not-invited' }
    const codes: string[] = []
    for (let ask = 0; ask < 25; ask += 1) {
      codes.push((await problem(await post('/v1/join', JSON.stringify(order), {}))).code)
    }
    expect(codes.filter((code) => code === 'JOIN_NOT_INVITED')).toHaveLength(20)
    expect(codes.at(-1)).toBe('API_TOO_MANY_JOINS')
    expect(operations.changes).toHaveLength(20)
  })
})

describe('switchover', () => {
  it('hands the names on and tells what happened', async () => {
    const response = await post('/v1/switchover', '{"leader":"n1","candidate":"n2"}')
    expect(await response.json()).toEqual({ from: 'n1', to: 'n2', epoch: 3, tookMs: 90 })
    expect(operations.changes).toEqual(['switchover n1 n2'])
  })

  it("speaks Patroni's sentences on Patroni's route, also to curl, which calls JSON a form", async () => {
    const headers = { ...bearer, 'content-type': 'application/x-www-form-urlencoded' }
    const response = await post('/switchover', '{"leader":"n1","member":"n2","scheduled_at":null}', headers)
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('Successfully switched over to "n2"')
    operations.outcome = { kind: 'refused', reason: 'NO_ELIGIBLE_CANDIDATE', message: 'no good candidates' }
    const refused = await post('/switchover', '')
    expect([refused.status, await refused.text()]).toEqual([412, 'no good candidates'])
  })

  it('answers a refusal, a failure and an unknown outcome as problems that say what to do', async () => {
    operations.outcome = { kind: 'refused', reason: 'CANDIDATE_UNKNOWN', message: 'Cannot x', remedy: 'Do y' }
    expect(await problem(await post('/v1/switchover', '{}'))).toMatchObject({
      status: 412,
      code: 'SWITCHOVER_CANDIDATE_UNKNOWN',
      remedy: 'Do y',
    })
    operations.outcome = { kind: 'failed', message: 'n2 did not come up' }
    expect(await problem(await post('/v1/switchover', '{}'))).toMatchObject({
      status: 503,
      code: 'SWITCHOVER_FAILED',
    })
    operations.outcome = { kind: 'unknown', message: 'no answer within 30 s' }
    expect((await problem(await post('/v1/switchover', '{}'))).code).toBe('SWITCHOVER_OUTCOME_UNKNOWN')
  })

  it('never takes a misspelt candidate for "anyone"', async () => {
    const answer = await problem(await post('/v1/switchover', '{"canidate":"n2"}'))
    expect(answer).toMatchObject({ code: 'API_BODY_INVALID', remedy: 'Did you mean "candidate"?' })
    for (const body of [
      '[]',
      '"n2"',
      '7',
      '{"candidate":5}',
      '{"candidate":{}}',
      '{"__proto__":{"candidate":"n2"}}',
      '{"constructor":"n2"}',
      '{"scheduled_at":"2026-01-01T00:00:00Z"}',
      `{"candidate":"${'x'.repeat(200)}"}`,
    ])
      expect((await problem(await post('/v1/switchover', body))).status, body).toBe(400)
    expect(operations.changes).toEqual([])
  })
})

describe('a bad request', () => {
  it('that is not JSON gets a code', async () => {
    for (const body of ['{', 'candidate=n2', '{"a":1}}', '\u0000'])
      expect((await problem(await post('/v1/switchover', body))).code).toBe('API_BODY_NOT_JSON')
  })

  it('that is too large is refused before it is read', async () => {
    const answer = await problem(await post('/v1/switchover', `{"candidate":"${'x'.repeat(70_000)}"}`))
    expect(answer).toMatchObject({ status: 413, code: 'API_BODY_TOO_LARGE' })
  })

  it('for an unknown path names the nearest route', async () => {
    expect(await problem(await get('/clusters'))).toMatchObject({
      status: 404,
      code: 'API_ROUTE_UNKNOWN',
      remedy: 'Did you mean "/cluster"?',
    })
    expect((await problem(await get('/completely/else'))).remedy).toContain('/v1/cluster')
  })

  it('with the wrong method names the right ones', async () => {
    const response = await post('/cluster', '{}')
    expect(response.headers.get('allow')).toBe('GET, HEAD')
    expect((await problem(response)).code).toBe('API_METHOD_NOT_ALLOWED')
  })

  it('is echoed without anything that a terminal would obey', async () => {
    const answer = await exchange(
      `GET /\u001b[2J${'x'.repeat(500)} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`,
    )
    expect(answer).not.toContain('\u001b')
    expect(answer.length).toBeLessThan(1_200)
  })

  it('of any hostile form gets an answer or is cut, and the next one is served', async () => {
    const requests = [
      'GARBAGE\r\n\r\n',
      'GET /%zz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
      'GET /../../etc/passwd HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n',
      `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nhost: a\r\n\r\n`,
      `GET / HTTP/1.1\r\nhost: a\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`,
      'POST /switchover HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n',
      'POST /switchover HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001',
      '\u0000\u0000\u0000\u0008\u0004\u00d2\u0016/',
    ]
    for (const request of requests) {
      const answer = await exchange(Buffer.from(request, 'latin1'))
      expect(answer.slice(0, 12), JSON.stringify(request.slice(0, 30))).toMatch(/^(HTTP\/1\.1 4\d\d)?$/)
    }
    expect((await get('/health')).status).toBe(200)
    expect(operations.changes).toEqual([])
  })

  it('that never ends is cut', async () => {
    const started = performance.now()
    const answers = await Promise.all([
      exchange('GET / HT'),
      exchange(
        `POST /reload HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 10\r\n\r\n{`,
      ),
    ])
    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 |^$/)
    expect(performance.now() - started).toBeLessThan(5_000)
    expect(operations.changes).toEqual([])
  })
})

describe('a failure behind the API', () => {
  it('is told by its code, when it is one of ours', async () => {
    operations.failure = new Fault('STORE_UNREACHABLE', 'Cannot reach a majority', { retryable: true })
    expect(await problem(await post('/v1/switchover', '{}'))).toMatchObject({
      status: 503,
      code: 'STORE_UNREACHABLE',
      detail: 'Cannot reach a majority',
    })
  })

  it('shows nothing of an error that nobody foresaw', async () => {
    operations.failure = new Error('password=hunter2')
    const response = await get('/cluster')
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('hunter2')
    expect((await get('/metrics')).status).toBe(200)
  })
})

describe('upgrades', () => {
  const ask =
    'GET /peer HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: PG-metako-peer\r\nx-from: n2\r\n\r\nhead'

  it('hand the connection over with the first bytes and the headers', async () => {
    server.onUpgrade('pg-metako-peer', (socket: Duplex, head, headers) => {
      socket.end(`took over ${head.toString()} from ${headers['x-from'] as string}`)
    })
    expect(await exchange(ask)).toBe('took over head from n2')
  })

  it('that nobody waits for get a 400', async () => {
    expect(await exchange(ask)).toMatch(/^HTTP\/1\.1 400 [\s\S]*API_REQUEST_MALFORMED/)
  })

  it('do not keep the server from stopping', async () => {
    const taken = new Promise<void>((resolve) => server.onUpgrade('pg-metako-peer', () => resolve()))
    const closed = exchange(ask)
    await taken
    await server.stop()
    expect(await closed).toBe('')
  })
})

describe('docs/reference/rest-api.md', () => {
  it('names every route, and none that is not served', () => {
    const text = readFileSync(new URL('../../docs/reference/rest-api.md', import.meta.url), 'utf8')
    const documented = [...text.matchAll(/`(?:GET |POST |DELETE )?(\/[a-z0-9_/:-]*)`/g)].map((match) =>
      String(match[1]),
    )
    const served = server.routes.map((route) => route.path)
    expect([...new Set(documented)].toSorted()).toEqual([...new Set(served)].toSorted())
  })
})

describe('the listener', () => {
  it('speaks TLS, upgrades included', async () => {
    const secure = await createApiServer(
      { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
      {
        host: '127.0.0.1',
        port: 0,
        token: TOKEN,
        routingToken: ROUTING_TOKEN,
        tls: { cert: testCertificate, key: testKey },
      },
    )
    secure.onUpgrade('pg-metako-peer', (socket) => socket.end('taken'))
    const { port } = await secure.listen()
    const answer = await createHttpExchange({ ca: testCertificate })({
      method: 'GET',
      url: `https://127.0.0.1:${port}/primary`,
      headers: {},
      body: undefined,
      signal: AbortSignal.timeout(5_000),
      maxBytes: 10_000,
    })
    expect(answer.status).toBe(200)
    const taken = await new Promise<string>((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port, ca: testCertificate }, () =>
        socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: pg-metako-peer\r\n\r\n'),
      )
      socket.on('data', (chunk: Buffer) => resolve(chunk.toString()))
    })
    expect(taken).toBe('taken')
    await secure.stop()
  })

  it('cuts a connection that says nothing at all', async () => {
    expect(await exchange('')).toMatch(/^HTTP\/1\.1 408 |^$/)
  })

  it('says which address it cannot have, and why', async () => {
    const second = await createApiServer(
      { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
      { host: '127.0.0.1', port: Number(new URL(base).port), token: 'a', routingToken: 'b' },
    )
    await expect(second.listen()).rejects.toMatchObject({
      code: 'API_CANNOT_LISTEN',
      message: expect.stringContaining('another process listens there'),
    })
    await second.stop()
  })

  it('refuses to start with an empty token', async () => {
    await expect(
      createApiServer(
        { operations, log: silentLogger(), metrics: createMetrics({ ofProcess: false }) },
        { host: '127.0.0.1', port: 0, token: '', routingToken: 'b' },
      ),
    ).rejects.toThrow('must not be empty')
  })

  it('may be stopped twice', async () => {
    await server.stop()
    await expect(server.stop()).resolves.toBeUndefined()
  })
})
