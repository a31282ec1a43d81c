import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { WatchEvent } from '../../src/model/key-value.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { codeOf, type Fault } from '../../src/std/fault.ts'
import { createEtcdStore, type EtcdStore, type EtcdStoreOptions } from '../../src/store/etcd/etcd-store.ts'
import { startCuttableProxy } from '../support/cuttable-proxy.ts'
import { FIRST_TOKEN, hasEtcd, startEtcdCluster, type EtcdCluster } from '../support/etcd-cluster.ts'
import { eventually } from '../support/eventually.ts'
import { testCertificate, testKey } from '../support/tls-fixture.ts'

const within = { deadlineMs: 10_000 }

const stores: EtcdStore[] = []
let cluster: EtcdCluster

function open(options: Partial<EtcdStoreOptions> = {}): EtcdStore {
  const endpoints = cluster.names.map((name) => cluster.url(name))
  const store = createEtcdStore({ log: silentLogger() }, { endpoints, prefix: '/service/demo/', ...options })
  stores.push(store)
  return store
}

async function opened(options: Partial<EtcdStoreOptions> = {}): Promise<EtcdStore> {
  const store = open(options)
  await eventually('a quorum', () => store.status().hasQuorum)
  return store
}

const key = '/service/demo/count'
const NEWS = '/service/demo/news'
const put = (store: EtcdStore, value: string, options = within) =>
  store.transact({ compares: [], operations: [{ kind: 'put', key, value }] }, options)
const failureOf = (promise: Promise<unknown>): Promise<Fault> =>
  promise.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error as Fault,
  )

/** Endpoints with the leader's first: what happens to it happens to this store's requests. */
async function leaderFirst(): Promise<{ readonly leader: string; readonly endpoints: readonly string[] }> {
  const leader = await cluster.leader()
  const order = [leader, ...cluster.names.filter((name) => name !== leader)]
  return { leader, endpoints: order.map((name) => cluster.url(name)) }
}

/** Raises the counter by compare-and-swap until told to stop, and looks after every outcome that nobody knows. */
function startCounting(store: EtcdStore) {
  const counts = { done: 0, unknown: 0, lastAt: 0 }
  let isOver = false
  const run = async (): Promise<void> => {
    while (!isOver) {
      try {
        const { entries } = await store.read(key, within)
        const [entry] = entries
        const { succeeded } = await store.transact(
          {
            compares: [{ kind: 'mod', key, revision: entry?.modRevision ?? 0 }],
            operations: [{ kind: 'put', key, value: String(Number(entry?.value ?? 0) + 1) }],
          },
          { deadlineMs: 1000 },
        )
        if (succeeded) {
          counts.done += 1
          counts.lastAt = performance.now()
        }
      } catch (error) {
        if (codeOf(error) === 'STORE_OUTCOME_UNKNOWN') counts.unknown += 1
        else if (codeOf(error) !== 'STORE_NO_QUORUM' && codeOf(error) !== 'STORE_TIMEOUT') throw error
      }
    }
  }
  const running = run()
  return {
    counts,
    async progress(): Promise<void> {
      const since = performance.now()
      const before = counts.done
      await eventually('20 more', () => counts.lastAt > since && counts.done >= before + 20, 20_000)
    },
    async stop(): Promise<void> {
      isOver = true
      await running
    },
  }
}

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.stop()))
  await cluster.dispose()
})

