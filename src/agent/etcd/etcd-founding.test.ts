import { afterEach, describe, expect, it } from 'vitest'
import { eventually } from '../../../test/support/eventually.ts'
import { keysOf } from '../../ha/keys.ts'
import { silentLogger } from '../../platform/log.ts'
import type { SeenCluster } from '../../store/etcd/cluster-identity.ts'
import { createMemoryStore, createMemoryTree, type MemoryTree } from '../../store/memory/memory-store.ts'
import type { RaftStore } from '../../store/raft/raft-store.ts'
import { realClock } from '../clock.ts'
import { EtcdFounding } from './etcd-founding.ts'

const keys = keysOf('/service/', 'main')
const abort = new AbortController()
const opened: RaftStore[] = []

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.stop()))
})

type Node = { name: string; incarnation?: string; port?: number; isDataEmpty?: boolean; noted?: SeenCluster }

/** A node in front of a tree that others share, as its agent starts it. */
async function nodeAt(tree: MemoryTree, node: Node) {
  const notes: { seen: SeenCluster | undefined } = { seen: node.noted }
  const founding = await EtcdFounding.prepare(
    {
      clock: realClock,
      log: silentLogger(),
      notes: {
        readSeenEtcd: async () => notes.seen,
        writeSeenEtcd: async (seen) => void (notes.seen = seen),
      },
      openStore: () =>
        Object.assign(createMemoryStore(tree, { self: node.name }), {
          seen: () => ({ clusterId: 'c', revision: tree.tree.revision }),
        }),
    },
    {
      keys,
      self: node.name,
      incarnation: node.incarnation ?? `${node.name}-1`,
      address: { apiHost: '10.0.0.1', apiPort: node.port ?? 8000 + Number(node.name.slice(1)) },
      isDataEmpty: node.isDataEmpty ?? true,
    },
  )
  return { founding, notes }
}

const treeOf = () => createMemoryTree(['etcd1'])

async function join(tree: MemoryTree, node: Node) {
  const { founding, notes } = await nodeAt(tree, node)
  const store = await founding.open(abort.signal)
  if (!store) throw new Error('The store was not opened')
  opened.push(store)
  return { store, notes, founding }
}

/** Why a node takes no part; it is told to stop once it has said so. */
async function refusalOf(tree: MemoryTree, node: Node): Promise<string> {
  const { founding } = await nodeAt(tree, node)
  const giveUp = new AbortController()
  const opening = founding.open(giveUp.signal)
  const why = await eventually('a reason', () => founding.waiting !== 'starts' && founding.waiting)
  giveUp.abort()
  expect(await opening).toBeUndefined()
  return why
}

const put = async (tree: MemoryTree, key: string) => {
  const store = createMemoryStore(tree, { self: 'other' })
  await store.transact({ compares: [], operations: [{ kind: 'put', key, value: 'x' }] }, { deadlineMs: 1000 })
  await store.stop()
}

describe('a node whose cluster lives in an etcd', () => {
  it('registers, also when all begin at the same time, and all see the same members', async () => {
    const tree = treeOf()
    const nodes = await Promise.all(['n1', 'n2', 'n3'].map((name) => join(tree, { name })))
    for (const { store, founding, notes } of nodes) {
      await eventually('all members', () => store.membership().voters.length === 3)
      expect(store.membership().voters.map(({ name }) => name)).toEqual(['n1', 'n2', 'n3'])
      expect(founding.waiting).toBeUndefined()
      expect(notes.seen).toMatchObject({ clusterId: 'c' })
    }
  })

  it('comes back as what it was, with its data', async () => {
    const tree = treeOf()
    await join(tree, { name: 'n1' })
    const { store } = await join(tree, { name: 'n1', isDataEmpty: false })
    expect(store.membership().voters).toEqual([{ name: 'n1', incarnation: 'n1-1' }])
  })

  it('never begins again what it has seen there: an etcd that forgot it was restored', async () => {
    const noted = { clusterId: 'c', revision: 7 }
    expect(await refusalOf(treeOf(), { name: 'n1', noted })).toContain('restored or set up anew')
  })

  it('takes nothing from a program that has its keys there already, such as Patroni', async () => {
    const tree = treeOf()
    await put(tree, keys.leader)
    expect(await refusalOf(tree, { name: 'n1' })).toContain('"/service/main/leader"')
  })

  it('brings no data along that the cluster does not know', async () => {
    const tree = treeOf()
    expect(await refusalOf(tree, { name: 'n1', isDataEmpty: false })).toContain('is not empty')
    await join(tree, { name: 'n1' })
    expect(await refusalOf(tree, { name: 'n2', isDataEmpty: false })).toContain('is not empty')
  })

  it('takes neither the name nor the address of another', async () => {
    const tree = treeOf()
    await join(tree, { name: 'n1' })
    expect(await refusalOf(tree, { name: 'n1', incarnation: 'another' })).toContain('member remove n1')
    expect(await refusalOf(tree, { name: 'n2', port: 8001 })).toBe('10.0.0.1:8001 is the address of n1')
  })

  it('is told when it was removed, and nobody waits for its vote', async () => {
    const tree = treeOf()
    const { store } = await join(tree, { name: 'n1' })
    await join(tree, { name: 'n2' })
    const told = new Promise<void>((resolve) => void store.onRemoved(resolve))
    await store.transact(
      {
        compares: [],
        operations: [
          { kind: 'delete', key: keys.node('n1') },
          {
            kind: 'put',
            key: keys.removedNode('n1', 'n1-1'),
            value: JSON.stringify({
              ...{ name: 'n1', incarnation: 'n1-1', apiHost: '10.0.0.1', apiPort: 8001 },
              at: '2026-05-04T00:00:00Z',
            }),
          },
        ],
      },
      { deadlineMs: 1000 },
    )
    await told
    expect(store.membership()).toMatchObject({ voters: [{ name: 'n2' }], isRemoved: true })
  })
})
