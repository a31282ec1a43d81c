import { beforeEach, describe, expect, it } from 'vitest'
import { MeddledStore, settle, VirtualClock } from '../../../test/support/ha-fakes.ts'
import { keysOf } from '../../ha/keys.ts'
import type { MembershipNotes } from '../../model/membership.ts'
import { silentLogger, type Logger } from '../../platform/log.ts'
import type { Membership } from '../../store/raft/membership.ts'
import type { NodeState } from '../host-ports.ts'
import { MemberRegistry, type MemberRegistryOptions } from './member-registry.ts'
import { readRegistry, removeOperations } from './registry.ts'

const keys = keysOf('service', 'main')
const names = ['n1', 'n2', 'n3']
const configured = names.map((name) => ({ name, apiHost: `10.0.0.${name.slice(1)}`, apiPort: 8008 }))
const identity = (name: string) => ({ name, incarnation: `log-${name}` })

/** A group of three whose members the test sets. */
class FakeGroup extends MeddledStore {
  voters = names.map(identity)
  readonly stop = () => Promise.resolve()
  readonly membership = (): Membership => ({
    voters: this.voters,
    learners: [],
    commitIndex: 0,
    isRemoved: false,
  })
}

describe('MemberRegistry', () => {
  let group: FakeGroup
  let notes: MembershipNotes | undefined
  let warnings: string[]
  const state = {
    readMembership: () => Promise.resolve(notes),
    writeMembership: (next: MembershipNotes) => {
      notes = structuredClone(next)
      return Promise.resolve()
    },
  } as unknown as NodeState
  const log: Logger = {
    ...silentLogger(),
    warn: (message, fields) => warnings.push(`${message} ${JSON.stringify(fields)}`),
  }

  beforeEach(() => {
    group = new FakeGroup()
    notes = undefined
    warnings = []
  })

  const open = (change: Partial<MemberRegistryOptions> = {}) =>
    MemberRegistry.open(
      { clock: new VirtualClock(), log, state },
      {
        keys,
        self: identity('n1'),
        configured,
        ownAddress: { apiHost: '10.0.0.1', apiPort: 8008 },
        ...change,
      },
    )

  async function begun(change: Partial<MemberRegistryOptions> = {}): Promise<MemberRegistry> {
    const registry = await open(change)
    registry.attach(group)
    // One look begins it, the next one finds it.
    const signal = new AbortController()
    const publishing = registry.publish(signal.signal)
    await settle()
    signal.abort()
    await publishing
    await settle()
    return registry
  }

  const remove = async (name: string) => {
    const registry = readRegistry(group, keys)
    const node = registry?.nodes.find((one) => one.name === name)
    if (!registry || !node) throw new Error(`no ${name}`)
    const operations = removeOperations(keys, registry, { ...node, at: 'today' })
    await group.transact({ compares: [], operations }, { deadlineMs: 1000 })
    await settle()
  }

  it('is the configuration before there is a registry', async () => {
    const registry = await open()
    expect(registry.members).toEqual(names)
    expect(registry.peers).toEqual([
      { name: 'n2', host: '10.0.0.2', port: 8008 },
      { name: 'n3', host: '10.0.0.3', port: 8008 },
    ])
    expect(registry.registry).toBeUndefined()
  })

  it('is begun with all founders and the logs that they have in consensus, once', async () => {
    await begun()
    await begun({ self: identity('n2'), ownAddress: { apiHost: '10.0.0.2', apiPort: 8008 } })
    expect(group.transactions).toHaveLength(1)
    expect(readRegistry(group, keys)?.nodes.map(({ name, incarnation }) => `${name} ${incarnation}`)).toEqual(
      names.map((name) => `${name} log-${name}`),
    )
  })

  it('is not begun by a node whose configuration names others than consensus has', async () => {
    group.voters = [...names, 'n4'].map(identity)
    await begun()
    expect(readRegistry(group, keys)).toBeUndefined()
    expect(warnings.join()).toContain('Cannot begin the registry of members')
  })

  it('counts from then on, and says once what the configuration says otherwise', async () => {
    await begun()
    await remove('n3')
    const registry = await open()
    expect(registry.members).toEqual(['n1', 'n2'])
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain('only in the configuration: n3')
  })

  it('keeps a copy, and does not go back to what a log from before that copy says', async () => {
    await begun()
    await remove('n3')
    expect(notes?.nodes.map(({ name }) => name)).toEqual(['n1', 'n2'])
    const registry = await open()
    const older = new FakeGroup()
    await older.put(keys.membership, '{}')
    registry.attach(older)
    await settle()
    expect(registry.members).toEqual(['n1', 'n2'])
  })

  it('talks to who was removed for as long as consensus needs its answers, and then refuses it', async () => {
    const registry = await begun()
    await remove('n3')
    expect(registry.members).toEqual(['n1', 'n2'])
    expect(registry.peers.map(({ name }) => name)).toEqual(['n2', 'n3'])
    expect(registry.removedPeers).toEqual([])
    group.voters = ['n1', 'n2'].map(identity)
    expect(registry.peers.map(({ name }) => name)).toEqual(['n2'])
    expect(registry.removedPeers).toEqual([{ ...identity('n3'), at: 'today' }])
  })

  it('knows that this node was removed, and after a restart that it left', async () => {
    const registry = await begun({ self: identity('n3') })
    let news = 0
    registry.onChange(() => (news += 1))
    expect(registry.removal).toBeUndefined()
    await remove('n3')
    expect(registry.removal).toMatchObject({ at: 'today' })
    expect(news).toBeGreaterThan(0)
    await registry.leave('today')
    expect((await open({ self: identity('n3') })).left).toEqual({ at: 'today' })
  })

  it('corrects the own address in it, but never with a guess', async () => {
    await begun()
    const moved = { apiHost: '10.9.9.9', apiPort: 8010 }
    const { ownAddress: _guessed, ...rest } = { ownAddress: undefined, configured }
    await begun(rest)
    expect(readRegistry(group, keys)?.nodes[0]).toMatchObject({ apiHost: '10.0.0.1' })
    await begun({ ownAddress: moved })
    expect(readRegistry(group, keys)?.nodes[0]).toMatchObject(moved)
  })
})
