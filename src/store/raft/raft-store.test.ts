import { describe, expect, it } from 'vitest'
import { VirtualGroup } from '../../../test/support/virtual-group.ts'
import { encodeMessage } from '../../raft/message-codec.ts'
import type { Transaction } from '../../model/key-value.ts'
import type { MembershipChange } from '../../raft/membership-change.ts'

const names = ['n1', 'n2', 'n3']
const put = (key: string, value = 'v'): Transaction => ({
  compares: [],
  operations: [{ kind: 'put', key, value }],
})
const within = { deadlineMs: 30_000 }

function others(leader: string): [string, string] {
  return names.filter((name) => name !== leader) as [string, string]
}

describe('a group of three', () => {
  it('that was restarted has a leader in well under a second, whatever the seed', async () => {
    const times: number[] = []
    for (let seed = 1; seed <= 30; seed += 1) {
      const group = new VirtualGroup(names, seed)
      await group.until(group.store('n1').transact(put('k'), within))
      for (const name of names) group.kill(name)
      for (const name of names) group.start(name)
      times.push(await group.untilSeen(() => names.every((name) => group.store(name).status().hasQuorum)))
    }
    expect(Math.max(...times)).toBeLessThan(700)
    expect(times.toSorted((left, right) => left - right)[15]).toBeLessThan(200)
  })

  it('keeps through a power loss of all members what it acknowledged', async () => {
    const group = new VirtualGroup(names)
    for (let count = 1; count <= 50; count += 1) {
      await group.until(group.store(names[count % 3] ?? 'n1').transact(put(`k${count}`), within))
    }
    for (const name of names) group.kill(name, { power: true })
    for (const name of names) group.start(name)
    const { entries } = await group.until(group.store('n2').read('k', within))
    expect(entries).toHaveLength(50)
  })

  it('commits what comes at once with one fsync at the leader and few at the followers, in two hops', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    await group.until(group.store(leader).transact(put('warm'), within))
    await group.pass(100)
    const before = names.map((name) => group.member(name).disk.syncs())
    const start = group.time.now
    const all = Array.from({ length: 50 }, (_, index) =>
      group.store(leader).transact(put(`k${index}`), within),
    )
    await group.until(Promise.all(all))
    // Two hops and two fsyncs that overlap; nothing waits for a timer.
    expect(group.time.now - start).toBeLessThan(5)
    await group.pass(50)
    const added = names.map((name, index) => group.member(name).disk.syncs() - (before[index] ?? 0))
    expect(added[names.indexOf(leader)]).toBe(1)
    expect(Math.max(...added)).toBeLessThan(10)
  })

  it('applies a transaction once although messages are lost and doubled and its leader changes', async () => {
    const group = new VirtualGroup(names, 5)
    const leader = await group.leader()
    const [follower] = others(leader)
    Object.assign(group.network, { loss: 0.3, duplicates: 0.3, delayMs: 20 })
    const writes = Array.from({ length: 40 }, (_, index) =>
      group.store(follower).transact(put(`k${index}`), within),
    )
    await group.pass(30)
    group.kill(leader)
    const results = await group.until(Promise.all(writes))
    const { entries } = await group.until(group.store(follower).read('k', within))
    expect(new Set(results.map(({ revision }) => revision)).size).toBe(40)
    expect(entries).toHaveLength(40)
    for (const entry of entries) expect(entry.modRevision).toBe(entry.createRevision)
  })

  it('hands leadership over in a few milliseconds, also when the leader is stopped', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [next, third] = others(leader)
    const start = group.time.now
    expect(await group.until(group.store(leader).transferLeadership(next))).toEqual({ kind: 'done' })
    expect(group.time.now - start).toBeLessThan(20)
    expect(await group.until(group.store(third).transferLeadership(leader))).toEqual({
      kind: 'refused',
      reason: 'NOT_LEADER',
    })
    await group.until(group.store(next).transact(put('k'), within))
    await group.until(group.store(next).stop())
    const gap = await group.untilSeen(() => group.store(third).status().leader !== next)
    await group.untilSeen(() => group.store(third).status().hasQuorum)
    expect(gap).toBeLessThan(50)
  })

  it('brings a member that was away for long up to date by a snapshot, and its watchers without a gap', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [away, stays] = others(leader)
    const revisions: number[] = []
    for (const other of names) if (other !== away) block(group, away, other)
    group.store(away).watch('', 0, (events, _revision, compacted) => {
      expect(compacted).toBeUndefined()
      for (const event of events) if (event.kind === 'put') revisions.push(event.entry.modRevision)
    })
    let last = 0
    for (let index = 0; index < 1000; index += 1) {
      last = (await group.until(group.store(stays).transact(put(`k${index % 7}`, String(index)), within)))
        .revision
    }
    // Entries of sessions and terms count too: then the log is compacted.
    for (let index = 0; index < 30; index += 1) {
      last = (await group.until(group.store(leader).transact(put('more', String(index)), within))).revision
    }
    group.blocked.clear()
    await group.untilSeen(() => group.store(away).status().appliedRevision === last)
    await group.pass(1)
    expect(group.store(away).peekPrefix('')).toEqual(group.store(leader).peekPrefix(''))
    expect(revisions.at(-1)).toBe(last)
    expect(revisions).toEqual(
      Array.from({ length: revisions.length }, (_, index) => (revisions[0] ?? 0) + index),
    )
  }, 30_000)

  it('says that the outcome is unknown when a leader that took the transaction is cut off, and applies it once or never', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    await group.until(group.store(leader).transact(put('k', 'before'), within))
    for (const other of others(leader)) block(group, leader, other)
    const failure = await group.until(
      group
        .store(leader)
        .transact(put('k', 'lost'), { deadlineMs: 200 })
        .catch((error: unknown) => error),
    )
    expect(failure).toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    expect(group.store(leader).peek('k')?.value).toBe('before')
    await group.untilSeen(() => !group.store(leader).status().hasQuorum)
    const refused = await group.until(
      group
        .store(leader)
        .transact(put('k', 'never'), { deadlineMs: 200 })
        .catch((error: unknown) => error),
    )
    expect(refused).toMatchObject({ code: 'STORE_NO_QUORUM', details: { applied: false } })
  })

  it('forwards no proposal that a member could not apply', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [follower] = others(leader)
    const before = group.store(leader).status()
    const message = { kind: 'propose', body: '{"kind":"burn"}' } as const
    group.inject(follower, leader, encodeMessage({ group: 'g', from: follower, to: leader, message }))
    group.inject(follower, leader, encodeMessage({ group: 'g', from: 'n9', to: leader, message }))
    group.inject(follower, leader, new Uint8Array([1, 2, 3]))
    await group.pass(200)
    expect(group.store(leader).status()).toEqual(before)
    expect([...group.members.values()].flatMap(({ fatal }) => fatal)).toEqual([])
  })
})

