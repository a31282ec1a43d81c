import { describe, expect, it } from 'vitest'
import { parseLsn, type Lsn } from '../../model/lsn.ts'
import { Freshness } from './freshness.ts'

const lsn = (text: string): Lsn => parseLsn(text) as Lsn

function known(askedAt: number, position: string): Freshness {
  const freshness = new Freshness()
  freshness.epochIs(1)
  freshness.primaryIs({ askedAt, lsn: lsn(position) })
  return freshness
}

function replayed(freshness: Freshness, position: string): void {
  const wanted = freshness.position
  if (wanted) freshness.replayed('n2', lsn(position), wanted)
}

describe('a replica has what a session committed', () => {
  it('when it has replayed a position that was asked for later', () => {
    const freshness = known(100, '0/5000100')
    expect(freshness.has('n2', 99)).toBe(false)
    replayed(freshness, '0/50000F8')
    expect(freshness.has('n2', 99)).toBe(false)
    replayed(freshness, '0/5000100')
    expect(freshness.has('n2', 99)).toBe(true)
    // What ended in that very moment, or later, may be beyond it.
    expect(freshness.has('n2', 100)).toBe(false)
    expect(freshness.has('n2', 101)).toBe(false)
    expect(freshness.has('n3', 99)).toBe(false)
  })

  it('always, where it committed nothing', () => {
    expect(new Freshness().has('n2', undefined)).toBe(true)
  })

  it('also where the next record would begin behind the header of a page', () => {
    const page = known(100, '0/5002018')
    replayed(page, '0/5002000')
    expect(page.has('n2', 99)).toBe(true)
    const file = known(100, '0/6000028')
    replayed(file, '0/5FFFFF8')
    expect(file.has('n2', 99)).toBe(false)
    replayed(file, '0/6000000')
    expect(file.has('n2', 99)).toBe(true)
  })

  it('only in the history in which was asked', () => {
    const freshness = known(100, '0/5000100')
    const wanted = freshness.position
    replayed(freshness, '0/5000100')
    freshness.epochIs(1)
    expect(freshness.has('n2', 99)).toBe(true)
    freshness.epochIs(2)
    expect(freshness.has('n2', 99)).toBe(false)
    // An answer that was on its way.
    if (wanted) freshness.replayed('n2', lsn('0/9000000'), wanted)
    expect(freshness.has('n2', 99)).toBe(false)
  })
})
