import { describe, expect, it } from 'vitest'
import type { ScheduledFault, SimFault } from './cluster/fault-schedule.ts'
import type { GrayTrouble } from './cluster/gray-faults.ts'
import { runSeed } from './cluster/seed-runner.ts'

const AT = 8000
const HOSTS = ['n1', 'n2', 'n3']

/** What faults in a healthy cluster of three, whose primary is n1, do until the calm, as the trace tells it. */
async function traceOf(
  mode: 'async' | 'quorum' | { readonly mode: 'async' | 'quorum'; readonly timing: 'wan' },
  ...faults: readonly (SimFault | ScheduledFault)[]
): Promise<string> {
  const schedule = faults.map((fault) => ('at' in fault ? fault : { at: AT, fault }))
  const shape = typeof mode === 'string' ? ({ mode, timing: 'lan' } as const) : mode
  const options = { seed: 2, minutes: 0.5, profile: 'calm', ...shape, schedule } as const
  const verdict = await runSeed({ ...options, members: 3, traceLines: 4000 })
  expect(verdict).toMatchObject({ kind: 'clean' })
  return verdict.kind === 'clean' ? (verdict.result.trace.join('\n').split('calm')[0] ?? '') : ''
}

function gray(what: GrayTrouble, hosts: readonly string[] = ['n1']): SimFault {
  return { kind: 'gray', hosts, what, ms: 12_000 }
}

/** Milliseconds from the fault to the line. */
function afterMs(trace: string, line: RegExp): number {
  const at = (text: string | undefined): number => Number(/^ *([\d.]+)/.exec(text ?? '')?.[1]) * 1000
  const lines = trace.split('\n')
  const found = lines.find((one) => line.test(one))
  expect(found, `${line} in\n${trace}`).toBeDefined()
  return at(found) - at(lines.find((one) => / fault /.test(one)))
}

describe.each(['async', 'quorum'] as const)('%s: a primary that cannot write', (mode) => {
  it.each([
    ['stands still', { kind: 'pause', host: 'n1', process: 'postgres', ms: 12_000 }],
    ['has a disk that stalls', gray('stall')],
    ['has a full disk', gray('full-disk')],
    ['has a disk that is too slow for any commit', gray('late-disk')],
  ] as const)('and %s ends itself first, and another one goes on at once', async (_what, fault) => {
    const trace = await traceOf(mode, fault)
    expect(trace).toMatch(/n1 +fences its own PostgreSQL[^]*n1 +Finished: fence[^]*n[23] +takes epoch 2/)
    expect(afterMs(trace, /n[23] +Finished: mark-open/)).toBeLessThan(3000)
    expect(trace).not.toContain('the guard fences')
  })

  it('since its postmaster hangs and lets nobody in is found out by a connection made anew', async () => {
    const trace = await traceOf(mode, gray('hung-postmaster'))
    expect(afterMs(trace, /n1 +fences its own PostgreSQL/)).toBeLessThan(7000)
    expect(trace).toMatch(/n[23] +takes epoch 2/)
  })

  it('stays primary where no other member is better', async () => {
    const trace = await traceOf(mode, gray('stall', HOSTS))
    expect(trace).not.toMatch(/fences|takes epoch 2/)
  })

  it('stays primary where the others said that they can write before it could not, and nothing since', async () => {
    const silent = ['n2', 'n3'].map((host) => ({ kind: 'power', host, ms: 12_000 }) as const)
    const stalled = { at: AT + 200, fault: gray('stall') }
    const trace = await traceOf({ mode, timing: 'wan' }, ...silent, stalled)
    expect(trace).not.toMatch(/fences its own/)
  })

  it('is not made of one whose agent stood still', async () => {
    // Something is out nearly all the time, and comes back in time.
    const slow = { ...gray('slow-disk'), ms: 20_000 }
    const pause = { kind: 'pause', host: 'n1', process: 'agent', ms: 1800 } as const
    const trace = await traceOf(
      mode,
      slow,
      { at: AT + 1000, fault: pause },
      { at: AT + 3000, fault: pause },
      { at: AT + 6000, fault: pause },
    )
    expect(trace).not.toMatch(/fences|takes epoch 2/)
  })
})

describe('a primary whose processes sleep in the kernel, killed as they are', () => {
  it('is taken over from by revocation at once, which needs nobody’s death', async () => {
    const trace = await traceOf('quorum', gray('deep-stall'))
    expect(trace).toMatch(/n1 +Failed: fence .*processes are left/)
    expect(afterMs(trace, /n[23] +Finished: mark-open/)).toBeLessThan(3000)
  })

  it('releases nothing where commits wait for nobody: its lease runs out first', async () => {
    const trace = await traceOf('async', gray('deep-stall'))
    expect(trace).toMatch(/n1 +Failed: fence .*processes are left/)
    expect(trace).not.toMatch(/Finished: release/)
    expect(trace).toMatch(/n[23] +Take-over .*LEASE_EXPIRED/)
  })
})

it('where every standby stalls, commits wait and the primary, which can write, stays one', async () => {
  const trace = await traceOf('quorum', gray('stall', ['n2', 'n3']))
  expect(trace).not.toMatch(/fences|takes epoch 2/)
})
