import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, settle, VirtualClock } from '../../../test/support/ha-fakes.ts'
import { sampleRecord } from '../../../test/support/sample-view.ts'
import { keysOf } from '../../ha/keys.ts'
import type { EpochRecord } from '../../model/epoch-record.ts'
import type { Membership } from '../../store/raft/membership.ts'
import { beginOperations, readRegistry } from './registry.ts'
import { removeMember, type RemovalDeps } from './removal.ts'

const keys = keysOf('service', 'main')
const names = ['n1', 'n2', 'n3']

const ackMember = (name: string) => ({ name, incarnation: `disk-${name}` })

class FakeGroup extends MeddledStore {
  voters = names
  /** Voters under a name that is a member with another log by now. */
  oldLogs: readonly string[] = []
  readonly membership = (): Membership => ({
    voters: this.voters.map((name) => ({
      name,
      incarnation: this.oldLogs.includes(name) ? `old-log-${name}` : `log-${name}`,
    })),
    learners: [],
    commitIndex: 0,
    isRemoved: false,
  })
}

describe('removeMember', () => {
  let clock: VirtualClock
  let group: FakeGroup
  let record: EpochRecord
  let silent: readonly string[]
  let isSettled: boolean
  let isAnnounced: boolean
  let deps: RemovalDeps

  beforeEach(async () => {
    clock = new VirtualClock()
    group = new FakeGroup()
    record = sampleRecord({ holder: 'n1' })
    silent = []
    isSettled = true
    isAnnounced = false
    await group.put(keys.epoch, record)
    deps = {
      clock,
      store: group,
      keys,
      record: () => ({ record, revision: group.peek(keys.epoch)?.modRevision ?? 0 }),
      isSettled: () => isSettled,
      isStrict: false,
      mayAcknowledge: () => true,
      isReachable: (name) => !silent.includes(name),
      announce: () => (isAnnounced = true),
    }
    const nodes = names.map((name) => ({
      name,
      apiHost: name,
      apiPort: 8008,
      incarnation: `log-${name}`,
      since: 'yesterday',
    }))
    await group.transact({ compares: [], operations: beginOperations(keys, nodes) }, { deadlineMs: 1000 })
  })

  const members = () => readRegistry(group, keys)?.nodes.map(({ name }) => name)

  it('takes a standby out, waits for consensus to follow, and says who is left', async () => {
    const removing = removeMember(deps, 'n3')
    await settle()
    expect(members()).toEqual(['n1', 'n2'])
    group.voters = ['n1', 'n2']
    await clock.advance(100)
    expect(await removing).toMatchObject({ kind: 'done', consensus: 'done', remaining: ['n1', 'n2'] })
    expect(readRegistry(group, keys)?.removed).toMatchObject([{ name: 'n3', incarnation: 'log-n3' }])
  })

  it('does not wait for ever where consensus cannot follow', async () => {
    const removing = removeMember(deps, 'n3')
    await clock.advance(11_000)
    expect(await removing).toMatchObject({ kind: 'done', consensus: 'pending' })
  })

  it('works for a dead one', async () => {
    silent = ['n3']
    group.voters = ['n1', 'n2', 'n3']
    const removing = removeMember(deps, 'n3')
    await clock.advance(11_000)
    expect((await removing).kind).toBe('done')
  })

  it.each([
    ['the primary, and names the command', 'n1', 'IS_PRIMARY', 'pg-metako switchover'],
    ['a name that nobody has, and guesses the right one', 'n4', 'UNKNOWN', 'Did you mean n'],
  ])('refuses %s', async (_, name, reason, remedy) => {
    expect(await removeMember(deps, name)).toMatchObject({
      kind: 'refused',
      reason,
      remedy: expect.stringContaining(remedy),
    })
    expect(members()).toEqual(names)
  })

  it('refuses one whose vote the others need: with one dead, the second must not go', async () => {
    silent = ['n3']
    expect(await removeMember(deps, 'n2')).toMatchObject({ kind: 'refused', reason: 'IS_NEEDED' })
    expect(members()).toEqual(names)
  })

  it('refuses the last standby where commits wait for one, whatever happens', async () => {
    const strict = { ...deps, isStrict: true }
    const removing = removeMember(strict, 'n3')
    await clock.advance(11_000)
    expect((await removing).kind).toBe('done')
    expect(await removeMember(strict, 'n2')).toMatchObject({ kind: 'refused', reason: 'IS_ONLY_STANDBY' })
    expect(members()).toEqual(['n1', 'n2'])
  })

  it('refuses the last one that commits may wait for, though others are left: one tagged nosync, or a witness', async () => {
    const strict = { ...deps, isStrict: true, mayAcknowledge: (name: string) => name !== 'n3' }
    expect(await removeMember(strict, 'n2')).toMatchObject({
      kind: 'refused',
      reason: 'IS_ONLY_STANDBY',
      remedy: expect.stringContaining('nosync'),
    })
    expect(members()).toEqual(names)
  })

  it('counts a vote as gone whose name came back with another log: consensus still waits for the old one', async () => {
    group.voters = ['n1', 'n2', 'n3']
    group.oldLogs = ['n3']
    expect(await removeMember(deps, 'n2')).toMatchObject({ kind: 'refused', reason: 'IS_NEEDED' })
    expect(members()).toEqual(names)
  })

  describe('of one that commits wait for', () => {
    const counting = (members: readonly string[]) =>
      sampleRecord({ holder: 'n1', acks: [{ ...link, rule: { k: 1, members: members.map(ackMember) } }] })
    const link = { epoch: 1, holder: ackMember('n1') }

    beforeEach(() => (record = counting(['n2', 'n3'])))

    it('has the primary wait for others first, and takes it out when it does', async () => {
      group.voters = ['n1', 'n2']
      const removing = removeMember(deps, 'n3')
      await clock.advance(1000)
      expect([isAnnounced, members()]).toEqual([true, names])
      record = counting(['n2'])
      await clock.advance(100)
      expect(await removing).toMatchObject({ kind: 'done' })
      expect(members()).toEqual(['n1', 'n2'])
    })

    it('leaves it in where nobody else has all commits, and says what to do', async () => {
      const removing = removeMember(deps, 'n3')
      await clock.advance(11_000)
      expect(await removing).toMatchObject({
        kind: 'refused',
        reason: 'IS_NEEDED',
        message: expect.stringContaining('Commits wait for "n3"'),
      })
      expect(members()).toEqual(names)
    })

    it('leaves it in when the primary is lost meanwhile', async () => {
      const removing = removeMember(deps, 'n3')
      await clock.advance(1000)
      isSettled = false
      await clock.advance(100)
      expect(await removing).toMatchObject({ kind: 'refused', reason: 'TAKE_OVER' })
      expect(members()).toEqual(names)
    })
  })

  it('changes nothing during a take-over', async () => {
    isSettled = false
    expect(await removeMember(deps, 'n3')).toMatchObject({ kind: 'refused', reason: 'TAKE_OVER' })
    expect(members()).toEqual(names)
  })

  it('never removes a member that becomes the primary at that moment', async () => {
    let isFirst = true
    group.meddle = async (_transaction, commit) => {
      if (isFirst) {
        isFirst = false
        record = sampleRecord({ holder: 'n3', epoch: 3 })
        await group.put(keys.epoch, record)
      }
      return commit()
    }
    expect(await removeMember(deps, 'n3')).toMatchObject({ kind: 'refused', reason: 'IS_PRIMARY' })
    expect(members()).toEqual(names)
  })

  it('tries again when only the lease was renewed meanwhile', async () => {
    let renewals = 0
    group.meddle = async (_transaction, commit) => {
      if (renewals < 2) {
        renewals += 1
        await group.put(keys.epoch, { ...record, seq: record.seq + renewals })
      }
      return commit()
    }
    group.voters = ['n1', 'n2']
    expect((await removeMember(deps, 'n3')).kind).toBe('done')
  })
})