describe('a change of members', () => {
  const add = (member: string, incarnation: string) => ({ kind: 'add-learner', member, incarnation }) as const
  const votersAt = (group: VirtualGroup, name: string) =>
    group
      .store(name)
      .membership()
      .voters.map((voter) => `${voter.name}/${voter.incarnation}`)

  it('asked for at any member brings a new one in, and lets the leader go', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [asked, third] = others(leader)
    const change = (wanted: MembershipChange) =>
      group.until(group.store(asked).changeMembership(wanted, within))
    for (let count = 1; count <= 20; count += 1) {
      await group.until(group.store(asked).transact(put(`k${count}`), within))
    }
    group.join('n4', 'x')
    expect(group.store('n4').membership()).toEqual({
      voters: [],
      learners: [],
      commitIndex: 0,
      isRemoved: false,
    })
    expect(await change({ kind: 'promote', member: 'n4' })).toMatchObject({ reason: 'UNKNOWN_MEMBER' })
    expect(await change(add('n4', 'x'))).toEqual({ kind: 'done' })
    expect(await change(add('n4', 'x'))).toMatchObject({ kind: 'refused', reason: 'ALREADY_MEMBER' })
    await group.untilSeen(() => group.store('n4').peek('k20') !== undefined)
    expect(group.store(leader).membership().learners).toMatchObject([
      { name: 'n4', incarnation: 'x', matchIndex: expect.any(Number) },
    ])
    expect(await change({ kind: 'promote', member: 'n4' })).toEqual({ kind: 'done' })
    expect(group.store(asked).status().voters).toEqual([...names, 'n4'])

    let told = 0
    group.store(leader).onRemoved(() => {
      told += 1
    })
    expect(await change({ kind: 'remove', member: leader })).toEqual({ kind: 'done' })
    const gap = await group.untilSeen(() => group.store('n4').status().leader !== leader)
    expect(gap).toBeLessThan(50)
    await group.until(group.store('n4').transact(put('after'), within))
    expect(told).toBe(1)
    expect(group.store(leader).membership().isRemoved).toBe(true)
    expect(group.store(leader).status().hasQuorum).toBe(false)
    for (const name of [asked, third, 'n4']) expect(votersAt(group, name)).toHaveLength(3)
    // It stays silent, also over a restart, and knows again soon that it was removed.
    group.kill(leader)
    group.start(leader)
    await group.untilSeen(() => group.store(leader).membership().isRemoved)
    let again = 0
    group.store(leader).onRemoved(() => {
      again += 1
    })
    const sent = group.sent(leader)
    await group.pass(5000)
    expect(again).toBe(1)
    expect(group.sent(leader)).toBe(sent)
  })

  it('lets a member whose disk was replaced come back under its name, as another one', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [lost] = others(leader)
    await group.until(group.store(leader).transact(put('k'), within))
    group.join(lost, 'second')
    await group.pass(3000)
    // It hears nobody, and nobody counts it.
    expect(group.store(lost).status()).toMatchObject({ hasQuorum: false, voters: [] })
    const store = group.store(leader)
    const change = (wanted: MembershipChange) => group.until(store.changeMembership(wanted, within))
    expect(await change(add(lost, 'second'))).toMatchObject({ reason: 'ALREADY_MEMBER' })
    expect(await change({ kind: 'remove', member: lost })).toEqual({ kind: 'done' })
    expect(await change(add(lost, 'second'))).toEqual({ kind: 'done' })
    await group.untilSeen(() => group.store(lost).peek('k') !== undefined)
    expect(await change({ kind: 'promote', member: lost })).toEqual({ kind: 'done' })
    expect(votersAt(group, leader)).toContain(`${lost}/second`)
    group.kill(leader)
    await group.until(group.store(lost).transact(put('k2'), within))
  })

  it('is made once although messages are lost and doubled and the leader dies', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const group = new VirtualGroup(names, seed)
      const leader = await group.leader()
      const [asked] = others(leader)
      group.join('n4', 'x')
      Object.assign(group.network, { loss: 0.2, duplicates: 0.3, delayMs: 10 })
      const outcome = group.store(asked).changeMembership(add('n4', 'x'), within)
      await group.pass(seed * 4)
      group.kill(leader)
      expect(await group.until(outcome)).toEqual({ kind: 'done' })
      const { learners } = group.store(asked).membership()
      expect(learners.map(({ name }) => name)).toEqual(['n4'])
    }
  })

  it('is unknown when nobody answered, and was certainly not made where there was no leader to ask', async () => {
    const group = new VirtualGroup(names)
    const leader = await group.leader()
    const [one, two] = others(leader)
    for (const other of [one, two]) block(group, leader, other)
    const change = { kind: 'remove', member: two } as const
    const limit = { deadlineMs: 300 }
    expect(await group.until(group.store(leader).changeMembership(change, limit))).toEqual({
      kind: 'unknown',
    })
    block(group, one, two)
    await group.untilSeen(() => group.store(one).status().leader === undefined)
    expect(await group.until(group.store(one).changeMembership(change, limit))).toMatchObject({
      kind: 'refused',
      reason: 'NOT_LEADER',
    })
  })
})