describe.runIf(hasEtcd())('the store on etcd, with members that fail', () => {
  beforeEach(async () => {
    cluster = await startEtcdCluster()
  }, 60_000)

  it('works with a dead member that it would ask first', async () => {
    const [first = ''] = cluster.names
    await cluster.kill(first)
    const store = await opened()
    await put(store, '1', { deadlineMs: 2000 })
    expect((await store.read(key, { deadlineMs: 2000 })).entries[0]?.value).toBe('1')
    expect(store.status()).toMatchObject({ backend: 'etcd', hasQuorum: true })
    await eventually('a leader with a name', () => store.status().leader !== undefined)
    expect(store.status().voters).toEqual(cluster.names)
    expect(cluster.names).toContain(store.status().leader)
  })

  it('counts each increment once when the leader is killed and comes back', async () => {
    const { leader, endpoints } = await leaderFirst()
    const store = await opened({ endpoints })
    const counting = startCounting(store)
    await counting.progress()
    await cluster.kill(leader)
    await counting.progress()
    cluster.start(leader)
    await counting.progress()
    await counting.stop()
    const value = Number((await store.read(key, within)).entries[0]?.value)
    expect(value).toBeGreaterThanOrEqual(counting.counts.done)
    expect(value).toBeLessThanOrEqual(counting.counts.done + counting.counts.unknown)
    expect(store.peek(key)?.value).toBe(String(value))
  })

  it('goes round a leader that is paused, and mirrors on without it', async () => {
    const { leader, endpoints } = await leaderFirst()
    const store = await opened({ endpoints })
    const seen: string[] = []
    store.watch(key, store.status().appliedRevision, (events) => {
      for (const event of events) if (event.kind === 'put') seen.push(event.entry.value)
    })
    const counting = startCounting(store)
    await counting.progress()
    cluster.signal(leader, 'SIGSTOP')
    await counting.progress()
    const other = await opened({ endpoints: endpoints.slice(1) })
    await other.transact({ compares: [], operations: [{ kind: 'put', key: NEWS, value: 'told' }] }, within)
    await eventually('news from others', () => store.peek(NEWS)?.value === 'told', 5000)
    cluster.signal(leader, 'SIGCONT')
    await counting.progress()
    await counting.stop()
    await eventually('the last change', () => seen.at(-1) === store.peek(key)?.value)
    const value = Number(store.peek(key)?.value)
    expect(value).toBeGreaterThanOrEqual(counting.counts.done)
    expect(value).toBeLessThanOrEqual(counting.counts.done + counting.counts.unknown)
    // The watch has no gap: it saw every value there was, each once.
    expect(seen).toEqual(Array.from({ length: value }, (_, index) => String(index + 1)))
  })

  it('says only what is true when no majority is left', async () => {
    const store = await opened()
    await put(store, 'before')
    const [, second = '', third = ''] = cluster.names
    await Promise.all([cluster.kill(second), cluster.kill(third)])
    const early = await failureOf(put(store, 'early', { deadlineMs: 500 }))
    expect(['STORE_NO_QUORUM', 'STORE_OUTCOME_UNKNOWN']).toContain(early.code)
    expect(early.details['applied']).toBe(early.code === 'STORE_NO_QUORUM' ? false : undefined)
    await eventually('the loss of the quorum', () => !store.status().hasQuorum)
    const late = await failureOf(put(store, 'late', { deadlineMs: 500 }))
    expect(late).toMatchObject({ code: 'STORE_NO_QUORUM', details: { applied: false } })
    const read = await failureOf(store.read(key, { deadlineMs: 500 }))
    expect(read.code).toBe('STORE_NO_QUORUM')
    expect(store.peek(key)?.value).toBe('before')
    cluster.start(second)
    await eventually('the quorum', () => store.status().hasQuorum)
    const [entry] = (await store.read(key, within)).entries
    const possible = early.code === 'STORE_OUTCOME_UNKNOWN' ? ['before', 'early'] : ['before']
    expect(possible).toContain(entry?.value)
  })

  it('tells a watcher that was cut off for too long what there is now', async () => {
    const [name = ''] = cluster.names
    const cable = await startCuttableProxy(Number(new URL(cluster.url(name)).port))
    const store = await opened({ endpoints: [`http://127.0.0.1:${cable.port}`] })
    const writer = await opened()
    await put(writer, '1')
    await eventually('the first value', () => store.peek(key)?.value === '1')
    const told: { readonly events: readonly WatchEvent[]; readonly isWhole: boolean }[] = []
    store.watch('/service/demo/', store.status().appliedRevision, (events, _revision, compacted) =>
      told.push({ events, isWhole: compacted !== undefined }),
    )
    cable.setWhole(false)
    cable.breakAll()
    for (const value of ['2', '3', '4']) await put(writer, value)
    const { revision } = await writer.read(key, within)
    await cluster.post(name, '/v3/kv/compaction', { revision: String(revision), physical: true })
    cable.setWhole(true)
    await eventually('the news', () => told.length > 0)
    expect(told[0]).toMatchObject({ isWhole: true, events: [{ kind: 'put', entry: { key, value: '4' } }] })
    await put(writer, '5')
    await eventually('what comes next', () => told.length > 1)
    expect(told[1]).toMatchObject({ isWhole: false, events: [{ kind: 'put', entry: { value: '5' } }] })
    cable.close()
  })

  it.each([
    ['of another identity', 'another-founding'],
    ['under the old identity', FIRST_TOKEN],
  ])('never trusts an empty etcd that comes back %s', async (_how, token) => {
    const store = await opened()
    await put(store, 'precious')
    const problems: (string | undefined)[] = []
    store.onStatusChange(() => problems.push(store.status().problem?.code))
    await cluster.refound(token)
    await eventually('the finding', () => problems.includes('STORE_RESTORED'))
    expect(store.status()).toMatchObject({ hasQuorum: false, problem: { code: 'STORE_RESTORED' } })
    const create = store.transact(
      { compares: [{ kind: 'create', key, revision: 0 }], operations: [{ kind: 'put', key, value: 'mine' }] },
      within,
    )
    expect(codeOf(await failureOf(create))).toBe('STORE_RESTORED')
    expect(codeOf(await failureOf(store.read(key, within)))).toBe('STORE_RESTORED')
    expect(store.peek(key)?.value).toBe('precious')
    // What the node has seen outlives its process.
    const known = store.seen()
    const restarted = open(known === undefined ? {} : { known })
    await eventually('the finding again', () => restarted.status().problem?.code === 'STORE_RESTORED')
    const trusting = await opened()
    expect((await trusting.read('', within)).entries).toEqual([])
  })
})

