import { describe, expect, it } from 'vitest'
import type { EpochLink } from '../../model/epoch-record.ts'
import { extendChain, judgeHistory } from './history.ts'

function link(epoch: number, timeline: number, forkLsn: string): EpochLink {
  return {
    epoch,
    holder: 'n1',
    timeline,
    forkLsn,
    openedAt: '2026-01-01T00:00:00.000Z',
    reason: 'LEASE_EXPIRED',
    takeover: 'lease',
  }
}

function opened(epoch: number, timeline: number): Omit<EpochLink, 'forkLsn'> {
  const { forkLsn: _fork, ...rest } = link(epoch, timeline, '')
  return rest
}

describe('extendChain', () => {
  it('begins with the first timeline', () => {
    expect(extendChain([], { link: opened(1, 1), base: 0, forks: [] })).toEqual([link(1, 1, '0/0')])
  })

  it('adds a timeline where it left the one before', () => {
    const chain = [link(1, 1, '0/0')]
    const forks = [{ timeline: 1, endLsn: '0/6000' }]
    expect(extendChain(chain, { link: opened(2, 2), base: 1, forks })).toEqual([
      ...chain,
      link(2, 2, '0/6000'),
    ])
  })

  it('takes the fork from the last open timeline when a promotion before it never opened', () => {
    const chain = [link(1, 1, '0/0')]
    const forks = [
      { timeline: 1, endLsn: '0/6000' },
      { timeline: 2, endLsn: '0/7000' },
    ]
    const extended = extendChain(chain, { link: opened(2, 3), base: 1, forks }) ?? []
    expect(extended.at(-1)?.forkLsn).toBe('0/6000')
    // The old primary wrote behind that fork: it must not pass for a part of the history.
    expect(judgeHistory(extended, { timeline: 1, endLsn: '0/6100' }).kind).toBe('diverged')
  })

  it('leaves a timeline that the new holder had not followed', () => {
    const chain = [link(1, 1, '0/0'), link(8, 2, '0/6000')]
    const forks = [
      { timeline: 1, endLsn: '0/5F00' },
      { timeline: 2, endLsn: '0/5F80' },
    ]
    const extended = extendChain(chain, { link: opened(9, 3), base: 1, forks }) ?? []
    expect(extended.map(({ timeline, abandonedIn }) => [timeline, abandonedIn])).toEqual([
      [1, undefined],
      [2, 9],
      [3, undefined],
    ])
    expect(judgeHistory(extended, { timeline: 2, endLsn: '0/6000' })).toEqual({
      kind: 'diverged',
      divergence: { timeline: 2, forkLsn: '0/5F00', epoch: 9 },
    })
    expect(judgeHistory(extended, { timeline: 1, endLsn: '0/5FF0' }).kind).toBe('diverged')
    expect(judgeHistory(extended, { timeline: 1, endLsn: '0/5F00' }).kind).toBe('on-history')
  })

  it('leaves the history where an abandoned branch began, when what followed it had more of the older timeline', () => {
    const chain = [link(1, 1, '0/0'), { ...link(3, 2, '0/4000'), abandonedIn: 4 }, link(4, 3, '0/6000')]
    expect(judgeHistory(chain, { timeline: 2, endLsn: '0/6000' })).toEqual({
      kind: 'diverged',
      divergence: { timeline: 2, forkLsn: '0/4000', epoch: 4 },
    })
  })

  it('forks where the new holder really was, though it aimed at a timeline that it had got no WAL of', () => {
    const chain = [link(1, 1, '0/0'), link(2, 2, '0/6000'), link(3, 3, '0/7000')]
    // It had the history file of timeline 3 and ended where timeline 2 begins: PostgreSQL names all of them, in this order.
    const forks = [
      { timeline: 1, endLsn: '0/6000' },
      { timeline: 2, endLsn: '0/7000' },
      { timeline: 3, endLsn: '0/6000' },
    ]
    for (const base of [1, 2, 3]) {
      const extended = extendChain(chain, { link: opened(4, 4), base, forks }) ?? []
      expect(extended.at(-1)?.forkLsn, `base ${base}`).toBe('0/6000')
      expect(judgeHistory(extended, { timeline: 2, endLsn: '0/6100' }), `base ${base}`).toEqual({
        kind: 'diverged',
        divergence: { timeline: 2, forkLsn: '0/6000', epoch: 4 },
      })
      expect(judgeHistory(extended, { timeline: 1, endLsn: '0/6000' }).kind).toBe('on-history')
    }
  })

  it('refuses a timeline whose id another branch has already (safety.md M12)', () => {
    const chain = [link(1, 1, '0/0'), link(8, 2, '0/6000')]
    const forks = [{ timeline: 1, endLsn: '0/6000' }]
    expect(extendChain(chain, { link: opened(9, 2), base: 1, forks })).toBeUndefined()
  })

  it('stays as it is when a primary opens again on the timeline that it wrote before', () => {
    const chain = [link(1, 1, '0/0')]
    expect(extendChain(chain, { link: opened(2, 1), base: 1, forks: [] })).toBe(chain)
  })
})

describe('judgeHistory', () => {
  const chain = [link(1, 1, '0/0'), link(8, 2, '0/6000')]

  it('knows a branch that never opened by the epoch in which it was promoted', () => {
    const wal = { timeline: 2, endLsn: '0/6100', promotedInEpoch: 7 }
    expect(judgeHistory(chain, wal)).toEqual({
      kind: 'diverged',
      divergence: { timeline: 2, forkLsn: '0/6000', epoch: 8 },
    })
  })

  it('reports such a branch from the lowest fork that any later epoch made', () => {
    const later = [...chain, link(9, 3, '0/5000')]
    const wal = { timeline: 2, endLsn: '0/6100', promotedInEpoch: 7 }
    expect(judgeHistory(later, wal)).toMatchObject({ divergence: { forkLsn: '0/5000', epoch: 9 } })
  })

  it('waits with such a branch until the epoch that follows it is open', () => {
    expect(judgeHistory(chain, { timeline: 3, endLsn: '0/7000', promotedInEpoch: 9 }).kind).toBe(
      'unknown-timeline',
    )
  })

  it('never takes a timeline that nobody authorised for a diverged one, which would be wiped', () => {
    expect(judgeHistory(chain, { timeline: 5, endLsn: '0/1' }).kind).toBe('unknown-timeline')
    expect(judgeHistory([], { timeline: 1, endLsn: '0/1' }).kind).toBe('unknown-timeline')
  })
})
