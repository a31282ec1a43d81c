import { describe, expect, it } from 'vitest'
import { MODES } from '../support/replication-mode.ts'
import { judge } from './verdict.ts'

type Input = Parameters<typeof judge>[0]
type ChaosWrite = Input['writes'][number]

const write = (id: number, changes: Partial<ChaosWrite> = {}): ChaosWrite => ({
  id,
  invokedMs: id * 10,
  endedMs: id * 10 + 5,
  outcome: 'acknowledged',
  timeline: 1,
  server: 'a',
  xid: id,
  router: 'node1',
  ...changes,
})
const of = (changes: Partial<Input>) =>
  judge({
    mode: 'quorum',
    writes: [],
    reads: [],
    rows: (changes.writes ?? []).map(({ id }) => id),
    losses: [],
    standstills: [],
    tableMs: 3000,
    ...changes,
  })

describe('the verdict of a chaos run', () => {
  it('finds nothing in an honest history', () => {
    for (const mode of MODES) {
      const { violations } = of({ mode, writes: [write(1), write(2, { timeline: 2, server: 'b' })] })
      expect(violations).toEqual([])
    }
  })

  it('is G2 for a missing row where commits wait, and G3 where they do not and nobody reported it', () => {
    const lost = { writes: [write(1), write(2)], rows: [1] }
    expect(of({ ...lost, mode: 'sync' }).violations).toEqual([expect.stringMatching(/^G2: .*"id":2/)])
    expect(of({ ...lost, mode: 'quorum' }).violations).toEqual([expect.stringMatching(/^G2: /)])
    expect(of({ ...lost, mode: 'async' }).violations).toEqual([expect.stringMatching(/^G3: lost/)])
  })

  it('accepts a write of the past only in async mode, and only through a router that stood still meanwhile', () => {
    const dual = {
      writes: [write(1, { timeline: 2, server: 'b', router: 'node2' }), write(2)],
      standstills: [{ router: 'node1', fromMs: 12, toMs: 22 }],
    }
    expect(of({ ...dual, mode: 'async' }).violations).toEqual([])
    expect(of({ ...dual, mode: 'quorum' }).violations).toEqual([expect.stringMatching(/^G1: acknowledged/)])
    for (const other of [
      { router: 'node2', fromMs: 12, toMs: 22 },
      { router: 'node1', fromMs: 0, toMs: 19 },
    ]) {
      expect(of({ ...dual, mode: 'async', standstills: [other] }).violations).toHaveLength(1)
    }
  })

  it('names duplicates, rows from nowhere and two servers on one timeline', () => {
    const { violations } = of({ writes: [write(1), write(2, { server: 'b' })], rows: [1, 1, 2, 3] })
    expect(violations.map((text) => text.slice(0, 10))).toEqual(['G1: two se', 'G7: rows t', 'G7: rows t'])
  })

  it('counts a read from the past after a newer timeline had acknowledged, and rejects it when every table has ended', () => {
    const read = (invokedMs: number, timeline: number) => ({
      invokedMs,
      endedMs: invokedMs + 1,
      timeline,
      server: 'a',
    })
    const writes = [write(1), write(2, { timeline: 2, server: 'b' })]
    expect(of({ writes, reads: [read(25, 1), read(26, 2), read(12, 1)] }).staleReads).toEqual([])
    expect(of({ writes, reads: [read(3026, 1)] }).violations).toEqual([expect.stringMatching(/^G7: read/)])
    expect(of({ writes, reads: [read(3025, 1), read(3026, 2)] }).violations).toEqual([])
    expect(of({ writes, reads: [read(26, 1)] }).staleReads).toEqual([{ ...read(26, 1), lateMs: 1 }])
  })
})
