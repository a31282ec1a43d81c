import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { settle, VirtualClock } from '../../../test/support/ha-fakes.ts'
import type { Registry } from '../../model/membership.ts'
import { silentLogger } from '../../platform/log.ts'
import type { MembershipChange } from '../../raft/membership-change.ts'
import type { MembershipOutcome } from '../../store/raft/pending-changes.ts'
import type { Identity } from './registry.ts'
import { VoterLoop, type VoterLoopDeps } from './voter-loop.ts'

const node = (name: string) => ({ name, apiHost: name, apiPort: 1, incarnation: `log-${name}`, since: '' })

/** A group that does what it is told, or says what the test wants. */
class FakeGroup {
  leader = 'n1'
  voters: Identity[] = ['n1', 'n2', 'n3'].map((name) => ({ name, incarnation: `log-${name}` }))
  learners: Identity[] = []
  readonly asked: string[] = []
  refusals: MembershipOutcome[] = []
  running = 0
  listener: () => void = () => undefined

  readonly status: VoterLoopDeps['group']['status'] = () => ({
    backend: 'raft',
    hasQuorum: true,
    leader: this.leader,
    term: 1,
    voters: this.voters.map(({ name }) => name),
    appliedRevision: 1,
  })

  readonly onStatusChange = (listener: () => void) => {
    this.listener = listener
    return () => undefined
  }

  readonly membership: VoterLoopDeps['group']['membership'] = () => ({
    voters: this.voters,
    learners: this.learners,
    commitIndex: 1,
    isRemoved: false,
  })

  readonly changeMembership = async (change: MembershipChange): Promise<MembershipOutcome> => {
    this.running += 1
    expect(this.running, 'changes at the same time').toBe(1)
    this.asked.push(`${change.kind} ${change.member}`)
    await settle()
    this.running -= 1
    const refusal = this.refusals.shift()
    if (refusal) return refusal
    const others = (list: Identity[]) => list.filter(({ name }) => name !== change.member)
    if (change.kind === 'add-learner') {
      this.learners.push({ name: change.member, incarnation: change.incarnation })
    } else if (change.kind === 'promote') {
      this.voters.push(...this.learners.filter(({ name }) => name === change.member))
      this.learners = others(this.learners)
    } else {
      this.voters = others(this.voters)
      this.learners = others(this.learners)
    }
    return { kind: 'done' }
  }
}

describe('VoterLoop', () => {
  let clock: VirtualClock
  let group: FakeGroup
  let registry: Registry
  let isSettled: boolean
  let loop: VoterLoop

  beforeEach(() => {
    clock = new VirtualClock()
    group = new FakeGroup()
    isSettled = true
    registry = { revision: 1, nodes: ['n1', 'n2', 'n3', 'n4'].map(node), removed: [] }
    loop = new VoterLoop(
      {
        clock,
        log: silentLogger(),
        group,
        registry: () => registry,
        onRegistry: () => () => undefined,
        isSettled: () => isSettled,
      },
      'n1',
    )
  })

  afterEach(() => loop.stop())

  it('makes a voter of a new member step by step, one change at a time', async () => {
    loop.start()
    await clock.advance(100)
    expect(group.asked).toEqual(['add-learner n4', 'promote n4'])
    expect(group.voters.map(({ name }) => name)).toContain('n4')
    group.listener()
    await clock.advance(5000)
    expect(group.asked).toHaveLength(2)
  })

  it('does nothing where another node leads, and goes on once this one does', async () => {
    group.leader = 'n2'
    loop.start()
    await clock.advance(2000)
    expect(group.asked).toEqual([])
    group.leader = 'n1'
    group.listener()
    await clock.advance(100)
    expect(group.asked).toEqual(['add-learner n4', 'promote n4'])
  })

  it('changes nothing during a take-over, and does it when that is over', async () => {
    isSettled = false
    loop.start()
    await clock.advance(3000)
    expect(group.asked).toEqual([])
    isSettled = true
    await clock.advance(1000)
    expect(group.asked).toEqual(['add-learner n4', 'promote n4'])
  })

  it('asks again for what was refused, until it is made', async () => {
    group.refusals = [
      { kind: 'refused', reason: 'CHANGE_IN_PROGRESS', message: 'another one' },
      { kind: 'unknown' },
    ]
    loop.start()
    await clock.advance(2000)
    expect(group.asked).toEqual(['add-learner n4', 'add-learner n4', 'add-learner n4', 'promote n4'])
  })

  it('ends with its node', async () => {
    isSettled = false
    loop.start()
    await clock.advance(100)
    loop.stop()
    isSettled = true
    await clock.advance(5000)
    expect(group.asked).toEqual([])
  })
})