describe.runIf(hasEtcd())('the store on an etcd that lets nobody in', () => {
  it('shows its certificate, and gets nothing without one', { timeout: 60_000 }, async () => {
    cluster = await startEtcdCluster({ count: 1, mutualTls: true })
    const store = open({ tls: { ca: testCertificate, cert: testCertificate, key: testKey } })
    await eventually('a quorum', () => store.status().hasQuorum, 30_000)
    await put(store, 'secret')
    expect((await store.read(key, within)).entries[0]?.value).toBe('secret')
    const anonymous = open({ tls: { ca: testCertificate } })
    expect((await failureOf(anonymous.read(key, { deadlineMs: 1000 }))).code).toBe('STORE_NO_QUORUM')
    expect(anonymous.status().hasQuorum).toBe(false)
  })

  it('logs in, and again whenever its token has run out or was forgotten', { timeout: 60_000 }, async () => {
    const tokenSeconds = 1
    cluster = await startEtcdCluster({ count: 1, args: [`--auth-token-ttl=${tokenSeconds}`] })
    const [name = ''] = cluster.names
    await enableAuth(name)
    // Probes would keep the token fresh.
    const timing = { probeEveryMs: 60_000 }
    const credentials = { user: 'metako', password: 'metako-password' }
    const store = await opened({ credentials, timing })
    await put(store, '1')
    const idleSince = performance.now()
    // etcd looks once a second for tokens that have run out.
    await eventually('the end of the token', () => performance.now() - idleSince > (tokenSeconds + 2) * 1000)
    await put(store, '2')
    await cluster.kill(name)
    cluster.start(name)
    await eventually('the quorum', () =>
      store.read(key, { deadlineMs: 500 }).then(
        () => true,
        () => false,
      ),
    )
    await put(store, '3')
    expect((await store.read(key, within)).entries[0]?.value).toBe('3')
    await eventually('the mirror', () => store.peek(key)?.value === '3')

    const stranger = open({ credentials: { ...credentials, password: 'wrong' }, timing })
    expect(await failureOf(put(stranger, 'x'))).toMatchObject({
      code: 'STORE_ACCESS_DENIED',
      details: { applied: false },
    })
    const nobody = open({ timing })
    expect((await failureOf(nobody.read(key, within))).code).toBe('STORE_ACCESS_DENIED')
    const elsewhere = open({ credentials, timing, prefix: '/other/' })
    const outside = elsewhere.transact(
      { compares: [], operations: [{ kind: 'put', key: '/other/key', value: '1' }] },
      within,
    )
    expect((await failureOf(outside)).code).toBe('STORE_ACCESS_DENIED')
  })
})

/** A user that may read and write below the prefix, and nobody else but root. */
async function enableAuth(name: string): Promise<void> {
  const post = (path: string, body: unknown) => cluster.post(name, `/v3/auth/${path}`, body)
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  await post('user/add', { name: 'root', password: 'root-password' })
  await post('user/grant', { user: 'root', role: 'root' })
  await post('user/add', { name: 'metako', password: 'metako-password' })
  await post('role/add', { name: 'metako' })
  const range = { key: base64('/service/demo/'), range_end: base64('/service/demo0') }
  await post('role/grant', { name: 'metako', perm: { permType: 'READWRITE', ...range } })
  await post('user/grant', { user: 'metako', role: 'metako' })
  await post('enable', {})
}
