import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  hangUp,
  headerOf,
  ok,
  refusal,
  silence,
  startFakeGateway,
  type FakeGateway,
} from '../../../test/support/fake-gateway.ts'
import { monotonicMs } from '../../platform/clock.ts'
import { HttpConnections } from '../../platform/http-connections.ts'
import { after } from '../../platform/timers.ts'
import { codeOf } from '../../std/fault.ts'
import { ClusterIdentity } from './cluster-identity.ts'
import { Endpoints } from './endpoints.ts'
import { Gateway, type Credentials } from './gateway.ts'
import { KeySpace } from './key-space.ts'
import { Requests } from './requests.ts'
import { startTimeLimit, type TimeLimit } from './time-limit.ts'

const RANGE = '/v3/kv/range'
const TXN = '/v3/kv/txn'
const timing = { now: monotonicMs, after }
const transaction = { compares: [], operations: [{ kind: 'put', key: 'k', value: 'v' }] } as const

let one: FakeGateway
let two: FakeGateway
let http: HttpConnections
const limits: TimeLimit[] = []

beforeEach(async () => {
  one = await startFakeGateway()
  two = await startFakeGateway()
  http = new HttpConnections({ connectMs: 300 })
})

afterEach(() => {
  for (const limit of limits.splice(0)) limit.clear()
  http.close()
  one.close()
  two.close()
})

function within(ms: number): TimeLimit {
  const limit = startTimeLimit(ms, timing, new AbortController().signal)
  limits.push(limit)
  return limit
}

/** Where nothing hangs an attempt gets more time than the worst host of these tests needs: it is not what they are about. */
const PATIENT_MS = 1500

function requests(
  options: { urls?: readonly string[]; credentials?: Credentials; attemptMs?: number } = {},
): Requests {
  const endpoints = new Endpoints(options.urls ?? [one.url, two.url], monotonicMs)
  const gateway = new Gateway(http, options.credentials)
  const identity = new ClusterIdentity(undefined)
  const keys = new KeySpace({ namespace: '', prefix: '' })
  return new Requests(
    { gateway, endpoints, identity, timing, keys },
    { attemptMs: options.attemptMs ?? PATIENT_MS },
  )
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error as Error,
  )

describe('a transaction', () => {
  it('is sent once, when the endpoint hangs up in the middle', async () => {
    one.on(TXN, hangUp)
    const failure = await failureOf(requests().commit(transaction, within(2000)))
    expect(failure.name).toBe('OutcomeUnknown')
    expect([one.transactions(), two.transactions()]).toEqual([1, 0])
  })

  it('is sent once, when the endpoint does not answer in time', async () => {
    one.on(TXN, silence)
    const failure = await failureOf(requests().commit(transaction, within(500)))
    expect(failure.name).toBe('OutcomeUnknown')
    expect([one.transactions(), two.transactions()]).toEqual([1, 0])
  })

  it.each([
    [503, 'etcdserver: request timed out'],
    [429, 'etcdserver: mvcc: database space exceeded'],
    [500, 'something else'],
  ])('is sent once, when the answer is %i "%s"', async (status, message) => {
    one.on(TXN, refusal(status, message))
    const failure = await failureOf(requests().commit(transaction, within(2000)))
    expect(failure.name).toBe('OutcomeUnknown')
    expect([one.transactions(), two.transactions()]).toEqual([1, 0])
  })

  it('is sent once, when the answer cannot be read', async () => {
    one.on(TXN, ok({ surprise: true }))
    const failure = await failureOf(requests().commit(transaction, within(2000)))
    expect(failure.name).toBe('OutcomeUnknown')
    expect([one.transactions(), two.transactions()]).toEqual([1, 0])
  })

  it('goes on to the next endpoint when nothing listens at the first', async () => {
    one.close()
    const answer = await requests().commit(transaction, within(2000))
    expect(answer.header.revision).toBe(6)
    expect(two.transactions()).toBe(1)
  })

  it('goes on when the first endpoint has no leader and says so', async () => {
    one.on(TXN, refusal(503, 'etcdserver: no leader'))
    await requests().commit(transaction, within(2000))
    expect([one.transactions(), two.transactions()]).toEqual([1, 1])
  })

  it('is not entrusted to an endpoint that is stuck', async () => {
    one.on(RANGE, silence)
    one.on(TXN, silence)
    await requests({ attemptMs: 100 }).commit(transaction, within(2000))
    expect([one.transactions(), two.transactions()]).toEqual([0, 1])
  })

  it('was certainly not sent when no endpoint has a quorum', async () => {
    for (const gateway of [one, two]) gateway.on(RANGE, silence)
    const failure = await failureOf(requests().commit(transaction, within(150)))
    expect(failure.name).toBe('NobodyAnswered')
    expect([one.transactions(), two.transactions()]).toEqual([0, 0])
  })

  it('is sent again with a new token, since a refused token proves that nothing was done', async () => {
    const asker = requests({ credentials: { user: 'u', password: 'p' } })
    one.on(TXN, (response) => {
      one.on(TXN, ok({ ...headerOf(6), succeeded: true, responses: [] }))
      refusal(401, 'etcdserver: invalid auth token')(response)
    })
    await asker.commit(transaction, within(2000))
    expect(one.asked.map(({ path }) => path)).toEqual([
      '/v3/auth/authenticate',
      RANGE,
      TXN,
      '/v3/auth/authenticate',
      TXN,
    ])
  })

  it('was certainly not sent when nobody gives out a token', async () => {
    const asker = requests({ credentials: { user: 'u', password: 'p' } })
    for (const gateway of [one, two]) gateway.on('/v3/auth/authenticate', hangUp)
    const failure = await failureOf(asker.commit(transaction, within(150)))
    expect(failure.name).toBe('NobodyAnswered')
    expect([one.transactions(), two.transactions()]).toEqual([0, 0])
  })
})

describe('a read', () => {
  it('leaves a stuck endpoint within a share of its time', async () => {
    one.on(RANGE, silence)
    const answer = await requests({ attemptMs: 100 }).read('', within(2000))
    expect(answer.header.revision).toBe(5)
  })

  it('goes round until its time is over', async () => {
    one.on(RANGE, refusal(503, 'etcdserver: no leader'))
    two.on(RANGE, (response) => {
      two.on(RANGE, ok(headerOf(9)))
      hangUp(response)
    })
    expect((await requests().read('', within(2000))).header.revision).toBe(9)
  })

  it('trusts no cluster whose revision went back, nor another one', async () => {
    const asker = requests({ urls: [one.url] })
    await asker.read('', within(2000))
    one.on(RANGE, ok(headerOf(4)))
    expect(codeOf(await failureOf(asker.read('', within(2000))))).toBe('STORE_RESTORED')
    const other = requests({ urls: [one.url] })
    await other.read('', within(2000))
    one.on(RANGE, ok(headerOf(40, '2')))
    expect(codeOf(await failureOf(other.read('', within(2000))))).toBe('STORE_RESTORED')
  })
})
