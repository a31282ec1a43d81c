import { describe, expect, it } from 'vitest'
import { SNAPSHOT_LENGTH_MAX } from '../raft/limits.ts'
import { KeyValueTree } from './key-value-tree.ts'
import { HISTORY_EVENTS_MAX, TREE_LENGTH_MAX } from './limits.ts'

function put(tree: KeyValueTree, key: string, value: string): ReturnType<KeyValueTree['apply']> {
  return tree.apply({ compares: [], operations: [{ kind: 'put', key, value }] })
}

describe('the tree', () => {
  it('fits into one snapshot message, whatever it is filled with', () => {
    const fillings = [
      (index: number) => [`${index}`, ''],
      (index: number) => [`k${index}`, '"\u0001'.repeat(10_000)],
      (index: number) => [`k${index}`, 'x'.repeat(200_000)],
    ]
    for (const filling of fillings) {
      const tree = new KeyValueTree()
      for (let index = 0; ; index += 1) {
        const [key = '', value = ''] = filling(index)
        if (put(tree, key, value).kind === 'full') break
        expect(index).toBeLessThan(TREE_LENGTH_MAX)
      }
      // Half is left for the answers that sessions keep.
      expect(JSON.stringify(tree.image()).length).toBeLessThan(SNAPSHOT_LENGTH_MAX / 2)
    }
  })

  it('remembers whole revisions only, and says which ones are gone', () => {
    const tree = new KeyValueTree()
    const two = (value: string) =>
      tree.apply({
        compares: [],
        operations: [
          { kind: 'put', key: 'a', value },
          { kind: 'put', key: 'b', value },
        ],
      })
    for (let index = 0; index < HISTORY_EVENTS_MAX; index += 1) two(String(index))
    const oldest = tree.revision - HISTORY_EVENTS_MAX / 2
    expect(tree.eventsAfter(oldest)).toHaveLength(HISTORY_EVENTS_MAX)
    expect(tree.eventsAfter(oldest - 1)).toBeUndefined()
    expect(tree.eventsAfter(tree.revision)).toEqual([])
    expect(tree.eventsAfter(tree.revision + 5)).toEqual([])
  })

  it('keeps the newest revision even when it alone is longer than the history may be', () => {
    const tree = new KeyValueTree()
    const operations = Array.from({ length: 10 }, (_, index) => {
      return { kind: 'put', key: `k${index}`, value: 'x'.repeat(150_000) } as const
    })
    put(tree, 'before', '')
    tree.apply({ compares: [], operations })
    expect(tree.eventsAfter(tree.revision - 1)).toHaveLength(10)
    expect(tree.eventsAfter(tree.revision - 2)).toBeUndefined()
  })

  it('grows and shrinks by what it holds', () => {
    const tree = new KeyValueTree()
    for (let round = 0; round < 100; round += 1) {
      expect(put(tree, 'k', 'x'.repeat(200_000)).kind).toBe('done')
      tree.apply({ compares: [], operations: [{ kind: 'delete', key: 'k' }] })
    }
    expect(tree.image().entries).toEqual([])
  })
})
