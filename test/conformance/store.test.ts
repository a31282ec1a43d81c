import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { WatchEvent } from '../../src/model/key-value.ts'
import { silentLogger } from '../../src/platform/log.ts'
import { codeOf } from '../../src/std/fault.ts'
import { createEtcdStore } from '../../src/store/etcd/etcd-store.ts'
import { HISTORY_EVENTS_MAX } from '../../src/store/limits.ts'
import { createMemoryStore, createMemoryTree } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import { startCuttableProxy, type CuttableProxy } from '../support/cuttable-proxy.ts'
import { hasEtcd, startEtcdCluster, type EtcdCluster } from '../support/etcd-cluster.ts'
import { createRaftGroup, eventually } from '../support/raft-group.ts'

const within = { deadlineMs: 10_000 }

type Backend = {
  readonly stores: readonly Store[]
  setConnected(index: number, isConnected: boolean): void
  close(): Promise<void>
}

const names = ['n1', 'n2', 'n3']

function memoryBackend(): Backend {
  const tree = createMemoryTree(names)
  const stores = names.map((self) => createMemoryStore(tree, { self }))
  return {
    stores,
    setConnected: (index, isConnected) => stores[index]?.setConnected(isConnected),
    close: async () => void (await Promise.all(stores.map((store) => store.stop()))),
  }
}

function raftBackend(): Backend {
  const group = createRaftGroup(names)
  return {
    stores: names.map((name) => group.store(name)),
    setConnected: (index, isConnected) => group.network.setMember(names[index] ?? '', isConnected),
    close: async () => {
      await group.close()
      expect(group.fatal).toEqual([])
    },
  }
}

/** Three members of a real etcd, for all tests of this file; each test has a namespace of its own. */
let etcd: EtcdCluster | undefined
let namespaces = 0

async function etcdBackend(): Promise<Backend> {
  const cluster = etcd
  if (cluster === undefined) throw new Error('etcd was not started')
  namespaces += 1
  const namespace = `/test-${namespaces}/`
  // Each store reaches each member over cables of its own, so that one store can be cut off.
  const cables = await Promise.all(names.map(() => cablesTo(cluster)))
  const stores = cables.map((own, index) =>
    createEtcdStore(
      { log: silentLogger() },
      {
        // Everybody asks another member first: what one has written another has to show.
        endpoints: rotated(own, index).map(({ port }) => `http://127.0.0.1:${port}`),
        namespace,
        prefix: '',
      },
    ),
  )
  return {
    stores,
    setConnected: (index, isConnected) => cables[index]?.forEach((cable) => cable.setWhole(isConnected)),
    close: async () => {
      await Promise.all(stores.map((store) => store.stop()))
      for (const cable of cables.flat()) cable.close()
    },
  }
}

function cablesTo(cluster: EtcdCluster): Promise<CuttableProxy[]> {
  return Promise.all(cluster.names.map((name) => startCuttableProxy(Number(new URL(cluster.url(name)).port))))
}

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  return [...list.slice(by), ...list.slice(0, by)]
}

const withEtcd = hasEtcd()

beforeAll(async () => {
  if (withEtcd) etcd = await startEtcdCluster()
}, 60_000)

afterAll(() => etcd?.dispose())

const backends: readonly (readonly [string, () => Backend | Promise<Backend>])[] = [
  ['memory', memoryBackend],
  ['raft', raftBackend],
  ['etcd', etcdBackend],
]

