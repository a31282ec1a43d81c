import { describe, expect, it } from 'vitest'
import { MeddledStore } from '../../../test/support/ha-fakes.ts'
import { keysOf } from '../../ha/keys.ts'
import type { RegisteredNode, Registry } from '../../model/membership.ts'
import { nextChange } from './next-change.ts'
import {
  beginOperations,
  differenceInWords,
  heardRegistry,
  readRegistry,
  removalOf,
  removeOperations,
  toldRegistry,
} from './registry.ts'

const keys = keysOf('service', 'main')
const node = (name: string, incarnation = `log-${name}`): RegisteredNode => ({
  name,
  apiHost: `10.0.0.${name.slice(1)}`,
  apiPort: 8008,
  incarnation,
  since: '2026-11-24T10:00:00.000Z',
})
const removed = (name: string, incarnation = `log-${name}`, at = '2026-11-24T11:00:00.000Z') => ({
  ...node(name, incarnation),
  at,
})
const registry = (change: Partial<Registry> = {}): Registry => ({
  revision: 1,
  nodes: ['n1', 'n2', 'n3'].map((name) => node(name)),
  removed: [],
  ...change,
})
const identities = (...names: readonly string[]) =>
  names.map((name) => ({ name, incarnation: `log-${name}` }))

describe('the registry of members', () => {
  it('is nothing until it was begun, and then holds all at once', async () => {
    const store = new MeddledStore()
    expect(readRegistry(store, keys)).toBeUndefined()
    await store.transact(
      { compares: [], operations: beginOperations(keys, registry().nodes) },
      { deadlineMs: 1000 },
    )
    expect(readRegistry(store, keys)).toMatchObject({ nodes: registry().nodes, removed: [] })
  })

  it('is heard as it was told, by members of the same group alone', () => {
    const told = registry({ revision: 7, removed: [removed('n4')] })
    expect(heardRegistry('g', toldRegistry('g', told))).toEqual(told)
    expect(heardRegistry('another', toldRegistry('g', told))).toBeUndefined()
    for (const noise of ['', 'null', '{"groupId":"g"}', '{"groupId":"g","revision":"7"}'])
      expect(heardRegistry('g', noise), noise).toBeUndefined()
    expect(
      heardRegistry('g', '{"groupId":"g","revision":7,"nodes":[3,null,{"name":"n1"}],"removed":{}}'),
    ).toEqual({ revision: 7, nodes: [], removed: [] })
  })

  it('grows in revision with a removal, and remembers who was removed', async () => {
    const store = new MeddledStore()
    const transact = async (operations: ReturnType<typeof beginOperations>) =>
      store.transact({ compares: [], operations }, { deadlineMs: 1000 })
    await transact(beginOperations(keys, registry().nodes))
    const before = readRegistry(store, keys)
    if (!before) throw new Error('no registry')
    await transact(removeOperations(keys, before, removed('n2')))
    const after = readRegistry(store, keys)
    expect(after?.revision).toBeGreaterThan(before.revision)
    expect(after?.nodes.map(({ name }) => name)).toEqual(['n1', 'n3'])
    expect(after?.removed).toEqual([removed('n2')])
  })

  it('takes what other tools wrote there for nothing', async () => {
    const store = new MeddledStore()
    await store.put(keys.membership, '{}')
    await store.put(keys.node('junk'), 'no json')
    await store.put(keys.node('n9'), { name: 'n9', apiHost: 7 })
    expect(readRegistry(store, keys)).toMatchObject({ nodes: [], removed: [] })
  })

  it('keeps a bounded number of tombstones, the newest', () => {
    const many = Array.from({ length: 32 }, (_, index) =>
      removed('n4', `log-${index}`, `2026-11-${10 + index}`),
    )
    const operations = removeOperations(keys, registry({ removed: many }), removed('n5'))
    expect(operations.filter(({ kind }) => kind === 'delete').map(({ key }) => key)).toContain(
      keys.removedNode('n4', 'log-0'),
    )
  })

  it('tells a member that came back under a new log from the one that was removed', () => {
    const back = registry({ nodes: [node('n1'), node('n2', 'new')], removed: [removed('n2', 'old')] })
    expect(removalOf(back, { name: 'n2', incarnation: 'old' })).toMatchObject({ name: 'n2' })
    expect(removalOf(back, { name: 'n2', incarnation: 'new' })).toBeUndefined()
    expect(removalOf(back, { name: 'n7', incarnation: 'never' })).toBeUndefined()
  })

  it('names what the configuration says otherwise', () => {
    const configured = ['n1', 'n2', 'n5'].map((name) => node(name))
    expect(differenceInWords(configured, registry())).toBe(
      'only in the configuration: n5; only in the registry: n3',
    )
    const moved = registry().nodes.map((one) => (one.name === 'n2' ? { ...one, apiPort: 1 } : one))
    expect(differenceInWords(moved, registry())).toBe('at another address: n2')
    expect(differenceInWords(registry().nodes, registry())).toBeUndefined()
  })
})

describe('the next change of consensus', () => {
  it('is none where both agree', () => {
    expect(nextChange(registry(), { voters: identities('n1', 'n2', 'n3'), learners: [] })).toBeUndefined()
  })

  it('adds who is missing as a learner, and makes a voter of a learner', () => {
    const wanted = registry({ nodes: [...registry().nodes, node('n4')] })
    const voters = identities('n1', 'n2', 'n3')
    expect(nextChange(wanted, { voters, learners: [] })).toEqual({
      kind: 'add-learner',
      member: 'n4',
      incarnation: 'log-n4',
    })
    expect(nextChange(wanted, { voters, learners: identities('n4') })).toEqual({
      kind: 'promote',
      member: 'n4',
    })
  })

  it('removes the lost log of a name before it adds the new one', () => {
    const wanted = registry({ nodes: [node('n1'), node('n2', 'new'), node('n3')], removed: [removed('n2')] })
    const voters = identities('n1', 'n2', 'n3')
    expect(nextChange(wanted, { voters, learners: [] })).toEqual({ kind: 'remove', member: 'n2' })
    expect(nextChange(wanted, { voters: identities('n1', 'n3'), learners: [] })).toEqual({
      kind: 'add-learner',
      member: 'n2',
      incarnation: 'new',
    })
  })

  it('says who else is to go, so that nobody waits for what they run', () => {
    const wanted = registry({ nodes: [node('n1')], removed: [removed('n2'), removed('n3')] })
    expect(nextChange(wanted, { voters: identities('n1', 'n2', 'n3'), learners: [] })).toEqual({
      kind: 'remove',
      member: 'n2',
      departed: ['n3'],
    })
  })

  it('takes no vote from who is only unknown to the registry', () => {
    const group = { voters: identities('n1', 'n2', 'n3', 'n8'), learners: identities('n9') }
    expect(nextChange(registry(), group)).toBeUndefined()
  })
})