describe('a member whose disk fails', () => {
  it('says nothing any more, ends what waits, and tells its owner', async () => {
    for (const call of ['append', 'sync'] as const) {
      const group = new VirtualGroup(names)
      const leader = await group.leader()
      await group.until(group.store(leader).transact(put('k'), within))
      const [voter] = others(leader)
      group.member(voter).disk.failOn(call)
      const waiting = group
        .store(voter)
        .transact(put('x'), within)
        .catch((error: unknown) => error)
      const read = group
        .store(voter)
        .read('', within)
        .catch((error: unknown) => error)
      await group.untilSeen(() => group.member(voter).fatal.length > 0)
      expect(await waiting).toMatchObject({ code: expect.stringMatching(/STORE_(OUTCOME_UNKNOWN|STOPPED)/) })
      await read
      expect(group.store(voter).status().hasQuorum).toBe(false)
      const sent = group.sent(voter)
      await group.pass(3000)
      expect(group.sent(voter)).toBe(sent)
      // The others go on without it.
      await group.until(group.store(leader).transact(put('y'), within))
    }
  })

  it('grants no vote that is not on its disk', async () => {
    const group = new VirtualGroup(names)
    for (const name of ['n2', 'n3']) group.member(name).disk.failOn('sync')
    await group.pass(5000)
    expect(group.store('n1').status()).toMatchObject({ hasQuorum: false })
    expect(group.member('n2').fatal).toHaveLength(1)
  })
})

describe('a group of one', () => {
  it('works alone, and again after a restart', async () => {
    const group = new VirtualGroup(['n1'])
    await group.until(group.store('n1').transact(put('k', '1'), within))
    group.kill('n1', { power: true })
    group.start('n1')
    const { entries } = await group.until(group.store('n1').read('k', within))
    expect(entries[0]?.value).toBe('1')
  })
})

function block(group: VirtualGroup, left: string, right: string): void {
  group.blocked.add(`${left}>${right}`)
  group.blocked.add(`${right}>${left}`)
}