describe.each(backends.filter(([name]) => name !== 'etcd' || withEtcd))(
  'the store on %s',
  (_name, create) => {
    let backend: Backend
    let one: Store
    let two: Store
    let three: Store

    beforeEach(async () => {
      backend = await create()
      ;[one, two, three] = backend.stores as [Store, Store, Store]
      await eventually(
        'a quorum',
        () => backend.stores.every((store) => store.status().hasQuorum) || undefined,
      )
    })

    afterEach(() => backend.close())

    const put = (
      store: Store,
      key: string,
      value: string,
    ): Promise<{ succeeded: boolean; revision: number }> =>
      store.transact({ compares: [], operations: [{ kind: 'put', key, value }] }, within)

    it('reads on every member what any member has written', async () => {
      for (const [index, writer] of backend.stores.entries()) {
        const { revision } = await put(writer, 'key', `value ${index}`)
        expect(writer.peek('key')?.value).toBe(`value ${index}`)
        for (const reader of backend.stores) {
          const read = await reader.read('key', within)
          expect(read.revision).toBe(revision)
          expect(read.entries).toEqual([
            {
              key: 'key',
              value: `value ${index}`,
              createRevision: expect.any(Number),
              modRevision: revision,
            },
          ])
        }
      }
    })

    it('counts one revision for each transaction that changed something, as etcd does', async () => {
      const first = await put(one, 'a', '1')
      const second = await put(two, 'a', '1')
      expect(second.revision).toBe(first.revision + 1)
      const nothing = await one.transact(
        { compares: [], operations: [{ kind: 'delete', key: 'none' }] },
        within,
      )
      expect(nothing).toEqual({ succeeded: true, revision: second.revision })
      const both = await one.transact(
        {
          compares: [],
          operations: [
            { kind: 'put', key: 'b', value: '2' },
            { kind: 'delete', key: 'a' },
          ],
        },
        within,
      )
      expect(both.revision).toBe(second.revision + 1)
      const { entries } = await three.read('', within)
      expect(entries).toEqual([
        { key: 'b', value: '2', createRevision: both.revision, modRevision: both.revision },
      ])
    })

    it('keeps the revision that created a key, until it is deleted', async () => {
      const created = await put(one, 'k', '1')
      await put(one, 'k', '2')
      expect((await two.read('k', within)).entries[0]?.createRevision).toBe(created.revision)
      await one.transact({ compares: [], operations: [{ kind: 'delete', key: 'k' }] }, within)
      const again = await put(one, 'k', '3')
      expect((await two.read('k', within)).entries[0]?.createRevision).toBe(again.revision)
    })

    it('lets exactly one of several compare-and-swaps win', async () => {
      await put(one, 'lease', 'free')
      const revision = one.peek('lease')?.modRevision ?? 0
      const swap = (store: Store, value: string): Promise<{ succeeded: boolean }> =>
        store.transact(
          {
            compares: [{ kind: 'mod', key: 'lease', revision }],
            operations: [{ kind: 'put', key: 'lease', value }],
          },
          within,
        )
      const results = await Promise.all(backend.stores.map((store, index) => swap(store, `holder ${index}`)))
      expect(results.filter((result) => result.succeeded)).toHaveLength(1)
      const winner = results.findIndex((result) => result.succeeded)
      expect((await one.read('lease', within)).entries[0]?.value).toBe(`holder ${winner}`)
    })

    it('compares by modification, creation and value, and takes absent for revision 0 and no value', async () => {
      await put(one, 'k', 'v')
      const { modRevision = 0, createRevision = 0 } = one.peek('k') ?? {}
      const cases = [
        [{ kind: 'mod', key: 'k', revision: modRevision }, true],
        [{ kind: 'mod', key: 'k', revision: modRevision - 1 }, false],
        [{ kind: 'create', key: 'k', revision: createRevision }, true],
        [{ kind: 'create', key: 'k', revision: 0 }, false],
        [{ kind: 'create', key: 'none', revision: 0 }, true],
        [{ kind: 'mod', key: 'none', revision: 0 }, true],
        [{ kind: 'value', key: 'k', value: 'v' }, true],
        [{ kind: 'value', key: 'k', value: '' }, false],
        [{ kind: 'value', key: 'none', value: '' }, false],
      ] as const
      for (const [compare, wanted] of cases) {
        const { succeeded } = await two.transact({ compares: [compare], operations: [] }, within)
        expect([compare, succeeded]).toEqual([compare, wanted])
      }
    })

    it('applies nothing of a transaction of which one comparison fails', async () => {
      await put(one, 'a', '1')
      const failed = await one.transact(
        {
          compares: [
            { kind: 'value', key: 'a', value: '1' },
            { kind: 'create', key: 'a', revision: 0 },
          ],
          operations: [
            { kind: 'put', key: 'a', value: '2' },
            { kind: 'put', key: 'b', value: '2' },
          ],
        },
        within,
      )
      expect(failed.succeeded).toBe(false)
      expect((await two.read('', within)).entries.map(({ key, value }) => [key, value])).toEqual([['a', '1']])
    })

    it('lists keys with a prefix, in order', async () => {
      for (const key of ['/b', '/a/2', '/a/10', '/a', '/ab']) await put(two, key, 'x')
      expect((await one.read('/a/', within)).entries.map(({ key }) => key)).toEqual(['/a/10', '/a/2'])
      expect((await one.read('/a', within)).entries.map(({ key }) => key)).toEqual([
        '/a',
        '/a/10',
        '/a/2',
        '/ab',
      ])
      expect((await one.read('/c', within)).entries).toEqual([])
      expect(two.peekPrefix('/a/').map(({ key }) => key)).toEqual(['/a/10', '/a/2'])
    })

    it('tells watchers every change of their prefix, in order, without gaps', async () => {
      const seen: WatchEvent[][] = [[], [], []]
      const revisions: number[] = []
      const { revision: start } = await one.read('', within)
      backend.stores.forEach((store, index) => {
        store.watch('w/', start, (events, revision) => {
          seen[index]?.push(...events)
          if (index === 0) revisions.push(revision)
        })
      })
      const writes = 30
      for (let index = 0; index < writes; index += 1) {
        const store = backend.stores[index % 3] as Store
        await put(store, index % 5 === 0 ? 'other' : `w/${index % 4}`, String(index))
      }
      const last = await one.transact({ compares: [], operations: [{ kind: 'delete', key: 'w/1' }] }, within)
      const wanted = Array.from({ length: writes }, (_, index) => index)
        .filter((index) => index % 5 !== 0)
        .map(String)
      await eventually('the last change at all watchers', () =>
        seen.every((events) => events.at(-1)?.kind === 'delete') ? true : undefined,
      )
      for (const events of seen) {
        expect(events.slice(0, -1).map((event) => event.kind === 'put' && event.entry.value)).toEqual(wanted)
        expect(events.at(-1)).toEqual({ kind: 'delete', key: 'w/1', modRevision: last.revision })
      }
      expect(revisions).toEqual(revisions.toSorted((left, right) => left - right))
      expect(revisions.at(-1)).toBe(last.revision)
    })

    it('starts a watch at any revision that it still remembers', async () => {
      const first = await put(one, 'k', '1')
      await put(one, 'k', '2')
      await put(one, 'k', '3')
      const seen: string[] = []
      one.watch('k', first.revision, (events) => {
        for (const event of events) if (event.kind === 'put') seen.push(event.entry.value)
      })
      await eventually('two changes', () => (seen.length >= 2 ? true : undefined))
      expect(seen).toEqual(['2', '3'])
    })

    it('tells nothing to a watcher that was cancelled', async () => {
      const seen: unknown[] = []
      const cancel = one.watch('', 0, (events) => seen.push(events))
      cancel()
      await put(one, 'k', '1')
      await one.read('', within)
      expect(seen).toEqual([])
    })

    it('tells a watcher that comes too late so, with everything as it is', async () => {
      await put(one, 'old', 'still here')
      const keys = Array.from({ length: 128 }, (_, index) => `k${index}`)
      const operations = keys.map((key) => ({ kind: 'put', key, value: 'v' }) as const)
      for (let done = 0; done <= HISTORY_EVENTS_MAX; done += keys.length) {
        await one.transact({ compares: [], operations }, within)
      }
      const told = new Promise<{ keys: string[]; since: number | undefined }>((resolve) => {
        one.watch('', 1, (events, _revision, compacted) => {
          const told = events.map((event) => (event.kind === 'put' ? event.entry.key : ''))
          resolve({ keys: told, since: compacted?.since })
        })
      })
      expect(await told).toEqual({ keys: [...keys, 'old'].toSorted(), since: 1 })
    })

    it('refuses what is too large or changes a key twice, certainly without applying it', async () => {
      const bad = [
        [{ kind: 'put', key: 'k', value: 'x'.repeat(300_000) }],
        [{ kind: 'put', key: 'k'.repeat(2000), value: '' }],
        [{ kind: 'put', key: '', value: '' }],
        [
          { kind: 'put', key: 'k', value: '1' },
          { kind: 'delete', key: 'k' },
        ],
      ] as const
      for (const operations of bad) {
        const failure = await one
          .transact({ compares: [], operations }, within)
          .catch((error: unknown) => error)
        expect(codeOf(failure)).toBe('STORE_BAD_TRANSACTION')
        expect(failure).toMatchObject({ details: { applied: false } })
      }
      expect((await one.read('', within)).entries).toEqual([])
    })

    it('refuses to grow without a limit, and takes deletions when it is full', async () => {
      const value = 'x'.repeat(250_000)
      const failures: unknown[] = []
      for (let index = 0; failures.length === 0 && index < 20; index += 1) {
        await put(one, `k${index}`, value).catch((error: unknown) => failures.push(error))
      }
      expect(codeOf(failures[0])).toBe('STORE_FULL')
      await one.transact({ compares: [], operations: [{ kind: 'delete', key: 'k0' }] }, within)
      await put(one, 'k0', value)
    })

    it('says without a quorum that nothing was applied, and goes on when it is back', async () => {
      await put(one, 'k', '1')
      await three.read('k', within)
      const changes: boolean[] = []
      three.onStatusChange(() => changes.push(three.status().hasQuorum))
      backend.setConnected(2, false)
      await eventually('the loss of the quorum', () => (three.status().hasQuorum ? undefined : true))
      const write = await put3({ deadlineMs: 50 }).catch((error: unknown) => error)
      expect(write).toMatchObject({ code: 'STORE_NO_QUORUM', details: { applied: false } })
      const read = await three.read('k', { deadlineMs: 50 }).catch((error: unknown) => error)
      expect(codeOf(read)).toBe('STORE_NO_QUORUM')
      expect(three.peek('k')?.value).toBe('1')
      await put(one, 'k', '2')
      backend.setConnected(2, true)
      await eventually('the quorum', () => (three.status().hasQuorum ? true : undefined))
      expect((await three.read('k', within)).entries[0]?.value).toBe('2')
      expect(changes).toContain(false)
      expect(changes.at(-1)).toBe(true)
      function put3(options: { deadlineMs: number }): Promise<unknown> {
        return three.transact({ compares: [], operations: [{ kind: 'put', key: 'k', value: '3' }] }, options)
      }
    })

    it('ends what waits and what comes when it is stopped', async () => {
      backend.setConnected(0, false)
      const waiting = one.read('', within).catch((error: unknown) => error)
      await one.stop()
      await one.stop()
      expect(['STORE_STOPPED', 'STORE_NO_QUORUM']).toContain(codeOf(await waiting))
      expect(codeOf(await put(one, 'k', '1').catch((error: unknown) => error))).toBe('STORE_STOPPED')
      expect(codeOf(await one.read('', within).catch((error: unknown) => error))).toBe('STORE_STOPPED')
      expect(one.status().hasQuorum).toBe(false)
    })
  },
)
