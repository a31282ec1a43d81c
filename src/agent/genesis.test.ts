import { describe, expect, it } from 'vitest'
import { judgeGenesis, listFingerprint, type GenesisHello } from './genesis.ts'

const members = ['n1', 'n2', 'n3']
const list = listFingerprint('main', members)
const hello = (nonce: string, more: Partial<GenesisHello> = {}): GenesisHello => ({
  nonce,
  list,
  isEmpty: true,
  ...more,
})
const all = new Map([
  ['n2', hello('b')],
  ['n3', hello('c')],
])
const own = { name: 'n1', hello: hello('a') }

function groupOf(): NonNullable<GenesisHello['group']> {
  const verdict = judgeGenesis(own, members, all)
  if (verdict.kind !== 'found') throw new Error(verdict.why)
  return verdict.genesis
}

describe('judgeGenesis', () => {
  it('founds the same group on every member', () => {
    const elsewhere = judgeGenesis(
      { name: 'n3', hello: hello('c') },
      members.toReversed(),
      new Map([
        ['n1', hello('a')],
        ['n2', hello('b')],
      ]),
    )
    expect(elsewhere).toEqual({ kind: 'found', genesis: groupOf() })
  })

  it('waits until every member answers: two of three are not enough', () => {
    const verdict = judgeGenesis(own, members, new Map([['n2', hello('b')]]))
    expect(verdict).toMatchObject({ kind: 'waits', why: expect.stringContaining('n3') })
  })

  it('waits while a member has data: with it a new cluster would be a second one', () => {
    const verdict = judgeGenesis(own, members, new Map([...all, ['n3', hello('c', { isEmpty: false })]]))
    expect(verdict).toMatchObject({ kind: 'waits', why: expect.stringContaining('n3') })
  })

  it('refuses for a node that has data and no log', () => {
    const verdict = judgeGenesis({ name: 'n1', hello: hello('a', { isEmpty: false }) }, members, all)
    expect(verdict.kind).toBe('refused')
  })

  it.each([
    ['another list of members', listFingerprint('main', ['n1', 'n2', 'n4'])],
    ['another scope', listFingerprint('test', members)],
  ])('refuses when another member has %s', (_, other) => {
    const verdict = judgeGenesis(own, members, new Map([...all, ['n2', hello('b', { list: other })]]))
    expect(verdict).toMatchObject({ kind: 'refused', why: expect.stringContaining('n2') })
  })

  it('goes on with a founding that was interrupted here, without the third member', () => {
    const group = groupOf()
    expect(judgeGenesis(own, members, new Map([['n2', hello('b', { group })]]))).toEqual({
      kind: 'found',
      genesis: group,
    })
  })

  it('tells a node that lost its disk how to come back, also after members came and went', () => {
    const group = groupOf()
    const grown = listFingerprint('main', [...members, 'n4'])
    const hellos = new Map([['n2', hello('b', { group, list: grown })]])
    const verdict = judgeGenesis({ name: 'n1', hello: hello('new') }, members, hellos)
    expect(verdict).toMatchObject({
      kind: 'refused',
      why: expect.stringMatching(/pg-metako member remove n1.*pg-metako member add n1/),
    })
  })

  it('refuses a node that lost its disk and would vote under its old name', () => {
    const group = groupOf()
    const wiped = { name: 'n1', hello: hello('new') }
    const verdict = judgeGenesis(wiped, members, new Map([['n2', hello('b', { group })]]))
    expect(verdict.kind).toBe('refused')
  })
})
