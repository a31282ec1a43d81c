import { expect, it } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import { sampleMember, sampleView } from '../../../test/support/sample-view.ts'
import { keysOf } from '../../ha/keys.ts'
import type { ClusterView } from '../../model/cluster-view.ts'
import { silentLogger } from '../../platform/log.ts'
import { createMemoryStore, createMemoryTree } from '../../store/memory/memory-store.ts'
import { realClock } from '../clock.ts'
import { publishForPatroni, wantedKeys } from './patroni-keys.ts'

const keys = keysOf('/service/', 'main')
const wanted = (view: ClusterView) =>
  Object.fromEntries(
    [...wantedKeys({ view: () => view, keys, self: view.self })].map(([key, value]) => [
      key.slice(keys.root.length),
      JSON.parse(value) as unknown,
    ]),
  )

it('the holder of the lease tells of itself, and what is one for all', () => {
  expect(wanted(sampleView())).toEqual({
    'members/n1': {
      conn_url: 'postgres://10.0.0.1:5432/postgres',
      api_url: 'http://10.0.0.1:8008/patroni',
      state: 'running',
      role: 'primary',
      version: '0.1.0',
      timeline: 2,
      xlog_location: 0x5000000,
    },
    status: { optime: 0x5000000 },
    history: [[1, 0x3000148, 'PRIMARY_CRASHED', '2026-05-04T02:00:00.000Z', 'n1']],
  })
})

it('a replica tells of itself alone, with what it has of WAL and its tags', () => {
  const own = sampleMember('n2', { facts: { tags: { nosync: true } }, instance: { streaming: true } })
  expect(wanted(sampleView({ self: 'n2', members: [own] }))).toEqual({
    'members/n2': expect.objectContaining({
      role: 'replica',
      replication_state: 'streaming',
      xlog_location: 0x5000000,
      tags: { nosync: true },
    }),
  })
})

it('one that holds no proven lease says nothing for all', () => {
  expect(Object.keys(wanted(sampleView({ leaseRemainingMs: 0 })))).toEqual(['members/n1'])
})

it('nobody writes that is not in the registry, and nobody overwrites what is set for the cluster', async () => {
  const running = new AbortController()
  const store = createMemoryStore(createMemoryTree(['etcd1']), { self: 'n1' })
  const put = (key: string, value: string) =>
    store.transact({ compares: [], operations: [{ kind: 'put', key, value }] }, { deadlineMs: 1000 })
  const view = () => sampleView()
  const deps = { clock: realClock, log: silentLogger(), store, keys, self: 'n1', view }
  const over = publishForPatroni(deps, running.signal)
  await put(keys.config, '{"pause":true}')
  expect(store.peek(keys.member('n1'))).toBeUndefined()
  await put(keys.node('n1'), '{}')
  await eventually('the member', () => store.peek(keys.member('n1')))
  expect(store.peek(keys.config)?.value).toBe('{"pause":true}')
  running.abort()
  await over
  await store.stop()
})
