import { describe, expect, it } from 'vitest'
import type { ScheduledFault, SimFault } from './cluster/fault-schedule.ts'
import { runSeed } from './cluster/seed-runner.ts'

const AT = 8000

/** What one fault in a healthy cluster of three does, as the trace tells it. */
async function traceOf(...faults: readonly (SimFault | ScheduledFault)[]): Promise<string> {
  const schedule = faults.map((fault) => ('at' in fault ? fault : { at: AT, fault }))
  // Three hosts.
  const options = { seed: 2, minutes: 0.5, timing: 'lan', profile: 'calm', schedule } as const
  const verdict = await runSeed({ ...options, members: 3, traceLines: 4000 })
  expect(verdict).toMatchObject({ kind: 'clean' })
  return verdict.kind === 'clean' ? verdict.result.trace.join('\n') : ''
}

describe('a disk of the agent that fails', () => {
  it.each(['write-error', 'fsync-error', 'full'] as const)(
    'ends the agent (%s), and the next one goes on where it was durable',
    async (what) => {
      const trace = await traceOf({ kind: 'agent-disk', host: 'n2', what, ms: 400 })
      const code = what === 'full' ? 'ENOSPC' : 'EIO'
      expect(trace).toMatch(new RegExp(`n2 +ends: Consensus cannot go on: Error: ${code}`))
      expect(trace).not.toContain('is out of consensus')
    },
  )

  it('stops the agent while it hangs, and the guard ends a primary whose lease ran out meanwhile', async () => {
    const trace = await traceOf({ kind: 'agent-disk', host: 'n1', what: 'stalled', ms: 9000 })
    expect(trace).toMatch(/n1 +the guard fences/)
    expect(trace).toMatch(/n[23] +takes epoch 2 over from n1/)
    expect(trace).not.toContain('ends: Consensus')
  })

  it.each(['kill', 'power'] as const)('by a %s between a write and its fsync costs nothing', async (how) => {
    const cut: SimFault = { kind: 'cut-write', host: 'n3', how, ms: 500 }
    const again = { at: AT + 4000, fault: { kind: 'power', host: 'n3', ms: 500 } as const }
    expect(await traceOf(cut, again)).toContain('n3 is cut off between a write and its fsync')
  })

  it('and lost a bit of what was durable is refused until it comes back as another member', async () => {
    const trace = await traceOf({ kind: 'rot', host: 'n2' })
    expect(trace).toMatch(/n2 +ends: cannot start: Fault: Cannot use the consensus log .* "pg-metako join"/)
    expect(trace).toMatch(/n2 is out of consensus[^]*n2 +Joined the consensus group as a learner/)
    expect(trace).toMatch(/n2 votes in consensus/)
  })

  it('and was replaced makes a new member of the same name, cloned anew', async () => {
    const state = await traceOf({ kind: 'new-disk', host: 'n2', what: 'state', ms: 500 })
    expect(state).toMatch(/n2 +Cannot join the cluster .*this node lost its consensus log/)
    expect(state).toMatch(/n2 +Joined the consensus group as a learner[^]*n2 +clones n1/)
    const data = await traceOf({ kind: 'new-disk', host: 'n2', what: 'data', ms: 500 })
    expect(data.split('calm')[0]).toMatch(/n2 +clones n1[^]*n2 +clones n1/)
    expect(data).not.toContain('is out of consensus')
  })
})

describe('an operator', () => {
  it('adds a host, which is a learner, then votes, and is cloned and streams', async () => {
    const trace = await traceOf({ kind: 'member-add', host: 'n6' })
    expect(trace).toMatch(/n6 learns the consensus log[^]*n6 votes in consensus/)
    expect(trace).toMatch(/n6 +clones n1[^]*n6 +standby of n1/)
  })

  it.each(['primary', 'leader', 'dead'] as const)('removes the %s, and the others go on', async (victim) => {
    const trace = await traceOf({ kind: 'member-remove', victim })
    expect(trace).toMatch(/operator +ends: member remove/)
    expect(trace).toMatch(/n\d +This node was removed from the cluster on/)
    if (victim === 'primary') expect(trace).toMatch(/n1 +hands over to n2/)
  })

  it('takes a member back that was removed, with its data', async () => {
    const remove: SimFault = { kind: 'member-remove', victim: 'primary' }
    const add = { at: AT + 6000, fault: { kind: 'member-add', host: 'n1' } as const }
    const trace = await traceOf(remove, add)
    expect(trace).toMatch(/n1 +Joined the consensus group as a learner[^]*n1 +starts as a standby/)
    expect(trace).not.toMatch(/n1 +clones/)
  })

  it('replaces a host that is gone by an empty one of the same name', async () => {
    const trace = await traceOf({ kind: 'member-replace', host: 'n3' })
    expect(trace).toMatch(/n3 is out of consensus[^]*n3 votes in consensus/)
    expect(trace).toMatch(/n3 is out of consensus[^]*n3 +clones n1/)
  })

  it('upgrades one agent after the other, and the releases understand each other meanwhile', async () => {
    const next = await traceOf({ kind: 'upgrade', from: 'this' })
    expect(next).toMatch(/operator +ends: rolling upgrade/)
    expect(next).not.toMatch(/A consensus message was refused|takes epoch/)
    // Until all are of this release none of them may change the members, since the one before would not understand.
    const add: SimFault = { kind: 'member-add', host: 'n6' }
    const upgrade = { at: AT + 3000, fault: { kind: 'upgrade', from: 'before' } as const }
    const before = await traceOf(add, upgrade)
    expect(before).toMatch(/Not changed yet in consensus[^]*rolling upgrade[^]*n6 votes in consensus/)
  })
})
