import { describe, expect, it } from 'vitest'
import { describeFault, drawSchedule, withUpgrade, type ChaosFault } from './schedule.ts'

const seeds = Array.from({ length: 700 }, (_, index) => index + 1)
const schedules = [3, 5].flatMap((nodes) =>
  seeds.map((seed) => ({ nodes, ...drawSchedule({ seed, nodes }) })),
)
const all = schedules.flatMap(({ faults }) => faults)

describe('a chaos schedule', () => {
  it('is a value of its seed', () => {
    for (const seed of seeds)
      expect(drawSchedule({ seed, nodes: 3 })).toEqual(drawSchedule({ seed, nodes: 3 }))
    const texts = seeds.map((seed) => drawSchedule({ seed, nodes: 3 }).faults.map(describeFault).join())
    expect(new Set(texts).size).toBeGreaterThan(seeds.length * 0.99)
  })

  it('has at most six faults in order, which begin within 14 s and have ended after 20', () => {
    for (const { faults } of schedules) {
      expect(faults.length).toBeGreaterThan(0)
      expect(faults.length).toBeLessThanOrEqual(6)
      expect(faults.map(({ atMs }) => atMs)).toEqual(
        faults.map(({ atMs }) => atMs).toSorted((left, right) => left - right),
      )
    }
    for (const { atMs, fault } of all) {
      expect(atMs).toBeLessThanOrEqual(14_000)
      expect(atMs + ('ms' in fault ? fault.ms : 0)).toBeLessThanOrEqual(20_000)
      if ('ms' in fault) expect(fault.ms).toBeGreaterThan(0)
    }
  })

  it('hits members that there are, and no member is its own peer', () => {
    for (const { nodes, faults } of schedules) {
      for (const { target, fault } of faults) {
        if (target !== 'again') expect(target).toBeLessThan(nodes)
        if (fault.kind !== 'cut' || typeof fault.peer !== 'number') continue
        expect(fault.peer).toBeLessThan(nodes)
        expect(fault.peer).not.toBe(target)
      }
    }
  })

  it('takes a disk away only from a standby, and before anything else', () => {
    for (const { faults } of schedules) {
      const wiped = faults.findIndex(({ fault }) => fault.kind === 'wipe')
      expect(wiped).toBeLessThanOrEqual(0)
      if (wiped === 0) expect(faults[0]?.target).not.toBe(0)
    }
  })

  it('meets a copy of the data while it is made, a switchover, an upgrade, and standbys that lag', () => {
    const gapsAfter = (kind: string) =>
      schedules.flatMap(({ faults }) =>
        faults.slice(1).flatMap(({ atMs }, index) => {
          const before = faults[index]
          return before?.fault.kind === kind ? [atMs - before.atMs] : []
        }),
      )
    expect(Math.max(...gapsAfter('wipe'))).toBeLessThanOrEqual(2501)
    expect(Math.max(...gapsAfter('lag'))).toBeLessThanOrEqual(1501)
    expect(Math.max(...gapsAfter('roll'))).toBeLessThanOrEqual(2501)
    const switchovers = gapsAfter('switchover')
    expect(switchovers.filter((gap) => gap <= 501).length / switchovers.length).toBeGreaterThan(0.5)
  })

  it('has every kind of fault, kill, cut and freeze often enough, and two at once', () => {
    const kindOf = ({ kind, ...rest }: ChaosFault): string => {
      const part = rest as { process?: string; way?: string; how?: string; what?: string; of?: string }
      return [kind, part.process ?? part.what ?? part.way ?? part.of, part.how].filter(Boolean).join(' ')
    }
    const counts = new Map<string, number>()
    for (const { fault } of all) counts.set(kindOf(fault), (counts.get(kindOf(fault)) ?? 0) + 1)
    expect(counts.size).toBe(6 + 1 + 1 + 1 + 6 + 1 + 1 + 6 + 1 + 1 + 2 * 4 + 1 + 1 + 1 + 2 + 1)
    for (const [kind, count] of counts) expect(count, kind).toBeGreaterThan(20)
    const together = schedules.filter(({ faults }) =>
      faults.some(({ atMs }, index) => index > 0 && atMs - (faults[index - 1]?.atMs ?? 0) <= 60),
    )
    expect(together.length / schedules.length).toBeGreaterThan(0.3)
  })

  it('splits a primary off while clients reach it, and loses one whose standbys lag, often enough', () => {
    const splits = all.filter(
      ({ target, fault }) => target === 0 && fault.kind === 'cut' && fault.peer === 'members',
    )
    expect(splits.length / schedules.length).toBeGreaterThan(0.3)
    const afterLag = schedules.flatMap(({ faults }) =>
      faults.slice(1).filter((_, index) => faults[index]?.fault.kind === 'lag'),
    )
    expect(afterLag.length / schedules.length).toBeGreaterThan(0.2)
    expect(new Set(afterLag.map(({ target }) => target))).toEqual(new Set([0]))
  })

  it('hits a host that comes back, or the one that it follows then, often enough', () => {
    const again = schedules.flatMap(({ faults }) =>
      faults.slice(1).flatMap((one, index) => {
        const before = faults[index]
        return one.target === 'again' && before ? [one.atMs - before.atMs] : []
      }),
    )
    expect(again.length / schedules.length).toBeGreaterThan(0.1)
    // It is back, and after a loss of half a second at least it has something to catch up with.
    expect(Math.min(...again)).toBeGreaterThanOrEqual(500)
  })

  it('has the kinds alone that were asked for', () => {
    const kinds = seeds.flatMap((seed) =>
      drawSchedule({ seed, nodes: 3, kinds: ['clock-step', 'starve'] }).faults.map(({ fault }) => fault.kind),
    )
    expect(new Set(kinds)).toEqual(new Set(['clock-step', 'starve']))
  })

  it('meets an upgrade from its first moment on, where one was asked for, in either way', () => {
    const ways = seeds.map((seed) => {
      const drawn = drawSchedule({ seed, nodes: 3 })
      const [first, ...others] = withUpgrade(drawn).faults
      expect(others).toEqual(drawn.faults)
      expect(first).toMatchObject({ atMs: 0, target: 0, fault: { kind: 'roll' } })
      return first?.fault.kind === 'roll' ? first.fault.how : undefined
    })
    expect(new Set(ways)).toEqual(new Set(['stop', 'detach']))
  })

  it('can be read', () => {
    expect(
      describeFault({
        atMs: 1234,
        target: 0,
        fault: { kind: 'cut', way: 'in', how: 'drop', peer: 2, ms: 2500 },
      }),
    ).toBe('1.23 s primary cut in drop with standby2 for 2.50 s')
    expect(describeFault({ atMs: 0, target: 1, fault: { kind: 'wipe' } })).toBe('0.00 s standby1 wipe')
    expect(
      describeFault({ atMs: 0, target: 'again', fault: { kind: 'disk', of: 'all', how: 30, ms: 900 } }),
    ).toBe('0.00 s same disk of all late by 30 ms for 0.90 s')
  })
})
