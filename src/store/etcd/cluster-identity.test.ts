import { describe, expect, it } from 'vitest'
import type { KeyValue } from '../../model/key-value.ts'
import { KeyValueTree } from '../key-value-tree.ts'
import { ClusterIdentity } from './cluster-identity.ts'

const entry = (key: string, value: string, modRevision: number): KeyValue => ({
  key,
  value,
  createRevision: modRevision,
  modRevision,
})

function mirrorAt(revision: number, entries: readonly KeyValue[]): KeyValueTree {
  const tree = new KeyValueTree()
  tree.restore({ revision, compacted: revision, entries, history: [] })
  return tree
}

describe('the identity of an etcd cluster', () => {
  it('lets answers overtake each other, and measures each by what was known when it was asked for', () => {
    const identity = new ClusterIdentity(undefined)
    const floor = identity.floor
    identity.check({ clusterId: '1', revision: 9, term: 1 }, floor)
    identity.check({ clusterId: '1', revision: 7, term: 1 }, floor)
    expect(identity.seen).toEqual({ clusterId: '1', revision: 9 })
    expect(() => identity.check({ clusterId: '1', revision: 8, term: 1 }, identity.floor)).toThrow(
      'was 9 already',
    )
    expect(identity.fault?.code).toBe('STORE_RESTORED')
  })

  it('knows from an earlier life which cluster it was, and how far', () => {
    const known = { clusterId: '1', revision: 50 }
    for (const header of [
      { clusterId: '2', revision: 60, term: 1 },
      { clusterId: '1', revision: 49, term: 1 },
    ]) {
      const identity = new ClusterIdentity(known)
      expect(() => identity.check(header, identity.floor)).toThrow('Cannot trust etcd')
    }
    const same = new ClusterIdentity(known)
    same.check({ clusterId: '1', revision: 50, term: 1 }, same.floor)
    expect(same.fault).toBeUndefined()
  })

  it('finds a past that was rewritten although the revision went on', () => {
    const mirror = mirrorAt(10, [entry('a', 'x', 5), entry('b', 'y', 9)])
    const accepts = (entries: readonly KeyValue[]) => {
      const identity = new ClusterIdentity(undefined)
      identity.compare(entries, mirror)
      return identity.fault === undefined
    }
    expect(accepts([entry('a', 'x', 5), entry('b', 'z', 12), entry('c', 'new', 11)])).toBe(true)
    expect(accepts([])).toBe(true)
    for (const rewritten of [entry('a', 'other', 5), entry('a', 'x', 6), entry('ghost', 'x', 10)]) {
      expect(() => accepts([rewritten])).toThrow('has another past')
    }
  })
})
